"""Thresholds in k6's syntax: ``p(95)<2000``, ``rate>0.99``, ``count<100``.

https://grafana.com/docs/k6/latest/using-k6/thresholds/
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from pytest_cdcperf.errors import ConfigError, UnitError
from pytest_cdcperf.metrics.histogram import Histogram
from pytest_cdcperf.metrics.recorder import definition
from pytest_cdcperf.metrics.snapshot import CounterState, GaugeState, Kind, RateState, Snapshot, State, Tags
from pytest_cdcperf.units import limit_ms, percentile

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
_SELECTOR = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)\s*(?:\{([^{}]*)\})?\s*")
_CONFIDENCE = 0.95


class Outcome(StrEnum):
    """What became of a threshold."""

    PASSED = "passed"
    FAILED = "failed"
    NO_SAMPLES = "no samples"
    TOO_FEW = "too few samples"
    NOT_JUDGED = "not judged"


@dataclass(frozen=True)
class Threshold:
    """A bound on one aggregate of one metric, or of its sub-metric with some tags."""

    metric: str
    aggregate: str
    operator: str
    limit: float
    tags: Tags = ()

    def __str__(self) -> str:
        return f"{self.selector} {self.expression}"

    @property
    def selector(self) -> str:
        """The metric as the user writes it: ``pg_write_duration{table:customer}``."""
        tags = ",".join(f"{name}:{value}" for name, value in self.tags)
        return f"{self.metric}{{{tags}}}" if tags else self.metric

    @property
    def expression(self) -> str:
        """The bound as the user writes it: ``p(95)<2000``."""
        return f"{self.aggregate}{self.operator}{self.limit:g}"

    @property
    def quantile(self) -> float | None:
        """The quantile that the aggregate stands for, None where it is none."""
        if self.aggregate == "med":
            return 0.5
        return percentile(self.aggregate) if self.aggregate.startswith("p(") else None

    @property
    def needed_samples(self) -> int:
        """How many samples a 95 % upper bound of the quantile needs in order to exist: ln(0.05)/ln(q).

        David and Nagaraja, Order Statistics, 3rd ed., 7.1.
        """
        q = self.quantile
        if q is None or not 0.5 < q < 1:
            return 1
        return math.ceil(math.log(1 - _CONFIDENCE) / math.log(q))


@dataclass(frozen=True)
class ThresholdResult:
    """A threshold with what was observed."""

    threshold: Threshold
    outcome: Outcome
    observed: float | None = None
    note: str = ""


def parse_threshold(selector: str, expression: str) -> Threshold:
    """Return the threshold that *expression* puts on the metric that *selector* names.

    :raises ConfigError: when either cannot be read, or the aggregate is not one of the metric's
    """
    match = _SELECTOR.fullmatch(selector)
    if match is None:
        raise ConfigError(
            f"{selector!r} is no metric; allowed: a name such as 'pg_write_duration', or 'name{{tag:value}}'"
        )
    name, tag_text = match.groups()
    tags = _parse_tags(selector, tag_text or "")
    parts = _EXPRESSION.fullmatch(expression)
    if parts is None:
        raise ConfigError(
            f"{expression!r} is no threshold; allowed: aggregate, comparison, number, such as 'p(95)<2000'"
        )
    aggregate, compare, number = parts.groups()
    _check_aggregate(name, aggregate)
    return Threshold(name, aggregate, compare, _parse_number(name, aggregate, number), tags)


def _parse_tags(selector: str, text: str) -> Tags:
    pairs = [part.partition(":") for part in text.split(",") if part.strip()]
    if any(not (name.strip() and colon and value.strip()) for name, colon, value in pairs):
        raise ConfigError(f"{selector!r} has a tag without a value; allowed: 'name{{tag:value,tag:value}}'")
    return tuple(sorted((name.strip(), value.strip()) for name, _, value in pairs))


def _check_aggregate(name: str, aggregate: str) -> None:
    if aggregate.startswith("p("):
        percentile(aggregate)
    elif aggregate not in _PLAIN:
        raise ConfigError(f"{aggregate!r} is no aggregate; allowed: p(N), {', '.join(sorted(_PLAIN))}")
    metric = definition(name)
    plain = "p(N)" if aggregate.startswith("p(") else aggregate
    if metric is not None and plain not in AGGREGATES[metric.kind]:
        allowed = ", ".join(AGGREGATES[metric.kind])
        raise ConfigError(f"{aggregate!r} is no aggregate of {name!r}, which is a {metric.kind}; allowed: {allowed}")


def _parse_number(name: str, aggregate: str, text: str) -> float:
    try:
        number = float(text)
        if math.isfinite(number):
            return number
    except ValueError:
        metric = definition(name)
        if aggregate not in {"count", "rate"} and (metric is None or metric.unit == "ms"):
            return limit_ms(text)
    raise UnitError(f"{text!r} is no limit; allowed: a number, or a duration for a metric of time")


def parse_thresholds(spec: Mapping[str, str | Iterable[str]]) -> tuple[Threshold, ...]:
    """Return all thresholds of *spec*, a mapping of metrics to one or several expressions.

    :raises ConfigError: with every fault in it at once
    """
    faults: list[str] = []
    found: list[Threshold] = []
    for selector, expressions in spec.items():
        for expression in [expressions] if isinstance(expressions, str) else expressions:
            try:
                found.append(parse_threshold(selector, expression))
            except ConfigError as error:
                faults += error.faults
    if faults:
        raise ConfigError(*faults)
    return tuple(found)


def merge_thresholds(*layers: Iterable[Threshold]) -> tuple[Threshold, ...]:
    """Return the thresholds of all *layers*: a later one replaces those of the same metric and aggregate."""
    merged: dict[tuple[str, str], list[Threshold]] = {}
    for layer in layers:
        fresh: dict[tuple[str, str], list[Threshold]] = {}
        for threshold in layer:
            fresh.setdefault((threshold.selector, threshold.aggregate), []).append(threshold)
        merged.update(fresh)
    return tuple(threshold for group in merged.values() for threshold in group)


def evaluate(threshold: Threshold, snapshot: Snapshot, elapsed_s: float) -> ThresholdResult:
    """Judge *threshold* on what *snapshot* holds of *elapsed_s* seconds.

    Live and at the end it is this same function that judges.
    """
    state = snapshot.select(threshold.metric, dict(threshold.tags))
    metric = definition(threshold.metric)
    if state is None and metric is not None and metric.kind is Kind.COUNTER:
        state = CounterState()  # a counter that was defined stands at zero
    if state is None and metric is not None and metric.kind is Kind.RATE and threshold.operator in {"<", "<="}:
        return ThresholdResult(threshold, Outcome.PASSED, note="no samples, so nothing exceeded it")
    if state is None:
        known = "" if metric is not None else "; nothing recorded a metric of this name"
        return ThresholdResult(threshold, Outcome.NO_SAMPLES, note=f"no samples{known}")
    observed = aggregate_of(state, threshold.aggregate, elapsed_s)
    if observed is None:
        return ThresholdResult(threshold, Outcome.FAILED, note=f"{threshold.aggregate} is no aggregate of it")
    holds = _COMPARE[threshold.operator](observed, threshold.limit)
    if isinstance(state, Histogram) and holds and state.count < threshold.needed_samples:
        note = f"{state.count} samples; {threshold.aggregate} needs {threshold.needed_samples}"
        return ThresholdResult(threshold, Outcome.TOO_FEW, observed, note)
    return ThresholdResult(threshold, Outcome.PASSED if holds else Outcome.FAILED, observed, _near(threshold, state))


def aggregate_of(state: State, aggregate: str, elapsed_s: float) -> float | None:
    """Return the value of *aggregate* ("p(95)", "avg", "rate", ...), None where the state has none such."""
    match state:
        case Histogram():
            if aggregate.startswith("p("):
                return state.quantile(percentile(aggregate))
            return {
                "med": state.quantile(0.5),
                "avg": state.mean,
                "min": state.min,
                "max": state.max,
                "count": float(state.count),
            }.get(aggregate)
        case CounterState():
            per_second = state.total / elapsed_s if elapsed_s > 0 else 0.0
            return {"count": state.total, "rate": per_second}.get(aggregate)
        case RateState():
            return state.rate if aggregate == "rate" else None
        case GaugeState():
            return {"value": state.value, "min": state.min, "max": state.max}.get(aggregate)


def _near(threshold: Threshold, state: State) -> str:
    q = threshold.quantile
    if q is None or not isinstance(state, Histogram):
        return ""
    low, high = state.quantile_bounds(q)
    if low < threshold.limit < high:
        return f"the limit lies within the bucket of the percentile, {low:.4g} to {high:.4g}"
    return ""
