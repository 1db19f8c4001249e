"""Snapshots: the figures measured over a span of time, in a form that merges."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from pytest_cdcperf.errors import ConfigError
from pytest_cdcperf.metrics.calls import always_apart, selects_outcome, stands_apart
from pytest_cdcperf.metrics.histogram import NOT_A_NUMBER, Histogram, finite_numbers
from pytest_cdcperf.metrics.metric import ALIASES, GaugeMerge, Kind, Tags

FEW_BUCKETS = 160  # of a histogram that is not judged: OpenTelemetry's default
BY_TIME = -1  # in place of a phase's number


@dataclass
class CounterState:
    """A sum."""

    total: float = 0.0

    def record(self, values: Sequence[float]) -> int:
        """Add *values*; return how many were left out because they are not finite numbers."""
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
    """The last reading, taken *at_s* seconds after the start of the run, with the lowest and the highest."""

    merging: GaugeMerge = GaugeMerge.LAST
    value: float = math.nan
    min: float = math.inf
    max: float = -math.inf
    at_s: float = -math.inf

    @property
    def is_empty(self) -> bool:
        """Whether there was no reading."""
        return math.isnan(self.value)

    def record(self, readings: Sequence[tuple[float, float]]) -> int:
        """Take *readings*, a time in seconds and a value each; return how many were left out: no finite numbers."""
        finite = [(at_s, value) for at_s, reading in readings for value in finite_numbers((reading,))]
        for at_s, value in finite:
            self.follow(GaugeState(self.merging, value, value, value, at_s))
        return len(readings) - len(finite)

    def follow(self, other: GaugeState) -> None:
        """Take another reading of the same series: the later one is the value."""
        if not other.is_empty and other.at_s >= self.at_s:
            self.value, self.at_s = other.value, other.at_s
        self.min = min(self.min, other.min)
        self.max = max(self.max, other.max)

    def merge(self, other: GaugeState) -> None:
        """Take the reading of another worker, or of another set of tags, as the gauge declares."""
        if self.merging is GaugeMerge.LAST or self.is_empty:
            self.follow(other)
        elif other.is_empty:
            return
        elif self.merging is GaugeMerge.SUM:
            self.value += other.value
            self.min += other.min
            self.max += other.max
            self.at_s = max(self.at_s, other.at_s)
        else:
            self.value = max(self.value, other.value)
            self.min = min(self.min, other.min)
            self.max = max(self.max, other.max)
            self.at_s = max(self.at_s, other.at_s)


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


def merge_states(key: SeriesKey, states: Sequence[State], *, later: bool = False) -> State:
    """Return what *states* are together: the only one itself where there is one.

    :param later: they are of one series at several times, in place of several series at one time
    """
    if len(states) == 1:
        return states[0]
    merged = _empty(key, states[0])
    for state in states:
        _merge(merged, state, later=later)
    return merged


def _coarse(state: State) -> State:
    if not isinstance(state, Histogram):
        return state
    coarse = state.coarse()
    coarse.limit(FEW_BUCKETS)
    return coarse.packed()


@dataclass(frozen=True, order=True)
class SeriesKey:
    """One metric with one set of tags, sorted by name.

    *phase* is the number, in the run's plan, of the phase in which the iterations began that the samples are of;
    :data:`BY_TIME` for what no iteration measured.
    """

    name: str
    kind: Kind
    tags: Tags = ()
    phase: int = BY_TIME

    def in_phase(self, phase: int) -> SeriesKey:
        """Return the same series of another phase."""
        return self if phase == self.phase else SeriesKey(self.name, self.kind, self.tags, phase)

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
        return Snapshot, ({**self.series},)

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

    def kept_apart(self, by: Mapping[str, Collection[tuple[str, str]]]) -> Snapshot:
        """Return the same with series merged that do not differ in the (tag, value) pairs of *by*, by metric.

        So each metric, and each sub-metric whose tags are in *by*, is whole; phases are kept apart for the metrics in
        *by*. Of gauges each set of tags is left as it is: what one reads over several of them is decided by the latest
        reading of each. States may be shared.
        """
        alike: dict[SeriesKey, list[State]] = {}
        for key, state in self.series.items():
            pairs = by.get(key.name)
            tags = key.tags
            if tags and key.kind is not Kind.GAUGE:
                apart = (*(pairs or ()), *always_apart(key.name))
                tags = tuple(pair for pair in tags if pair in apart)
            merged = SeriesKey(key.name, key.kind, tags, BY_TIME if pairs is None else key.phase)
            alike.setdefault(merged, []).append(state)
        return _snapshot_of(alike)

    def over_phases(self, phases: Collection[int] | None = None) -> Snapshot:
        """Return the series of *phases*, of all without, merged where they differ in the phase only."""
        alike: dict[SeriesKey, list[State]] = {}
        for key, state in self.series.items():
            if phases is None or key.phase in phases:
                alike.setdefault(key.in_phase(BY_TIME), []).append(state)
        return _snapshot_of(alike)

    def limit(self, buckets: int, keys: Iterable[SeriesKey]) -> None:
        """Let no histogram of *keys* have more than *buckets* buckets."""
        for key in keys:
            state = self.series[key]
            if isinstance(state, Histogram):
                state.limit(buckets)

    def frozen(self) -> Snapshot:
        """Return a copy that nothing can be added to: its mapping and its histograms can only be read.

        Its series are sorted, as in a file: of gauges that were set at the same time the last one counts.
        """
        ordered = sorted(self.series.items(), key=lambda item: item[0])
        series = {k: v.packed() if isinstance(v, Histogram) else replace(v) for k, v in ordered}
        return Snapshot(MappingProxyType(series))  # type: ignore[arg-type]

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

    def phases(self, name: str) -> set[int]:
        """The phases that there are series of metric *name* of."""
        return {key.phase for key in self._named(ALIASES.get(name, name))}

    def select(
        self, name: str, tags: Mapping[str, str] | None = None, phases: Collection[int] | None = None
    ) -> State | None:
        """Return the state of metric *name* over all its series that carry *tags*, None without any.

        Of a trend of calls that is without failed ones, unless *tags* say how calls ended.
        It is to be read only: where it is of one series, it is that series' own.

        :param phases: only of these, by their numbers
        """
        keys = [
            key
            for key in self._named(ALIASES.get(name, name))
            if (not tags or key.carries(tags)) and (phases is None or key.phase in phases)
        ]
        if not selects_outcome(tags or ()):
            keys = [key for key in keys if not stands_apart(key.name, key.tags)]
        kinds = sorted({key.kind for key in keys})
        if len(kinds) > 1:
            raise ConfigError(f"metric {name!r} is a {kinds[0]} on one worker and a {kinds[1]} on another")
        return self._merged(keys) if keys else None

    def count(self, name: str, tags: Mapping[str, str] | None = None) -> float:
        """Return the sum of the counter *name*, as :meth:`select` chooses its series; 0 without any.

        >>> Snapshot({SeriesKey("orders", Kind.COUNTER): CounterState(3)}).count("orders")
        3
        """
        state = self.select(name, tags)
        return state.total if isinstance(state, CounterState) else 0.0

    def rate(self, name: str, tags: Mapping[str, str] | None = None) -> RateState:
        """Return the state of the rate *name*, to be read only; an empty one without any series."""
        state = self.select(name, tags)
        return state if isinstance(state, RateState) else RateState()

    def trend(
        self, name: str, tags: Mapping[str, str] | None = None, phases: Collection[int] | None = None
    ) -> Histogram:
        """Return the histogram of the trend *name*, to be read only; an empty one without any series."""
        state = self.select(name, tags, phases)
        return state if isinstance(state, Histogram) else Histogram()

    def gauge(self, name: str, tags: Mapping[str, str] | None = None) -> GaugeState:
        """Return the state of the gauge *name*, to be read only; an empty one without any series."""
        state = self.select(name, tags)
        return state if isinstance(state, GaugeState) else GaugeState()

    def _merged(self, keys: Sequence[SeriesKey]) -> State:
        """Return what the series of *keys* are together: first each over its phases, then these."""
        if len(keys) == 1:
            return self.series[keys[0]]
        by_tags: dict[Tags, list[State]] = {}
        for key in keys:
            by_tags.setdefault(key.tags, []).append(self.series[key])
        whole = [merge_states(keys[0], states, later=True) for states in by_tags.values()]
        return merge_states(keys[0], whole)

    def by_tag(self, name: str, tag: str) -> Iterator[tuple[str, State]]:
        """Yield (value, state) for each value that *tag* has in the series of *name*."""
        by_value: dict[str, list[SeriesKey]] = {}
        for key in self._named(name):
            for known, value in key.tags:
                if known == tag:
                    by_value.setdefault(value, []).append(key)
        for value, keys in sorted(by_value.items()):
            yield value, self._merged(keys)


def _snapshot_of(alike: Mapping[SeriesKey, Sequence[State]]) -> Snapshot:
    # Gauges that are alike differ in the phase only: the later reading counts, whatever they declare for workers.
    return Snapshot({key: merge_states(key, states, later=key.kind is Kind.GAUGE) for key, states in alike.items()})
