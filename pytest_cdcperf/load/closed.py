"""The executors of closed loops: a VU starts its next iteration when the one before has ended."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import ClassVar, Self

from pytest_cdcperf.checks import by_key, checked, read_durations, whole_number_fault
from pytest_cdcperf.load.base import GRACEFUL_STOP_S, Deadline, Load, vus_fault, vus_in_words
from pytest_cdcperf.load.ramp import Ramp
from pytest_cdcperf.load.share import Share
from pytest_cdcperf.load.stages import (
    ramp_phases,
    ramp_through,
    read_stages,
    stage_faults,
    stages_in_words,
    stretched,
)
from pytest_cdcperf.metrics.phases import Phase
from pytest_cdcperf.units import Duration, format_duration

MOST_ITERATIONS = 10**12

_DIGITS = 6  # of a number of VUs that is the sum of other floats

# (seconds since the common start, iterations this VU has started) -> seconds to wait, None to stop.
# Asked for an answer of 0 exactly once per start.
Pacing = Callable[[float, int], float | None]


class ClosedLoad(Load):
    """A VU starts its next iteration when the one before has ended."""

    def spans(self, _number: int) -> list[tuple[float, float]]:
        """Return the spans, in seconds from the common start, in which VU *number* (from 0) starts iterations."""
        return [(self.start_s, self.planned_s)]

    def pacing(self, _share: Share) -> Callable[[int], Pacing]:
        """Return what gives the pacing of VU *number* (from 0), in a worker that runs *share*."""
        return self._pacing_by_time

    def _pacing_by_time(self, _number: int) -> Pacing:
        begin_s, end_s = self.start_s, self.planned_s

        def pace(elapsed_s: float, _started: int) -> float | None:
            if elapsed_s >= end_s:
                return None
            return begin_s - elapsed_s if elapsed_s < begin_s else 0.0

        return pace

    def planned_iterations(self, _share: Share) -> int:
        """Return how many iterations the worker that runs *share* must start; 0 where none are counted."""
        return 0

    def ramp_down_deadlines(self, _number: int) -> list[tuple[float, Deadline]]:
        """Return when each span of VU *number* begins, with the deadline at its end, where a ramp takes VUs away."""
        return []


@checked
@dataclass(frozen=True, kw_only=True)
class ConstantVUs(ClosedLoad):
    """*vus* virtual users that iterate for *duration*, each as often as it can.

    >>> ConstantVUs(vus=10, duration="5m").describe()
    '10 VUs for 5m'
    """

    vus: int = 1
    duration: Duration

    def _read_fields(self) -> list[str]:
        return by_key(vus=vus_fault(self.vus)) + read_durations(self, "duration", above_zero=True)

    @property
    def active_s(self) -> float:
        """The duration."""
        return float(self.duration)

    @property
    def most_vus(self) -> int:
        """All of them, all the time."""
        return self.vus

    def stretched(self, scale: float) -> Self:
        """Return it with its start and its duration *scale* times as long."""
        return replace(super().stretched(scale), duration=self.active_s * scale)

    def with_vus(self, vus: int) -> Self:
        """Return it with so many VUs."""
        return replace(self, vus=vus)

    def describe(self) -> str:
        """Return "10 VUs for 5m"."""
        return f"{vus_in_words(self.vus)} for {format_duration(self.active_s)}"


@checked
@dataclass(frozen=True, kw_only=True)
class PerVUIterations(ClosedLoad):
    """*vus* virtual users that run *iterations* each, in at most *max_duration*.

    >>> PerVUIterations(vus=10, iterations=3).describe()
    '10 VUs, 3 iterations each'
    """

    vus: int = 1
    iterations: int = 1
    max_duration: Duration = 600.0

    counts_iterations: ClassVar[bool] = True

    def _read_fields(self) -> list[str]:
        faults = by_key(
            vus=vus_fault(self.vus),
            iterations=whole_number_fault(self.iterations, at_least=1, at_most=MOST_ITERATIONS),
        )
        return faults + read_durations(self, "max_duration", above_zero=True)

    @property
    def active_s(self) -> float:
        """The longest duration: an upper bound."""
        return float(self.max_duration)

    @property
    def most_vus(self) -> int:
        """All of them."""
        return self.vus

    def pacing(self, _share: Share) -> Callable[[int], Pacing]:
        """Return what gives the pacing of VU *number*: it stops after its iterations."""
        iterations = self.iterations

        def of_vu(number: int) -> Pacing:
            by_time = self._pacing_by_time(number)
            return lambda elapsed_s, started: None if started >= iterations else by_time(elapsed_s, started)

        return of_vu

    def planned_iterations(self, share: Share) -> int:
        """Return what the VUs of *share* run together."""
        return self.iterations * share.part(self.vus)

    def describe(self) -> str:
        """Return "10 VUs, 3 iterations each"."""
        return f"{vus_in_words(self.vus)}, {self.iterations} iteration{'s' * (self.iterations != 1)} each"


@checked
@dataclass(frozen=True, kw_only=True)
class SharedIterations(PerVUIterations):
    """*vus* virtual users that run *iterations* between them, in at most *max_duration*.

    >>> SharedIterations(vus=10, iterations=30).describe()
    '10 VUs, 30 iterations between them'
    """

    def pacing(self, share: Share) -> Callable[[int], Pacing]:
        """Return what gives the pacing of VU *number*: each start takes one of the worker's iterations."""
        own = iter(self._own_iterations(share))  # taking the next one is atomic: all VUs of the worker may

        def of_vu(number: int) -> Pacing:
            by_time = self._pacing_by_time(number)

            def pace(elapsed_s: float, started: int) -> float | None:
                wait_s = by_time(elapsed_s, started)
                return None if wait_s == 0 and next(own, None) is None else wait_s

            return pace

        return of_vu

    def planned_iterations(self, share: Share) -> int:
        """Return the worker's part of them."""
        return len(self._own_iterations(share))

    def _own_iterations(self, share: Share) -> range:
        return share.among(self.vus).numbers(self.iterations)

    def describe(self) -> str:
        """Return "10 VUs, 30 iterations between them"."""
        return f"{vus_in_words(self.vus)}, {self.iterations} iteration{'s' * (self.iterations != 1)} between them"


