"""The charts of a run over time: its judged metrics with their limits, its load, its failures."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import chain

from pytest_cdcperf.judging.evaluation import aggregate_of
from pytest_cdcperf.judging.intervals import Precision, interval_ranks, needed_samples
from pytest_cdcperf.judging.rules.breaking_point import Breaking
from pytest_cdcperf.judging.threshold import Threshold
from pytest_cdcperf.metrics import builtin
from pytest_cdcperf.metrics.histogram import Histogram
from pytest_cdcperf.metrics.metric import unit_of
from pytest_cdcperf.metrics.phases import spans_of
from pytest_cdcperf.metrics.snapshot import CounterState, RateState, State
from pytest_cdcperf.metrics.timeline import Window
from pytest_cdcperf.printable import one_line, short_name
from pytest_cdcperf.reporting.html.chart import Band, Bound, Chart, Line, Mark, Ramp, Timeline, Values
from pytest_cdcperf.reporting.view import LimitView, RunView
from pytest_cdcperf.results.over_time import Crossing
from pytest_cdcperf.results.result import EventKind, RunResult
from pytest_cdcperf.units import figure, format_duration

MOST_CHARTS = 10  # of metrics: what a page must hold at most
_MOST_MARKS = 20
_PERCENTILES = (("p(50)", "p50"), ("p(95)", "p95"), ("p(99)", "p99"))
_SAME = {"med": "p(50)"}
_WIDEST_BAND = 31  # windows
_ENOUGH = 3  # times the samples that an interval takes at least: with few more it swings from window to window
_INDEPENDENT = 1e9  # degrees of freedom of a factor that is given
_BAD = {EventKind.WORKER_LOST, EventKind.SERVER_LOST, EventKind.LIMIT_CROSSED, EventKind.BROKEN_BODY}

Judged = tuple[Threshold, LimitView]


def timeline(result: RunResult) -> Timeline:
    """Return the common axis of time of *result*, with its phases and what happened."""
    windows = result.windows
    at_s = tuple((start_s + end_s) / 2 for start_s, end_s in zip(windows.start_s, windows.end_s, strict=True))
    end_s = max(filter(math.isfinite, [result.elapsed_s, *windows.end_s[-1:]]), default=0.0)
    spans = spans_of(result.phases)
    ramps = [Ramp(span.name, span.start_s, min(span.end_s, end_s), span.is_ramp) for span in spans]
    marks = sorted((mark for mark in _marks(result) if math.isfinite(mark.at_s)), key=lambda mark: mark.at_s)
    return Timeline(
        at_s,
        end_s,
        tuple(ramp for ramp in ramps if len(ramps) > 1 and ramp.start_s < end_s),
        tuple(marks[:_MOST_MARKS]),
    )


def _marks(result: RunResult) -> Iterable[Mark]:
    broke = result.breaking_point
    if broke is not None and broke.outcome is Breaking.FOUND and broke.at_s is not None:
        yield Mark(broke.at_s, f"breaking point, {broke.vus:,} VUs")
        if broke.recovered_at_s is not None:
            yield Mark(broke.recovered_at_s, f"recovered, {broke.recovered_vus or 0:,} VUs")
    for event in result.events:
        who = f" {short_name(event.worker)}" if event.worker else ""
        yield Mark(event.at_s, f"{event.kind}{who}", "bad" if event.kind in _BAD else "event")


def judged_charts(result: RunResult, view: RunView) -> list[Chart]:
    """Return a chart for each metric that a limit is on, those that are crossed first, or one of the headline.

    That is added where no limit is on a trend. A chart may be empty.
    """
    charts = [_judged_chart(result, on) for on in _by_metric(result, view)[:MOST_CHARTS]]
    if not any(len(chart.lines) > 1 for chart in charts):
        charts.insert(0, trend_chart(result, result.headline))
    return charts


def left_out(result: RunResult, view: RunView) -> str:
    """Return which metrics with limits have no chart, since there are so many; "" where all have one."""
    names = [short_name(on[0][0].selector) for on in _by_metric(result, view)[MOST_CHARTS:]]
    return f"without a chart: {', '.join(names)}" if names else ""


def _by_metric(result: RunResult, view: RunView) -> list[list[Judged]]:
    """Return the limits by what they are on, those that are crossed first."""
    found: dict[str, list[Judged]] = {}
    for judged, limit in zip(result.thresholds, view.limits, strict=True):
        if isinstance(judged.threshold, Threshold):
            found.setdefault(judged.threshold.selector, []).append((judged.threshold, limit))
    return sorted(found.values(), key=lambda on: not any(limit.is_crossed for _, limit in on))


def load_charts(result: RunResult) -> list[Chart]:
    """Return the charts of the load: iterations a second and VUs, and what failed a second. They may be empty."""
    windows = result.windows
    known = dict(windows.points(builtin.VUS.name, "max") or windows.points(builtin.VUS.name, "value"))
    vus = [known.get(end_s) for end_s in windows.end_s]
    while vus and not vus[-1]:  # the load is over: that is no fall
        vus.pop()
    load = Chart(
        "Load",
        "iterations/s",
        (
            Line("iterations/s", "rate", tuple(rate for _, rate in windows.rates(builtin.ITERATIONS.name))),
            Line("VUs", "vus", (*vus, *[None] * (len(windows.end_s) - len(vus))), right=True),
        ),
    )
    failed = Chart("Failures", "a second", tuple(_failure_lines(result)))
    return [load, failed]


def _failure_lines(result: RunResult) -> Iterable[Line]:
    total = result.total
    if total.rate(builtin.ITERATION_FAILED.name).hits:
        yield Line("failed iterations", "bad", _hits_a_second(result, builtin.ITERATION_FAILED.name, hit=True))
    if total.rate("http_req_failed").hits:  # dashed, since each often fails its iteration: both lines can be seen
        yield Line("failed HTTP requests", "more", _hits_a_second(result, "http_req_failed", hit=True))
    if result.failed_checks:
        yield Line("false checks", "p99", _hits_a_second(result, builtin.CHECKS.name, hit=False))
    if total.count(builtin.DROPPED_ITERATIONS.name):
        rates = result.windows.rates(builtin.DROPPED_ITERATIONS.name)
        yield Line("dropped iterations", "vus", tuple(rate for _, rate in rates))


def _hits_a_second(result: RunResult, rate: str, *, hit: bool) -> Values:
    windows = result.windows
    hits, total = dict(windows.points(rate, "hits")), dict(windows.points(rate, "total"))
    spans = zip(windows.start_s, windows.end_s, strict=True)
    counts = ((hits.get(end_s, 0.0), total.get(end_s, 0.0), end_s - start_s) for start_s, end_s in spans)
    return tuple((hits if hit else total - hits) / span_s if span_s > 0 else None for hits, total, span_s in counts)


def trend_chart(result: RunResult, metric: str) -> Chart:
    """Return the percentiles of a trend over time, without limits. The chart may be empty."""
    lines = []
    for aggregate, style in _PERCENTILES:
        points = dict(result.windows.points(metric, aggregate))
        lines.append(Line(style, style, tuple(points.get(end_s) for end_s in result.windows.end_s)))
    return Chart(short_name(metric), unit_of(metric), tuple(lines), metric=metric)


def _judged_chart(result: RunResult, on: Sequence[Judged]) -> Chart:
    threshold = on[0][0]
    windows = result.windows.judged(threshold.metric)
    states = [window.snapshot.select(threshold.metric, dict(threshold.tags)) for window in windows]
    title, crossed = short_name(threshold.selector), tuple(chain.from_iterable(limit.crossed for _, limit in on))
    if any(isinstance(state, Histogram) for state in states):
        return _trend_chart(title, on, states, windows, crossed)
    share = any(isinstance(state, RateState) for state in states)
    counted = any(isinstance(state, CounterState) for state in states)
    aggregate = threshold.aggregate if not counted else "rate"
    line = Line("a second" if counted else aggregate, "p95", _figures(states, windows, aggregate, 100 if share else 1))
    unit = "%" if share else f"{unit_of(threshold.metric)}/s" if counted else unit_of(threshold.metric)
    return Chart(title, unit, (line,), _bounds(on, 100 if share else 1, counted=counted), crossed=_joined(crossed))


def _trend_chart(
    title: str,
    on: Sequence[Judged],
    states: Sequence[State | None],
    windows: Sequence[Window],
    crossed: Sequence[Crossing],
) -> Chart:
    asked = dict.fromkeys(_SAME.get(one.aggregate, one.aggregate) for one, _ in on)
    known = dict(_PERCENTILES)
    lines = [Line(style, style, _figures(states, windows, aggregate)) for aggregate, style in _PERCENTILES]
    lines += [
        Line(aggregate, "more", _figures(states, windows, aggregate))
        for aggregate in asked
        if aggregate not in known and aggregate != "count"
    ]
    quantile = next((one.quantile for one, _ in on if one.quantile is not None), None)
    found = None if quantile is None else _band(states, windows, quantile)
    bounds = _bounds([one for one in on if one[0].aggregate != "count"])
    metric, tags = on[0][0].metric, on[0][0].tags
    return Chart(title, unit_of(metric), tuple(lines), bounds, found, _joined(crossed), metric=metric, tags=tags)


def _bounds(on: Sequence[Judged], factor: float = 1, *, counted: bool = False) -> tuple[Bound, ...]:
    shown = [one for one in on if not (counted and one[0].aggregate == "count")]
    return tuple(
        Bound(
            one.limit * factor,
            one_line(f"limit {one.aggregate}{one.scope} {limit.bound}"),
            of_samples=one.quantile is not None or one.aggregate in {"min", "max"},
        )
        for one, limit in shown
    )


def _figures(states: Sequence[State | None], windows: Sequence[Window], aggregate: str, factor: float = 1) -> Values:
    pairs = zip(states, windows, strict=True)
    return tuple(_figure(state, aggregate, window.end_s - window.start_s, factor) for state, window in pairs)


def _figure(state: State | None, aggregate: str, span_s: float, factor: float) -> float | None:
    value = None if state is None else aggregate_of(state, aggregate, span_s)
    return None if value is None or not math.isfinite(value) else value * factor


def _band(states: Sequence[State | None], windows: Sequence[Window], quantile: float) -> Band | None:
    """Return the interval of *quantile* window by window, each with as many of its neighbours as it needs for one.

    None where a whole minute of windows is too little. Samples count as independent here, as of so short a time.
    """
    counts = sorted(state.count for state in states if isinstance(state, Histogram) and state.count)
    needed = _ENOUGH * needed_samples(quantile)
    if not counts or (middle := counts[len(counts) // 2]) * _WIDEST_BAND < needed:
        return None
    beside = max(0, math.ceil((needed / middle - 1) / 2))
    found = [_interval(states[max(0, at - beside) : at + beside + 1], quantile) for at in range(len(states))]
    found = [span if states[at] is not None else None for at, span in enumerate(found)]
    if all(span is None for span in found):
        return None
    over_s = (2 * beside + 1) * (windows[0].end_s - windows[0].start_s)
    name = f"95 % interval of p{figure(quantile * 100)} over {format_duration(round(over_s) or over_s)}"
    return Band(name, *(tuple(None if span is None else span[end] for span in found) for end in (0, 1)))


def _interval(states: Sequence[State | None], quantile: float) -> tuple[float, float] | None:
    together = Histogram()
    for state in states:
        if isinstance(state, Histogram):
            together.merge(state)
    if not together.count:
        return None
    low, high = interval_ranks(together.count, quantile, Precision(together.count, 1.0, _INDEPENDENT), 0.95)
    return together.values_at(max(1, low), high) if high <= together.count else None


def _joined(crossed: Sequence[Crossing]) -> tuple[Crossing, ...]:
    """Return the spans in which any limit was crossed: two that overlap as one."""
    spans: list[Crossing] = []
    for span in sorted(crossed, key=lambda span: span.start_s):
        if spans and span.start_s <= spans[-1].end_s:
            last = spans[-1]
            spans[-1] = Crossing(last.start_s, max(last.end_s, span.end_s), max(last.windows, span.windows))
        else:
            spans.append(span)
    return tuple(spans)
