from __future__ import annotations

from itertools import pairwise

import pytest

from pytest_cdcperf.metrics.histogram import Histogram
from pytest_cdcperf.metrics.series import MAX_HISTORY, RECENT_WINDOWS, Timeline, Window
from pytest_cdcperf.metrics.snapshot import CounterState, GaugeState, Kind, SeriesKey, Snapshot
from pytest_cdcperf.model.load import Phase

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


def test_the_latest_windows_are_kept_in_full():
    timeline = timeline_of(RECENT_WINDOWS + 7)
    assert [part.start_s for part in timeline.recent] == list(range(7, RECENT_WINDOWS + 7))
    assert timeline.recent[-1].snapshot.series[TIME].schema == 7


def test_a_window_knows_its_length():
    assert Window(1.5, 4.0, Snapshot()).duration_s == 2.5


PHASES = (Phase("ramp-up", 0, 3), Phase("hold", 3, 6), Phase("ramp-down", 6, 8), Phase("hold", 8, 9))


def test_phases_have_their_own_totals_and_lengths():
    timeline = Timeline(PHASES)
    for number in range(11):
        timeline.add(window(number))
    assert {name: snapshot.series[COUNT].total for name, snapshot in timeline.by_phase.items()} == {
        "ramp-up": 3,
        "hold": 4,
        "ramp-down": 2,
    }
    assert timeline.phase_s == {"ramp-up": 3, "hold": 4, "ramp-down": 2}
    assert timeline.by_phase["hold"].series[TIME].schema == 7
    assert timeline.total.series[COUNT].total == 11


@pytest.mark.parametrize(("start_s", "phase"), [(2.4, "ramp-up"), (2.5, "hold"), (2.6, "hold"), (5.4, "hold")])
def test_a_window_belongs_to_the_phase_of_its_middle(start_s, phase):
    timeline = Timeline(PHASES)
    timeline.add(Window(start_s, start_s + 1, window(0).snapshot))
    assert list(timeline.by_phase) == [phase]


def test_without_phases_there_are_none():
    assert (timeline_of(3).by_phase, timeline_of(3).phase_s) == ({}, {})
