"""Ticks of axes: round, and around all that is drawn."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_cdcperf.reporting.html.scales import log_ticks, ticks, time_ticks

SIZES = st.floats(-1e12, 1e12, allow_nan=False)


@given(SIZES, SIZES)
def test_the_outer_ticks_enclose_the_values_in_few_even_steps(one, other):
    low, high = sorted((one, other))
    found = ticks(low, high)
    if high - low > 1e-6 * max(abs(low), abs(high), 1e-6):
        assert found[0] <= low + 1e-6 * (high - low)
        assert found[-1] >= high - 1e-6 * (high - low)
        steps = {f"{b - a:.3e}" for a, b in pairwise(found)}
        assert len(steps) == 1
        assert steps.pop()[0] in "125"
    assert 2 <= len(found) <= 8


@pytest.mark.parametrize(("low", "high"), [(0, 0), (5, 5), (0, math.inf), (math.nan, 1)])
def test_an_axis_without_a_span_has_two_ends(low, high):
    assert len(ticks(low, high)) == 2


@pytest.mark.parametrize(
    ("end_s", "shown"),
    [
        (0.0, [0]),
        (3.2, [0, 1, 2, 3]),
        (60.0, [0, 10, 20, 30, 40, 50, 60]),
        (7200.0, [0, 900, 1800, 2700, 3600, 4500, 5400, 6300, 7200]),
    ],
)
def test_times_are_round(end_s, shown):
    assert time_ticks(end_s) == shown


def test_thirty_days_have_few_ticks():
    assert len(time_ticks(30 * 86400.0)) <= 11


def test_powers_are_thinned_out_over_many_decades():
    assert log_ticks(9, 11) == [10]
    assert len(log_ticks(1e-9, 1e9, 6)) <= 6
    assert log_ticks(2.1, 4.9) == []
