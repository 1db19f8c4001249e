"""Charts over time: what is drawn of which limit, and what happened when."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import pytest

from pytest_cdcperf.judging.evaluation import evaluate
from pytest_cdcperf.judging.parser import parse_thresholds
from pytest_cdcperf.judging.rules.breaking_point import Breaking, BreakingPoint
from pytest_cdcperf.metrics.histogram import Histogram
from pytest_cdcperf.metrics.metric import Kind, Trend
from pytest_cdcperf.metrics.phases import Phase
from pytest_cdcperf.metrics.snapshot import GaugeState, RateState, SeriesKey, Snapshot
from pytest_cdcperf.metrics.timeline import Window
from pytest_cdcperf.reporting.html.chart import Bound, Chart, Line
from pytest_cdcperf.reporting.html.markup import joined
from pytest_cdcperf.reporting.html.over_time import judged_charts, load_charts, timeline
from pytest_cdcperf.reporting.html.pictures import drawn
from pytest_cdcperf.reporting.html.svg import bound_lines
from pytest_cdcperf.reporting.view import RunView
from pytest_cdcperf.results.result import EventKind, RunEvent
from pytest_cdcperf.results.windows import windows_of
from tests.unit.reporting.html.reading import read

TREND = Trend("t_over_time", unit="ms").name
LEVELS = (10, 10, 30, 30, 10, 10)  # the trend's, window by window


def histogram(level, samples=100):
    found = Histogram()
    found.record([level * (1 + n / samples) for n in range(samples)])
    return found


def run_of(empty, limits, samples=100, vus=(4, 4, 4, 4, 4, 4), **more):
    history, total = [], Snapshot()
    for second, level in enumerate(LEVELS):
        snapshot = Snapshot(
            {
                SeriesKey(TREND, Kind.TREND): histogram(level, samples),
                SeriesKey("checks", Kind.RATE): RateState(9, 10),
                SeriesKey("iteration_failed", Kind.RATE): RateState(second, 10),
                SeriesKey("vus", Kind.GAUGE): GaugeState(vus[second], vus[second], vus[second]),
            }
        )
        total.extend(snapshot)
        history.append(Window(float(second), second + 1.0, snapshot))
    thresholds = parse_thresholds(limits)
    return replace(
        empty,
        elapsed_s=6.0,
        thresholds=tuple(evaluate(threshold, total, 6.0) for threshold in thresholds),
        total=total,
        windows=windows_of(history, {threshold.metric for threshold in thresholds}),
        **more,
    )


def charts_of(result):
    return {chart.title: chart for chart in judged_charts(result, RunView.of(result))}


def test_a_trend_has_its_percentiles_and_whatever_else_is_judged(empty):
    chart = charts_of(run_of(empty, {TREND: ["p(90)<25", "avg<100", "p(95)<90"]}))[TREND]
    assert [line.name for line in chart.lines] == ["p50", "p95", "p99", "p(90)", "avg"]
    assert [bound.text for bound in chart.bounds] == [
        "limit p(90) < 25 ms",
        "limit avg < 100 ms",
        "limit p(95) < 90 ms",
    ]
    assert [bound.of_samples for bound in chart.bounds] == [True, False, True]
    p90 = chart.lines[3].values
    assert [value > 25 for value in p90] == [False, False, True, True, False, False]


def test_the_spans_in_which_a_limit_is_crossed_are_marked_once(empty):
    chart = charts_of(run_of(empty, {TREND: ["p(95)<40", "p(50)<40"]}))[TREND]
    assert [(span.start_s, span.end_s) for span in chart.crossed] == [(2.0, 4.0)]


def test_what_is_crossed_comes_first(empty):
    limits = {"checks": "rate>0.5", TREND: "p(95)<11"}
    assert list(charts_of(run_of(empty, limits))) == [TREND, "checks"]
    assert charts_of(run_of(empty, limits))["checks"].unit == "%"
    assert charts_of(run_of(empty, limits))["checks"].lines[0].values == (90.0,) * 6


def test_the_interval_lies_around_its_percentile(empty):
    band = charts_of(run_of(empty, {TREND: "p(50)<25"}, samples=200))[TREND].band
    assert band.name == "95 % interval of p50 over 1s"
    median = [histogram(level, 200).quantile(0.5) for level in LEVELS]
    assert all(low < value < high for low, value, high in zip(band.low, median, band.high, strict=True))


def test_few_samples_a_window_have_the_interval_of_several_together(empty):
    band = charts_of(run_of(empty, {TREND: "p(50)<25"}, samples=4))[TREND].band
    assert band.name == "95 % interval of p50 over 5s"
    assert charts_of(run_of(empty, {TREND: "p(99)<25"}, samples=4))[TREND].band is None


def test_load_and_failures_are_a_second(empty):
    load, failed = load_charts(run_of(empty, {}))
    assert [(line.name, line.right) for line in load.lines] == [("iterations/s", False), ("VUs", True)]
    assert load.lines[1].values == (4.0,) * 6
    assert {line.name: line.values for line in failed.lines} == {
        "failed iterations": (0, 1, 2, 3, 4, 5),
        "false checks": (1,) * 6,
    }


def test_the_vus_end_with_the_load(empty):
    load, _ = load_charts(run_of(empty, {}, vus=(2, 0, 4, 4, 0, 0)))
    assert load.lines[1].values == (2, 0, 4, 4, None, None)


def test_the_breaking_point_recovery_and_events_are_marks(empty):
    broke = BreakingPoint(Breaking.FOUND, 40, at_s=3.0, recovered_at_s=5.0, recovered_vus=7)
    events = (RunEvent(1.0, EventKind.WORKER_LOST, "gw1 died", "gw1"),)
    phases = (Phase("ramp-up", 0.0, 2.0), Phase("hold", 2.0, 9.0))
    time = timeline(run_of(empty, {}, breaking_point=broke, events=events, phases=phases))
    assert [(mark.at_s, mark.text, mark.style) for mark in time.marks] == [
        (1.0, "worker lost gw1", "bad"),
        (3.0, "breaking point, 40 VUs", "event"),
        (5.0, "recovered, 7 VUs", "event"),
    ]
    assert [(ramp.name, ramp.start_s, ramp.end_s, ramp.shaded) for ramp in time.ramps] == [
        ("ramp-up", 0.0, 2.0, True),
        ("hold", 2.0, 6.0, False),
    ]


@pytest.mark.parametrize(
    ("values", "bounds", "ends"),
    [
        ((1.0, 412.0), (), (0, 500)),
        ((1.0, 412.0), (600.0,), (0, 800)),
        ((1.0, 412.0), (5000.0,), (0, 500)),  # far above: it would flatten the line
        ((-3.0, 4.0), (), (-4, 6)),
        ((0.0, 0.0), (), (0, 1)),
        ((None, None), (), (0, 1)),
    ],
)
def test_an_axis_holds_all_figures_and_the_limits_that_are_near(values, bounds, ends):
    chart = Chart("t", "ms", (Line("a", "p50", values),), tuple(Bound(value, "") for value in bounds))
    assert (chart.axis()[0], chart.axis()[-1]) == ends


@pytest.mark.parametrize(
    ("values", "bounds", "ends"),
    [
        ((99.9, 98.0), (90.0,), (85, 100)),
        ((100.0, 100.0), (), (99, 100)),
        ((100.0, 100.0), (99.9,), (99, 100)),
        ((55.0, 98.0), (), (40, 100)),
        ((0.0, 34.0), (5.0,), (0, 40)),
        ((0.0, 0.0), (5.0,), (0, 6)),
        ((0.0, 100.0), (99.0,), (0, 100)),
        ((0.0, 0.0), (150.0,), (0, 1)),  # never reached: it would flatten the line
        ((None, None), (), (0, 1)),
    ],
)
def test_an_axis_of_shares_shows_the_range_that_matters(values, bounds, ends):
    chart = Chart("t", "%", (Line("a", "p95", values),), tuple(Bound(value, "") for value in bounds))
    assert (chart.axis()[0], chart.axis()[-1]) == ends


@pytest.mark.parametrize("places", [(24, 52), (30, 50), (100, 104), (100, 160), (22, 34, 46)])
def test_texts_of_limits_do_not_cover_each_other(places):
    lines = bound_lines([(y, "limit p(95) < 250 ms") for y in places])
    texts = [one.attributes for one in read(joined(*lines)).all("text")]
    at = [(float(one["x"]), float(one["y"])) for one in texts]
    assert len(at) == len(places)
    assert all(abs(x - x2) > 6 * 20 or abs(y - y2) >= 13 for (x, y), (x2, y2) in combinations(at, 2))


def test_what_is_shaded_is_named_in_the_legend(empty):
    result = run_of(empty, {TREND: "p(50)<15", "checks": "rate>0.5"})
    first, second = (one.figure for one in drawn(charts_of(result).values(), timeline(result), 100))
    assert ">limit crossed</li>" in first
    assert "limit crossed" not in second
