"""The executors' configurations: k6's terms and semantics, as frozen values.

https://grafana.com/docs/k6/latest/using-k6/scenarios/executors/
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from pytest_cdcperf.errors import ConfigError
from pytest_cdcperf.load.faults import (
    duration_faults,
    tag_faults,
)
from pytest_cdcperf.load.ramp import Ramp
from pytest_cdcperf.units import duration_s

GRACEFUL_STOP = "30s"


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


def _named(**faults: str) -> list[str]:
    return [f"{name}={fault}" for name, fault in faults.items() if fault]


def _vus(count: int) -> str:
    return f"{count} VU{'s' * (count != 1)}"


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
