"""The executors' configurations: k6's terms and semantics, as frozen values.

https://grafana.com/docs/k6/latest/using-k6/scenarios/executors/
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from pytest_cdcperf.checks import by_key, duration_fault, text_mapping_fault, whole_number_fault
from pytest_cdcperf.errors import ConfigError
from pytest_cdcperf.metrics.phases import HOLD
from pytest_cdcperf.units import duration_s

GRACEFUL_STOP = "30s"
MOST_VUS = 100_000


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
        faults = by_key(
            start_at=duration_fault(self.start_at),
            graceful_stop=duration_fault(self.graceful_stop),
            tags=text_mapping_fault(self.tags),
        )
        faults += self._faults()
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
        return (Phase(HOLD, self.start_s, self.planned_s),)

    def describe(self) -> str:
        """Return the load in a few words, for people."""
        raise NotImplementedError


def vus_fault(value: object, *, at_least: int = 1) -> str:
    """Say what is wrong with a value that must be a number of VUs."""
    return whole_number_fault(value, at_least=at_least, at_most=MOST_VUS)


def vus_in_words(count: int) -> str:
    """Return "10 VUs"."""
    return f"{count} VU{'s' * (count != 1)}"
