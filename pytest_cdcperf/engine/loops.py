"""The two loops of load: who iterates and when, without the waiting, which is the runtimes'."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from itertools import chain, islice, takewhile

from pytest_cdcperf.engine.context import RunContext
from pytest_cdcperf.engine.iterations import IterationRecorder
from pytest_cdcperf.engine.vu import VU
from pytest_cdcperf.load.base import Deadline, Load
from pytest_cdcperf.load.closed import ClosedLoad, Pacing
from pytest_cdcperf.load.open import OpenLoad
from pytest_cdcperf.load.share import Share
from pytest_cdcperf.metrics import builtin

NewVU = Callable[[int], VU]

_MOST_COUNTED = 1_000_000  # which takes a second


class ClosedLoop:
    """VUs that start their next iteration when the one before has ended."""

    def __init__(self, load: ClosedLoad, share: Share, context: RunContext, new_vu: NewVU) -> None:
        self.load = load
        self._share = share
        self._context = context
        by_vu = load.pacing(share)
        numbers = share.numbers(load.most_vus)
        self.recorders = [IterationRecorder(new_vu(number), context) for number in numbers]
        for recorder in self.recorders:
            recorder.pauses_after_failure = True
        self._pacings: dict[IterationRecorder, Pacing] = {
            recorder: by_vu(number) for recorder, number in zip(self.recorders, numbers, strict=True)
        }
        self._spans = {recorder: load.spans(number) for recorder, number in zip(self.recorders, numbers, strict=True)}
        self._stop_deadline = load.deadline()
        self._deadlines: dict[IterationRecorder, list[tuple[float, Deadline]]] = {}  # of those whom a ramp takes away
        for recorder, number in zip(self.recorders, numbers, strict=True):
            if deadlines := load.ramp_down_deadlines(number):
                self._deadlines[recorder] = deadlines
        self.late_s = 0.0  # how long after its time a VU came, at most

    @property
    def planned_vus(self) -> int:
        """How many VUs have anything to do."""
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
        """Return what tells the seconds until *recorder* starts its next iteration.

        It answers 0 for now and None when there is none.
        """
        pace, ended = self._pacings[recorder], self._context.stop.ended.is_set
        now_ns, start_ns = self._context.clock.now_ns, self._context.start_ns

        def next_wait() -> float | None:
            return None if ended() else pace((now_ns() - start_ns) * 1e-9, recorder.started)

        return next_wait

    def pause_of(self, recorder: IterationRecorder) -> float:
        """Return the seconds that *recorder* still pauses because its iteration failed, to its last start at most."""
        rest_s = (recorder.pause_until_ns - self._context.clock.now_ns()) * 1e-9
        return min(rest_s, self._spans[recorder][-1][1] - self._context.elapsed_s()) if rest_s > 0 else 0.0

    def missing(self) -> int:
        """How many iterations of a load that counts them were never started."""
        if not self.load.counts_iterations:
            return 0
        return self.load.planned_iterations(self._share) - sum(recorder.started for recorder in self.recorders)

    def active(self, elapsed_s: float) -> int:
        """How many of the VUs that the plan has at a time are there."""
        return sum(
            recorder.is_there and any(begin <= elapsed_s < end for begin, end in spans)
            for recorder, spans in self._spans.items()
        )

    def under_way(self, elapsed_s: float) -> Iterator[tuple[IterationRecorder, Deadline]]:
        """Yield the VUs that are in an iteration, each with its limit."""
        stop_limit = self._stop_deadline
        for recorder in self.recorders:
            if recorder.running:
                limit = stop_limit
                for begin_s, deadline_of_span in self._deadlines.get(recorder, ()):
                    if begin_s <= elapsed_s:
                        limit = deadline_of_span
                yield recorder, min(limit, stop_limit)

    def next_deadline_s(self, elapsed_s: float) -> float:
        """Return when the next of those that are in an iteration by now reaches its limit."""
        if not self._deadlines:
            return self.deadline_s
        deadlines_s = (limit.at_s for _, limit in self.under_way(elapsed_s))
        return min((at_s for at_s in deadlines_s if at_s > elapsed_s), default=self.deadline_s)

    @property
    def deadline_s(self) -> float:
        """When all of its iterations must have ended."""
        return self._stop_deadline.at_s

    def end_early(self, elapsed_s: float) -> None:
        """Let the graceful stop begin at once, where it has not begun."""
        self._stop_deadline = self.load.deadline(elapsed_s)


class OpenLoop:
    """Starts by the clock, taken by whichever VU is free.

    Two lags, never one: ``vu_wait`` is how long a start waited because every VU was busy, which is the
    system under test being slow; ``generator_lag`` is how late it was although one was free, or because a new one had
    to be started, which is our own fault. Both are part of response_time.
    """

    def __init__(self, load: OpenLoad, share: Share, context: RunContext, new_vu: NewVU) -> None:
        self.load = load
        self.recorders: list[IterationRecorder] = []
        self._share = share
        self.starts = self._draw(load.starts(share))  # to draw one is to hand out the last
        self._in_hand: tuple[float, ...] = ()
        self._context = context
        self._new_vu = new_vu
        self._numbers = iter(share.numbers(load.most_vus))
        self._first = share.part(load.first_vus)
        self._max_lateness_ns = round(load.max_lateness_s * 1e9)
        self.most_queued = math.ceil(load.peak_rate * load.max_lateness_s) + 1
        self._lock = threading.Lock()
        self._free = 0  # VUs that wait for a start, less starts that wait for a VU
        self._dropped = 0
        self._unstarted = 0
        self._handed_on = 0  # of both, by now
        self._stop_deadline = load.deadline()

    def first_vus(self) -> list[IterationRecorder]:
        """Return the VUs that are there from the start."""
        return [recorder for _ in range(self._first) if (recorder := self.add_vu()) is not None]

    def add_vu(self) -> IterationRecorder | None:
        """Return one more VU, or None where there are as many as there may be."""
        number = next(self._numbers, None)
        if number is None:
            return None
        recorder = IterationRecorder(self._new_vu(number), self._context)
        self.recorders.append(recorder)
        return recorder

    def vu_joined(self, recorder: IterationRecorder) -> None:
        """Note that the thread or task of *recorder* is there, and free."""
        recorder.is_there = True
        self.vu_became_free()

    def vu_became_free(self) -> None:
        """Note that a VU is free."""
        with self._lock:
            self._free += 1

    def hand_out(self) -> tuple[IterationRecorder | None, int]:
        """Note that a start is due, as :meth:`offers` does.

        Return the VU that is to be started for it, where there is none free and there may be more, and since when it
        waits for a busy one, as the clock's nanoseconds: 0 where it does not.
        """
        if not self.start_due():
            return None, 0
        recorder = self.add_vu()
        return recorder, 0 if recorder is not None else self._context.clock.now_ns()

    def start_due(self) -> bool:
        """Note that a start is due; return whether every VU is busy."""
        with self._lock:
            self._free -= 1
            return self._free < 0

    @property
    def queue_is_full(self) -> bool:
        """Whether more starts wait for a VU than come while one may wait."""
        return -self._free > self.most_queued

    def accept_start(
        self, recorder: IterationRecorder, intended_ns: int, waits_from_ns: int, free_since_ns: int
    ) -> bool:
        """Record how late *recorder* takes a start; return whether it still counts, and drop it where not.

        :param waits_from_ns: since when the start has waited for a busy VU, as :meth:`hand_out` says
        :param free_since_ns: when *recorder* ended its last iteration, 0 where this is its first
        """
        waited_ns = max(0, free_since_ns - waits_from_ns) if waits_from_ns else 0
        if waited_ns > self._max_lateness_ns:
            self.drop()
            return False
        recorder.enter_phase_at(intended_ns)
        appends = recorder.vu.scope.appends
        appends[builtin.VU_WAIT](waited_ns * 1e-6)
        appends[builtin.GENERATOR_LAG](max(0, self._context.clock.now_ns() - intended_ns - waited_ns) * 1e-6)
        return True

    def drop(self) -> None:
        """Count a start that waited too long for a VU."""
        with self._lock:
            self._dropped += 1

    def drop_queued(self) -> None:
        """Count a start that nobody took."""
        with self._lock:
            self._dropped += 1
            self._free += 1

    def drop_untaken(self) -> None:
        """Count a start that nobody had taken when the run ended."""
        if not self._context.stop.reason:  # every VU was busy until the very end
            self.drop_queued()
            return
        with self._lock:
            self._unstarted += 1
            self._free += 1

    def _draw(self, planned: Iterator[float]) -> Iterator[float]:
        for start_s in planned:
            self._in_hand = (start_s,)
            yield start_s
            self._in_hand = ()

    def drop_rest(self) -> None:
        """Count the starts that were not handed out because the run has ended.

        Those that are due by now; where the run could not go on, all that were planned.
        """
        until_s = math.inf if self._context.stop.fault else self._context.elapsed_s()
        rest = takewhile(lambda due_s: due_s <= until_s, chain(self._in_hand, self.starts))
        unstarted = sum(1 for _ in islice(rest, _MOST_COUNTED))
        with self._lock:
            self._unstarted += unstarted

    def drop_unaccounted(self) -> None:
        """Count the starts that are due and came to nothing, where whoever hands them out is blocked for good."""
        until_s = self._context.elapsed_s()
        due = sum(1 for _ in takewhile(lambda due_s: due_s <= until_s, self.load.starts(self._share)))
        with self._lock:
            known = (
                sum(recorder.started for recorder in self.recorders) + self._handed_on + self._dropped + self._unstarted
            )
            self._unstarted += max(0, due - known)

    def take_unstarted(self) -> int:
        """Return the starts since the last call that came to nothing because the run ended."""
        with self._lock:
            unstarted, self._unstarted = self._unstarted, 0
            self._handed_on += unstarted
        return unstarted

    def take_dropped(self) -> int:
        """Return the starts since the last call that were dropped because every VU was busy."""
        with self._lock:
            dropped, self._dropped = self._dropped, 0
            self._handed_on += dropped
        return dropped

    def active(self, _elapsed_s: float) -> int:
        """How many VUs there are."""
        return sum(recorder.is_there for recorder in self.recorders)

    def under_way(self, _elapsed_s: float) -> Iterator[tuple[IterationRecorder, Deadline]]:
        """Yield the VUs that are in an iteration, each with its limit."""
        limit = self._stop_deadline
        return ((recorder, limit) for recorder in self.recorders if recorder.running)

    def next_deadline_s(self, _elapsed_s: float) -> float:
        """Return when the next of those that are in an iteration by now reaches its limit."""
        return self.deadline_s

    @property
    def deadline_s(self) -> float:
        """When all of its iterations must have ended."""
        return self._stop_deadline.at_s

    def end_early(self, elapsed_s: float) -> None:
        """Let the graceful stop begin at once, where it has not begun."""
        self._stop_deadline = self.load.deadline(elapsed_s)


Loop = ClosedLoop | OpenLoop


def new_loop(load: Load, share: Share, context: RunContext, new_vu: NewVU) -> Loop:
    """Return the loop that runs this worker's share of *load*."""
    match load:
        case OpenLoad():
            return OpenLoop(load, share, context, new_vu)
        case ClosedLoad():
            return ClosedLoop(load, share, context, new_vu)
        case _:
            raise TypeError(f"{type(load).__name__} is not an executor")
