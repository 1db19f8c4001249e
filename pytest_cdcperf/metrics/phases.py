"""The phases of the plan that a window, or a sample, lies in."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from pytest_cdcperf.metrics.snapshot import BY_TIME

PHASES = RAMP_UP, HOLD, RAMP_DOWN = "ramp-up", "hold", "ramp-down"


class Phase(NamedTuple):
    """A span of a run in which one load of the plan rises, holds or falls; seconds from the common start.

    *load* is the name of the load, "" where a test has one. A phase is known by its place in the plan.
    """

    name: str
    start_s: float
    end_s: float
    load: str = ""


class Timed(Protocol):
    """Anything that covers some seconds of a run."""

    @property
    def start_s(self) -> float:
        """Its start, in seconds from the start of the run."""

    @property
    def end_s(self) -> float:
        """Its end, likewise."""


def middle_s(timed: Timed) -> float:
    """Return the middle of what covers some seconds: it decides the span that all of it belongs to."""
    return (timed.start_s + timed.end_s) / 2.0


@dataclass(frozen=True)
class Span:
    """A span of the plan in which no load changes its phase: *numbers* are those of the loads' phases in it.

    Its name is what all loads do together: "ramp-up" where any of them rises and none falls.
    """

    name: str
    start_s: float
    end_s: float
    numbers: frozenset[int]

    @property
    def is_ramp(self) -> bool:
        """Whether any load changes in it."""
        return self.name != HOLD

    def covers(self, timed: Timed) -> bool:
        """Whether the middle of *timed* lies in it."""
        return self.start_s <= middle_s(timed) < self.end_s


def spans_of(phases: Sequence[Phase]) -> list[Span]:
    """Return what all loads do together, in the order of time.

    :param phases: any two of which cover the same span, or none together
    """
    together: dict[tuple[float, float], list[int]] = {}
    for number, phase in enumerate(phases):
        together.setdefault((phase.start_s, phase.end_s), []).append(number)
    return [
        Span(_common({phases[number].name for number in numbers}), start_s, end_s, frozenset(numbers))
        for (start_s, end_s), numbers in sorted(together.items())
    ]


def _common(names: Collection[str]) -> str:
    return " and ".join(sorted({*names} - {HOLD})) or HOLD


def phases_at(timed: Timed, phases: Sequence[Phase]) -> set[str]:
    """Return the names of the phases that the middle of *timed* lies in: several, where loads differ."""
    return {phase.name for phase in phases if phase.start_s <= middle_s(timed) < phase.end_s}


def seconds_in(phases: Sequence[Phase], until_s: float) -> float:
    """Return how many seconds *phases* cover until *until_s*: those of two loads at once count once."""
    spans = {(phase.start_s, min(phase.end_s, until_s)) for phase in phases}
    return sum(end_s - start_s for start_s, end_s in spans if end_s > start_s)


class PhaseOf:
    """Those of *phases* that have a name, and which series of a window belong to them."""

    def __init__(self, name: str, phases: Sequence[Phase]) -> None:
        self.name = name
        self._phases = phases
        self.numbers = {number for number, phase in enumerate(phases) if phase.name == name}

    def belonging(self, timed: Timed) -> set[int]:
        """Return the phases of the series of a window that belong to it.

        What iterations measured belongs to the phase in which they began; anything else to that in which the window
        lies.
        """
        return self.numbers | {BY_TIME} if self.name in phases_at(timed, self._phases) else self.numbers
