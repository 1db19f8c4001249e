"""A histogram of fixed memory whose merge is exact.

Buckets are base-2 exponential, as in Prometheus' native histograms and OpenTelemetry's exponential
histograms: at schema *s* bucket *i* holds the values in ``(2**((i-1)/2**s), 2**(i/2**s)]``. At schema 7
a bucket's arithmetic middle is at most 0.27 % from any value in it.
https://prometheus.io/docs/specs/native_histograms/
"""

from __future__ import annotations

import math
import struct
import sys
from collections import Counter
from collections.abc import ItemsView, Iterable, Iterator, Mapping, Sequence, ValuesView
from dataclasses import dataclass, field
from itertools import chain, repeat
from operator import mul
from typing import Any, cast

SCHEMA = 7
COARSE_SCHEMA = 4  # for charts over a long run: 2.2 %

_LOWEST, _HIGHEST = -sys.float_info.max, sys.float_info.max

NOT_A_NUMBER = (TypeError, ValueError, ArithmeticError)  # what values of users raise where we compute with them

# Below it values count as zero; it keeps the number of buckets bounded.
ZERO_THRESHOLD = 2.0**-64


def finite_numbers(values: Iterable[Any]) -> list[float]:
    """Return those of *values* that are finite numbers, of whichever library: users record what they like."""
    return [number for value in values if _LOWEST <= (number := _number(value)) <= _HIGHEST]


def _number(value: Any) -> float:
    try:
        return float(value) if hasattr(value, "__float__") else math.nan  # not every text that float() can read
    except NOT_A_NUMBER:
        return math.nan


_CELL = struct.Struct("<iQ")  # a bucket's index and its count
_WIDEST_GAP = 3  # empty buckets between two of one run: a new run takes as much space

# Runs of neighbouring buckets, each the index of its first bucket, then the counts, as in Prometheus' spans.
Buckets = tuple[tuple[int, ...], ...]


@dataclass(frozen=True, eq=False)
class PackedCounts(Mapping[int, int]):
    """Counts by bucket, read only, in an eighth of the memory of a Counter."""

    cells: bytes = b""

    @classmethod
    def of(cls, counts: Mapping[int, int]) -> PackedCounts:
        """Pack *counts*."""
        return cls(struct.pack("<" + "iQ" * len(counts), *chain.from_iterable(counts.items())))

    @classmethod
    def of_buckets(cls, buckets: Buckets | None) -> PackedCounts:
        """Pack what :attr:`buckets` gave; nothing of None."""
        runs = buckets or ()
        return cls.of({first + at: n for first, *counts in runs for at, n in enumerate(counts) if n})

    @property
    def buckets(self) -> Buckets:
        """The counts as runs of neighbouring buckets, for a file.

        >>> PackedCounts.of({57: 3, 58: 5, 60: 1, 99: 2}).buckets
        ((57, 3, 5, 0, 1), (99, 2))
        """
        runs: list[list[int]] = []
        for index, n in sorted(self.items()):
            empty = index - (runs[-1][0] + len(runs[-1]) - 1) if runs else _WIDEST_GAP + 1
            if empty > _WIDEST_GAP:
                runs.append([index, n])
            else:
                runs[-1] += [*[0] * empty, n]
        return tuple(map(tuple, runs))

    def __getitem__(self, index: int) -> int:
        return dict(self.items())[index]

    def __iter__(self) -> Iterator[int]:
        return iter(dict(self.items()))

    def __len__(self) -> int:
        return len(self.cells) // _CELL.size

    def items(self) -> ItemsView[int, int]:
        """The buckets, unpacked at once."""
        return dict(_CELL.iter_unpack(self.cells)).items()

    def values(self) -> ValuesView[int]:
        """The counts, unpacked at once."""
        return dict(_CELL.iter_unpack(self.cells)).values()


_NO_COUNTS = PackedCounts()


def _indices(values: Iterable[float], scale: float) -> Counter[int]:
    # All of it runs in C: a third of the cost of a loop in Python.
    return Counter(map(math.ceil, map(mul, map(math.log2, values), repeat(scale))))


