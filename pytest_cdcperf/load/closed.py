"""The executors of closed loops: a VU starts its next iteration when the one before has ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial

from pytest_cdcperf.checks import by_key, checked, duration_fault, whole_number_fault
from pytest_cdcperf.load.base import GRACEFUL_STOP, Load, Phase, vus_fault, vus_in_words
from pytest_cdcperf.load.ramp import Ramp
from pytest_cdcperf.load.stages import as_stages, ramp_phases, stage_faults, stages_in_words
from pytest_cdcperf.units import duration_s, format_duration

MOST_ITERATIONS = 10**12


class ClosedLoad(Load):
    """A VU starts its next iteration when the one before has ended."""


@checked
@dataclass(frozen=True, kw_only=True)
class ConstantVUs(ClosedLoad):
    """*vus* virtual users that iterate for *duration*, each as often as it can."""

    vus: int = 1
    duration: str

    def _faults(self) -> list[str]:
        return by_key(vus=vus_fault(self.vus), duration=duration_fault(self.duration, above_zero=True))

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
        return f"{vus_in_words(self.vus)} for {format_duration(self.active_s)}"


@checked
@dataclass(frozen=True, kw_only=True)
class PerVUIterations(ClosedLoad):
    """*vus* virtual users that run *iterations* each, in at most *max_duration*."""

    vus: int = 1
    iterations: int = 1
    max_duration: str = "10m"

    def _faults(self) -> list[str]:
        return by_key(
            vus=vus_fault(self.vus),
            iterations=whole_number_fault(self.iterations, at_least=1, at_most=MOST_ITERATIONS),
            max_duration=duration_fault(self.max_duration, above_zero=True),
        )

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
        return f"{vus_in_words(self.vus)}, {self.iterations} iteration{'s' * (self.iterations != 1)} each"


@checked
@dataclass(frozen=True, kw_only=True)
class SharedIterations(PerVUIterations):
    """*vus* virtual users that run *iterations* between them, in at most *max_duration*."""

    def describe(self) -> str:
        """Return "10 VUs, 30 iterations between them"."""
        return f"{vus_in_words(self.vus)}, {self.iterations} iteration{'s' * (self.iterations != 1)} between them"


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
        vus = partial(vus_fault, at_least=0)
        faults = stage_faults(self.stages, vus)
        faults += by_key(graceful_ramp_down=duration_fault(self.graceful_ramp_down), start_vus=vus(self.start_vus))
        if not faults:
            object.__setattr__(self, "stages", as_stages(self.stages))
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
        return ramp_phases(self.ramp, self.start_s)

    def describe(self) -> str:
        """Return "VUs 0, to 50 in 2m, to 0 in 1m"."""
        return f"VUs {self.start_vus}, {stages_in_words(self.stages)}"
