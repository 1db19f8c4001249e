"""The page of a long run with many metrics stays small enough to be opened at once, and to be sent."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from pytest_cdcperf.judging.evaluation import evaluate
from pytest_cdcperf.judging.intervals import Precision
from pytest_cdcperf.judging.parser import parse_thresholds
from pytest_cdcperf.metrics.histogram import Histogram
from pytest_cdcperf.metrics.metric import Kind, Trend
from pytest_cdcperf.metrics.snapshot import CounterState, GaugeState, RateState, SeriesKey, Snapshot
from pytest_cdcperf.metrics.timeline import Window
from pytest_cdcperf.reporting.html.page import page
from pytest_cdcperf.results.windows import windows_of
from tests.unit.reporting.html.reading import read


def run_of(empty, windows, of_s, metrics, judged):
    """A run of so many *windows* and trends, with two limits on each of the first *judged*."""
    chance = random.Random(7)  # noqa: S311 -- figures of no weight
    names = [Trend(f"t_size_{number:02}", unit="ms").name for number in range(metrics)]
    known = [Histogram() for _ in range(50)]
    for number, histogram in enumerate(known):
        histogram.record([chance.lognormvariate(3 + number / 50, 0.5) for _ in range(60)])
    history, total = [], Snapshot()
    for window in range(windows):
        series = {SeriesKey(name, Kind.TREND): chance.choice(known) for name in names}
        series[SeriesKey("iterations", Kind.COUNTER)] = CounterState(chance.randint(900, 1200))
        series[SeriesKey("iteration_failed", Kind.RATE)] = RateState(chance.randint(0, 2), 1000)
        series[SeriesKey("vus", Kind.GAUGE)] = GaugeState(value=50, min=50, max=50)
        snapshot = Snapshot(series)
        total.extend(snapshot)
        history.append(Window(window * of_s, (window + 1) * of_s, snapshot.coarse()))
    limits = parse_thresholds({name: ["p(95)<60", "p(99)<300"] for name in names[:judged]})
    precision = Precision(60 * windows, 1.5, 100, windows)
    return replace(
        empty,
        elapsed_s=windows * of_s,
        thresholds=tuple(evaluate(limit, total, windows * of_s, precision) for limit in limits),
        total=total,
        series=total,
        windows=windows_of(history, {*names[:judged]}),
    )


@pytest.mark.parametrize(
    ("windows", "of_s", "metrics", "judged", "most"), [(60, 1.0, 25, 3, 150_000), (600, 12.0, 37, 12, 500_000)]
)
def test_a_page_has_a_bounded_size(empty, windows, of_s, metrics, judged, most):
    shown = page([run_of(empty, windows, of_s, metrics, judged)])
    assert len(shown.encode()) < most
    left_out = "without a chart: t_size_10, t_size_11" in read(shown).text
    assert left_out is (judged > 10)
