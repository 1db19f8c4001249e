"""What the command line changes about the loads of a test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pytest_cdcperf.checks import duration_fault
from pytest_cdcperf.errors import ConfigError
from pytest_cdcperf.load.base import Load, vus_fault
from pytest_cdcperf.load.closed import ConstantVUs, PerVUIterations, RampingVUs
from pytest_cdcperf.load.open import ConstantArrivalRate, OpenLoad, RampingArrivalRate, rate_fault
from pytest_cdcperf.units import LONGEST_S, duration_s

Loads = Mapping[str, Load]

_COUNTED = "a load counts its iterations; change vus and iterations in the test"


@dataclass(frozen=True)
class Overrides:
    """``--perf-vus``, ``--perf-rate`` and ``--perf-duration``, checked.

    :raises ConfigError: with every fault at once
    """

    vus: Any = None
    duration: Any = None
    rate: Any = None

    def __post_init__(self) -> None:
        faults = []
        if self.vus is not None and (fault := vus_fault(self.vus)):
            faults.append(f"--perf-vus={fault}")
        if self.rate is not None and (fault := rate_fault(self.rate, per_s=LONGEST_S)):  # each load knows its unit
            faults.append(f"--perf-rate={fault}")
        if self.duration is not None and (fault := duration_fault(self.duration, above_zero=True)):
            faults.append(f"--perf-duration={fault}")
        if faults:
            raise ConfigError(*faults)

    @property
    def options(self) -> tuple[str, ...]:
        """Those that were given, as they are written: "--perf-vus=5"."""
        given = {"vus": self.vus, "rate": self.rate, "duration": self.duration}
        return tuple(f"--perf-{name}={value}" for name, value in given.items() if value is not None)

    def apply(self, loads: Loads) -> dict[str, Load]:
        """Return *loads* as the command line wants them.

        The duration is that of the whole: stages and starts of all loads scale alike. VUs and rate scale a
        ramp to that peak. Loads that count iterations keep their count.
        """
        scale = self.time_scale(loads)
        return {name: self._at_peak(_stretched(load, scale)) for name, load in loads.items()}

    def shorten(self, loads: Loads) -> bool:
        """Whether they make *loads* shorter or smaller than they state."""
        applied = self.apply(loads)
        return any(
            applied[name].planned_s < load.planned_s
            or applied[name].most_vus < load.most_vus
            or (isinstance(load, OpenLoad) and _peak_rate(applied[name]) < _peak_rate(load))
            for name, load in loads.items()
        )

    def without_effect(self, loads: Loads) -> tuple[str, ...]:
        """Return a line for each of them that *loads* have nothing for, with what would change these.

        One that asks for what a load states anyway has its effect.
        """
        counted = all(isinstance(load, PerVUIterations) for load in loads.values())
        said = []
        if self.vus is not None and counted:
            said.append(f"--perf-vus={self.vus} changes nothing where {_COUNTED}")
        if self.rate is not None and not any(isinstance(load, OpenLoad) for load in loads.values()):
            closed = "the VUs of a closed loop start as they can; change --perf-vus"
            said.append(f"--perf-rate={self.rate} changes nothing where {_COUNTED if counted else closed}")
        if self.duration is not None and counted:
            said.append(f"--perf-duration={self.duration} changes nothing where {_COUNTED}")
        return tuple(said)

    def time_scale(self, loads: Loads) -> float:
        """Return how many times as long they make *loads*."""
        timed = [load.planned_s for load in loads.values() if not isinstance(load, PerVUIterations)]
        return duration_s(self.duration) / max(timed) if self.duration is not None and timed else 1.0

    def _at_peak(self, load: Load) -> Load:
        match load:
            case ConstantVUs():
                return replace(load, vus=self.vus or load.vus)
            case RampingVUs() if self.vus is not None:
                factor = self.vus / load.most_vus
                stages = [(duration, _scaled_count(target, factor)) for duration, target in load.stages]
                return replace(load, start_vus=_scaled_count(load.start_vus, factor), stages=stages)
            case OpenLoad():
                bounded = load if self.vus is None else replace(load, vus=self.vus, max_vus=self.vus)
                return bounded if self.rate is None else _at_rate(bounded, self.rate)
            case _:
                return load


def _stretched(load: Load, scale: float) -> Load:
    if scale == 1.0:
        return load
    start_at = _scaled(load.start_at, scale)
    match load:
        case ConstantVUs() | ConstantArrivalRate():
            return replace(load, start_at=start_at, duration=_scaled(load.duration, scale))
        case RampingVUs() | RampingArrivalRate():
            stages = [(_scaled(duration, scale), target) for duration, target in load.stages]
            return replace(load, start_at=start_at, stages=stages)
        case _:
            return replace(load, start_at=start_at)


def _scaled(duration: str, scale: float) -> str:
    return f"{duration_s(duration) * scale:.6f}".rstrip("0").rstrip(".") + "s"


def _scaled_count(count: float, factor: float) -> int:
    # A small stage of a ramp must not vanish.
    return max(1, round(count * factor)) if count else 0


def _peak_rate(load: Load) -> float:
    if not isinstance(load, OpenLoad):
        return 0.0
    return max(max(segment.start_value, segment.end_value) for segment in load.ramp.segments)


def _at_rate(load: OpenLoad, rate: float) -> OpenLoad:
    match load:
        case ConstantArrivalRate():
            return replace(load, rate=rate)
        case RampingArrivalRate():
            factor = rate / max(load.start_rate, *(target for _, target in load.stages))
            stages = [(duration, target * factor) for duration, target in load.stages]
            return replace(load, start_rate=load.start_rate * factor, stages=stages)
        case _:
            return load
