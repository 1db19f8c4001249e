"""The executors of open loops: iterations start by the clock, whether or not those before have ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial

from pytest_cdcperf.checks import by_key, checked, choice_fault, duration_fault, number_fault, whole_number_fault
from pytest_cdcperf.errors import shown
from pytest_cdcperf.load.base import Load, Phase, vus_fault, vus_in_words
from pytest_cdcperf.load.ramp import Ramp
from pytest_cdcperf.load.stages import as_stages, ramp_phases, stage_faults, stages_in_words
from pytest_cdcperf.units import duration_s, format_duration

UNIFORM, POISSON = "uniform", "poisson"
MOST_RATE = 1_000_000  # starts a second

_DEFAULT_OPEN_VUS, _DEFAULT_OPEN_MAX_VUS = 10, 200


@dataclass(frozen=True, kw_only=True)
class OpenLoad(Load):
    """Iterations start by the clock, whether earlier ones have ended or not.

    A start finds a free one of *vus* virtual users; their number grows to *max_vus*. Where all are busy the
    start is queued, and dropped once it is *max_lateness* late. *arrivals* is "uniform", or "poisson" with
    *seed*. Without *vus* there are 10, growing to 200; without *max_vus* they do not grow.
    """

    per: str = "1s"
    vus: int | None = None
    max_vus: int | None = None
    max_lateness: str = "10s"
    arrivals: str = UNIFORM
    seed: int = 1

    def _faults(self) -> list[str]:
        faults = by_key(
            per=duration_fault(self.per, above_zero=True),
            max_lateness=duration_fault(self.max_lateness),
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
        return 1.0 if duration_fault(self.per, above_zero=True) else duration_s(self.per)

    @property
    def ramp(self) -> Ramp:
        """The planned starts a second over time, from its own start."""
        raise NotImplementedError

    @property
    def active_s(self) -> float:
        """All of the ramp."""
        return self.ramp.length_s

    @property
    def first_vus(self) -> int:
        """The VUs that are there from the start."""
        return self.vus or min(_DEFAULT_OPEN_VUS, self.max_vus or _DEFAULT_OPEN_VUS)

    @property
    def most_vus(self) -> int:
        """The VUs they may grow to."""
        return self.max_vus or self.vus or _DEFAULT_OPEN_MAX_VUS

    @property
    def phases(self) -> tuple[Phase, ...]:
        """A phase a stage, neighbours of one kind joined."""
        return ramp_phases(self.ramp, self.start_s)


@checked
@dataclass(frozen=True, kw_only=True)
class ConstantArrivalRate(OpenLoad):
    """*rate* starts *per* time unit, for *duration*."""

    rate: float
    duration: str

    def _faults(self) -> list[str]:
        return super()._faults() + by_key(
            duration=duration_fault(self.duration, above_zero=True), rate=rate_fault(self.rate, per_s=self._per_s)
        )

    @cached_property
    def ramp(self) -> Ramp:
        """A level one."""
        per_second = self.rate / duration_s(self.per)
        return Ramp.through(per_second, [(duration_s(self.duration), per_second)])

    def describe(self) -> str:
        """Return "200 starts per 1s for 5m, 50 to 100 VUs"."""
        span = format_duration(self.active_s)
        return f"{self.rate:g} starts per {self.per} for {span}, {_range(self)}"


@checked
@dataclass(frozen=True, kw_only=True)
class RampingArrivalRate(OpenLoad):
    """A rate of starts *per* time unit that goes from *start_rate* through *stages*.

    The n-th start lies where the integral of the rate reaches n, the first one where it reaches 1.
    """

    start_rate: float = 0
    stages: Sequence[tuple[str, float]]

    def _faults(self) -> list[str]:
        rate = partial(rate_fault, per_s=self._per_s, zero=True)
        faults = super()._faults() + stage_faults(self.stages, rate) + by_key(start_rate=rate(self.start_rate))
        if not faults:
            object.__setattr__(self, "stages", as_stages(self.stages))
            if (area := self.ramp.area) < 1 - 1e-9:
                faults.append(f"stages add up to {area:.2g} starts; allowed: at least 1; raise a target or a duration")
        return faults

    @cached_property
    def ramp(self) -> Ramp:
        """The rate through the stages."""
        unit_s = duration_s(self.per)
        return Ramp.through(self.start_rate / unit_s, [(duration_s(d), target / unit_s) for d, target in self.stages])

    def describe(self) -> str:
        """Return "starts per 1s: 10, to 500 in 1m; 100 to 200 VUs"."""
        stages = stages_in_words(self.stages)
        return f"starts per {self.per}: {self.start_rate:g}, {stages}; {_range(self)}"


def rate_fault(value: object, *, per_s: float = 1.0, zero: bool = False) -> str:
    """Say what is wrong with a value that must be a rate above 0, of starts per *per_s* seconds."""
    if fault := number_fault(value, at_least=0) if zero else number_fault(value, above=0):
        return fault
    return f"{shown(value)}; allowed: at most {MOST_RATE:,} starts a second" if value > MOST_RATE * per_s else ""  # type: ignore[operator]  # a number


def _range(load: Load) -> str:
    return (
        vus_in_words(load.most_vus) if load.first_vus == load.most_vus else f"{load.first_vus} to {load.most_vus} VUs"
    )
