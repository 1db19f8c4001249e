"""Where samples go while a run is under way.

Recording is one ``list.append``, which is atomic: no lock, no sample lost. One thread drains the lists
once a second and folds what it finds into histograms and sums; so a sample costs a few tens of
nanoseconds where it is taken, and memory does not grow with the length of the run.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from pytest_cdcperf.errors import ConfigError
from pytest_cdcperf.metrics.snapshot import ALIASES, GaugeMerge, Kind, SeriesKey, Snapshot, Tags, new_state

MAX_SERIES_PER_METRIC = 200
_OVERFLOW: Tags = (("overflow", "true"),)

_definitions: dict[str, Metric] = {}


class Metric:
    """A named metric of one kind. Two of one name are the same metric, and must be of one kind.

    :raises ConfigError: when the name is no text, is taken by a metric of another kind, or is an alias
    """

    kind: Kind
    merging = GaugeMerge.LAST

    def __init__(self, name: str, *, unit: str = "") -> None:
        if not name or not isinstance(name, str):
            raise ConfigError(f"metric {name!r:.60}: allowed: a name, such as 'orders_total'")
        if name in ALIASES:
            raise ConfigError(f"metric {name!r} is another name of {ALIASES[name]!r}; choose another name")
        known = _definitions.get(name)
        if known is not None and known.kind is not self.kind:
            raise ConfigError(
                f"metric {name!r} is a {known.kind} already, it cannot be a {self.kind} too; choose another name"
            )
        self.name = name
        self.unit = unit
        _definitions.setdefault(name, self)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    def add(self, value: float, tags: Mapping[str, str] | None = None) -> None:
        """Record *value*, for a rate its truth. Outside an iteration nothing is recorded."""
        scope = _scope.get(None)
        if scope is not None:
            (scope.appends[self] if tags is None else scope.tagged(self, tags))(value)


def definition(name: str) -> Metric | None:
    """Return the metric that was defined as *name*, in this process, or that *name* is an alias of, or None."""
    return _definitions.get(ALIASES.get(name, name))


@dataclass(frozen=True)
class Definition:
    """What a metric is, to be known in another process as well."""

    name: str
    kind: Kind
    unit: str
    merging: GaugeMerge


def definitions() -> tuple[Definition, ...]:
    """Return every metric that was defined in this process."""
    return tuple(Definition(m.name, m.kind, m.unit, m.merging) for m in list(_definitions.values()))


def define(what: Definition) -> None:
    """Define here a metric that another process has."""
    if what.kind is Kind.GAUGE:
        Gauge(what.name, unit=what.unit, merging=what.merging)
    else:
        {Kind.TREND: Trend, Kind.COUNTER: Counter, Kind.RATE: Rate}[what.kind](what.name, unit=what.unit)


class Trend(Metric):
    """A distribution: percentiles, mean, extremes. ``unit="ms"`` marks a time."""

    kind = Kind.TREND


class Counter(Metric):
    """A sum."""

    kind = Kind.COUNTER

    def add(self, value: float = 1, tags: Mapping[str, str] | None = None) -> None:
        """Add *value*. Outside an iteration nothing is recorded."""
        scope = _scope.get(None)
        if scope is not None:
            (scope.appends[self] if tags is None else scope.tagged(self, tags))(value)


class Rate(Metric):
    """The share of true values."""

    kind = Kind.RATE


class Gauge(Metric):
    """The last reading; *merging* says how the readings of several workers become one."""

    kind = Kind.GAUGE

    def __init__(self, name: str, *, unit: str = "", merging: GaugeMerge = GaugeMerge.LAST) -> None:
        super().__init__(name, unit=unit)
        try:
            self.merging = GaugeMerge(merging)
        except ValueError:
            raise ConfigError(f"gauge {name!r}: merging={merging!r:.60}; allowed: {', '.join(GaugeMerge)}") from None


class Recorder:
    """All series of one run in one worker."""

    def __init__(self) -> None:
        self._pending: dict[SeriesKey, tuple[Metric, list[float]]] = {}
        self._per_metric: dict[str, int] = {}
        self._lock = threading.Lock()
        self._overflowing: set[str] = set()
        self._left_out: dict[str, int] = {}

    def pending(self, metric: Metric, tags: Tags = ()) -> list[float]:
        """Return the list that samples of *metric* with *tags* are appended to. It is never replaced."""
        key = SeriesKey(metric.name, metric.kind, tags)
        with self._lock:
            if key not in self._pending:
                known = self._per_metric.get(metric.name, 0)
                if known >= MAX_SERIES_PER_METRIC:
                    self._overflowing.add(metric.name)
                    key = SeriesKey(metric.name, metric.kind, _OVERFLOW)
                else:
                    self._per_metric[metric.name] = known + 1
                self._pending.setdefault(key, (metric, []))
            return self._pending[key][1]

    def drain(self) -> Snapshot:
        """Return what was recorded since the last call."""
        snapshot = Snapshot()
        with self._lock:
            for key, (metric, pending) in self._pending.items():
                # Appends go on meanwhile: only what was there at this moment is taken.
                values = pending[:]
                del pending[: len(values)]
                if values:
                    state = snapshot.series[key] = new_state(key.kind, metric.merging)
                    if left_out := state.record(values):
                        self._left_out[metric.name] = self._left_out.get(metric.name, 0) + left_out
        return snapshot

    def notes(self) -> list[str]:
        """What was left out or lumped together, one line each."""
        return [
            *(
                f"{name}: {count} values were no finite numbers and are left out"
                for name, count in self._left_out.items()
            ),
            *(
                f"{name}: more than {MAX_SERIES_PER_METRIC} sets of tags; further ones are lumped together"
                for name in sorted(self._overflowing)
            ),
        ]


Append = Callable[[float], None]


class _Appends(dict[Metric, Append]):
    """The append of each metric's list, found once per scope."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def __missing__(self, metric: Metric) -> Append:
        append = self[metric] = self._scope.sink(metric, ())
        return append


