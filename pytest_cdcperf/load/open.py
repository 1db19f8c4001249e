"""The executors of open loops: iterations start by the clock, whether or not those before have ended."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Self

from pytest_cdcperf.checks import (
    by_key,
    checked,
    choice_fault,
    duration_fault,
    is_number,
    number_fault,
    read_durations,
    whole_number_fault,
)
from pytest_cdcperf.errors import shown
from pytest_cdcperf.load.base import Load, vus_fault, vus_in_words
from pytest_cdcperf.load.ramp import Ramp
from pytest_cdcperf.load.share import WHOLE, Share
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

UNIFORM, POISSON = "uniform", "poisson"
MOST_RATE = 1_000_000  # starts a second

_DEFAULT_OPEN_VUS, _DEFAULT_OPEN_MAX_VUS = 10, 200
# Rates times durations are sums of floats: 0.1/s for 30 s must be 3 starts, not 4.
_ROUNDING = 1e-9


@dataclass(frozen=True, kw_only=True)
class OpenLoad(Load):
    """Iterations start by the clock, whether earlier ones have ended or not.

    A start finds a free one of *vus* virtual users; their number grows to *max_vus*. Where all are busy the
    start is queued, and dropped once it is *max_lateness* late. *arrivals* is "uniform", or "poisson" with
    *seed*. Without *vus* there are 10, growing to 200; without *max_vus* they do not grow.
    """

    per: Duration = 1.0
    vus: int | None = None
    max_vus: int | None = None
    max_lateness: Duration = 10.0
    arrivals: str = UNIFORM
    seed: int = 1

    def _read_fields(self) -> list[str]:
        faults = read_durations(self, "per", above_zero=True) + read_durations(self, "max_lateness")
        faults += by_key(
            vus="" if self.vus is None else vus_fault(self.vus),
            max_vus="" if self.max_vus is None else vus_fault(self.max_vus),
            seed=whole_number_fault(self.seed),
            arrivals=choice_fault(self.arrivals, (UNIFORM, POISSON)),
        )
        if not faults and self.vus is not None and self.max_vus is not None and self.max_vus < self.vus:
            faults.append(f"max_vus={self.max_vus} is below vus={self.vus}; allowed: at least vus")
        return faults

    @property
    def _per_s(self) -> float:
        return 1.0 if duration_fault(self.per, above_zero=True) else float(self.per)

    @property
    def ramp(self) -> Ramp:
        """The planned starts a second over time, from its own start."""
        raise NotImplementedError

    @property
    def active_s(self) -> float:
        """All of the ramp."""
        return self.ramp.length_s

    @property
    def max_lateness_s(self) -> float:
        """How late a start may be before it is dropped."""
        return float(self.max_lateness)

    @property
    def first_vus(self) -> int:
        """The VUs that are there from the start."""
        return self.vus or min(_DEFAULT_OPEN_VUS, self.max_vus or _DEFAULT_OPEN_VUS)

    @property
    def most_vus(self) -> int:
        """The VUs they may grow to."""
        return self.max_vus or self.vus or _DEFAULT_OPEN_MAX_VUS

    @property
    def peak_rate(self) -> float:
        """The most starts a second."""
        return self.ramp.peak

    def most_between(self, begin_s: float, end_s: float) -> float:
        """Return the most starts a second between two times from the common start."""
        pieces = self.ramp.pieces(begin_s - self.start_s, end_s - self.start_s)
        return max(map(max, pieces), default=0.0)

    @property
    def phases(self) -> tuple[Phase, ...]:
        """One phase for each stage; neighbours of one kind are one phase."""
        return ramp_phases(self.ramp, self.start_s)

    def with_vus(self, vus: int) -> Self:
        """Return it with so many VUs from the start, and no more."""
        return replace(self, vus=vus, max_vus=vus)

    def starts(self, share: Share = WHOLE) -> Iterator[float]:
        """Yield the intended starts of the worker that runs *share*, in seconds from the common start, in order."""
        start_s = self.start_s
        planned = self._poisson_starts() if self.arrivals == POISSON else self._uniform_starts()
        return (start_s + after_s for after_s in share.among(self.most_vus).filter(planned))

    def _uniform_starts(self) -> Iterator[float]:
        """Yield the starts in seconds from its own start: the n-th is where the integral of the rate reaches n.

        Computed in closed form: nothing accumulates. This is k6's rule.
        """
        return map(self.ramp.time_of_area, range(1, math.floor(self.ramp.area + _ROUNDING) + 1))

    def _poisson_starts(self) -> Iterator[float]:
        """Yield the starts where the integral of the rate reaches the n-th sum of seeded unit exponentials.

        That makes the process inhomogeneous by time change (Cinlar, Introduction to Stochastic Processes, 4.7).
        """
        draw = random.Random(self.seed)  # noqa: S311  # load, not secrets
        reached = draw.expovariate(1.0)
        while reached < self.ramp.area:
            yield self.ramp.time_of_area(reached)
            reached += draw.expovariate(1.0)


@checked
@dataclass(frozen=True, kw_only=True)
class ConstantArrivalRate(OpenLoad):
    """*rate* starts *per* time unit, for *duration*.

    >>> ConstantArrivalRate(rate=200, duration="5m", vus=50, max_vus=100).describe()
    '200 starts per 1s for 5m, 50 to 100 VUs'
    """

    rate: float
    duration: Duration

    def _read_fields(self) -> list[str]:
        faults = super()._read_fields() + read_durations(self, "duration", above_zero=True)
        return faults + by_key(rate=rate_fault(self.rate, per_s=self._per_s))

    @cached_property
    def ramp(self) -> Ramp:
        """A level one."""
        return ramp_through(self.rate, [(self.duration, self.rate)], self._per_s)

    def _uniform_starts(self) -> Iterator[float]:
        """Yield the starts: the first is at once, the n-th where the integral of the rate reaches n - 1, as in k6."""
        return map(self.ramp.time_of_area, range(math.ceil(self.ramp.area - _ROUNDING)))

    def stretched(self, scale: float) -> Self:
        """Return it with its start and its duration *scale* times as long."""
        return replace(super().stretched(scale), duration=self.active_s * scale)

    def with_rate(self, rate: float) -> Self:
        """Return it with that rate."""
        return replace(self, rate=rate)

    def describe(self) -> str:
        """Return "200 starts per 1s for 5m, 50 to 100 VUs"."""
        span = format_duration(self.active_s)
        return f"{self.rate:g} starts per {format_duration(self._per_s)} for {span}, {_range(self)}"


@checked
@dataclass(frozen=True, kw_only=True)
class RampingArrivalRate(OpenLoad):
    """A rate of starts *per* time unit that goes from *start_rate* through *stages*.

    The n-th start lies where the integral of the rate reaches n, the first one where it reaches 1.

    >>> RampingArrivalRate(start_rate=10, stages=[("1m", 500)], vus=100).describe()
    'starts per 1s: 10, to 500 in 1m; 100 VUs'
    """

    start_rate: float = 0
    stages: Sequence[tuple[Duration, float]]

    def _read_fields(self) -> list[str]:
        faults = super()._read_fields()
        rate = partial(rate_fault, per_s=self._per_s, zero=True)
        faults += stage_faults(self.stages, rate) + by_key(start_rate=rate(self.start_rate))
        if not faults:
            object.__setattr__(self, "stages", read_stages(self.stages))
            if (area := self.ramp.area) < 1 - _ROUNDING:
                faults.append(f"stages add up to {area:.2g} starts; allowed: at least 1; raise a target or a duration")
        return faults

    @cached_property
    def ramp(self) -> Ramp:
        """The rate through the stages."""
        return ramp_through(self.start_rate, self.stages, self._per_s)

    def stretched(self, scale: float) -> Self:
        """Return it with its start and its stages *scale* times as long."""
        return replace(super().stretched(scale), stages=stretched(self.stages, scale))

    def with_rate(self, rate: float) -> Self:
        """Return it scaled to that peak."""
        factor = rate / max(self.start_rate, *(target for _, target in self.stages))
        stages = [(duration, target * factor) for duration, target in self.stages]
        return replace(self, start_rate=self.start_rate * factor, stages=stages)

    def describe(self) -> str:
        """Return "starts per 1s: 10, to 500 in 1m; 100 to 200 VUs"."""
        stages = stages_in_words(self.stages)
        return f"starts per {format_duration(self._per_s)}: {self.start_rate:g}, {stages}; {_range(self)}"


def rate_fault(value: object, *, per_s: float = 1.0, zero: bool = False) -> str:
    """Say what is wrong with a value that must be a rate above 0, of starts per *per_s* seconds."""
    if fault := number_fault(value, at_least=0) if zero else number_fault(value, above=0):
        return fault
    too_many = is_number(value) and value > MOST_RATE * per_s
    return f"{shown(value)}; allowed: at most {MOST_RATE:,} starts a second" if too_many else ""


def _range(load: Load) -> str:
    most = vus_in_words(load.most_vus)
    return most if load.first_vus == load.most_vus else f"{load.first_vus} to {most}"
