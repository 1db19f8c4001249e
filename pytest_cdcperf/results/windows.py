"""The figures of a run over time, column by column: the times of its windows, and an array for each figure.

Columns take a fifth of the space of an object a window. Figures that are not whole are rounded to three digits: the
history that they are made of is coarse (2.2 %).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from pytest_cdcperf.metrics.histogram import Buckets, Histogram, PackedCounts
from pytest_cdcperf.metrics.metric import ALIASES, GaugeMerge, Kind, Tags, definition
from pytest_cdcperf.metrics.snapshot import BY_TIME, CounterState, GaugeState, RateState, SeriesKey, Snapshot, State
from pytest_cdcperf.metrics.timeline import Window
from pytest_cdcperf.results.figures import kind_of, labelled

_DIGITS = 3
_DIGITS_OF_SUMS = 6
_TIME_DIGITS = 3  # of seconds
_EMPTY = Histogram()


@dataclass(frozen=True)
class Column:
    """The figures of one metric, or of its series with some tags in one phase, window by window."""

    metric: str
    kind: Kind
    figures: Mapping[str, tuple[float | None, ...]]
    """By name, an array each: of a trend ``count``, ``p(50)``, ``p(95)`` and ``p(99)``, or with buckets
    ``count``, ``sum``, ``min`` and ``max``; of a counter ``count``; of a rate ``hits`` and ``total``; of a gauge
    ``value``, and ``min`` and ``max`` where these differ from it. null is "no sample"."""
    tags: Tags = field(default=(), metadata={"sparse": True})
    phase: int | None = field(default=None, metadata={"sparse": True})
    """In which phase the iterations began: its place among the phases of the result."""
    first: int = field(default=0, metadata={"sparse": True})
    """The window that the arrays begin with; they end with the last window that has a sample."""
    schema: int | None = field(default=None, metadata={"sparse": True})
    """Of a trend that is judged: the schema of its buckets, 4 or coarser."""
    positive: tuple[Buckets | None, ...] = field(default=(), metadata={"sparse": True})
    """Its buckets, window by window."""
    negative: tuple[Buckets | None, ...] = field(default=(), metadata={"sparse": True})
    zeros: tuple[int | None, ...] = field(default=(), metadata={"sparse": True})

    def __post_init__(self) -> None:
        object.__setattr__(self, "figures", MappingProxyType({**self.figures}))

    @property
    def key(self) -> SeriesKey:
        """The series that the figures are of."""
        return SeriesKey(self.metric, self.kind, self.tags, BY_TIME if self.phase is None else self.phase)

    def at(self, figure: str, window: int) -> float | None:
        """Return *figure* in *window*, None where there is no sample."""
        values = self.figures.get(figure, ())
        return values[window - self.first] if self.first <= window < self.first + len(values) else None

    def state(self, window: int) -> State | None:
        """Return what was measured in *window* as a state that merges, None where there is no sample.

        Of a trend that has no buckets there is none: percentiles do not merge.
        """
        match self.kind:
            case Kind.TREND:
                return self.histogram(window)
            case Kind.COUNTER:
                count = self.at("count", window)
                return None if count is None else CounterState(count)
            case Kind.RATE:
                hits, total = self.at("hits", window), self.at("total", window)
                return None if hits is None or total is None else RateState(int(hits), int(total))
            case Kind.GAUGE:
                return self._reading(window)

    def _reading(self, window: int) -> GaugeState | None:
        value = self.at("value", window)
        if value is None:
            return None
        known = definition(self.metric)
        merging = GaugeMerge.LAST if known is None else known.merging
        lowest, highest = (self.at(name, window) for name in ("min", "max"))
        return GaugeState(merging, value, value if lowest is None else lowest, value if highest is None else highest)

    def histogram(self, window: int) -> Histogram | None:
        """Return what was measured in *window*, None where the column has no buckets or the window no sample."""
        at = window - self.first
        if self.schema is None or not 0 <= at < len(self.positive) or self.positive[at] is None:
            return None
        count, total, lowest, highest = (self.at(name, window) or 0.0 for name in ("count", "sum", "min", "max"))
        zeros = self.zeros[at] if self.zeros else 0
        counts = (PackedCounts.of_buckets(side[at] if side else None) for side in (self.positive, self.negative))
        return Histogram(self.schema, int(count), total, lowest, highest, zeros or 0, *counts)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Windows:
    """The windows of a run in the order of time: a second each, or several of a long run.

    >>> column = Column("iterations", Kind.COUNTER, {"count": (57.0, 60.0)}, first=1)
    >>> windows = Windows(start_s=(0.0, 1.0, 2.0), end_s=(1.0, 2.0, 3.0), metrics=(column,))
    >>> windows.points("iterations", "count")
    [(2.0, 57.0), (3.0, 60.0)]
    """

    start_s: tuple[float, ...] = ()
    end_s: tuple[float, ...] = ()
    metrics: tuple[Column, ...] = ()
    """Each metric over all its tags; failed calls are a column of their own, by a tag."""
    series: tuple[Column, ...] = ()
    """The metrics that are judged, by the tags of the limits and by phase; trends with their buckets."""

    def judged(self, metric: str) -> list[Window]:
        """Return the windows with the series of *metric*, as a limit on it takes them: empty where it is not judged."""
        columns = [column for column in self.series if column.metric == ALIASES.get(metric, metric)]
        return [
            Window(start_s, end_s, _snapshot(columns, number))
            for number, (start_s, end_s) in enumerate(zip(self.start_s, self.end_s, strict=True))
        ]

    def points(self, metric: str, figure: str) -> list[tuple[float, float]]:
        """Return (end of the window in seconds, value) for each window in which *metric* has that figure."""
        column = next((c for c in self.metrics if c.metric == metric and not c.tags), None)
        if column is None:
            return []
        found = ((end_s, column.at(figure, number)) for number, end_s in enumerate(self.end_s))
        return [(end_s, value) for end_s, value in found if value is not None]

    def rates(self, metric: str) -> list[tuple[float, float]]:
        """Return (end of the window in seconds, count a second) of the counter *metric* for each window."""
        counts = dict(self.points(metric, "count"))
        spans = zip(self.start_s, self.end_s, strict=True)
        return [
            (end_s, counts.get(end_s, 0.0) / (end_s - start_s) if end_s > start_s else 0.0) for start_s, end_s in spans
        ]


def _snapshot(columns: Iterable[Column], window: int) -> Snapshot:
    states = ((column.key, column.state(window)) for column in columns)
    return Snapshot({key: state for key, state in states if state is not None})


def windows_of(history: Sequence[Window], judged: Collection[str] = ()) -> Windows:
    """Return *history* by columns.

    :param judged: the metrics whose series and buckets are kept
    """
    metrics: dict[SeriesKey, dict[int, State]] = {}
    series: dict[SeriesKey, dict[int, State]] = {}
    for number, window in enumerate(history):
        for name, tags, state in labelled(window.snapshot):
            metrics.setdefault(SeriesKey(name, kind_of(state), tags), {})[number] = state
        for key, state in window.snapshot.series.items():
            if key.name in judged:
                series.setdefault(key, {})[number] = state
    return Windows(
        tuple(round(window.start_s, _TIME_DIGITS) for window in history),
        tuple(round(window.end_s, _TIME_DIGITS) for window in history),
        tuple(_column(key, states) for key, states in sorted(metrics.items())),
        tuple(_column(key, states, judged=True) for key, states in sorted(series.items())),
    )


def _column(key: SeriesKey, states: Mapping[int, State], *, judged: bool = False) -> Column:
    first, last = min(states), max(states)
    rows = [_figures(states[number], judged) if number in states else None for number in range(first, last + 1)]
    names = next(row for row in rows if row is not None)
    figures = {name: tuple(None if row is None else row[name] for row in rows) for name in names}
    if key.kind is Kind.GAUGE and figures["value"] == figures["min"] == figures["max"]:
        figures = {"value": figures["value"]}
    phase = None if key.phase == BY_TIME else key.phase
    column = Column(key.name, key.kind, figures, key.tags, phase, first)
    found = {number: state for number, state in states.items() if isinstance(state, Histogram)}
    if not judged or not found:
        return column
    schema = min(state.schema for state in found.values())
    whole = [found[number].coarse(schema) if number in found else None for number in range(first, last + 1)]
    negative = tuple(None if h is None else PackedCounts.of(h.negative).buckets for h in whole)
    zeros = tuple(None if h is None else h.zeros for h in whole)
    return Column(
        *(key.name, key.kind, figures, key.tags, phase, first, schema),
        positive=tuple(None if h is None else PackedCounts.of(h.positive).buckets for h in whole),
        negative=negative if any(negative) else (),
        zeros=zeros if any(zeros) else (),
    )


def _figures(state: State, judged: bool) -> dict[str, float | None]:
    match state:
        case Histogram() if judged:
            total = _rounded(state.sum, _DIGITS_OF_SUMS)
            return {"count": state.count, "sum": total, "min": _rounded(state.min), "max": _rounded(state.max)}
        case Histogram():
            found = {f"p({p})": _rounded(state.quantile(p / 100)) for p in (50, 95, 99)}
            return {"count": state.count, **found}
        case CounterState():
            return {"count": _rounded(state.total, _DIGITS_OF_SUMS)}
        case RateState():
            return {"hits": state.hits, "total": state.total}
        case _:
            return {"value": _rounded(state.value), "min": _rounded(state.min), "max": _rounded(state.max)}


def _rounded(value: float, digits: int = _DIGITS) -> float | None:
    if not math.isfinite(value):
        return None
    return float(value) if float(value).is_integer() else float(f"{value:.{digits}g}")
