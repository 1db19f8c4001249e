"""Where samples go while a run is under way.

Recording is one ``list.append``, which is atomic: no lock, no sample lost. One thread drains the lists
once a second and folds what it finds into histograms and sums; so a sample costs a few tens of
nanoseconds where it is taken, and memory does not grow with the length of the run.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Self, cast

from pytest_cdcperf.clock import real_time as time
from pytest_cdcperf.errors import ConfigError, shown
from pytest_cdcperf.metrics.caps import MAX_DEFINITIONS, OVERFLOW, Caps
from pytest_cdcperf.metrics.groups import OTHER
from pytest_cdcperf.metrics.snapshot import ALIASES, BY_TIME, GaugeMerge, Kind, SeriesKey, Snapshot, Tags, new_state
from pytest_cdcperf.units import figure

_MOST_KEPT = 10_000  # lookups of a recorder in one phase: beyond, they are made again each time
_MOST_NOTES = 20

_definitions: dict[str, Metric] = {}


class Metric:
    """A named metric of one kind. Two of one name are one and the same object, with the unit and group of the first.

    :param unit: such as "ms", which marks a time
    :param group: the heading under which the summary shows it, such as "HTTP" or a name of your own
    :raises ConfigError: when the name is not a text, is taken by a metric of another kind, or is an alias
    """

    kind: Kind
    name: str
    unit: str
    group: str
    merging: GaugeMerge

    def __new__(cls, name: str, *, unit: str = "", group: str = OTHER) -> Self:
        """Return the metric of this *name*, made where there is none yet."""
        return cls._defined(name, unit, group, GaugeMerge.LAST)

    @classmethod
    def _defined(cls, name: str, unit: str, group: str, merging: GaugeMerge) -> Self:
        if not name or not isinstance(name, str):
            raise ConfigError(f"metric {shown(name)}: allowed: a name, such as 'orders_total'")
        if not isinstance(group, str):
            raise ConfigError(f"metric {shown(name)}: group={shown(group)}; allowed: a text, such as 'HTTP'")
        if name in ALIASES:
            raise ConfigError(f"metric {shown(name)} is another name of {shown(ALIASES[name])}; choose another name")
        metric = _definitions.get(name)
        if metric is None:
            metric = object.__new__(cls)
            metric.name, metric.unit, metric.group, metric.merging = name, unit, group or OTHER, merging
            if len(_definitions) < MAX_DEFINITIONS:  # beyond, it is nobody's: see Recorder.pending
                metric = _definitions.setdefault(name, metric)
        if metric.kind is not cls.kind:
            raise ConfigError(
                f"metric {shown(name)} is a {metric.kind} already, it cannot be a {cls.kind} too; choose another name"
            )
        return cast("Self", metric)

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


def unit_of(metric: str) -> str:
    """Return the unit of *metric*, "" where it has none or is not known in this process."""
    known = definition(metric)
    return known.unit if known is not None else ""


def group_of(metric: str) -> str:
    """Return the group of *metric*, "other" where it has none or is not known in this process."""
    known = definition(metric)
    return known.group if known is not None else OTHER


def with_unit(value: float, metric: str) -> str:
    """Return *value* with four digits and the unit of *metric*: "12.34 ms"."""
    return figure(value, unit_of(metric))


def is_defined(metric: Metric) -> bool:
    """Whether *metric* is known by its name: it is not where there were :data:`MAX_DEFINITIONS` before it."""
    return _definitions.get(metric.name) is metric


@dataclass(frozen=True)
class Definition:
    """What a metric is, to be known in another process as well."""

    name: str
    kind: Kind
    unit: str
    merging: GaugeMerge
    group: str = OTHER


def definitions() -> tuple[Definition, ...]:
    """Return every metric that was defined in this process."""
    return tuple(Definition(m.name, m.kind, m.unit, m.merging, m.group) for m in list(_definitions.values()))


def define(what: Definition) -> None:
    """Define here a metric that another process has."""
    if what.kind is Kind.GAUGE:
        Gauge(what.name, unit=what.unit, group=what.group, merging=what.merging)
    else:
        metric = {Kind.TREND: Trend, Kind.COUNTER: Counter, Kind.RATE: Rate}[what.kind]
        metric(what.name, unit=what.unit, group=what.group)


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

    def __new__(cls, name: str, *, unit: str = "", group: str = OTHER, merging: GaugeMerge = GaugeMerge.LAST) -> Self:
        """Return the gauge of this *name*, made where there is none yet."""
        try:
            return cls._defined(name, unit, group, GaugeMerge(merging))
        except ValueError:
            raise ConfigError(
                f"gauge {shown(name)}: merging={shown(merging)}; allowed: {', '.join(GaugeMerge)}"
            ) from None


Append = Callable[[float], None]
_NOWHERE: deque[float] = deque(maxlen=0)


class Recorder:
    """All series of one run in one worker.

    :param elapsed_s: the seconds since the common start of all workers, for the readings of gauges
    """

    def __init__(self, elapsed_s: Callable[[], float] = time.perf_counter) -> None:
        self._elapsed_s = elapsed_s
        self._pending: dict[SeriesKey, tuple[Metric, list[Any]]] = {}
        self._caps = Caps()
        self._lock = threading.Lock()
        self._left_out: dict[str, int] = {}
        self._said: dict[str, None] = {}
        self._lookups: dict[tuple[Tags, int], Lookups] = {}
        self.kept: dict[int, int] = {}  # in all lookups of a phase together

    def pending(self, metric: Metric, tags: Tags = (), phase: int = BY_TIME) -> list[Any] | deque[Any]:
        """Return the list that samples of *metric* with *tags* are appended to. It is never replaced.

        Samples are numbers; of a gauge they are pairs of a time, in seconds since the start, and a number.
        """
        with self._lock:
            if not is_defined(metric):
                self._caps.leave_out(metric.name)
                return _NOWHERE
            key = self._caps.series(SeriesKey(metric.name, metric.kind, tags))
            return _NOWHERE if key is None else self._pending.setdefault(key.in_phase(phase), (metric, []))[1]

    def append_to(self, metric: Metric, tags: Tags = (), phase: int = BY_TIME) -> Append:
        """Return what records a sample of *metric* with *tags*."""
        append = self.pending(metric, tags, phase).append
        if metric.kind is not Kind.GAUGE:
            return append
        elapsed_s = self._elapsed_s
        return lambda value: append((elapsed_s(), value))

    def lookups(self, tags: Tags, phase: int = BY_TIME) -> Lookups:
        """Return what all scopes with *tags* have looked up in *phase*."""
        known = self._lookups.get((tags, phase))
        return self._lookups.setdefault((tags, phase), Lookups(self, tags, phase)) if known is None else known

    def group(self, tags: Tags) -> Tags:
        """Return the tags that samples of a group carry: *tags*, or those of all further groups."""
        with self._lock:
            return self._caps.group(tags)

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

    def note(self, line: str) -> None:
        """Say *line* beside the figures, once however often it is given."""
        with self._lock:
            if len(self._said) < _MOST_NOTES:
                self._said[line] = None

    def notes(self) -> list[str]:
        """What was noted, left out or lumped together, one line each."""
        with self._lock:
            return [
                *self._said,
                *(
                    f"{name}: {count} values were no finite numbers and are left out"
                    for name, count in self._left_out.items()
                ),
                *self._caps.notes(),
            ]


class Lookups:
    """What was looked up for one set of tags and one phase of a recorder: shared by all scopes that have these."""

    __slots__ = ("_phase", "_recorder", "appends", "found", "tags")

    def __init__(self, recorder: Recorder, tags: Tags, phase: int = BY_TIME) -> None:
        self._recorder = recorder
        self._phase = phase
        self.tags = tags
        self.appends = _Appends(self)
        self.found: dict[Hashable, Any] = {}

    def sink(self, metric: Metric, tags: Tags) -> Append:
        """Return the append for samples of *metric* with *tags* beside the scope's own."""
        append: Append | None = self.found.get((metric, tags))
        return self._resolve(metric, tags) if append is None else append

    def _resolve(self, metric: Metric, tags: Tags) -> Append:
        merged = tuple(sorted({**dict(self.tags), **dict(tags)}.items())) if tags else self.tags
        append = self._recorder.append_to(metric, merged, self._phase)
        if is_defined(metric):  # others are made again with each iteration
            self.keep((metric, tags), append)
        return append

    def keep(self, key: Hashable, value: Any) -> None:
        """Keep *value* in *found* while there is room: else it is made again each time."""
        kept = self._recorder.kept.get(self._phase, 0)
        if kept < _MOST_KEPT:
            self._recorder.kept[self._phase] = kept + 1  # of several threads now and then one is not counted
            self.found[key] = value


