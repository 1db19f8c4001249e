"""The laws of a ramp, against sums and samples taken by brute force."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pytest_cdcperf.load.ramp import Ramp, Segment

LENGTHS = st.integers(1, 40).map(lambda n: n / 4)
VALUES = st.floats(0, 1000, allow_subnormal=False).map(lambda value: round(value, 3))
COUNTS = st.integers(0, 6)
SMOOTH = st.builds(Ramp.through, VALUES, st.lists(st.tuples(LENGTHS, VALUES), min_size=1, max_size=5))
STEPPED = st.builds(
    Ramp.through,
    COUNTS,
    st.lists(st.tuples(LENGTHS | st.just(0), COUNTS), min_size=1, max_size=5).filter(lambda s: any(n for n, _ in s)),
)

UP_HOLD_DOWN = Ramp.through(0, [(10, 20), (5, 20), (10, 0)])


@pytest.mark.parametrize(
    ("at_s", "value"), [(0, 0), (2.5, 5), (10, 20), (12, 20), (15, 20), (20, 10), (25, 0), (99, 0)]
)
def test_the_value_goes_up_holds_and_comes_down(at_s, value):
    assert UP_HOLD_DOWN.value(at_s) == pytest.approx(value)


def test_beyond_its_end_a_ramp_stays_where_it_was():
    assert Ramp.through(1, [(2, 7)]).value(5) == 7


def test_its_length_and_its_area_are_those_of_all_pieces():
    assert (UP_HOLD_DOWN.length_s, UP_HOLD_DOWN.area) == (25, 100 + 100 + 100)
    assert [segment.slope for segment in UP_HOLD_DOWN.segments] == [2, 0, -2]
    assert [(s.start_s, s.end_s, s.area) for s in UP_HOLD_DOWN.segments] == [(0, 10, 100), (10, 15, 100), (15, 25, 100)]


@pytest.mark.parametrize(
    ("area", "at_s"), [(0, 0), (25, 5), (100, 10), (150, 12.5), (200, 15), (275, 20), (299.99, 24.9)]
)
def test_the_time_of_an_area_up_level_and_down(area, at_s):
    assert UP_HOLD_DOWN.time_of_area(area) == pytest.approx(at_s)


def integral(ramp, until_s):
    """The area up to a time, piece by piece from the values alone."""
    total = 0.0
    for segment in ramp.segments:
        end_s = min(until_s, segment.end_s)
        if end_s > segment.start_s:
            share = (end_s - segment.start_s) / segment.length_s
            at_end = segment.start_value + (segment.end_value - segment.start_value) * share
            total += (segment.start_value + at_end) / 2 * (end_s - segment.start_s)
    return total


@given(SMOOTH)
def test_the_area_is_the_sum_of_thin_slices(ramp):
    slices = 2000
    width = ramp.length_s / slices
    summed = math.fsum(ramp.value((n + 0.5) * width) * width for n in range(slices))
    assert ramp.area == pytest.approx(summed, rel=0.005, abs=0.01 * max(s.start_value for s in ramp.segments) + 1)
    assert ramp.area == pytest.approx(integral(ramp, ramp.length_s))


@given(SMOOTH, st.floats(0, 0.999999))
def test_the_time_of_an_area_is_the_inverse_of_the_integral(ramp, share):
    area = ramp.area * share
    assume(ramp.area > 1e-3)
    at_s = ramp.time_of_area(area)
    assert 0 <= at_s <= ramp.length_s * (1 + 1e-12)
    assert integral(ramp, at_s) == pytest.approx(area, rel=1e-9, abs=1e-9 * ramp.area)


@given(SMOOTH, st.floats(0, 1), st.floats(0, 1))
def test_a_larger_area_is_never_reached_earlier(ramp, one, other):
    assume(ramp.area > 0)
    less, more = sorted([one * 0.999999, other * 0.999999])
    assert ramp.time_of_area(less * ramp.area) <= ramp.time_of_area(more * ramp.area) + 1e-12


@pytest.mark.parametrize("value", [1e-9, 1.0, 1e6])
def test_a_shallow_slope_does_not_cancel(value):
    segment = Segment(0.0, 1000.0, value, value * (1 + 1e-13))
    assert segment.time_of_area(value * 500) == pytest.approx(500, rel=1e-12)


def test_a_stretch_of_nothing_is_passed_over():
    ramp = Ramp.through(0, [(10, 0), (10, 10), (10, 0), (10, 0), (10, 4)])
    assert ramp.time_of_area(0) == 10
    assert ramp.time_of_area(50) == pytest.approx(20)
    assert ramp.time_of_area(100) == pytest.approx(40)
    assert ramp.time_of_area(100.2) == pytest.approx(41)


@pytest.mark.parametrize(
    ("start", "stages", "spans"),
    [
        (0, [(10, 2)], {1: [(5, 10)], 2: [(10, 10)]}),
        (2, [(10, 2)], {1: [(0, 10)], 2: [(0, 10)], 3: []}),
        (2, [(10, 0)], {1: [(0, 10)], 2: [(0, 5)]}),
        (0, [(10, 2), (10, 2), (10, 0)], {1: [(5, 30)], 2: [(10, 25)]}),
        (1, [(10, 2), (10, 0), (10, 2)], {1: [(0, 20), (25, 30)], 2: [(10, 15), (30, 30)]}),
        (1, [(10, 1), (0, 3), (10, 3), (0, 1), (10, 1)], {1: [(0, 30)], 2: [(10, 20)], 3: [(10, 20)]}),
        (0, [(0, 2), (10, 2), (0, 0), (10, 0), (10, 1)], {1: [(0, 10), (30, 30)], 2: [(0, 10)]}),
        (4, [(10, 2), (10, 4)], {2: [(0, 20)], 3: [(0, 10), (15, 20)], 4: [(0, 5), (20, 20)]}),
    ],
)
def test_the_spans_in_which_a_unit_is_there(start, stages, spans):
    ramp = Ramp.through(start, stages)
    assert {level: ramp.spans_at_least(level) for level in spans} == spans


def there_by_brute_force(ramp, level, times):
    """Up it comes at *level*, down it leaves at *level* - 1: walked through sample by sample."""
    there, seen = ramp.value(0) >= level, []
    for at_s in times:
        value = ramp.value(at_s)
        there = value > level - 1 if there else value >= level
        seen.append(there)
    return seen


@given(STEPPED, st.integers(1, 6))
def test_the_spans_are_those_of_a_walk_along_the_ramp(ramp, level):
    spans = ramp.spans_at_least(level)
    assert spans == sorted(spans)
    assert all(begin <= end for begin, end in spans)
    edges = [edge for span in spans for edge in span] + [segment.end_s for segment in ramp.segments]
    steps = 800
    times = sorted({ramp.length_s * n / steps for n in range(steps)} | {segment.start_s for segment in ramp.segments})
    walked = there_by_brute_force(ramp, level, times)
    for at_s, there in zip(times, walked, strict=True):
        if min(abs(at_s - edge) for edge in edges) > ramp.length_s / steps * 2:
            assert any(begin <= at_s < end for begin, end in spans) is there, (at_s, spans)
