"""Records calls to servers: how long each took, how it ended, and how many failed."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType

from pytest_cdcperf.clock import real_time as time
from pytest_cdcperf.metrics.calls import FAILED, SUCCESSFUL, TIMED_OUT
from pytest_cdcperf.metrics.metric import Counter, Tags, Trend
from pytest_cdcperf.metrics.scope import current_scope


class CallRecorder:
    """Records the calls of one kind: those with the same *tags*.

    *duration*, in milliseconds, holds the failed calls as well, but apart from the others: see ``metrics/calls.py``.
    Outside an iteration nothing is recorded.
    """

    __slots__ = ("_duration", "_errors", "_failed", "_successful", "_tags", "_timed_out")

    def __init__(self, duration: Trend, errors: Counter, tags: Tags = ()) -> None:
        self._duration = duration
        self._errors = errors
        self._tags = tags
        # A call is a sample of one of three series: their tags are put together once, not with each call.
        self._successful = (*tags, *SUCCESSFUL)
        self._failed = (*tags, *FAILED)
        self._timed_out = (*tags, *TIMED_OUT)

    def succeeded(self, begin_ns: int) -> None:
        """Record a call that began at *begin_ns* of ``perf_counter_ns``."""
        elapsed_ms = (time.perf_counter_ns() - begin_ns) * 1e-6
        scope = current_scope()
        if scope is not None:
            scope.sink(self._duration, self._successful)(elapsed_ms)

    def failed(self, begin_ns: int, *, timed_out: bool = False, error: BaseException | None = None) -> None:
        """Record a call that failed, or could not even be sent; *timed_out*: at a time limit, ours or the server's.

        The counter has the class of *error* as the tag ``error``, or "timeout"; without it none.
        """
        elapsed_ms = (time.perf_counter_ns() - begin_ns) * 1e-6
        scope = current_scope()
        if scope is not None:
            scope.sink(self._duration, self._timed_out if timed_out else self._failed)(elapsed_ms)
            kind = "timeout" if timed_out else type(error).__name__
            scope.sink(self._errors, self._tags if error is None else (*self._tags, ("error", kind)))(1)

    def call(self, timed_out: Callable[[BaseException], bool]) -> RecordedCall:
        """Return a block that is recorded as a call, which failed where it raises.

        :param timed_out: whether an error says that the call ended at a time limit
        """
        return RecordedCall(self, timed_out)


class RecordedCall:
    """One call, to be made inside the block. A class, since a generator would double what a block costs."""

    __slots__ = ("_begin_ns", "_calls", "_timed_out")

    def __init__(self, calls: CallRecorder, timed_out: Callable[[BaseException], bool]) -> None:
        self._calls = calls
        self._timed_out = timed_out

    def __enter__(self) -> None:
        self._begin_ns = time.perf_counter_ns()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            self._calls.succeeded(self._begin_ns)
        else:
            self._calls.failed(self._begin_ns, timed_out=self._timed_out(error), error=error)
