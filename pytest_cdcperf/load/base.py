"""The base class of the executors: k6's terms and semantics, as frozen values.

https://grafana.com/docs/k6/latest/using-k6/scenarios/executors/
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, NamedTuple, Self

from pytest_cdcperf.checks import by_key, read_durations, text_mapping_fault, whole_number_fault
from pytest_cdcperf.errors import ConfigError
from pytest_cdcperf.metrics.phases import HOLD, Phase
from pytest_cdcperf.units import Duration

GRACEFUL_STOP_S = 30.0
MOST_VUS = 100_000


class Deadline(NamedTuple):
    """Until when an iteration may go on, in seconds from the common start, and how much of that is *grace_s*."""

    at_s: float
    grace_s: float
    grace: str = "graceful_stop"


@dataclass(frozen=True, kw_only=True)
class Load:
    """The base of all executors.

    *start_at* is counted from the common start of all loads of a test. *graceful_stop* is how long an
    iteration that is under way at the end may go on. A duration is a number of seconds, or text such as "5m";
    the fields hold the seconds.

    >>> load: Load = ConstantVUs(vus=10, duration="5m", start_at="30s")
    >>> load.start_at, load.planned_s, load.most_vus
    (30.0, 330.0, 10)
    """

    start_at: Duration = 0.0
    graceful_stop: Duration = GRACEFUL_STOP_S
    tags: Mapping[str, str] = field(default_factory=dict)

    counts_iterations: ClassVar[bool] = False  # whether it ends by count, so that its planned end is an upper bound

    def __post_init__(self) -> None:
        faults = read_durations(self, "start_at", "graceful_stop")
        faults += by_key(tags=text_mapping_fault(self.tags))
        faults += self._read_fields()
        if faults:
            raise ConfigError(*(f"{type(self).__name__}: {fault}" for fault in faults))

    def _read_fields(self) -> list[str]:
        """Read the fields of the executor as users write them; return what is wrong with them."""
        raise NotImplementedError

    @property
    def start_s(self) -> float:
        """The seconds from the common start to its own."""
        return float(self.start_at)

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
        return self.deadline().at_s

    def deadline(self, ended_s: float = math.inf) -> Deadline:
        """Return the deadline of what is under way where it ends at *ended_s*, or as planned before that."""
        grace_s = float(self.graceful_stop)
        return Deadline(min(self.planned_s, ended_s) + grace_s, grace_s)

    @property
    def first_vus(self) -> int:
        """The VUs that are there from the start."""
        return self.most_vus

    @property
    def most_vus(self) -> int:
        """The most VUs that there can be."""
        raise NotImplementedError

    @property
    def peak_rate(self) -> float:
        """The most starts a second that it plans, 0 where VUs start as they can."""
        return 0.0

    def most_between(self, begin_s: float, end_s: float) -> float:
        """Return the most VUs, or starts a second where it plans those, between two times from the common start."""
        return self.most_vus if begin_s < self.planned_s and self.start_s < end_s else 0

    @property
    def phases(self) -> tuple[Phase, ...]:
        """How the load rises, holds and falls over time."""
        return (Phase(HOLD, self.start_s, self.planned_s),)

    def stretched(self, scale: float) -> Self:
        """Return the load with its start and its length *scale* times as long."""
        return replace(self, start_at=self.start_s * scale)

    def with_vus(self, _vus: int) -> Self:
        """Return the load with so many VUs at its peak, unchanged where it counts iterations."""
        return self

    def with_rate(self, _rate: float) -> Self:
        """Return the load with so many starts per time unit at its peak, unchanged where it plans no rate."""
        return self

    def describe(self) -> str:
        """Return the load in a few words, for people."""
        raise NotImplementedError


def tags_of(load: Load, name: str) -> tuple[tuple[str, str], ...]:
    """Return the tags of what the VUs of *load* measure where its test calls it *name*, "" without a name."""
    tags = {**load.tags, "scenario": name} if name else load.tags
    return tuple(sorted(tags.items()))


def vus_fault(value: object, *, at_least: int = 1) -> str:
    """Say what is wrong with a value that must be a number of VUs."""
    return whole_number_fault(value, at_least=at_least, at_most=MOST_VUS)


def vus_in_words(count: int) -> str:
    """Return "10 VUs"."""
    return f"{count} VU{'s' * (count != 1)}"
