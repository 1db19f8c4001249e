"""Failed iterations by kind, with one sample each."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum

from pytest_cdcperf.engine.iteration_id import IterationId
from pytest_cdcperf.engine.source_lines import user_line
from pytest_cdcperf.engine.vu import VU
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
        self._kinds: dict[tuple[str, str], _Kind] = {}
        self.first_skip = ""

    def add(self, error: BaseException, vu: VU, at_s: float) -> None:
        """Count *error*, by which the iteration of *vu* ended *at_s* after the start of the run."""
        where = error.where if isinstance(error, _KNOW_WHERE) else user_line(error.__traceback__)
        key = (type(error).__name__, where)
        with self._lock:
            if key not in self._kinds and len(self._kinds) >= MAX_KINDS:
                key = FURTHER
            kind = self._kinds.get(key)
            is_first = kind is None
            if kind is None:
                kind = self._kinds[key] = _Kind(vu.iteration_id, at_s)
            kind.count += 1
            kind.last_s = max(kind.last_s, at_s)
        if is_first:
            kind.sample = self._describe(error)

    def skip(self, error: BaseException) -> None:
        """Keep the reason of the first skipped iteration."""
        self.first_skip = self.first_skip or str(error)

    def kinds(self) -> list[FailureKind]:
        """The kinds, the most frequent first."""
        with self._lock:
            kinds = [
                FailureKind(*key, kind.count, kind.sample, kind.first_s, kind.last_s, str(kind.iteration))
                for key, kind in self._kinds.items()
            ]
        return sorted(kinds, key=lambda kind: -kind.count)

    def only_kind(self) -> FailureKind | None:
        """Return the kind of all failures, without its traceback; None where there is none, or another."""
        kinds = self.kinds() if len(self._kinds) == 1 else []
        return replace(kinds[0], sample=kinds[0].error) if len(kinds) == 1 else None


@dataclass
class _Kind:
    iteration: IterationId
    first_s: float
    last_s: float = 0.0
    count: int = 0
    sample: str = ""
