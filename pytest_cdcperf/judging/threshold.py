"""Thresholds: a bound on a figure of a metric, and what became of it."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from pytest_cdcperf.judging.intervals import Precision
from pytest_cdcperf.metrics.metric import Kind, Tags, definition, selector
from pytest_cdcperf.units import figures_apart, format_duration, interval_in_words, percentile

AGGREGATES: Mapping[Kind, tuple[str, ...]] = {
    Kind.TREND: ("p(N)", "med", "avg", "min", "max", "count"),
    Kind.COUNTER: ("count", "rate"),
    Kind.RATE: ("rate",),
    Kind.GAUGE: ("value", "min", "max"),
}
_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "===": operator.eq,
    "!=": operator.ne,
}


class Outcome(StrEnum):
    """The outcome of a threshold.

    >>> Outcome("too few samples") is Outcome.TOO_FEW
    True
    """

    PASSED = "passed"
    FAILED = "failed"
    NO_SAMPLES = "no samples"
    TOO_FEW = "too few samples"
    INCONCLUSIVE = "inconclusive"
    NOT_JUDGED = "not judged"
    UNFIT = "generator unfit"


@dataclass(frozen=True)
class Threshold:
    """A bound on one aggregate of one metric, or of its sub-metric with some tags.

    >>> limit = Threshold("pg_write_duration", "p(95)", "<", 100.0, tags=(("table", "orders"),))
    >>> str(limit), limit.holds(87.3), limit.in_words(87.3)
    ('pg_write_duration{table:orders} p(95)<100', True, '87.3 ms')
    """

    metric: str
    aggregate: str
    operator: str
    limit: float
    tags: Tags = ()
    over_s: float | None = None
    phase: str | None = None
    abort_on_fail: bool = False
    delay_s: float = 0.0

    def __str__(self) -> str:
        return f"{self.selector} {self.expression}{self.scope}"

    @property
    def scope(self) -> str:
        """The part of the run that is judged, "" for all of it: " over 30s", " in hold"."""
        over = f" over {format_duration(self.over_s)}" if self.over_s is not None else ""
        return over + (f" in {self.phase}" if self.phase is not None else "")

    @property
    def selector(self) -> str:
        """The metric as the user writes it: ``pg_write_duration{table:customer}``."""
        return selector(self.metric, self.tags)

    @property
    def subject(self) -> str:
        """The figure that is bounded, and in which part of the run: ``pg_write_duration p(95) in hold``."""
        return f"{self.selector} {self.aggregate}{self.scope}"

    @property
    def expression(self) -> str:
        """The bound as the user writes it: ``p(95)<2000``."""
        return f"{self.aggregate}{self.operator}{self.limit:.15g}"

    @property
    def quantile(self) -> float | None:
        """The quantile that the aggregate stands for, None where it is none."""
        if self.aggregate == "med":
            return 0.5
        return percentile(self.aggregate) if self.aggregate.startswith("p(") else None

    @property
    def unit(self) -> str:
        """The unit of the figure, as :func:`pytest_cdcperf.units.figure` takes it: "ms", "%", "/s"."""
        metric = definition(self.metric)
        if metric is None or (self.aggregate == "count" and metric.kind is Kind.TREND):
            return ""
        if metric.kind is Kind.RATE:
            return "%"
        return f"{metric.unit}/s" if self.aggregate == "rate" else metric.unit

    @property
    def is_upper(self) -> bool:
        """Whether the figure may be at most so large."""
        return self.operator in {"<", "<="}

    @property
    def is_lower(self) -> bool:
        """Whether the figure must be at least so large."""
        return self.operator in {">", ">="}

    def in_words(self, observed: float, interval: tuple[float, float] | None = None) -> str:
        """Return the figure *observed* with its unit, in as many digits as distinguish it from the limit."""
        seen = figures_apart(observed, self.limit, self.unit)[0]
        return seen if interval is None else f"{seen} [{interval_in_words(*interval, self.unit)}]"

    def holds(self, value: float) -> bool:
        """Whether *value* keeps the limit."""
        return _COMPARE[self.operator](value, self.limit)


class Rule(Protocol):
    """A rule that a run is judged by: a threshold, or a rule about all of it."""

    @property
    def selector(self) -> str:
        """The metric, with its tags."""

    @property
    def expression(self) -> str:
        """The bound."""

    def in_words(self, observed: float, interval: tuple[float, float] | None) -> str:
        """Return what was observed, with its 95 % interval where there is one."""


@dataclass(frozen=True)
class Levels:
    """The two levels of a metric that a rule about the whole run compares."""

    before: float
    """Before the ramps of a recovery; in the first span of a drift."""
    after: float
    """After them; in the last span."""
    from_s: float
    """When the later level begins, in seconds after the load came down, or from the start of the run for a drift."""
    to_s: float
    """When it ends."""


@dataclass(frozen=True)
class ThresholdResult:
    """The result of a threshold, or of a rule about the whole run.

    >>> limit = Threshold("response_time", "p(95)", "<", 200.0)
    >>> results = [ThresholdResult(limit, Outcome.FAILED, observed=312.0)]  # as in ``result.thresholds``
    >>> [f"{judged.threshold}: {judged.observed:.0f} ms" for judged in results if judged.outcome is Outcome.FAILED]
    ['response_time p(95)<200: 312 ms']
    """

    threshold: Rule
    outcome: Outcome
    observed: float | None = None
    """The figure that was judged; of a recovery the ratio of the p95 after to that before; of a drift the rise an hour,
    as a share."""
    note: str = ""
    """What else there is to know, in words."""
    interval: tuple[float, float] | None = None
    """The 95 % confidence interval of *observed*, where it has one. An upper end that does not exist is infinite."""
    precision: Precision | None = None
    """How exactly a percentile is known, by the dependence between its samples."""
    levels: Levels | None = None
    """The levels that a recovery or a drift compares."""


def kinds_of(aggregate: str) -> list[Kind]:
    """Return the kinds of metric that have *aggregate*."""
    plain = "p(N)" if aggregate.startswith("p(") else aggregate
    return [kind for kind, names in AGGREGATES.items() if plain in names]


def merge_thresholds(*layers: Iterable[Threshold]) -> tuple[Threshold, ...]:
    """Return the thresholds of all *layers*: a later one replaces those of the same metric and aggregate."""
    merged: dict[tuple[str, str], list[Threshold]] = {}
    for layer in layers:
        fresh: dict[tuple[str, str], list[Threshold]] = {}
        for threshold in layer:
            fresh.setdefault((threshold.selector, threshold.aggregate + threshold.scope), []).append(threshold)
        merged.update(fresh)
    return tuple(threshold for group in merged.values() for threshold in group)
