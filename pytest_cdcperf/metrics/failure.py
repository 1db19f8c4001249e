"""The kinds of failures of a run, as they are counted and merged."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

MAX_KINDS = 50


_LONGEST_ERROR = 300


_FURTHER = ("further kinds", f"beyond the {MAX_KINDS} shown")


@dataclass
class FailureKind:
    """One type of exception from one line of the user's code."""

    type: str
    where: str
    count: int
    sample: str

    @property
    def error(self) -> str:
        """The line of the sample that says what was raised, without which it is the type alone."""
        said = (line for line in self.sample.splitlines() if line.partition(":")[0].rpartition(".")[2] == self.type)
        return next(said, self.type)[:_LONGEST_ERROR]


def merge_kinds(kinds: Iterable[FailureKind]) -> tuple[FailureKind, ...]:
    """Return the kinds of several workers together, the most frequent first, and no more than of one."""
    merged: dict[tuple[str, str], FailureKind] = {}
    for kind in kinds:
        known = merged.setdefault((kind.type, kind.where), FailureKind(kind.type, kind.where, 0, kind.sample))
        known.count += kind.count
    further = merged.pop(_FURTHER, FailureKind(*_FURTHER, 0, ""))
    by_count = sorted(merged.values(), key=lambda kind: -kind.count)
    further.count += sum(kind.count for kind in by_count[MAX_KINDS:])
    return (*by_count[:MAX_KINDS], *([further] if further.count else []))


def most_frequent(kinds: Sequence[FailureKind]) -> str:
    """Return the first of *kinds* in a line: where, what and how often; "" without any."""
    return next((f"{kind.where}: {kind.error} ({kind.count:,} of them)" for kind in kinds), "")
