from __future__ import annotations

import pytest

from pytest_cdcperf.reporting.text_chart import ASCII, BLOCKS, bars, time_axis, time_ticks


def test_bars_stand_on_zero_and_reach_the_value_left_of_them():
    assert list(bars([0, 2, 4, 8, 6, 0], 8, "VUs", 2, 10, BLOCKS)) == ["   8 VUs │   █▄", "         │ ▄███"]


def test_a_value_shows_however_small_it_is():
    assert list(bars([1e-6, 1000], 1000, "/s", 1, 10, BLOCKS)) == [" 1,000/s │▁█"]


def test_bars_of_ascii():
    assert list(bars([0, 1, 2, 3, 6], 6, "", 2, 4, ASCII)) == [" 6 |    #", "   | .:##"]


@pytest.mark.parametrize("length_s", [0.004, 0.5, 1, 7, 59, 61, 90, 960, 5400, 7200, 86400, 30 * 86400])
def test_times_are_round_start_at_zero_and_are_no_more_than_asked_for(length_s):
    ticks = time_ticks(length_s, 5)
    assert ticks[0] == 0
    assert ticks[-1] <= length_s
    assert 2 <= len(ticks) <= 6


def test_the_times_stand_below_their_columns_and_the_last_at_the_end():
    axis, times = time_axis(960, 66, 12, BLOCKS)
    assert len(axis) == len(times) == 78
    assert [(axis[12 + column], times[12 + column]) for column in (0, 21, 41)] == [("┴", "0"), ("┴", "5"), ("┴", "1")]
    assert times.split() == ["0", "5m", "10m", "16m"]  # 15m would touch the end


def test_an_axis_of_few_columns_has_its_ends():
    assert list(time_axis(7200, 10, 4, ASCII)) == [" 0 ++---------", "    0       2h"]
