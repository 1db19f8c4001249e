"""The kinds of failures of a run, as they are counted and merged."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

MAX_KINDS = 50
_LONGEST_ERROR = 300
_MOST_IN_WORDS = 3
FURTHER = ("further kinds", f"beyond the {MAX_KINDS} shown")


@dataclass(frozen=True)
class FailureKind:
    """The failed iterations of a run that raised one type of exception at one line of the user's code.

    >>> FailureKind("KeyError", "test_orders.py:12", 3, "KeyError: 'id'").error
    "KeyError: 'id'"
    """

    type: str
    where: str
    count: int
    sample: str
    first_s: float | None = None
    """When the first of them ended, in seconds from the start of the run."""
    last_s: float | None = None
    """When the last of them ended."""
    iteration: str = ""
    """The iteration of the sample, as ``--perf-replay`` takes it: seed, load, VU and iteration."""

    @property
    def error(self) -> str:
        """What was raised, in the words of the sample, without which it is the type alone."""
        parts = (line.partition(":") for line in self.sample.splitlines())
        said = (colon + text for name, colon, text in parts if name.rpartition(".")[2] == self.type)
        return f"{self.type}{next(said, '')}"[:_LONGEST_ERROR]


def merge_kinds(kinds: Iterable[FailureKind]) -> tuple[FailureKind, ...]:
    """Return the kinds of several workers together, the most frequent first, and no more than of one."""
    merged: dict[tuple[str, str], FailureKind] = {}
    for kind in kinds:
        key = (kind.type, kind.where)
        merged[key] = _together(known, kind) if (known := merged.get(key)) else kind
    further = merged.pop(FURTHER, FailureKind(*FURTHER, 0, ""))
    by_count = sorted(merged.values(), key=lambda kind: -kind.count)
    for kind in by_count[MAX_KINDS:]:
        further = _together(further, kind)
    return (*by_count[:MAX_KINDS], *([further] if further.count else []))


def _together(known: FailureKind, other: FailureKind) -> FailureKind:
    times_s = [at_s for kind in (known, other) for at_s in (kind.first_s, kind.last_s) if at_s is not None]
    return replace(
        known,
        count=known.count + other.count,
        first_s=min(times_s, default=None),
        last_s=max(times_s, default=None),
    )


def kinds_in_words(kinds: Sequence[FailureKind]) -> str:
    """Return the first of *kinds* on one line, each with where and how often it came; "" without any.

    >>> kinds_in_words([FailureKind("KeyError", "test_orders.py:12", 1702, "KeyError: 'price'")])
    "KeyError: 'price' at test_orders.py:12 (1,702)"
    """
    said = ", ".join(f"{kind.error} at {kind.where} ({kind.count:,})" for kind in kinds[:_MOST_IN_WORDS])
    more = len(kinds) - _MOST_IN_WORDS
    return f"{said} and {more} more kind{'s' * (more > 1)}" if more > 0 else said
