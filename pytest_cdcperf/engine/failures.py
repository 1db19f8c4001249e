"""Failed iterations by kind, with one sample each."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from pytest_cdcperf.engine.source_lines import user_line
from pytest_cdcperf.errors import IterationTimeoutError, NeverAwaitedError
from pytest_cdcperf.metrics.failure import _FURTHER, MAX_KINDS, FailureKind

_KNOW_WHERE = (IterationTimeoutError, NeverAwaitedError)  # which nobody has raised at the user's line


class Raised(Enum):
    """What an exception out of a body means for the run."""

    FAILED = "failed"
    SKIPPED = "skipped"
    EXIT = "exit"


@dataclass(frozen=True)
class ExceptionRules:
    """How exceptions are read: handed in, so that the engine knows no test framework.

    *describe* returns a text of bounded length, without secrets.
    """

    classify: Callable[[BaseException], Raised]
    describe: Callable[[BaseException], str]


class Failures:
    """Counts failed iterations by type and line, never by message, and formats one sample of each kind.

    A failing body costs little more than its exception: only the first of a kind is formatted.
    """

    def __init__(self, describe: Callable[[BaseException], str]) -> None:
        self._describe = describe
        self._lock = threading.Lock()
        self._kinds: dict[tuple[str, str], FailureKind] = {}
        self.first_skip = ""

    def add(self, error: BaseException) -> None:
        """Count *error*."""
        where = error.where if isinstance(error, _KNOW_WHERE) else user_line(error.__traceback__)
        key = (type(error).__name__, where)
        with self._lock:
            kind = self._kinds.get(key)
            if kind is None and len(self._kinds) >= MAX_KINDS:
                key = _FURTHER
                kind = self._kinds.get(key)
            if kind is not None:
                kind.count += 1
                return
            self._kinds[key] = kind = FailureKind(*key, 1, "")
        kind.sample = self._describe(error)

    def skip(self, error: BaseException) -> None:
        """Keep the reason of the first skipped iteration."""
        self.first_skip = self.first_skip or str(error)

    def kinds(self) -> list[FailureKind]:
        """The kinds, the most frequent first."""
        with self._lock:
            return sorted(self._kinds.values(), key=lambda kind: -kind.count)
