"""In which phase of its load an iteration begins."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from pytest_cdcperf.metrics.phases import Phase
from pytest_cdcperf.metrics.snapshot import BY_TIME

FOREVER_NS = 2**63  # compared with each iteration's start: whole numbers are faster


class LoadPhases(NamedTuple):
    """The phases of one load, by their numbers in the plan, and when each but the last ends, in nanoseconds."""

    numbers: tuple[int, ...] = (BY_TIME,)
    ends_ns: tuple[int, ...] = ()

    @classmethod
    def of(cls, load: str, plan: Sequence[Phase]) -> LoadPhases:
        """Return those of the load of that name."""
        own = [(number, phase) for number, phase in enumerate(plan) if phase.load == load]
        numbers = tuple(number for number, _ in own) or (BY_TIME,)
        return cls(numbers, tuple(round(phase.end_s * 1e9) for _, phase in own[:-1]))

    def at(self, elapsed_ns: int) -> tuple[int, int]:
        """Return the number of the phase at a time after the common start, and when the next one begins."""
        place = bisect_right(self.ends_ns, elapsed_ns)
        return self.numbers[place], self.ends_ns[place] if place < len(self.ends_ns) else FOREVER_NS
