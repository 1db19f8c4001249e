"""The two loops of load: who iterates and when, without the waiting, which is the runtimes'."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from itertools import chain, islice, takewhile
from typing import NamedTuple

from pytest_cdcperf.engine.context import RunContext
from pytest_cdcperf.engine.iterations import Iterations
from pytest_cdcperf.engine.vu import VU
from pytest_cdcperf.load.arrivals import planned_starts
from pytest_cdcperf.load.base import Load
from pytest_cdcperf.load.closed import ClosedLoad, PerVUIterations, RampingVUs, SharedIterations
from pytest_cdcperf.load.open import OpenLoad
from pytest_cdcperf.load.pacing import Pacing, pacing_by_vu, vu_spans
from pytest_cdcperf.load.share import Share
from pytest_cdcperf.metrics import builtin
from pytest_cdcperf.units import duration_s

NewVU = Callable[[int], VU]

_MOST_COUNTED = 1_000_000  # which takes a second


class Limit(NamedTuple):
    """Until when an iteration may go on, in seconds from the common start, and how much of that is *grace_s*."""

    at_s: float
    grace_s: float
    grace: str = "graceful_stop"


class ClosedLoop:
    """VUs that start their next iteration when the one before has ended."""

    def __init__(self, load: ClosedLoad, share: Share, context: RunContext, new_vu: NewVU) -> None:
        self.load: Load = load
        self._share = share
        self._context = context
        by_vu = pacing_by_vu(load, share)
        numbers = share.numbers(load.most_vus)
        self.members = [Iterations(new_vu(number), context) for number in numbers]
        for member in self.members:
            member.rests = True
        self._pacings: dict[Iterations, Pacing] = {
            member: by_vu(number) for member, number in zip(self.members, numbers, strict=True)
        }
        self._spans = {member: vu_spans(load, number) for member, number in zip(self.members, numbers, strict=True)}
        self._stop_limit = _graceful_stop(load)
        self._limits: dict[Iterations, list[tuple[float, Limit]]] = {}  # of those whom a ramp takes away
        if isinstance(load, RampingVUs):
            for member, number in zip(self.members, numbers, strict=True):
                self._limits[member] = self._limits_of(load, number, self._spans[member])
        self.late_s = 0.0  # how long after its time a VU came, at most

    @property
    def planned_vus(self) -> int:
        """How many VUs have anything to do."""
        return sum(bool(spans) for spans in self._spans.values())

    def joins(self, member: Iterations) -> None:
        """Note that the thread or task of *member* is there."""
        member.here = True
        if spans := self._spans[member]:
            self.late_s = max(self.late_s, self._context.elapsed_s() - spans[0][0])

    def is_early(self, member: Iterations) -> bool:
        """Whether *member* has nothing to do yet."""
        spans = self._spans[member]
        return not spans or spans[0][0] > self._context.elapsed_s()

    def next_wait_of(self, member: Iterations) -> Callable[[], float | None]:
        """Return what tells the seconds until *member* starts its next iteration.

        It answers 0 for now and None when there is none.
        """
        pace, ended = self._pacings[member], self._context.stop.ended.is_set
        now_ns, start_ns = self._context.clock.now_ns, self._context.start_ns

        def next_wait() -> float | None:
            return None if ended() else pace((now_ns() - start_ns) * 1e-9, member.started)

        return next_wait

    def rest_of(self, member: Iterations) -> float:
        """Return the seconds that *member* still pauses because its iteration failed, to its last start at most."""
        rest_s = (member.rest_until_ns - self._context.clock.now_ns()) * 1e-9
        return min(rest_s, self._spans[member][-1][1] - self._context.elapsed_s()) if rest_s > 0 else 0.0

    def missing(self) -> int:
        """How many iterations of a load that counts them were never started."""
        match self.load:
            case SharedIterations():
                planned = self._share.among(self.load.vus).part(self.load.iterations)
            case PerVUIterations():
                planned = self.load.iterations * len(self.members)
            case _:
                return 0
        return planned - sum(member.started for member in self.members)

    def active(self, elapsed_s: float) -> int:
        """How many of the VUs that the plan has at a time are there."""
        return sum(
            member.here and any(begin <= elapsed_s < end for begin, end in spans)
            for member, spans in self._spans.items()
        )

    def under_way(self, elapsed_s: float) -> Iterator[tuple[Iterations, Limit]]:
        """Yield the VUs that are in an iteration, each with its limit."""
        stop_limit = self._stop_limit
        for member in self.members:
            if member.running:
                limit = stop_limit
                for begin_s, limit_of_span in self._limits.get(member, ()):
                    if begin_s <= elapsed_s:
                        limit = limit_of_span
                yield member, min(limit, stop_limit)

    def next_limit_s(self, elapsed_s: float) -> float:
        """Return when the next of those that are in an iteration by now reaches its limit."""
        if not self._limits:
            return self.last_s
        limits_s = (limit.at_s for _, limit in self.under_way(elapsed_s))
        return min((at_s for at_s in limits_s if at_s > elapsed_s), default=self.last_s)

    @property
    def last_s(self) -> float:
        """When all of its iterations must have ended."""
        return self._stop_limit.at_s

    def end_now(self, elapsed_s: float) -> None:
        """Let the graceful stop begin at once, where it has not begun."""
        self._stop_limit = _graceful_stop(self.load, elapsed_s)

    def _limits_of(self, load: RampingVUs, number: int, spans: list[tuple[float, float]]) -> list[tuple[float, Limit]]:
        """Return when each of *spans* begins, with the limit of what is under way at its end."""
        grace_s = duration_s(load.graceful_ramp_down)
        limits = [(begin_s, Limit(end_s + grace_s, grace_s, "graceful_ramp_down")) for begin_s, end_s in spans]
        if spans and spans[-1][1] >= load.planned_s and number < load.stages[-1][1]:
            limits[-1] = (spans[-1][0], self._stop_limit)  # the load ends, and the ramp would leave it there
        return limits


class OpenLoop:
    """Starts by the clock, taken by whichever VU is free.

    Two lags, never one: ``vu_wait`` is how long a start waited because every VU was busy, which is the
    system under test being slow; ``generator_lag`` is how late it was although one was free, or because a new one had
    to be started, which is our own fault. Both are part of response_time.
    """

    def __init__(self, load: OpenLoad, share: Share, context: RunContext, new_vu: NewVU) -> None:
        self.load = load
        self.members: list[Iterations] = []
        self._share = share.among(load.most_vus)
        self.starts = self._draw(self._plan(load))  # to draw one is to hand out the last
        self._in_hand: tuple[float, ...] = ()
        self._context = context
        self._new_vu = new_vu
        self._numbers = iter(share.numbers(load.most_vus))
        self._first = share.part(load.first_vus)
        self._max_lateness_ns = round(duration_s(load.max_lateness) * 1e9)
        peak = max(max(s.start_value, s.end_value) for s in load.ramp.segments)
        self.most_queued = math.ceil(peak * duration_s(load.max_lateness)) + 1
        self._lock = threading.Lock()
        self._free = 0  # VUs that wait for a start, less starts that wait for a VU
        self._dropped = 0
        self._unstarted = 0
        self._handed_on = 0  # of both, by now
        self._stop_limit = _graceful_stop(load)

    def first_members(self) -> list[Iterations]:
        """Return the VUs that are there from the start."""
        return [member for _ in range(self._first) if (member := self.grow()) is not None]

    def grow(self) -> Iterations | None:
        """Return one more VU, or None where there are as many as there may be."""
        number = next(self._numbers, None)
        if number is None:
            return None
        member = Iterations(self._new_vu(number), self._context)
        self.members.append(member)
        return member

    def joins(self, member: Iterations) -> None:
        """Note that the thread or task of *member* is there, and free."""
        member.here = True
        self.waits()

    def waits(self) -> None:
        """Note that a VU is free."""
        with self._lock:
            self._free += 1

    def hand_out(self) -> tuple[Iterations | None, int]:
        """Note that a start is due, as :meth:`offers` does.

        Return the VU that is to be started for it, where there is none free and there may be more, and since when it
        waits for a busy one, as the clock's nanoseconds: 0 where it does not.
        """
        if not self.offers():
            return None, 0
        member = self.grow()
        return member, 0 if member is not None else self._context.clock.now_ns()

    def offers(self) -> bool:
        """Note that a start is due; return whether every VU is busy."""
        with self._lock:
            self._free -= 1
            return self._free < 0

    @property
    def too_many_wait(self) -> bool:
        """Whether more starts wait for a VU than come while one may wait."""
        return -self._free > self.most_queued

    def on_time(self, member: Iterations, intended_ns: int, waits_from_ns: int, free_since_ns: int) -> bool:
        """Record how late *member* takes a start; return whether it still counts, and drop it where not.

        :param waits_from_ns: since when the start has waited for a busy VU, as :meth:`hand_out` says
        :param free_since_ns: when *member* ended its last iteration, 0 where this is its first
        """
        waited_ns = max(0, free_since_ns - waits_from_ns) if waits_from_ns else 0
        if waited_ns > self._max_lateness_ns:
            self.drop()
            return False
        member.belongs_to(intended_ns)
        appends = member.vu.scope.appends
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

    def _plan(self, load: OpenLoad) -> Iterator[float]:
        return (load.start_s + start_s for start_s in self._share.filter(planned_starts(load)))

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
        due = sum(1 for _ in takewhile(lambda due_s: due_s <= until_s, self._plan(self.load)))
        with self._lock:
            known = sum(member.started for member in self.members) + self._handed_on + self._dropped + self._unstarted
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
        return sum(member.here for member in self.members)

    def under_way(self, _elapsed_s: float) -> Iterator[tuple[Iterations, Limit]]:
        """Yield the VUs that are in an iteration, each with its limit."""
        limit = self._stop_limit
        return ((member, limit) for member in self.members if member.running)

    def next_limit_s(self, _elapsed_s: float) -> float:
        """Return when the next of those that are in an iteration by now reaches its limit."""
        return self.last_s

    @property
    def last_s(self) -> float:
        """When all of its iterations must have ended."""
        return self._stop_limit.at_s

    def end_now(self, elapsed_s: float) -> None:
        """Let the graceful stop begin at once, where it has not begun."""
        self._stop_limit = _graceful_stop(self.load, elapsed_s)


Loop = ClosedLoop | OpenLoop


def new_loop(load: Load, share: Share, context: RunContext, new_vu: NewVU) -> Loop:
    """Return the loop that runs this worker's share of *load*."""
    match load:
        case OpenLoad():
            return OpenLoop(load, share, context, new_vu)
        case ClosedLoad():
            return ClosedLoop(load, share, context, new_vu)
        case _:
            raise TypeError(f"{type(load).__name__} is no executor")


def _graceful_stop(load: Load, elapsed_s: float = math.inf) -> Limit:
    """Return the limit of what is under way where *load* ends at *elapsed_s*, or as planned before that."""
    grace_s = duration_s(load.graceful_stop)
    return Limit(min(load.planned_s, elapsed_s) + grace_s, grace_s)
