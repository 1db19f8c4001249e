"""Files of results stay small, with figures as a real run has them: lognormal times, a few judged, some by tags."""

from __future__ import annotations

import random

import pytest

from pytest_cdcperf.judging.verdict import Verdict
from pytest_cdcperf.metrics.histogram import Histogram
from pytest_cdcperf.metrics.metric import Kind
from pytest_cdcperf.metrics.snapshot import CounterState, GaugeState, RateState, SeriesKey, Snapshot
from pytest_cdcperf.metrics.timeline import Timeline, Window
from pytest_cdcperf.results.json import read_result, write_result
from pytest_cdcperf.results.result import RunFacts, RunResult
from pytest_cdcperf.results.windows import windows_of

TRENDS, COUNTERS, RATES, GAUGES = 14, 16, 4, 6  # 40 metrics
JUDGED = {"trend_0", "trend_1", "trend_2"}
KB = 1000


def second(number, dice):
    snapshot = Snapshot()
    for place in range(TRENDS):
        times = Histogram()
        times.record([dice.lognormvariate(3, 0.6) for _ in range(100)])
        snapshot.series[SeriesKey(f"trend_{place}", Kind.TREND, (("table", f"t{place % 3}"),))] = times
    for place in range(COUNTERS):
        snapshot.series[SeriesKey(f"counter_{place}", Kind.COUNTER)] = CounterState(float(dice.randint(90, 110)))
    for place in range(RATES):
        snapshot.series[SeriesKey(f"rate_{place}", Kind.RATE)] = RateState(dice.randint(95, 100), 100)
    for place in range(GAUGES):
        value = dice.uniform(200, 300)
        gauge = GaugeState(value=value, min=value, max=value, at_s=float(number))
        snapshot.series[SeriesKey(f"gauge_{place}", Kind.GAUGE)] = gauge
    return Window(float(number), number + 1.0, snapshot)


@pytest.mark.parametrize(("seconds", "most_bytes"), [(60, 150 * KB), (600, 600 * KB)])
def test_the_file_of_a_run_stays_small_and_has_all_windows(tmp_path, seconds, most_bytes):
    dice = random.Random(7)  # noqa: S311
    timeline = Timeline(apart=dict.fromkeys(JUDGED, ()))
    for number in range(seconds):
        timeline.add(second(number, dice))
    facts = RunFacts("r1", "test_shop.py::test_order", "100 starts a second", float(seconds))
    result = RunResult(
        facts,
        float(seconds),
        Verdict.PASSED,
        total=timeline.total,
        series=timeline.series,
        windows=windows_of(timeline.history, JUDGED),
    )
    path = write_result(result, tmp_path)
    read = read_result(path).windows
    assert (len(read.end_s), len(read.metrics), len(read.series)) == (seconds, 40, 3)
    assert read.series[0].histogram(seconds - 1).count == 100
    assert path.stat().st_size < most_bytes, f"{path.stat().st_size:,} bytes"
