from __future__ import annotations

import pytest

from pytest_cdcperf.judging.own_delay import distorts, lost_s, only_delays, own_delay_ms, tolerance_ms
from pytest_cdcperf.metrics.metric import Kind
from pytest_cdcperf.metrics.snapshot import CounterState, SeriesKey, Snapshot, new_state


def figures(**trends):
    series = {}
    for name, values in trends.items():
        series[SeriesKey(name, Kind.TREND)] = state = new_state(Kind.TREND)
        state.record(values)
    return Snapshot(series)


@pytest.mark.parametrize(
    ("aggregate", "own_ms"),
    [("p(50)", 2.0), ("med", 2.0), ("p(95)", 2.0), ("p(99)", 80.0), ("max", 200.0), ("avg", 5.54), ("count", 0.0)],
)
def test_own_delay_is_twice_the_lateness_of_the_beats_at_the_same_place(aggregate, own_ms):
    snapshot = figures(generator_delay=[1.0] * 97 + [40.0] * 2 + [100.0])
    assert own_delay_ms(snapshot, aggregate) == pytest.approx(own_ms, rel=0.05)


@pytest.mark.parametrize(("lag_ms", "own_ms"), [(70.0, 80.0), (90.0, 90.0)])
def test_late_starts_count_where_they_are_later(lag_ms, own_ms):
    snapshot = figures(generator_delay=[40.0], generator_lag=[lag_ms])
    assert own_delay_ms(snapshot, "p(95)") == own_ms


def test_without_a_beat_nothing_is_known():
    assert own_delay_ms(Snapshot(), "p(95)") == lost_s(Snapshot()) == 0.0


@pytest.mark.parametrize(("figure_ms", "tolerated_ms"), [(0.0, 10.0), (99.0, 10.0), (300.0, 30.0)])
def test_ten_milliseconds_or_a_tenth_are_tolerated(figure_ms, tolerated_ms):
    assert tolerance_ms(figure_ms) == pytest.approx(tolerated_ms)


@pytest.mark.parametrize(
    ("late_ms", "response_ms", "is_distorted"),
    [(5.0, 20.0, False), (5.1, 20.0, True), (14.0, 300.0, False), (16.0, 300.0, True)],
)
def test_a_window_is_distorted_by_an_own_delay_beyond_that(late_ms, response_ms, is_distorted):
    snapshot = figures(generator_delay=[late_ms] * 100, response_time=[response_ms] * 20)
    assert distorts(snapshot, "response_time") is is_distorted


def test_what_tells_of_the_generator_can_be_kept_alone():
    snapshot = figures(generator_delay=[1.0], generator_lag=[1.0], response_time=[1.0])
    snapshot.series[SeriesKey("generator_lost_s", Kind.COUNTER)] = CounterState(0.25)
    assert only_delays(snapshot).names() == ["generator_delay", "generator_lag", "generator_lost_s"]
    assert lost_s(snapshot) == 0.25
