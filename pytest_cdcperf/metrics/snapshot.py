"""What was measured over a span of time, in a form that merges."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from pytest_cdcperf.errors import ConfigError
from pytest_cdcperf.metrics.histogram import NOT_A_NUMBER, Histogram, finite_numbers

Tags = tuple[tuple[str, str], ...]


# The names that other tools' plans have for what we measure under a name of our own.
ALIASES: Mapping[str, str] = {
    "test_iterations": "iterations",
    "test_vus": "vus",
    "soak_memory_indicator": "generator_memory_mb",
}


class Kind(StrEnum):
    """k6's four kinds of metric."""

    TREND = "trend"
    COUNTER = "counter"
    RATE = "rate"
    GAUGE = "gauge"


class GaugeMerge(StrEnum):
    """How the readings of one gauge from several workers become one."""

    LAST = "last"
    MAX = "max"
    SUM = "sum"


@dataclass
class CounterState:
    """A sum."""

    total: float = 0.0

    def record(self, values: Sequence[float]) -> int:
        """Add *values*; return how many were left out because they are no finite numbers."""
        try:
            added = math.fsum(values)
            left_out = 0
        except NOT_A_NUMBER:
            added = math.nan
        if not math.isfinite(added):
            finite = finite_numbers(values)
            added, left_out = sum(finite), len(values) - len(finite)
            if not math.isfinite(added):
                return len(values)
        self.total += added
        return left_out

    def merge(self, other: CounterState) -> None:
        """Add *other*."""
        self.total += other.total


@dataclass
class RateState:
    """How many of how many were true."""

    hits: int = 0
    total: int = 0

    def record(self, values: Sequence[float]) -> int:
        """Count *values* by their truth; return how many were left out because they have none."""
        try:
            hits, left_out = sum(map(bool, values)), 0
        except NOT_A_NUMBER:
            truths = [truth for value in values if (truth := _truth(value)) is not None]
            hits, left_out = sum(truths), len(values) - len(truths)
        self.hits += hits
        self.total += len(values) - left_out
        return left_out

    def merge(self, other: RateState) -> None:
        """Add *other*."""
        self.hits += other.hits
        self.total += other.total

    @property
    def rate(self) -> float:
        """The true share, 0 to 1; NaN without samples."""
        return self.hits / self.total if self.total else math.nan


@dataclass
class GaugeState:
    """The last reading, with the lowest and the highest."""

    merging: GaugeMerge = GaugeMerge.LAST
    value: float = math.nan
    min: float = math.inf
    max: float = -math.inf

    def record(self, values: Sequence[float]) -> int:
        """Take *values* as readings, in their order."""
        finite = finite_numbers(values)
        if finite:
            self.value = finite[-1]
            self.min = min(self.min, *finite)
            self.max = max(self.max, *finite)
        return len(values) - len(finite)

    def follow(self, later: GaugeState) -> None:
        """Take a later reading of the same worker."""
        if not math.isnan(later.value):
            self.value = later.value
        self.min = min(self.min, later.min)
        self.max = max(self.max, later.max)

    def merge(self, other: GaugeState) -> None:
        """Take another worker's reading of the same time, as the gauge declares."""
        if math.isnan(other.value):
            return
        if math.isnan(self.value):
            self.value, self.min, self.max = other.value, other.min, other.max
        elif self.merging is GaugeMerge.SUM:
            self.value += other.value
            self.min += other.min
            self.max += other.max
        else:
            self.value = max(self.value, other.value) if self.merging is GaugeMerge.MAX else other.value
            self.min = min(self.min, other.min)
            self.max = max(self.max, other.max)


def _truth(value: object) -> bool | None:
    try:
        return bool(value)
    except NOT_A_NUMBER:  # an array has none
        return None


State = Histogram | CounterState | RateState | GaugeState


def new_state(kind: Kind, merging: GaugeMerge = GaugeMerge.LAST) -> State:
    """Return the empty state of a metric of *kind*."""
    match kind:
        case Kind.TREND:
            return Histogram()
        case Kind.COUNTER:
            return CounterState()
        case Kind.RATE:
            return RateState()
        case Kind.GAUGE:
            return GaugeState(merging)


def _merge(mine: State, theirs: State, *, later: bool) -> None:
    if isinstance(mine, GaugeState) and isinstance(theirs, GaugeState) and later:
        mine.follow(theirs)
    else:
        mine.merge(theirs)  # type: ignore[arg-type]  # one metric name has one kind: Recorder sees to it


@dataclass(frozen=True, order=True)
class SeriesKey:
    """One metric with one set of tags, sorted by name."""

    name: str
    kind: Kind
    tags: Tags = ()

    def matches(self, name: str, tags: Mapping[str, str]) -> bool:
        """Whether the series belongs to the sub-metric ``name{tags}``."""
        return self.name == name and all(pair in self.tags for pair in tags.items())


@dataclass
class Snapshot:
    """The states of all series over one span of time."""

    series: dict[SeriesKey, State] = field(default_factory=dict)

    def merge(self, other: Snapshot) -> None:
        """Add what another worker measured over the same span."""
        self._take(other, later=False)

    def extend(self, later: Snapshot) -> None:
        """Add what the same workers measured over a later span."""
        self._take(later, later=True)

    def _take(self, other: Snapshot, *, later: bool) -> None:
        for key, theirs in other.series.items():
            mine = self.series.get(key)
            if mine is None:
                merging = theirs.merging if isinstance(theirs, GaugeState) else GaugeMerge.LAST
                mine = self.series[key] = new_state(key.kind, merging)
            _merge(mine, theirs, later=later)

    def coarse(self) -> Snapshot:
        """Return a copy whose histograms are coarse, for the history of a long run."""
        copy = Snapshot()
        copy.series = {
            key: state.coarse() if isinstance(state, Histogram) else state for key, state in self.series.items()
        }
        return copy

    def names(self) -> list[str]:
        """The names of the metrics in it, sorted."""
        return sorted({key.name for key in self.series})

    def select(self, name: str, tags: Mapping[str, str] | None = None) -> State | None:
        """Return the state of metric *name* over all its series that carry *tags*, None without any."""
        name = ALIASES.get(name, name)
        found: State | None = None
        for key, state in self.series.items():
            if key.matches(name, tags or {}):
                if found is None:
                    found = new_state(key.kind, state.merging if isinstance(state, GaugeState) else GaugeMerge.LAST)
                if type(found) is not type(state):
                    raise ConfigError(f"metric {name!r} is a {key.kind} on one worker and of another kind on the other")
                _merge(found, state, later=False)
        return found

    def by_tag(self, name: str, tag: str) -> Iterator[tuple[str, State]]:
        """Yield (value, state) for each value that *tag* has in the series of *name*."""
        values = {dict(key.tags)[tag] for key in self.series if key.name == name and tag in dict(key.tags)}
        for value in sorted(values):
            state = self.select(name, {tag: value})
            if state is not None:
                yield value, state