class Scope:
    """A recorder with the tags that every sample taken in it carries."""

    def __init__(self, recorder: Recorder, tags: Tags = ()) -> None:
        self.recorder = recorder
        self.tags = tags
        self.appends = _Appends(self)
        self._sinks: dict[tuple[Metric, Tags], Append] = {}
        self._children: dict[Tags, Scope] = {}

    def sink(self, metric: Metric, tags: Tags) -> Append:
        """Return the append for samples of *metric* with *tags* beside the scope's own."""
        append = self._sinks.get((metric, tags))
        if append is None:
            merged = tuple(sorted({**dict(self.tags), **dict(tags)}.items()))
            append = self.recorder.pending(metric, merged).append
            if len(self._sinks) < MAX_SERIES_PER_METRIC * 10:
                self._sinks[metric, tags] = append
        return append

    def tagged(self, metric: Metric, tags: Mapping[str, str]) -> Append:
        """Return the append for samples of *metric* with *tags* as users write them.

        :raises ConfigError: for tags that are no mapping
        """
        try:
            pairs = tags.items()
        except AttributeError:
            words = "allowed: a mapping, such as {'table': 'orders'}"
            raise ConfigError(f"{metric!r}: the tags {tags!r:.60} are no mapping; {words}") from None
        return self.sink(metric, tuple(sorted((str(name), str(value)) for name, value in pairs)))

    def divert(self, recorder: Recorder) -> None:
        """Send samples to *recorder* from now on."""
        self.recorder = recorder
        self.appends.clear()
        self._sinks.clear()
        for child in list(self._children.values()):
            child.divert(recorder)

    def child(self, tags: Tags) -> Scope:
        """Return the scope whose samples carry *tags* as well."""
        known = self._children.get(tags)
        if known is None:
            merged = tuple(sorted({**dict(self.tags), **dict(tags)}.items()))
            known = self._children[tags] = Scope(self.recorder, merged)
        return known


# Each VU has its own: threads begin with an empty context, tasks inherit a copy of their VU's.
_scope: ContextVar[Scope] = ContextVar("cdcperf_scope")


def current_scope() -> Scope | None:
    """Return the scope that samples taken here go to, None outside an iteration."""
    return _scope.get(None)


@contextmanager
def recording(scope: Scope) -> Iterator[Scope]:
    """Send samples taken inside the block to *scope*."""
    token = _scope.set(scope)
    try:
        yield scope
    finally:
        _scope.reset(token)
