"""What was measured over a span of time, in a form that merges."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from pytest_cdcperf.errors import ConfigError
from pytest_cdcperf.metrics.histogram import NOT_A_NUMBER, Histogram, finite_numbers

Tags = tuple[tuple[str, str], ...]

FEW_BUCKETS = 160  # of a histogram that is not judged: OpenTelemetry's default


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


def _empty(key: SeriesKey, like: State) -> State:
    return new_state(key.kind, like.merging if isinstance(like, GaugeState) else GaugeMerge.LAST)


def merge_states(key: SeriesKey, states: Sequence[State]) -> State:
    """Return what *states* of one span are together: the only one itself where there is one."""
    if len(states) == 1:
        return states[0]
    merged = _empty(key, states[0])
    for state in states:
        _merge(merged, state, later=False)
    return merged


def _coarse(state: State) -> State:
    if not isinstance(state, Histogram):
        return state
    coarse = state.coarse()
    coarse.limit(FEW_BUCKETS)
    return coarse.packed()


@dataclass(frozen=True, order=True)
class SeriesKey:
    """One metric with one set of tags, sorted by name."""

    name: str
    kind: Kind
    tags: Tags = ()

    def carries(self, tags: Mapping[str, str]) -> bool:
        """Whether the series belongs to the sub-metric with *tags*."""
        return all(pair in self.tags for pair in tags.items())


@dataclass
class Snapshot:
    """The states of all series over one span of time."""

    series: dict[SeriesKey, State] = field(default_factory=dict)
    _by_name: dict[str, list[SeriesKey]] = field(default_factory=dict, init=False, repr=False, compare=False)
    _indexed: int = field(default=0, init=False, repr=False, compare=False)

    def __reduce__(self) -> tuple[type[Snapshot], tuple[dict[SeriesKey, State]]]:
        return Snapshot, (self.series,)

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
                mine = self.series[key] = _empty(key, theirs)
            _merge(mine, theirs, later=later)

    def only(self, names: Collection[str]) -> Snapshot:
        """Return the series of the metrics *names*; states are shared."""
        return Snapshot({key: self.series[key] for name in names for key in self._named(name)})

    def told_apart(self, by: Mapping[str, Collection[tuple[str, str]]]) -> Snapshot:
        """Return the same with series merged that do not differ in the (tag, value) pairs of *by*, by metric.

        So each metric, and each sub-metric whose tags are in *by*, is whole. Gauges are left as they are: what
        one reads over several sets of tags is told by the latest reading of each. States may be shared.
        """
        alike: dict[SeriesKey, list[State]] = {}
        for key, state in self.series.items():
            told = key
            if key.tags and key.kind is not Kind.GAUGE:
                pairs = by.get(key.name, ())
                told = SeriesKey(key.name, key.kind, tuple(pair for pair in key.tags if pair in pairs))
            alike.setdefault(told, []).append(state)
        return Snapshot({key: merge_states(key, states) for key, states in alike.items()})

    def limit(self, buckets: int, keys: Iterable[SeriesKey]) -> None:
        """Let no histogram of *keys* have more than *buckets* buckets."""
        for key in keys:
            state = self.series[key]
            if isinstance(state, Histogram):
                state.limit(buckets)

    def packed(self) -> Snapshot:
        """Return a copy whose histograms can only be read, in little memory."""
        return Snapshot({k: v.packed() if isinstance(v, Histogram) else v for k, v in self.series.items()})

    def coarse(self) -> Snapshot:
        """Return a copy whose histograms are coarse and packed, for the history of a long run."""
        return Snapshot({key: _coarse(state) for key, state in self.series.items()})

    def _named(self, name: str) -> Sequence[SeriesKey]:
        if self._indexed != len(self.series):  # no series is ever taken away
            self._by_name.clear()
            for key in self.series:
                self._by_name.setdefault(key.name, []).append(key)
            self._indexed = len(self.series)
        return self._by_name.get(name, ())

    def names(self) -> list[str]:
        """The names of the metrics in it, sorted."""
        self._named("")
        return sorted(self._by_name)

    def select(self, name: str, tags: Mapping[str, str] | None = None) -> State | None:
        """Return the state of metric *name* over all its series that carry *tags*, None without any.

        It is to be read only: where it is of one series, it is that series' own.
        """
        keys = [key for key in self._named(ALIASES.get(name, name)) if not tags or key.carries(tags)]
        kinds = sorted({key.kind for key in keys})
        if len(kinds) > 1:
            raise ConfigError(f"metric {name!r} is a {kinds[0]} on one worker and a {kinds[1]} on another")
        return merge_states(keys[0], [self.series[key] for key in keys]) if keys else None

    def by_tag(self, name: str, tag: str) -> Iterator[tuple[str, State]]:
        """Yield (value, state) for each value that *tag* has in the series of *name*."""
        by_value: dict[str, list[SeriesKey]] = {}
        for key in self._named(name):
            for known, value in key.tags:
                if known == tag:
                    by_value.setdefault(value, []).append(key)
        for value, keys in sorted(by_value.items()):
            yield value, merge_states(keys[0], [self.series[key] for key in keys])
