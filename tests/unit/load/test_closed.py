from __future__ import annotations

import pytest

from pytest_cdcperf.load.closed import ConstantVUs, PerVUIterations, RampingVUs, SharedIterations
from pytest_cdcperf.load.share import WHOLE, Share

LATE = ConstantVUs(duration="10s", start_at="5s")
COUNTED = PerVUIterations(iterations=3, max_duration="10s")
SHORT = PerVUIterations(start_at="2s", max_duration="1s")
HILL = RampingVUs(start_at="5s", stages=[("10s", 2), ("10s", 2), ("10s", 0)])
TWO_HILLS = RampingVUs(start_vus=1, stages=[("10s", 2), ("10s", 0), ("10s", 2)])


@pytest.mark.parametrize(
    ("load", "number", "elapsed_s", "started", "wait"),
    [
        (ConstantVUs(duration="10s"), 0, 0.0, 0, 0.0),
        (ConstantVUs(duration="10s"), 0, 9.999, 10**6, 0.0),
        (ConstantVUs(duration="10s"), 0, 10.0, 0, None),
        (LATE, 0, 0.0, 0, 5.0),
        (LATE, 0, 4.5, 0, 0.5),
        (LATE, 0, 5.0, 0, 0.0),
        (LATE, 0, 14.9, 7, 0.0),
        (LATE, 0, 15.0, 7, None),
        (COUNTED, 0, 0.0, 0, 0.0),
        (COUNTED, 0, 1.0, 2, 0.0),
        (COUNTED, 0, 1.0, 3, None),
        (COUNTED, 0, 10.0, 0, None),
        (SHORT, 0, 1.5, 0, 0.5),
        (SHORT, 0, 3.0, 0, None),
        (SharedIterations(start_at="2s", max_duration="1s"), 0, 1.5, 0, 0.5),
        (SharedIterations(start_at="2s", max_duration="1s"), 0, 3.0, 0, None),
        (HILL, 0, 0.0, 0, 10.0),  # the first VU comes when the ramp reaches 1
        (HILL, 1, 0.0, 0, 15.0),
        (HILL, 0, 10.0, 0, 0.0),
        (HILL, 1, 12.0, 5, 3.0),
        (HILL, 1, 15.0, 5, 0.0),
        (HILL, 1, 29.999, 5, 0.0),
        (HILL, 1, 30.0, 5, None),  # the second VU leaves when it is down to 1
        (HILL, 0, 34.9, 5, 0.0),
        (HILL, 0, 35.0, 5, None),
        (HILL, 2, 0.0, 0, None),
        (TWO_HILLS, 0, 0.0, 0, 0.0),
        (TWO_HILLS, 0, 21.0, 9, 4.0),  # between two hills it waits
        (TWO_HILLS, 1, 16.0, 9, 14.0),
        (TWO_HILLS, 0, 30.0, 9, None),
    ],
)
def test_a_vu_starts_waits_or_stops(load, number, elapsed_s, started, wait):
    assert load.pacing(WHOLE)(number)(elapsed_s, started) == pytest.approx(wait)


def handed_out(load, share):
    by_vu = load.pacing(share)
    pacings = [by_vu(number) for number in share.numbers(load.vus)]
    turns = 0
    while pacings and pacings[turns % len(pacings)](1.0, 0) == 0.0:
        turns += 1
    assert all(pace(1.0, 0) is None for pace in pacings)
    return turns


@pytest.mark.parametrize(("iterations", "vus"), [(20, 8), (3, 9), (21, 8)])
@pytest.mark.parametrize("of", [1, 2, 3, 8])
def test_shared_iterations_are_handed_out_exactly_over_all_vus_and_workers(iterations, vus, of):
    given = [handed_out(SharedIterations(vus=vus, iterations=iterations), Share(index, of)) for index in range(of)]
    assert sum(given) == iterations
    assert max(given) - min(given) <= 1


@pytest.mark.parametrize("of", [3, 5])
def test_shared_iterations_are_handed_out_where_workers_outnumber_the_vus(of):
    load = SharedIterations(vus=2, iterations=20)
    assert sum(handed_out(load, Share(index, of)) for index in range(of)) == 20


def test_waiting_for_the_start_takes_no_iteration():
    load = SharedIterations(start_at="5s", iterations=2)
    pace = load.pacing(WHOLE)(0)
    assert [pace(1.0, 0), pace(2.0, 0), pace(4.0, 0)] == [4.0, 3.0, 1.0]
    assert [pace(5.0, 0), pace(5.0, 1), pace(5.0, 2)] == [0.0, 0.0, None]


RAMP = RampingVUs(start_vus=1, stages=[("4s", 6), ("3s", 6), ("0s", 2), ("3s", 0)], start_at="1s")


@pytest.mark.parametrize("tenths", range(3, 125, 4))
def test_the_most_vus_of_a_moment_are_those_whose_spans_cover_it(tenths):
    at_s = tenths / 10
    there = sum(begin <= at_s < end for vu in range(RAMP.most_vus) for begin, end in RAMP.spans(vu))
    assert RAMP.most_between(at_s, at_s + 1e-3) == there


@pytest.mark.parametrize(
    ("load", "begin_s", "end_s", "most"),
    [
        (RAMP, 0, 1, 0),
        (RAMP, 0, 20, 6),
        (RAMP, 8, 9, 2),  # the step down is at 8 s
        (RAMP, 11, 12, 0),
        (ConstantVUs(vus=3, duration="5s", start_at="2s"), 0, 2, 0),
        (ConstantVUs(vus=3, duration="5s", start_at="2s"), 1.9, 2.1, 3),
        (ConstantVUs(vus=3, duration="5s", start_at="2s"), 7, 8, 0),
    ],
)
def test_the_most_vus_between_two_times(load, begin_s, end_s, most):
    assert load.most_between(begin_s, end_s) == most


def test_the_spans_of_a_vu_count_from_the_common_start():
    assert HILL.spans(1) == [(15.0, 30.0)]
    assert LATE.spans(3) == [(5.0, 15.0)]
