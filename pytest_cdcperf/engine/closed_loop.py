"""The closed loop: a VU starts its next iteration when the one before has ended."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pytest_cdcperf.engine.context import RunContext
from pytest_cdcperf.engine.iterations import IterationRecorder
from pytest_cdcperf.engine.loop import Loop, NewVU
from pytest_cdcperf.load.base import Deadline
from pytest_cdcperf.load.closed import ClosedLoad, Pacing
from pytest_cdcperf.load.share import Share


class ClosedLoop(Loop):
    """VUs that start their next iteration when the one before has ended.

    So an iteration is intended to start when it starts: a slow system under test makes the load smaller, and no start
    waits. A ramp takes VUs away one by one: each has spans in which it starts iterations, and a deadline for each span.
    """

    load: ClosedLoad

    def __init__(self, load: ClosedLoad, share: Share, context: RunContext, new_vu: NewVU) -> None:
        super().__init__(load, share, context)
        by_vu = load.pacing(share)
        numbers = share.numbers(load.most_vus)
        self.recorders = [IterationRecorder(new_vu(number), context) for number in numbers]
        for recorder in self.recorders:
            recorder.pauses_after_failure = True
        self._pacings: dict[IterationRecorder, Pacing] = {
            recorder: by_vu(number) for recorder, number in zip(self.recorders, numbers, strict=True)
        }
        self._spans = {recorder: load.spans(number) for recorder, number in zip(self.recorders, numbers, strict=True)}
        self._deadlines: dict[IterationRecorder, list[tuple[float, Deadline]]] = {}  # where a ramp takes VUs away
        for recorder, number in zip(self.recorders, numbers, strict=True):
            if deadlines := load.ramp_down_deadlines(number):
                self._deadlines[recorder] = deadlines
        self.late_s = 0.0  # how long after its time a VU came, at most

    @property
    def planned_vus(self) -> int:
        """The number of VUs that have work left."""
        return sum(bool(spans) for spans in self._spans.values())

    def vu_joined(self, recorder: IterationRecorder) -> None:
        """Note that the thread or task of *recorder* is there."""
        recorder.is_there = True
        if spans := self._spans[recorder]:
            self.late_s = max(self.late_s, self._context.elapsed_s() - spans[0][0])

    def is_early(self, recorder: IterationRecorder) -> bool:
        """Whether *recorder* has nothing to do yet."""
        spans = self._spans[recorder]
        return not spans or spans[0][0] > self._context.elapsed_s()

    def next_wait_of(self, recorder: IterationRecorder) -> Callable[[], float | None]:
        """Return a function that returns the seconds until *recorder* starts its next iteration.

        0 is now, and None says that there is none. It is called once an iteration, hence a closure of few lookups.
        """
        pace, ended = self._pacings[recorder], self._context.stop.ended.is_set
        now_ns, start_ns = self._context.clock.now_ns, self._context.start_ns

        def next_wait() -> float | None:
            return None if ended() else pace((now_ns() - start_ns) * 1e-9, recorder.started)

        return next_wait

    def pause_of(self, recorder: IterationRecorder) -> float:
        """Return the seconds that *recorder* still pauses because its iteration failed, to its last start at most."""
        pause_s = (recorder.pause_until_ns - self._context.clock.now_ns()) * 1e-9
        return min(pause_s, self._spans[recorder][-1][1] - self._context.elapsed_s()) if pause_s > 0 else 0.0

    def missing(self) -> int:
        """The number of iterations that were never started, of a load that counts iterations."""
        if not self.load.counts_iterations:
            return 0
        return self.load.planned_iterations(self._share) - sum(recorder.started for recorder in self.recorders)

    def active(self, elapsed_s: float) -> int:
        """The number of VUs that are running of those that the plan has at this time."""
        return sum(
            recorder.is_there and any(begin <= elapsed_s < end for begin, end in spans)
            for recorder, spans in self._spans.items()
        )

    def under_way(self, elapsed_s: float) -> Iterator[tuple[IterationRecorder, Deadline]]:
        """Yield the recorders that are in an iteration, each with its deadline."""
        for recorder in self.recorders:
            if recorder.running:
                deadline = self._stop_deadline
                # A ramp that goes down and up again takes a VU away more than once: the span that began last counts.
                for begin_s, deadline_of_span in self._deadlines.get(recorder, ()):
                    if begin_s <= elapsed_s:
                        deadline = deadline_of_span
                yield recorder, min(deadline, self._stop_deadline)

    def next_deadline_s(self, elapsed_s: float) -> float:
        """Return when the next of those that are in an iteration by now reaches its deadline."""
        if not self._deadlines:
            return self.deadline_s
        deadlines_s = (deadline.at_s for _, deadline in self.under_way(elapsed_s))
        return min((at_s for at_s in deadlines_s if at_s > elapsed_s), default=self.deadline_s)
