"""The executors' configurations: k6's terms and semantics, as frozen values.

https://grafana.com/docs/k6/latest/using-k6/scenarios/executors/
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property, partial
from typing import NamedTuple

from pytest_cdcperf.checked import checked
from pytest_cdcperf.errors import ConfigError, shown
from pytest_cdcperf.model.load_faults import (
    MOST_ITERATIONS,
    count_fault,
    duration_fault,
    duration_faults,
    rate_fault,
    stage_faults,
    tag_faults,
)
from pytest_cdcperf.model.ramp import Ramp
from pytest_cdcperf.units import duration_s, format_duration

GRACEFUL_STOP = "30s"
UNIFORM, POISSON = "uniform", "poisson"
_DEFAULT_OPEN_VUS, _DEFAULT_OPEN_MAX_VUS = 10, 200


class Stage(NamedTuple):
    """A piece of a ramp: reach *target* in *duration*. One of "0s" is a step."""

    duration: str
    target: float


class Phase(NamedTuple):
    """A span of a run in which the load rises, holds or falls; seconds from the common start.

    *load* is the name of the load, "" where a test has one.
    """

    name: str
    start_s: float
    end_s: float
    load: str = ""


@dataclass(frozen=True, kw_only=True)
class Load:
    """What all executors have in common.

    *start_at* is counted from the common start of all loads of a test. *graceful_stop* is how long an
    iteration that is under way at the end may go on.
    """

    start_at: str = "0s"
    graceful_stop: str = GRACEFUL_STOP
    tags: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        faults = [*duration_faults(self, "start_at", "graceful_stop"), *tag_faults(self.tags), *self._faults()]
        if faults:
            raise ConfigError(*(f"{type(self).__name__}: {fault}" for fault in faults))

    def _faults(self) -> list[str]:
        raise NotImplementedError

    @property
    def start_s(self) -> float:
        """The seconds from the common start to its own."""
        return duration_s(self.start_at)

    @property
    def active_s(self) -> float:
        """The seconds from its own start to its planned end, without the graceful stop."""
        raise NotImplementedError

    @property
    def planned_s(self) -> float:
        """The seconds from the common start to its planned end, without the graceful stop."""
        return self.start_s + self.active_s

    @property
    def last_s(self) -> float:
        """The seconds from the common start to the latest end, graceful stop included."""
        return self.planned_s + duration_s(self.graceful_stop)

    @property
    def first_vus(self) -> int:
        """The VUs that are there from the start."""
        return self.most_vus

    @property
    def most_vus(self) -> int:
        """The most VUs that there can be."""
        raise NotImplementedError

    @property
    def phases(self) -> tuple[Phase, ...]:
        """How the load rises, holds and falls over time."""
        return (Phase("hold", self.start_s, self.planned_s),)

    def describe(self) -> str:
        """Return the load in a few words, for people."""
        raise NotImplementedError


class ClosedLoad(Load):
    """A VU starts its next iteration when the one before has ended."""


@checked
@dataclass(frozen=True, kw_only=True)
class ConstantVUs(ClosedLoad):
    """*vus* virtual users that iterate for *duration*, each as often as it can."""

    vus: int = 1
    duration: str

    def _faults(self) -> list[str]:
        return [*_named(vus=count_fault(self.vus)), *duration_faults(self, "duration", above_zero=True)]

    @property
    def active_s(self) -> float:
        """The duration."""
        return duration_s(self.duration)

    @property
    def most_vus(self) -> int:
        """All of them, all the time."""
        return self.vus

    def describe(self) -> str:
        """Return "10 VUs for 5m"."""
        return f"{_vus(self.vus)} for {format_duration(self.active_s)}"


@checked
@dataclass(frozen=True, kw_only=True)
class PerVUIterations(ClosedLoad):
    """*vus* virtual users that run *iterations* each, in at most *max_duration*."""

    vus: int = 1
    iterations: int = 1
    max_duration: str = "10m"

    def _faults(self) -> list[str]:
        iterations = count_fault(self.iterations, at_most=MOST_ITERATIONS)
        return [
            *_named(vus=count_fault(self.vus), iterations=iterations),
            *duration_faults(self, "max_duration", above_zero=True),
        ]

    @property
    def active_s(self) -> float:
        """The longest duration: an upper bound."""
        return duration_s(self.max_duration)

    @property
    def most_vus(self) -> int:
        """All of them."""
        return self.vus

    def describe(self) -> str:
        """Return "10 VUs, 3 iterations each"."""
        return f"{_vus(self.vus)}, {self.iterations} iteration{'s' * (self.iterations != 1)} each"


@checked
@dataclass(frozen=True, kw_only=True)
class SharedIterations(PerVUIterations):
    """*vus* virtual users that run *iterations* between them, in at most *max_duration*."""

    def describe(self) -> str:
        """Return "10 VUs, 30 iterations between them"."""
        return f"{_vus(self.vus)}, {self.iterations} iteration{'s' * (self.iterations != 1)} between them"


@checked
@dataclass(frozen=True, kw_only=True)
class RampingVUs(ClosedLoad):
    """Virtual users whose number goes from *start_vus* through *stages*.

    *graceful_ramp_down* is how long an iteration may go on whose VU the ramp takes away.
    """

    start_vus: int = 0
    stages: Sequence[tuple[str, float]]
    graceful_ramp_down: str = GRACEFUL_STOP

    def _faults(self) -> list[str]:
        faults = stage_faults(self.stages, partial(count_fault, at_least=0))
        faults += duration_faults(self, "graceful_ramp_down")
        faults += _named(start_vus=count_fault(self.start_vus, at_least=0))
        if not faults:
            object.__setattr__(self, "stages", _stages(self.stages))
            if not self.most_vus:
                faults.append("stages never reach a VU; allowed: at least one target, or start_vus, above 0")
        return faults

    @cached_property
    def ramp(self) -> Ramp:
        """The planned number of VUs over time, from its own start."""
        return Ramp.through(self.start_vus, [(duration_s(d), target) for d, target in self.stages])

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
        """A phase a stage, neighbours of one kind joined where there is no step between them."""
        return _phases(self.ramp, self.start_s)

    def describe(self) -> str:
        """Return "VUs 0, to 50 in 2m, to 0 in 1m"."""
        return f"VUs {self.start_vus}, {_described(self.stages)}"


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
        faults = duration_faults(self, "per", above_zero=True) + duration_faults(self, "max_lateness")
        counts = {name: count for name in ("vus", "max_vus") if (count := getattr(self, name)) is not None}
        faults += _named(**{name: count_fault(count) for name, count in counts.items()})
        faults += _named(seed="" if _is_whole(self.seed) else f"{shown(self.seed)}; allowed: a whole number")
        if not faults and self.vus is not None and self.max_vus is not None and self.max_vus < self.vus:
            faults.append(f"max_vus={self.max_vus} is below vus={self.vus}; allowed: at least vus")
        arrivals: object = self.arrivals
        if not isinstance(arrivals, str) or arrivals not in {UNIFORM, POISSON}:
            faults.append(f"arrivals={shown(self.arrivals)}; allowed: {UNIFORM}, {POISSON}")
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
        return _phases(self.ramp, self.start_s)


@checked
@dataclass(frozen=True, kw_only=True)
class ConstantArrivalRate(OpenLoad):
    """*rate* starts *per* time unit, for *duration*."""

    rate: float
    duration: str

    def _faults(self) -> list[str]:
        faults = super()._faults() + duration_faults(self, "duration", above_zero=True)
        return faults + _named(rate=rate_fault(self.rate, per_s=self._per_s))

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
        faults = super()._faults() + stage_faults(self.stages, rate) + _named(start_rate=rate(self.start_rate))
        if not faults:
            object.__setattr__(self, "stages", _stages(self.stages))
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
        stages = _described(self.stages)
        return f"starts per {self.per}: {self.start_rate:g}, {stages}; {_range(self)}"


EXECUTORS: Mapping[str, type[Load]] = {
    "constant-vus": ConstantVUs,
    "ramping-vus": RampingVUs,
    "per-vu-iterations": PerVUIterations,
    "shared-iterations": SharedIterations,
    "constant-arrival-rate": ConstantArrivalRate,
    "ramping-arrival-rate": RampingArrivalRate,
}


def load_from_keys(load: Load, keys: Mapping[str, object]) -> Load:
    """Return *load* with the fields that *keys* name replaced.

    :raises ConfigError: for a field that the executor does not have, or a value it refuses
    """
    check_keys(type(load), keys)
    return replace(load, **keys)  # type: ignore[arg-type]  # __post_init__ checks the values


def check_keys(executor: type[Load], keys: Iterable[str]) -> None:
    """Refuse keys that *executor* does not have.

    :raises ConfigError: for all of them at once
    """
    known = sorted(f.name for f in fields(executor))
    faults = [
        f"{key} is no field of {executor.__name__}; allowed: {', '.join(known)}" for key in keys if key not in known
    ]
    if faults:
        raise ConfigError(*faults)


def _named(**faults: str) -> list[str]:
    return [f"{name}={fault}" for name, fault in faults.items() if fault]


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _vus(count: int) -> str:
    return f"{count} VU{'s' * (count != 1)}"


def _range(load: Load) -> str:
    return _vus(load.most_vus) if load.first_vus == load.most_vus else f"{load.first_vus} to {load.most_vus} VUs"


def _described(stages: Iterable[tuple[str, float]]) -> str:
    return ", ".join(f"to {target:g} in {duration}" for duration, target in stages)


def _stages(stages: Iterable[tuple[str, float]]) -> tuple[Stage, ...]:
    return tuple(Stage(duration, target) for duration, target in stages)


def _phases(ramp: Ramp, start_s: float) -> tuple[Phase, ...]:
    phases: list[Phase] = []
    reached = None
    for segment in ramp.segments:
        name = "hold" if segment.slope == 0 else "ramp-up" if segment.slope > 0 else "ramp-down"
        steady, reached = segment.start_value == reached, segment.end_value
        if phases and phases[-1].name == name and steady:
            phases[-1] = phases[-1]._replace(end_s=start_s + segment.end_s)
        else:
            phases.append(Phase(name, start_s + segment.start_s, start_s + segment.end_s))
    return tuple(phases)