@checked
@dataclass(frozen=True, kw_only=True)
class RampingVUs(ClosedLoad):
    """Virtual users whose number goes from *start_vus* through *stages*.

    *graceful_ramp_down* is how long an iteration may go on whose VU the ramp takes away.

    >>> RampingVUs(stages=[("2m", 50), ("1m", 0)]).describe()
    'VUs 0, to 50 in 2m, to 0 in 1m'
    """

    start_vus: int = 0
    stages: Sequence[tuple[Duration, float]]
    graceful_ramp_down: Duration = GRACEFUL_STOP_S

    def _read_fields(self) -> list[str]:
        vus = partial(vus_fault, at_least=0)
        faults = stage_faults(self.stages, vus)
        faults += read_durations(self, "graceful_ramp_down")
        faults += by_key(start_vus=vus(self.start_vus))
        if not faults:
            object.__setattr__(self, "stages", read_stages(self.stages))
            if not self.most_vus:
                faults.append("stages never reach a VU; allowed: at least one target, or start_vus, above 0")
        return faults

    @cached_property
    def ramp(self) -> Ramp:
        """The planned number of VUs over time, from its own start."""
        return ramp_through(self.start_vus, self.stages)

    @property
    def active_s(self) -> float:
        """All stages."""
        return self.ramp.length_s

    @property
    def most_vus(self) -> int:
        """The peak."""
        return int(self.ramp.peak)

    @property
    def phases(self) -> tuple[Phase, ...]:
        """One phase for each stage; neighbours of one kind are one phase where the ramp does not jump between them."""
        return ramp_phases(self.ramp, self.start_s)

    def most_between(self, begin_s: float, end_s: float) -> int:
        """Return the most VUs between two times: going up one comes as the ramp reaches it, going down it stays."""
        pieces = self.ramp.pieces(begin_s - self.start_s, end_s - self.start_s)
        return max((_most_vus_of_piece(*piece) for piece in pieces), default=0)

    def spans(self, number: int) -> list[tuple[float, float]]:
        """Return the spans in which the ramp is high enough for VU *number* (from 0)."""
        return [(self.start_s + begin, self.start_s + end) for begin, end in self.ramp.spans_at_least(number + 1)]

    def _pacing_by_time(self, number: int) -> Pacing:
        spans = self.spans(number)

        def pace(elapsed_s: float, _started: int) -> float | None:
            for begin_s, end_s in spans:
                if elapsed_s < end_s:
                    return max(0.0, begin_s - elapsed_s)
            return None

        return pace

    def ramp_down_deadlines(self, number: int) -> list[tuple[float, Deadline]]:
        """Return when each span of VU *number* begins, with the deadline at its end."""
        spans, grace_s = self.spans(number), float(self.graceful_ramp_down)
        deadlines = [(begin_s, Deadline(end_s + grace_s, grace_s, "graceful_ramp_down")) for begin_s, end_s in spans]
        if spans and spans[-1][1] >= self.planned_s and number < self.stages[-1][1]:
            deadlines[-1] = (spans[-1][0], self.deadline())  # the load ends, and the ramp would leave it there
        return deadlines

    def stretched(self, scale: float) -> Self:
        """Return it with its start and its stages *scale* times as long."""
        return replace(super().stretched(scale), stages=stretched(self.stages, scale))

    def with_vus(self, vus: int) -> Self:
        """Return it scaled to a peak of so many VUs; what is above 0 stays above 0."""
        factor = vus / self.most_vus

        def scaled(count: float) -> int:
            return max(1, round(count * factor)) if count else 0

        stages = [(duration, scaled(target)) for duration, target in self.stages]
        return replace(self, start_vus=scaled(self.start_vus), stages=stages)

    def describe(self) -> str:
        """Return "VUs 0, to 50 in 2m, to 0 in 1m"."""
        return f"VUs {self.start_vus}, {stages_in_words(self.stages)}"


def _most_vus_of_piece(first: float, last: float) -> int:
    first, last = round(first, _DIGITS), round(last, _DIGITS)
    return math.floor(last) if last > first else math.ceil(first)
