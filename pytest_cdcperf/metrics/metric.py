"""The metrics that tests define: Trend, Counter, Rate and Gauge, and the registry that knows them by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, Self, cast

from pytest_cdcperf.errors import ConfigError, shown
from pytest_cdcperf.metrics.groups import OTHER
from pytest_cdcperf.units import figure

Tags = tuple[tuple[str, str], ...]  # (name, value) pairs, sorted
Append = Callable[[float], None]

MAX_DEFINITIONS = 2000  # metrics of one process, over all its runs

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
    """The rule by which the readings of one gauge from several workers become one: the last, the highest, or their sum.

    >>> Gauge("example_connections", merging=GaugeMerge.SUM).merging
    <GaugeMerge.SUM: 'sum'>
    """

    LAST = "last"
    MAX = "max"
    SUM = "sum"


class Sink(Protocol):
    """The destination of samples that are taken here: the scope of the current VU (``metrics/scope.py``)."""

    @property
    def appends(self) -> Mapping[Metric, Append]:
        """The functions that record a sample of a metric without tags of its own."""

    def tagged(self, metric: Metric, tags: Mapping[str, str]) -> Append:
        """Return what records a sample of *metric* with *tags*."""


# Each VU has its own: threads begin with an empty context, tasks inherit a copy of their VU's.
current_sink: ContextVar[Sink] = ContextVar("cdcperf_scope")

_definitions: dict[str, Metric] = {}


class Metric:
    """A named metric of one kind. Two of one name are one and the same object, with the unit and group of the first.

    >>> Trend("example_render_ms", unit="ms") is Trend("example_render_ms")
    True

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
            if len(_definitions) < MAX_DEFINITIONS:  # beyond, its samples are left out: see Recorder.pending
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
        sink = current_sink.get(None)
        if sink is not None:
            (sink.appends[self] if tags is None else sink.tagged(self, tags))(value)


def selector(metric: str, tags: Iterable[tuple[str, str]]) -> str:
    """Return how a limit names the samples of *metric* that carry *tags*.

    >>> selector("pg_write_duration", (("op", "insert"), ("table", "orders")))
    'pg_write_duration{op:insert,table:orders}'
    """
    pairs = ",".join(f"{name}:{value}" for name, value in tags)
    return f"{metric}{{{pairs}}}" if pairs else metric


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
    """The definition of a metric, in a form for other processes."""

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
    """A distribution: percentiles, mean, extremes. ``unit="ms"`` marks a time.

    >>> example_rows = Trend("example_rows", group="Orders")
    >>> example_rows.add(12, {"table": "orders"})
    """

    kind = Kind.TREND


class Counter(Metric):
    """A sum; its rate is the sum a second.

    >>> example_retries = Counter("example_retries")
    >>> example_retries.add()
    >>> example_retries.add(3, {"reason": "timeout"})
    """

    kind = Kind.COUNTER

    def add(self, value: float = 1, tags: Mapping[str, str] | None = None) -> None:
        """Add *value*. Outside an iteration nothing is recorded."""
        sink = current_sink.get(None)
        if sink is not None:
            (sink.appends[self] if tags is None else sink.tagged(self, tags))(value)


class Rate(Metric):
    """The share of true values.

    >>> example_cache_hit = Rate("example_cache_hit")
    >>> example_cache_hit.add("age" in {"age": "12"})
    """

    kind = Kind.RATE


class Gauge(Metric):
    """The last reading; *merging* says how the readings of several workers become one.

    >>> example_queue = Gauge("example_queue_length", merging="max")
    >>> example_queue.add(42)
    """

    kind = Kind.GAUGE

    def __new__(cls, name: str, *, unit: str = "", group: str = OTHER, merging: GaugeMerge = GaugeMerge.LAST) -> Self:
        """Return the gauge of this *name*, made where there is none yet."""
        try:
            return cls._defined(name, unit, group, GaugeMerge(merging))
        except ValueError:
            raise ConfigError(
                f"gauge {shown(name)}: merging={shown(merging)}; allowed: {', '.join(GaugeMerge)}"
            ) from None
