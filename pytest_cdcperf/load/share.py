"""The part of the one global plan that a worker runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Share:
    """Worker *index* of *of*: VU k and start k of the plan belong to worker k mod *of*.

    Each worker computes its part alone, and the parts of all add up to the plan exactly.
    """

    index: int = 0
    of: int = 1

    def numbers(self, count: int) -> range:
        """Return which of the numbers 0 to *count* - 1 are this worker's."""
        return range(self.index, count, self.of) if self.index < self.of else range(0)

    def part(self, count: int) -> int:
        """Return how many of *count* are this worker's."""
        return len(self.numbers(count))

    def among(self, vus: int) -> Share:
        """Return the share of a worker where only the first *vus* workers have a VU.

        What there is to do is divided among those; the others have no part in it.
        """
        return Share(self.index, max(1, min(self.of, vus)))

    def filter(self, starts: Iterator[float]) -> Iterator[float]:
        """Return this worker's of all *starts*, in order."""
        return (start for number, start in enumerate(starts) if number % self.of == self.index)


WHOLE = Share()
