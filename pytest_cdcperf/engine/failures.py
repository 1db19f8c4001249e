"""Failed iterations by kind, with one sample each."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from pytest_cdcperf.engine.source_lines import user_line
from pytest_cdcperf.errors import IterationTimeoutError, NeverAwaitedError
from pytest_cdcperf.metrics.failure import FURTHER, MAX_KINDS, FailureKind

_KNOW_WHERE = (IterationTimeoutError, NeverAwaitedError)  # which were not raised at the user's line


class Raised(Enum):
    """The meaning of an exception out of a body for the run."""

    FAILED = "failed"
    SKIPPED = "skipped"
    EXIT = "exit"


@dataclass(frozen=True)
class ExceptionRules:
    """Classifies exceptions: handed in, so that the engine knows no test framework. Without any, each is a failure.

    *describe* returns a text of bounded length, without secrets.
    """

    classify: Callable[[BaseException], Raised] = lambda _: Raised.FAILED
    describe: Callable[[BaseException], str] = repr


DEFAULT_RULES = ExceptionRules()


class Failures:
    """Counts failed iterations by type and line, never by message, and formats one sample of each kind.

    A failing body costs little more than its exception: only the first of a kind is formatted.
    """

    def __init__(self, describe: Callable[[BaseException], str]) -> None:
        self._describe = describe
        self._lock = threading.Lock()
        self._counts: dict[tuple[str, str], int] = {}
        self._samples: dict[tuple[str, str], str] = {}
        self.first_skip = ""

    def add(self, error: BaseException) -> None:
        """Count *error*."""
        where = error.where if isinstance(error, _KNOW_WHERE) else user_line(error.__traceback__)
        key = (type(error).__name__, where)
        with self._lock:
            if key not in self._counts and len(self._counts) >= MAX_KINDS:
                key = FURTHER
            count = self._counts[key] = self._counts.get(key, 0) + 1
        if count == 1:
            self._samples[key] = self._describe(error)

    def skip(self, error: BaseException) -> None:
        """Keep the reason of the first skipped iteration."""
        self.first_skip = self.first_skip or str(error)

    def kinds(self) -> list[FailureKind]:
        """The kinds, the most frequent first."""
        with self._lock:
            kinds = [FailureKind(*key, count, self._samples.get(key, "")) for key, count in self._counts.items()]
        return sorted(kinds, key=lambda kind: -kind.count)
