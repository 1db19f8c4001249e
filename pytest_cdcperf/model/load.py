"""The executors' configurations: k6's terms and semantics, as frozen values.

https://grafana.com/docs/k6/latest/using-k6/scenarios/executors/
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace

from pytest_cdcperf.errors import ConfigError, UnitError
from pytest_cdcperf.units import duration_s, format_duration

GRACEFUL_STOP = "30s"


@dataclass(frozen=True, kw_only=True)
class Load:
    """What all executors have in common.

    *graceful_stop* is how long an iteration that is under way at the end may go on.
    """

    start_at: str = "0s"
    graceful_stop: str = GRACEFUL_STOP
    tags: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        faults = [*_duration_faults(self, "start_at", "graceful_stop"), *self._faults()]
        if faults:
            raise ConfigError(*(f"{type(self).__name__}: {fault}" for fault in faults))

    def _faults(self) -> list[str]:
        raise NotImplementedError

    @property
    def planned_s(self) -> float:
        """The seconds from the common start to the planned end, without the graceful stop."""
        raise NotImplementedError

    @property
    def max_vus(self) -> int:
        """The most VUs that run at once."""
        raise NotImplementedError

    def describe(self) -> str:
        """Return the load in a few words, for people."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class ConstantVUs(Load):
    """*vus* virtual users that iterate for *duration*, each as often as it can."""

    vus: int = 1
    duration: str

    def _faults(self) -> list[str]:
        return [*_count_faults(self, "vus"), *_duration_faults(self, "duration", above_zero=True)]

    @property
    def planned_s(self) -> float:
        """Start and duration."""
        return duration_s(self.start_at) + duration_s(self.duration)

    @property
    def max_vus(self) -> int:
        """All of them, all the time."""
        return self.vus

    def describe(self) -> str:
        """Return "10 VUs for 5m"."""
        return f"{self.vus} VU{'s' * (self.vus != 1)} for {format_duration(duration_s(self.duration))}"


@dataclass(frozen=True, kw_only=True)
class PerVUIterations(Load):
    """*vus* virtual users that run *iterations* each, in at most *max_duration*."""

    vus: int = 1
    iterations: int = 1
    max_duration: str = "10m"

    def _faults(self) -> list[str]:
        return [*_count_faults(self, "vus", "iterations"), *_duration_faults(self, "max_duration", above_zero=True)]

    @property
    def planned_s(self) -> float:
        """Start and longest duration: an upper bound."""
        return duration_s(self.start_at) + duration_s(self.max_duration)

    @property
    def max_vus(self) -> int:
        """All of them."""
        return self.vus

    def describe(self) -> str:
        """Return "10 VUs, 3 iterations each"."""
        return f"{self.vus} VU{'s' * (self.vus != 1)}, {self.iterations} iteration{'s' * (self.iterations != 1)} each"


@dataclass(frozen=True)
class Overrides:
    """What the command line changes about every load of a run."""

    vus: int | None = None
    duration: str | None = None

    def __post_init__(self) -> None:
        faults = []
        if self.vus is not None and (fault := _count_fault(self.vus)):
            faults.append(f"--perf-vus={fault}")
        if self.duration is not None and (fault := _duration_fault(self.duration, above_zero=True)):
            faults.append(f"--perf-duration={fault}")
        if faults:
            raise ConfigError(*faults)

    def apply(self, load: Load) -> Load:
        """Return *load* with the overrides in place. A count of iterations stays as it is."""
        match load:
            case ConstantVUs():
                return replace(load, vus=self.vus or load.vus, duration=self.duration or load.duration)
            case _:
                return load

    def shorten(self, load: Load) -> bool:
        """Whether they make *load* shorter or smaller than it states."""
        applied = self.apply(load)
        return applied.planned_s < load.planned_s or applied.max_vus < load.max_vus


def load_from_keys(load: Load, keys: Mapping[str, object]) -> Load:
    """Return *load* with the fields that *keys* name replaced.

    :raises ConfigError: for a field that the executor does not have, or a value it refuses
    """
    known = {f.name for f in fields(load)}
    unknown = sorted(set(keys) - known)
    if unknown:
        raise ConfigError(
            *(
                f"{key}={keys[key]!r} is no field of {type(load).__name__}; allowed: {', '.join(sorted(known))}"
                for key in unknown
            )
        )
    return replace(load, **keys)  # type: ignore[arg-type]  # __post_init__ checks the values


def _count_fault(value: object) -> str:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return "" if whole and value >= 1 else f"{value!r}; allowed: a whole number of at least 1"  # type: ignore[operator]


def _duration_fault(value: object, *, above_zero: bool = False) -> str:
    try:
        seconds = duration_s(value)
    except UnitError as error:
        return str(error)
    return f"{value!r}; allowed: a duration above zero" if above_zero and seconds <= 0 else ""


def _count_faults(load: Load, *names: str) -> list[str]:
    return [f"{name}={fault}" for name in names if (fault := _count_fault(getattr(load, name)))]


def _duration_faults(load: Load, *names: str, above_zero: bool = False) -> list[str]:
    return [
        f"{name}={fault}" for name in names if (fault := _duration_fault(getattr(load, name), above_zero=above_zero))
    ]
