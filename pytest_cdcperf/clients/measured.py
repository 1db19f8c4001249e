"""Timing of one call to a server, the same for blocking and awaited calls."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Self

from pytest_cdcperf.clock import real_time as time
from pytest_cdcperf.metrics.calls import FAILED, SUCCESSFUL, TIMED_OUT
from pytest_cdcperf.metrics.metric import Counter, Tags, Trend
from pytest_cdcperf.metrics.scope import current_scope


class Measured:
    """Times its block in milliseconds; counts an error where the block raises. A failed call is timed too, apart.

    :param timed_out: whether an error says that the call ended at a time limit
    """

    __slots__ = ("_begin_ns", "_duration", "_errors", "_tags", "_timed_out")

    def __init__(
        self, duration: Trend, errors: Counter, tags: Tags = (), *, timed_out: Callable[[BaseException], bool]
    ) -> None:
        self._timed_out = timed_out
        self._duration = duration
        self._errors = errors
        self._tags = tags
        self._begin_ns = 0

    def __enter__(self) -> Self:
        self._begin_ns = time.perf_counter_ns()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        elapsed_ms = (time.perf_counter_ns() - self._begin_ns) * 1e-6
        scope = current_scope()
        if scope is not None:
            outcome = SUCCESSFUL if error is None else TIMED_OUT if self._timed_out(error) else FAILED
            scope.sink(self._duration, (*self._tags, *outcome))(elapsed_ms)
            if kind is not None:
                scope.sink(self._errors, self._tags)(1)
