from __future__ import annotations

import random
from collections import Counter
from itertools import pairwise

import pytest

from pytest_cdcperf.judging.live import Judging
from pytest_cdcperf.judging.parser import Limit, parse_thresholds
from pytest_cdcperf.metrics.caps import MAX_METRICS, MAX_SERIES, MAX_SERIES_PER_METRIC
from pytest_cdcperf.metrics.histogram import Histogram
from pytest_cdcperf.metrics.metric import Kind
from pytest_cdcperf.metrics.phases import Phase
from pytest_cdcperf.metrics.snapshot import FEW_BUCKETS, CounterState, GaugeState, SeriesKey, Snapshot
from pytest_cdcperf.metrics.timeline import MAX_HISTORY, MAX_HISTORY_STATES, Timeline, Window

COUNT, TIME, VUS = SeriesKey("c", Kind.COUNTER), SeriesKey("t", Kind.TREND), SeriesKey("v", Kind.GAUGE)


def window(number):
    histogram = Histogram()
    histogram.record([number + 1.0])
    gauge = GaugeState(value=number, min=number, max=number)
    return Window(number, number + 1, Snapshot({COUNT: CounterState(1), TIME: histogram, VUS: gauge}))


def timeline_of(count):
    timeline = Timeline()
    for number in range(count):
        timeline.add(window(number))
        assert len(timeline.history) <= MAX_HISTORY
    return timeline


@pytest.mark.parametrize("count", [0, 1, 2, 599, 600, 601, 602, 901, 1199, 1200, 1201, 1203, 2500, 5000])
def test_the_history_stays_bounded_and_holds_everything(count):
    timeline = timeline_of(count)
    joined = Snapshot()
    for part in timeline.history:
        joined.extend(part.snapshot)
    for snapshot in (joined, timeline.total):
        if count:
            assert snapshot.series[COUNT].total == snapshot.series[TIME].count == count
            assert snapshot.series[TIME].sum == count * (count + 1) / 2
            assert (snapshot.series[VUS].value, snapshot.series[VUS].max) == (count - 1, count - 1)
    assert timeline.elapsed_s == count


@pytest.mark.parametrize("count", [1, 601, 1203, 5000])
def test_the_history_has_neither_gap_nor_overlap(count):
    history = timeline_of(count).history
    assert (history[0].start_s, history[-1].end_s) == (0, count)
    assert all(earlier.end_s == later.start_s for earlier, later in pairwise(history))


@pytest.mark.parametrize(
    "count",
    [
        1,
        600,
        601,
        602,
        700,
        1200,
        1300,
    ],
)
def test_all_windows_of_the_history_but_the_last_are_equally_long(count):
    history = timeline_of(count).history
    assert len({part.duration_s for part in history[:-1]}) <= 1
    assert history[-1].duration_s <= history[0].duration_s


def test_the_total_is_fine_and_the_history_coarse():
    timeline = timeline_of(3)
    assert timeline.total.series[TIME].schema == 7
    assert {part.snapshot.series[TIME].schema for part in timeline.history} == {4}
    assert {part.snapshot.series[TIME].schema for part in timeline_of(700).history} == {4}


def test_a_window_knows_its_length():
    assert Window(1.5, 4.0, Snapshot()).duration_s == 2.5


PHASES = (Phase("ramp-up", 0, 3), Phase("hold", 3, 6), Phase("ramp-down", 6, 8), Phase("hold", 8, 9))


TOLD = {"apart": {"c": (), "t": ()}, "in_phases": {"c", "t"}}


def test_phases_have_their_own_totals():
    timeline = Timeline(PHASES, **TOLD)
    for number in range(11):
        timeline.add(window(number))
    assert {name: snapshot.series[COUNT].total for name, snapshot in timeline.by_phase.items()} == {
        "ramp-up": 3,
        "hold": 4,
        "ramp-down": 2,
    }
    assert timeline.by_phase["hold"].series[TIME].schema == 7
    assert timeline.total.series[COUNT].total == 11


@pytest.mark.parametrize(("start_s", "phase"), [(2.4, "ramp-up"), (2.5, "hold"), (2.6, "hold"), (5.4, "hold")])
def test_a_window_belongs_to_the_phase_of_its_middle(start_s, phase):
    timeline = Timeline(PHASES, **TOLD)
    timeline.add(Window(start_s, start_s + 1, window(0).snapshot))
    assert list(timeline.by_phase) == [phase]


def test_what_an_iteration_measured_belongs_to_the_phase_in_which_it_began():
    timeline = Timeline(PHASES, **TOLD)
    for second, phase, times in ((2, 0, 3), (2, 1, 2), (7, 1, 4), (12, 3, 5), (12, 1, 1)):
        series = {COUNT.in_phase(phase): CounterState(times), VUS.in_phase(phase): window(second).snapshot.series[VUS]}
        timeline.add(Window(second, second + 1, Snapshot(series)))
    assert {name: snapshot.series for name, snapshot in timeline.by_phase.items()} == {
        "ramp-up": {COUNT: CounterState(3)},
        "hold": {COUNT: CounterState(2 + 4 + 5 + 1)},
    }
    assert set(timeline.total.series) == set(timeline.series.series) == {COUNT, VUS}
    assert timeline.total.series[COUNT].total == 15
    assert [{key.phase for key in part.snapshot.series if key.name == "c"} for part in timeline.history][:3] == [
        {0},
        {1},
        {1},
    ]


