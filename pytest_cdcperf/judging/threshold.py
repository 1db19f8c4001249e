"""Thresholds in k6's syntax: ``p(95)<2000``, ``rate>0.99``, ``count<100``.

https://grafana.com/docs/k6/latest/using-k6/thresholds/
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Protocol

from pytest_cdcperf.checks import by_key, checked, choice_fault, duration_fault, switch_fault
from pytest_cdcperf.errors import ConfigError, UnitError, shown
from pytest_cdcperf.judging.intervals import Precision
from pytest_cdcperf.metrics.metric import Kind, Tags, definition
from pytest_cdcperf.metrics.phases import HOLD, RAMP_DOWN, RAMP_UP
from pytest_cdcperf.units import duration_s, figures_apart, format_duration, limit_ms, percentile

AGGREGATES: Mapping[Kind, tuple[str, ...]] = {
    Kind.TREND: ("p(N)", "med", "avg", "min", "max", "count"),
    Kind.COUNTER: ("count", "rate"),
    Kind.RATE: ("rate",),
    Kind.GAUGE: ("value", "min", "max"),
}
_PLAIN = {name for names in AGGREGATES.values() for name in names} - {"p(N)"}
_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "===": operator.eq,
    "!=": operator.ne,
}
_EXPRESSION = re.compile(r"\s*([a-z]+(?:\([^()]*\))?)\s*(<=|>=|===|==|!=|<|>)\s*(\S+)\s*")
_SELECTOR = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)\s*(?:\{((?:[^{}]|\{\w+\})*)\})?\s*")


class Outcome(StrEnum):
    """What became of a threshold."""

    PASSED = "passed"
    FAILED = "failed"
    NO_SAMPLES = "no samples"
    TOO_FEW = "too few samples"
    INCONCLUSIVE = "inconclusive"
    NOT_JUDGED = "not judged"
    UNFIT = "generator unfit"


@dataclass(frozen=True)
class Threshold:
    """A bound on one aggregate of one metric, or of its sub-metric with some tags."""

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
        """Where not the whole run is judged: " over 30s", " in hold"."""
        over = f" over {format_duration(self.over_s)}" if self.over_s is not None else ""
        return over + (f" in {self.phase}" if self.phase is not None else "")

    @property
    def selector(self) -> str:
        """The metric as the user writes it: ``pg_write_duration{table:customer}``."""
        tags = ",".join(f"{name}:{value}" for name, value in self.tags)
        return f"{self.metric}{{{tags}}}" if tags else self.metric

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
        """Return the figure *observed* with its unit, in as many digits as tell it from the limit."""
        seen = figures_apart(observed, self.limit, self.unit)[0]
        return seen if interval is None else f"{seen} [{' to '.join(figures_apart(*interval, self.unit))}]"

    def holds(self, value: float) -> bool:
        """Whether *value* keeps the limit."""
        return _COMPARE[self.operator](value, self.limit)


class Rule(Protocol):
    """What a run is judged by: a threshold, or a rule about all of it."""

    @property
    def selector(self) -> str:
        """The metric, with its tags."""

    @property
    def expression(self) -> str:
        """The bound."""

    def in_words(self, observed: float, interval: tuple[float, float] | None) -> str:
        """Return what was observed, with its 95 % interval where there is one."""


@checked
@dataclass(frozen=True)
class Limit:
    """An expression with where and when it is judged.

    *over*: in every window of that length; the worst counts. *phase*: in "ramp-up", "hold" or "ramp-down"
    only. *abort_on_fail*: a failure ends the run, from *delay* on.
    """

    expression: str
    over: str | None = None
    phase: str | None = None
    abort_on_fail: bool = False
    delay: str = "0s"


PHASES = (RAMP_UP, HOLD, RAMP_DOWN)
_K6_KEYS = {"threshold": "expression", "abortOnFail": "abort_on_fail", "delayAbortEval": "delay"}


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
    """What became of a threshold, or of a rule about the whole run."""

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


def parse_threshold(selector: str, expression: str) -> Threshold:
    """Return the threshold that *expression* puts on the metric that *selector* names.

    :raises ConfigError: when either cannot be read, or the aggregate is not one of the metric's
    """
    match = _SELECTOR.fullmatch(selector)
    if match is None:
        raise ConfigError(
            f"{shown(selector)} is not a valid metric; "
            "allowed: a name such as 'pg_write_duration', or 'name{tag:value}'"
        )
    name, tag_text = match.groups()
    tags = _parse_tags(selector, tag_text or "")
    parts = _EXPRESSION.fullmatch(expression)
    if parts is None:
        raise ConfigError(
            f"{shown(expression)} is not a valid threshold; "
            "allowed: aggregate, comparison, number, such as 'p(95)<2000'"
        )
    aggregate, compare, number = parts.groups()
    _check_aggregate(name, aggregate)
    return Threshold(name, aggregate, compare, _parse_number(name, aggregate, number), tags)


def kinds_of(aggregate: str) -> list[Kind]:
    """Return the kinds of metric that have *aggregate*."""
    plain = "p(N)" if aggregate.startswith("p(") else aggregate
    return [kind for kind, names in AGGREGATES.items() if plain in names]


def _parse_tags(selector: str, text: str) -> Tags:
    pairs = [part.partition(":") for part in text.split(",") if part.strip()]
    if any(not (name.strip() and colon and value.strip()) for name, colon, value in pairs):
        raise ConfigError(f"{shown(selector)} has a tag without a value; allowed: 'name{{tag:value,tag:value}}'")
    return tuple(sorted((name.strip(), value.strip()) for name, _, value in pairs))


def _check_aggregate(name: str, aggregate: str) -> None:
    if aggregate.startswith("p("):
        percentile(aggregate)
    elif aggregate not in _PLAIN:
        raise ConfigError(f"{shown(aggregate)} is not a valid aggregate; allowed: p(N), {', '.join(sorted(_PLAIN))}")
    metric = definition(name)
    if metric is not None and metric.kind not in kinds_of(aggregate):
        allowed = ", ".join(AGGREGATES[metric.kind])
        raise ConfigError(
            f"{shown(aggregate)} is not an aggregate of {shown(name)}, which is a {metric.kind}; allowed: {allowed}"
        )


def _parse_number(name: str, aggregate: str, text: str) -> float:
    try:
        number = float(text)
        if math.isfinite(number):
            return number
    except ValueError:
        metric = definition(name)
        if aggregate not in {"count", "rate"} and (metric is None or metric.unit == "ms"):
            return limit_ms(text)
    raise UnitError(f"{shown(text)} is not a valid limit; allowed: a number, or a duration for a metric of time")


Limits = str | Limit | Mapping[str, object]


def parse_thresholds(spec: Mapping[str, Limits | Iterable[Limits]]) -> tuple[Threshold, ...]:
    """Return all thresholds of *spec*, a mapping of metrics to one or several limits.

    A limit is an expression, a :class:`Limit`, or a mapping of its fields, by our names or by k6's.

    :raises ConfigError: with every fault in it at once
    """
    faults: list[str] = []
    found: list[Threshold] = []
    for selector, limits in spec.items():
        single = isinstance(limits, str | Limit | Mapping) or not isinstance(limits, Iterable)
        for limit in [limits] if single else list(limits):  # type: ignore[arg-type]
            try:
                found.append(_parse_limit(selector, limit))
            except ConfigError as error:
                faults += error.faults
    if faults:
        raise ConfigError(*faults)
    return tuple(found)


def _parse_limit(selector: object, limit: object) -> Threshold:
    if not isinstance(selector, str):
        raise ConfigError(f"{shown(selector)} is not a valid metric; allowed: text")
    if isinstance(limit, Mapping):
        limit = _limit_from_keys(selector, limit)
    if isinstance(limit, str):
        return parse_threshold(selector, limit)
    if not isinstance(limit, Limit):
        raise ConfigError(
            f"{selector}: {shown(limit)} is not a valid threshold; allowed: 'p(95)<2000', or Limit('p(95)<2000', ...)"
        )
    if not isinstance(limit.expression, str):
        raise ConfigError(f"{selector}: expression={shown(limit.expression)}; allowed: text such as 'p(95)<2000'")
    faults = by_key(
        abort_on_fail=switch_fault(limit.abort_on_fail),
        phase="" if limit.phase is None else choice_fault(limit.phase, PHASES),
        over="" if limit.over is None else duration_fault(limit.over),
        delay=duration_fault(limit.delay),
    )
    if faults:
        raise ConfigError(*(f"{selector}: {fault}" for fault in faults))
    if limit.over is not None and limit.phase is not None:
        raise ConfigError(f"{selector}: over= and phase= do not go together; allowed: one of them")
    return replace(
        parse_threshold(selector, limit.expression),
        over_s=None if limit.over is None else duration_s(limit.over),
        phase=limit.phase,
        abort_on_fail=limit.abort_on_fail,
        delay_s=duration_s(limit.delay),
    )


def _limit_from_keys(selector: str, keys: Mapping[str, object]) -> Limit:
    known = {_K6_KEYS.get(key, key): value for key, value in keys.items()}
    allowed = [f.name for f in fields(Limit)]
    unknown = [key for key in known if key not in allowed]
    if unknown or "expression" not in known:
        names = ", ".join([*_K6_KEYS, *allowed])
        raise ConfigError(f"{selector}: {shown(dict(keys))} is not a valid threshold; allowed keys: {names}")
    return Limit(**known)  # type: ignore[arg-type]  # _parse_limit looks at each


def merge_thresholds(*layers: Iterable[Threshold]) -> tuple[Threshold, ...]:
    """Return the thresholds of all *layers*: a later one replaces those of the same metric and aggregate."""
    merged: dict[tuple[str, str], list[Threshold]] = {}
    for layer in layers:
        fresh: dict[tuple[str, str], list[Threshold]] = {}
        for threshold in layer:
            fresh.setdefault((threshold.selector, threshold.aggregate + threshold.scope), []).append(threshold)
        merged.update(fresh)
    return tuple(threshold for group in merged.values() for threshold in group)
