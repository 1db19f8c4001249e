"""Iterations that reach their deadline: they are interrupted, and most of them have failed."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_cdcperf.engine.context import RunContext
from pytest_cdcperf.engine.iterations import IterationRecorder
from pytest_cdcperf.engine.loop import Loop
from pytest_cdcperf.engine.runtime import Runtime
from pytest_cdcperf.errors import IterationTimeoutError
from pytest_cdcperf.load.base import Deadline


class OverdueIterations:
    """Interrupts them, and counts how many were interrupted, and how many of these failed by their deadline.

    *longest_ms* is how long the longest iteration took that has ended by now.
    """

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self.interrupted = 0
        self.timed_out = 0
        self.longest_ms = 0.0

    def interrupt(self, loops: Sequence[Loop], runtime: Runtime, *, run_is_over: bool) -> int:
        """Interrupt what is past its deadline, all that is under way where the run is over; return how many there were.

        Interrupting takes two steps. First the recorders discard the iterations, so that nothing is recorded of what
        follows. Then the runtime wakes those who block; it is asked again each time, since a VU that waited for a
        connection which another VU used may have got it since.
        """
        now_s = self._context.elapsed_s()
        overdue = [
            (recorder, deadline)
            for loop in loops
            for recorder, deadline in loop.under_way(now_s)
            if run_is_over or now_s >= deadline.at_s
        ]
        if not overdue:
            return 0
        interrupted = 0
        if not all(recorder.is_interrupted for recorder, _ in overdue):
            lines = {busy.vu: busy.line for busy in runtime.busy()}  # before they are woken: where they block
            for recorder, deadline in overdue:
                failure = self._failure(recorder, deadline, now_s, lines.get(recorder.vu.id, ""))
                if recorder.interrupt(failure):
                    interrupted += 1
                    self.timed_out += failure is not None
            self.interrupted += interrupted
        runtime.interrupt(recorder for recorder, _ in overdue)
        return interrupted

    def _failure(
        self, recorder: IterationRecorder, deadline: Deadline, now_s: float, line: str
    ) -> IterationTimeoutError | None:
        """Return what the iteration of *recorder* failed by, None where it says nothing of the system under test.

        It says nothing before its deadline (the run was ended by hand) and in a pause of the VU. Without a grace
        period it had no time to end: then only what took twice as long as any before is known to hang.
        """
        after_s = recorder.under_way_s
        hangs = deadline.grace_s > 0 or after_s * 1e3 > 2 * self.longest_ms > 0
        if now_s < deadline.at_s or recorder.vu.is_thinking or not hangs:
            return None
        return IterationTimeoutError(after_s, deadline.grace, line)