def test_a_history_whose_windows_are_joined_still_tells_the_phases_apart():
    timeline = Timeline(PHASES, **TOLD)
    for number in range(MAX_HISTORY + 1):
        timeline.add(Window(number, number + 1, Snapshot({COUNT.in_phase(number % 2): CounterState(1)})))
    assert timeline.history[0].duration_s == 2
    assert timeline.history[0].snapshot.phases("c") == {0, 1}
    assert timeline.history[0].snapshot.select("c", phases={1}).total == 1


def test_sets_of_tags_count_once_over_all_phases_towards_the_caps():
    timeline = Timeline(PHASES, **TOLD)
    for phase in range(4):
        keys = [SeriesKey("c", Kind.COUNTER, (("id", str(number)),), phase) for number in range(MAX_SERIES_PER_METRIC)]
        timeline.add(Window(phase, phase + 1, Snapshot({key: CounterState(1) for key in keys})))
    assert timeline.notes() == []
    assert len(timeline.series.series) == MAX_SERIES_PER_METRIC


def test_without_phases_there_are_none():
    assert timeline_of(3).by_phase == {}


def crowd(metrics, series, samples=10_000, seed=1):
    """The snapshot of a second in which *samples* are spread over *metrics* trends of *series* sets of tags each."""
    draw = random.Random(seed)  # noqa: S311
    keys = [
        SeriesKey(f"t_series_{metric}", Kind.TREND, (("url", f"/{url}"),))
        for metric in range(metrics)
        for url in range(series)
    ]
    values = {}
    for _ in range(samples):
        values.setdefault(draw.choice(keys), []).append(draw.lognormvariate(3, 1))
    snapshot = Snapshot()
    for key, drawn in values.items():
        snapshot.series[key] = histogram = Histogram()
        histogram.record(drawn)
    return snapshot


CROWDS = [(1, 1), (4, 195), (30, 60), (MAX_METRICS + 10, 10), (20, 300)]


@pytest.mark.parametrize(("metrics", "series"), CROWDS)
def test_whatever_is_recorded_what_is_kept_is_bounded(metrics, series):
    timeline = Timeline()
    seconds = [crowd(metrics, series, 2000, seed) for seed in range(4)]
    for second in range(12):
        timeline.add(Window(second, second + 1, seconds[second % 4]))
    assert len(timeline.total.series) <= MAX_METRICS
    assert len(timeline.series.series) <= MAX_SERIES + 6 * MAX_METRICS
    for name in timeline.series.names():
        assert sum(key.name == name for key in timeline.series.series) <= MAX_SERIES_PER_METRIC + 1
    assert all(len(state.positive) <= FEW_BUCKETS for state in timeline.series.series.values())
    assert {key.tags for window in timeline.history for key in window.snapshot.series} == {()}
    left_out = metrics > MAX_METRICS
    assert bool(timeline.notes()) == (left_out or metrics * series > MAX_SERIES or series > MAX_SERIES_PER_METRIC)
    if not left_out:
        assert sum(state.count for state in timeline.series.series.values()) == 24_000
        assert sum(state.count for state in timeline.total.series.values()) == 24_000


def test_a_history_of_many_metrics_has_fewer_windows():
    timeline = Timeline()
    second = Snapshot({SeriesKey(f"c{number}", Kind.COUNTER): CounterState(1) for number in range(MAX_METRICS)})
    for number in range(MAX_HISTORY):
        timeline.add(Window(number, number + 1, second))
    assert sum(len(window.snapshot.series) for window in timeline.history) <= MAX_HISTORY_STATES
    assert sum(window.snapshot.select("c7").total for window in timeline.history) == MAX_HISTORY
    assert len(timeline.history) > 50


def size_of(snapshot):
    """About how many bytes a snapshot takes; `python -m benchmarks memory` measures it."""
    return sum(
        900 + 110 * len(state.positive) if type(state.positive) is Counter else 700 + len(state.positive.cells)
        for state in snapshot.series.values()
    )


@pytest.mark.parametrize(("metrics", "series"), [(1, 1), (4, 195), (MAX_METRICS, 7)])
def test_memory_has_a_ceiling(metrics, series):
    """At 10,000 samples a second, of any length: docs/measurement.md states it."""
    seconds = [crowd(metrics, series, seed=seed) for seed in range(2)]
    thresholds = {"t_series_0": [Limit("p(95)<1000", over="10m"), Limit("p(95)<1000", phase="hold")]}
    judging = Judging(parse_thresholds(thresholds), [Phase("hold", 0, 86_400)])
    timeline, many = judging.timeline, 8
    for second in range(many):
        judging.add(Window(second, second + 1, seconds[second % 2]))
    history = sum(size_of(window.snapshot) for window in timeline.history)
    states = many * len(timeline.total.series)
    (sliding,) = judging._sliding.values()
    pieces = sum(size_of(piece.snapshot) for piece in sliding._pieces) / len(sliding._pieces)
    # Totals at their most: as wide as a lognormal distribution gets in days, or the few buckets that there may be.
    totals = len(timeline.total.series) * 1200 * 110 + len(timeline.series.series) * FEW_BUCKETS * 110
    most = totals + history * min(MAX_HISTORY / many, MAX_HISTORY_STATES / states) + 121 * pieces
    assert most < 130e6, f"{most / 1e6:.0f} MB"
