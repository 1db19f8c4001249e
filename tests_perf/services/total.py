"""The running total of what has arrived, whatever the order it came in."""

from __future__ import annotations


class Total:
    """The sum of the rows applied so far, each once, and which they are.

    Rows are numbered when they are written and arrive when they are committed: 8 may come before 7, and where
    a write failed there is no 7. So one number does not tell whether a row is in, and waiting for it by
    "the last one is at least mine" would end early.
    """

    def __init__(self) -> None:
        self.result = 0
        self.highest = 0
        self._missing: set[int] = set()

    @property
    def sequence(self) -> int:
        """The last row up to which all are in the result: it stays below a write that failed."""
        return min(self._missing) - 1 if self._missing else self.highest

    @property
    def missing(self) -> list[int]:
        """The rows below the highest one that have not arrived."""
        return sorted(self._missing)

    def has(self, sequence: int) -> bool:
        """Whether row *sequence* is in the result."""
        return 0 < sequence <= self.highest and sequence not in self._missing

    def apply(self, sequence: int, value: int) -> None:
        """Add the row *sequence*; a second time changes nothing."""
        if self.has(sequence):
            return
        self._missing |= set(range(self.highest + 1, sequence))
        self._missing.discard(sequence)
        self.highest = max(self.highest, sequence)
        self.result += value