class _Appends(dict[Metric, Append]):
    """The append of each metric's list without further tags, found once."""

    def __init__(self, lookups: Lookups) -> None:
        self._lookups = lookups

    def __missing__(self, metric: Metric) -> Append:
        append = self._lookups.sink(metric, ())
        if (metric, ()) in self._lookups.found:
            self[metric] = append
        return append


class Scope:
    """A recorder with the tags and the phase of every sample taken in it. Each VU has its own.

    *appends* and *sink* give the append for samples of a metric, without and with tags beside the scope's own.
    """

    __slots__ = ("_children", "_phase", "appends", "lookups", "recorder", "sink", "tags")

    def __init__(self, recorder: Recorder, tags: Tags = (), phase: int = BY_TIME) -> None:
        self.tags = tags
        self._children: dict[Tags, Scope] = {}
        self.divert(recorder, phase)

    def tagged(self, metric: Metric, tags: Mapping[str, str]) -> Append:
        """Return the append for samples of *metric* with *tags* as users write them.

        :raises ConfigError: for tags that are no mapping
        """
        try:
            pairs = tags.items()
        except AttributeError:
            words = "allowed: a mapping, such as {'table': 'orders'}"
            raise ConfigError(f"{shown(metric)}: the tags {shown(tags)} are no mapping; {words}") from None
        return self.sink(metric, tuple(sorted((str(name), str(value)) for name, value in pairs)))

    def divert(self, recorder: Recorder, phase: int = BY_TIME) -> None:
        """Send samples to *recorder* from now on, as those of *phase*."""
        self.recorder = recorder
        self._phase = phase
        self.lookups = recorder.lookups(self.tags, phase)
        self.appends = self.lookups.appends
        self.sink = self.lookups.sink
        for child in list(self._children.values()):
            child.divert(recorder, phase)

    def child(self, tags: Tags) -> Scope:
        """Return the scope of a group: its samples carry *tags* as well."""
        known = self._children.get(tags)
        if known is None:
            merged = tuple(sorted({**dict(self.tags), **dict(tags)}.items()))
            kept = self.recorder.group(merged)
            if kept != merged:
                tags = OVERFLOW  # one scope for all further groups: their names are not kept
            known = self._children.get(tags) or self._children.setdefault(tags, Scope(self.recorder, kept, self._phase))
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