@dataclass
class Histogram:
    """Counts of values by exponential bucket, with exact count, minimum and maximum, and the sum.

    ``merge`` is exact, associative and commutative, but for the rounding of the float sum.
    """

    schema: int = SCHEMA
    count: int = 0
    sum: float = 0.0
    min: float = math.inf
    max: float = -math.inf
    zeros: int = 0
    positive: Counter[int] = field(default_factory=Counter)
    negative: Counter[int] = field(default_factory=Counter)

    def record(self, values: Sequence[float]) -> int:
        """Add *values*; return how many were left out because they are not finite numbers."""
        if not values:
            return 0
        try:
            lowest = float(min(values))
            if lowest >= ZERO_THRESHOLD:  # false for a NaN in the first place; log2 and ceil refuse the rest
                counted = _indices(values, 2.0**self.schema)
                self._add_totals(values, lowest)
                self.positive.update(counted)
                return 0
        except NOT_A_NUMBER:
            pass
        return self._record_unusual(values)

    def _record_unusual(self, values: Sequence[float]) -> int:
        finite = finite_numbers(values)
        if finite:
            scale = 2.0**self.schema
            self._add_totals(finite, min(finite))
            positive = [v for v in finite if v >= ZERO_THRESHOLD]
            negative = [-v for v in finite if v <= -ZERO_THRESHOLD]
            self.zeros += len(finite) - len(positive) - len(negative)
            self.positive.update(_indices(positive, scale))
            self.negative.update(_indices(negative, scale))
        return len(values) - len(finite)

    def _add_totals(self, values: Sequence[float], lowest: float) -> None:
        total, highest = float(sum(values)), float(max(values))  # any of which may refuse what is not a number
        self.count += len(values)
        self.sum += total
        self.min = min(self.min, lowest)
        self.max = max(self.max, highest)

    def merge(self, other: Histogram) -> None:
        """Add what *other* holds. The coarser schema of the two is kept."""
        if other.schema < self.schema:
            self._coarsen(other.schema)
        finer_by = other.schema - self.schema
        self.count += other.count
        self.sum += other.sum
        self.min = min(self.min, other.min)
        self.max = max(self.max, other.max)
        self.zeros += other.zeros
        for mine, theirs in ((self.positive, other.positive), (self.negative, other.negative)):
            for index, n in theirs.items():
                place = _coarser(index, finer_by) if finer_by else index
                mine[place] = mine.get(place, 0) + n  # Counter's own way for what is missing takes three times as long

    def coarse(self, schema: int = COARSE_SCHEMA) -> Histogram:
        """Return a copy at *schema*, or at its own where that is coarser already."""
        copy = Histogram(schema=min(schema, self.schema))
        copy.merge(self)
        return copy

    def limit(self, buckets: int) -> None:
        """Halve the resolution until there are at most *buckets* buckets, 4 or more: OpenTelemetry's way."""
        while len(self.positive) + len(self.negative) > buckets:
            self._coarsen(self.schema - 1)

    def packed(self) -> Histogram:
        """Return a copy that can only be read, in little memory."""
        packed = [PackedCounts.of(counts) if counts else _NO_COUNTS for counts in (self.positive, self.negative)]
        positive, negative = cast("list[Counter[int]]", packed)
        return Histogram(self.schema, self.count, self.sum, self.min, self.max, self.zeros, positive, negative)

    def _coarsen(self, schema: int) -> None:
        by = self.schema - schema
        for name in ("positive", "negative"):
            coarse: Counter[int] = Counter()
            for index, n in getattr(self, name).items():
                coarse[_coarser(index, by)] += n
            setattr(self, name, coarse)
        self.schema = schema

    @property
    def mean(self) -> float:
        """The exact mean; NaN without samples."""
        return self.sum / self.count if self.count else math.nan

    @property
    def relative_error(self) -> float:
        """The share by which a percentile may be off: half a bucket.

        >>> f"{Histogram(schema=4).relative_error:.1%}"
        '2.2%'
        """
        return float(2.0 ** (2.0**-self.schema) - 1.0) / 2.0

    def quantile(self, q: float) -> float:
        """Return the nearest-rank quantile *q* (0 to 1): the middle of its bucket, or the exact extreme.

        NaN without samples.
        """
        low, high = self.quantile_bounds(q)
        return low + (high - low) / 2.0  # their sum could pass the floats

    def values_at(self, low_rank: int, high_rank: int) -> tuple[float, float]:
        """Return the lowest value that the sample of *low_rank* can have, and the highest of *high_rank*, from 1 on."""
        return self._bounds_of_rank(low_rank)[0], self._bounds_of_rank(high_rank)[1]

    def count_above(self, value: float) -> int:
        """Return how many samples lie in buckets whose middle is above *value*, as :meth:`quantile` shows them."""
        if value >= ZERO_THRESHOLD:
            last = self._last_index_up_to(value)
            return sum(n for index, n in self.positive.items() if index > last)
        above = sum(self.positive.values()) + (self.zeros if value < 0 else 0)
        if value <= -ZERO_THRESHOLD:
            return above + sum(n for index, n in self.negative.items() if -self._middle(index) > value)
        return above

    def _last_index_up_to(self, value: float) -> int:
        index = math.ceil(math.log2(value) * 2.0**self.schema)
        return index - 1 if self._middle(index) > value else index

    def quantile_bounds(self, q: float) -> tuple[float, float]:
        """Return the edges of the bucket that holds quantile *q*: the true value lies between them."""
        if not self.count:
            return math.nan, math.nan
        return self._bounds_of_rank(max(1, math.ceil(q * self.count - 1e-9)))

    def edge_at(self, q: float) -> float:
        """Return the bucket edge next to quantile *q* that has samples on both sides, where there is one."""
        low, high, _ = self._bucket_at(max(1, math.ceil(q * self.count - 1e-9)))
        if high < self.max:
            return high
        return low or math.nextafter(0.0, -1.0)  # zeros are above it

    def interpolated(self, q: float) -> float:
        """Return quantile *q* as if the samples of a bucket lay evenly within it: in steps finer than a bucket.

        NaN without samples.
        """
        if not self.count:
            return math.nan
        low, high, share = self._bucket_at(q * self.count)
        low, high = max(low, self.min), min(high, self.max)
        return min(max(low + (high - low) * share, self.min), self.max)  # of rounding, and of what counts as zero

    def _bounds_of_rank(self, rank: int) -> tuple[float, float]:
        if rank <= 1:
            return self.min, self.min
        if rank >= self.count:
            return self.max, self.max
        low, high, _ = self._bucket_at(rank)
        return min(max(low, self.min), self.max), max(min(high, self.max), self.min)

    def _bucket_at(self, rank: float) -> tuple[float, float, float]:
        """Return the edges of the bucket that *rank* lies in, and how far it has come through the bucket's samples."""
        seen = 0
        for index, here in sorted(self.negative.items(), reverse=True):
            seen += here
            if seen >= rank:
                return -self._edge(index), -self._edge(index - 1), 1.0 - (seen - rank) / here
        seen += self.zeros
        if seen >= rank:
            return 0.0, 0.0, 0.0
        for index, here in sorted(self.positive.items()):
            seen += here
            if seen >= rank:
                return self._edge(index - 1), self._edge(index), 1.0 - (seen - rank) / here
        return self.max, self.max, 1.0

    def _middle(self, index: int) -> float:
        low, high = self._edge(index - 1), self._edge(index)
        return low + (high - low) / 2.0

    def _edge(self, index: int) -> float:
        try:
            return float(2.0 ** (index / 2.0**self.schema))
        except OverflowError:  # the last bucket's upper edge lies beyond the floats
            return math.inf


def _coarser(index: int, by: int) -> int:
    # Upper edges are inclusive, so 2**by neighbouring buckets end at the next multiple.
    return (index + (1 << by) - 1) >> by
