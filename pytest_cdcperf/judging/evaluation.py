"""Evaluation of a threshold against the figures of a run."""

from __future__ import annotations

import math

from pytest_cdcperf.judging.intervals import Precision, needed_samples, quantile_interval
from pytest_cdcperf.judging.threshold import Outcome, Threshold, ThresholdResult
from pytest_cdcperf.metrics.calls import failed_calls, selects_outcome
from pytest_cdcperf.metrics.histogram import Histogram
from pytest_cdcperf.metrics.metric import Kind, definition
from pytest_cdcperf.metrics.snapshot import CounterState, GaugeState, RateState, Snapshot, State
from pytest_cdcperf.units import format_duration, interval_in_words, percentile


def evaluate(
    threshold: Threshold, snapshot: Snapshot, elapsed_s: float, exact: Precision | None = None
) -> ThresholdResult:
    """Judge *threshold* on what *snapshot* holds of *elapsed_s* seconds.

    Live and at the end it is this same function that judges.

    :param exact: how exactly the percentile is known: without it no interval is shown, and samples count as independent
    """
    state = snapshot.select(threshold.metric, dict(threshold.tags))
    metric = definition(threshold.metric)
    if state is None and metric is not None and metric.kind is Kind.COUNTER:
        state = CounterState()  # a counter that was defined stands at zero
    if state is None and metric is not None and metric.kind is Kind.RATE and threshold.operator in {"<", "<="}:
        return ThresholdResult(threshold, Outcome.PASSED, note="no samples, so nothing exceeded it")
    if state is None or (isinstance(state, Histogram) and not state.count):
        return ThresholdResult(threshold, Outcome.NO_SAMPLES, note=_all_failed(threshold, snapshot))
    observed = aggregate_of(state, threshold.aggregate, elapsed_s)
    if observed is None:
        return ThresholdResult(threshold, Outcome.FAILED, note=f"{threshold.aggregate} is not an aggregate of it")
    outcome = Outcome.PASSED if threshold.holds(observed) else Outcome.FAILED
    q = threshold.quantile
    if q is None or not isinstance(state, Histogram):
        return ThresholdResult(threshold, outcome, observed)
    exact = exact or Precision(state.count)
    if exact.effective < needed_samples(q):
        outcome = Outcome.TOO_FEW if outcome is Outcome.PASSED else outcome
        note = _too_few(threshold.aggregate, q, exact, elapsed_s)
        return ThresholdResult(threshold, outcome, observed, note, precision=exact)
    interval = quantile_interval(state, q, exact)
    return ThresholdResult(
        threshold, outcome, observed, _near(threshold, q, state, interval), interval, precision=exact
    )


def _all_failed(threshold: Threshold, snapshot: Snapshot) -> str:
    """Say that there are calls, but failed ones only; "" where that is not so."""
    tag = failed_calls(threshold.metric)
    if tag is None or selects_outcome(dict(threshold.tags)):
        return ""
    count = snapshot.trend(threshold.metric, {**dict(threshold.tags), tag[0]: tag[1]}).count
    return f"all {count} calls failed, which are in {{{':'.join(tag)}}}" if count else ""


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


def _too_few(aggregate: str, q: float, exact: Precision, elapsed_s: float) -> str:
    needed = needed_samples(q)
    note = f"{exact.samples:,} samples; {aggregate} needs {needed:,}"
    effective = f"{exact.effective:,.0f}"
    if effective != f"{exact.samples:,}":
        note = f"{exact.samples:,} samples are worth {effective} independent ones; {aggregate} needs {needed:,}"
    longer_s = math.ceil(elapsed_s * needed / exact.effective) if exact.effective else 0
    return f"{note}, which takes about {format_duration(longer_s)}" if longer_s else note


def _near(threshold: Threshold, q: float, state: Histogram, interval: tuple[float, float] | None) -> str:
    low, high = state.quantile_bounds(q)
    if low < threshold.limit < high:
        return f"the limit lies within the bucket of the percentile, {interval_in_words(low, high, threshold.unit)}"
    if interval is not None and interval[0] < threshold.limit < interval[1]:
        return f"the limit lies within the 95 % confidence interval, {interval_in_words(*interval, threshold.unit)}"
    return ""
