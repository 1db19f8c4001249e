"""The planned starts of open loops: exact counts, exact times, and a randomness that repeats itself."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_cdcperf.load.open import ConstantArrivalRate, RampingArrivalRate
from pytest_cdcperf.load.ramp import Ramp
from pytest_cdcperf.load.share import Share
from pytest_cdcperf.units import duration_s

RATES = st.integers(0, 60)
STAGES = st.lists(st.tuples(st.sampled_from(["0s", "500ms", "1s", "3s", "7s"]), RATES), min_size=1, max_size=4)


def has_a_start(drawn):
    ramp = Ramp.through(drawn[0], [(duration_s(duration), target) for duration, target in drawn[1]])
    return bool(ramp.segments) and ramp.area >= 1


RAMPS = (
    st.tuples(st.integers(0, 60), STAGES)
    .filter(has_a_start)
    .map(lambda drawn: RampingArrivalRate(start_rate=drawn[0], stages=drawn[1]))
)


@pytest.mark.parametrize(
    ("load", "count"),
    [
        (ConstantArrivalRate(rate=200, duration="1s"), 200),
        (ConstantArrivalRate(rate=0.1, duration="30s"), 3),
        (ConstantArrivalRate(rate=0.1, duration="31s"), 4),
        (ConstantArrivalRate(rate=1, duration="100ms"), 1),
        (ConstantArrivalRate(rate=30, per="1m", duration="10s"), 5),
        (ConstantArrivalRate(rate=1 / 3, duration="9s"), 3),
        (ConstantArrivalRate(rate=0.7, duration="10m"), 420),
        (ConstantArrivalRate(rate=1.1, duration="50s"), 55),  # the float area is a little more
        (RampingArrivalRate(stages=[("10s", 20)]), 100),
        (RampingArrivalRate(start_rate=20, stages=[("10s", 0)]), 100),
        (RampingArrivalRate(start_rate=60, per="1m", stages=[("10s", 120), ("10s", 120)]), 35),
    ],
)
def test_the_count_is_the_area_of_the_plan(load, count):
    assert len(list(load.starts())) == count


def test_a_constant_rate_starts_at_once_and_then_evenly():
    assert list(ConstantArrivalRate(rate=4, duration="1s").starts()) == [0, 0.25, 0.5, 0.75]


def test_a_ramp_starts_where_the_integral_of_its_rate_reaches_one():
    assert list(RampingArrivalRate(start_rate=2, stages=[("2s", 2)]).starts()) == [0.5, 1, 1.5, 2]
    assert next(RampingArrivalRate(stages=[("10s", 2)]).starts()) == pytest.approx(10**0.5)


def test_a_stage_of_no_length_is_a_step():
    load = RampingArrivalRate(start_rate=1, stages=[("2s", 1), ("0s", 4), ("1s", 4)])
    assert list(load.starts()) == [1, 2, 2.25, 2.5, 2.75, 3]


def test_a_late_load_still_counts_from_its_own_start():
    assert list(ConstantArrivalRate(start_at="1m", rate=2, duration="1s").starts()) == [60, 60.5]


@pytest.mark.parametrize(
    ("begin_s", "end_s", "most"), [(0, 60, 0), (60, 61, 11), (60, 200, 500), (120, 125, 10), (130, 131, 0)]
)
def test_the_most_starts_a_second_between_two_times(begin_s, end_s, most):
    load = RampingArrivalRate(start_rate=10, stages=[("10s", 20), ("40s", 500), ("0s", 10), ("20s", 10)], start_at="1m")
    assert load.most_between(begin_s, end_s) == pytest.approx(most)


def area_until(load, until_s):
    return math.fsum(
        (s.start_value + s.start_value + s.slope * (min(until_s, s.end_s) - s.start_s))
        / 2
        * (min(until_s, s.end_s) - s.start_s)
        for s in load.ramp.segments
        if until_s > s.start_s
    )


@given(RAMPS)
def test_the_nth_start_is_where_the_integral_of_the_rate_reaches_n(load):
    starts = list(load.starts())
    assert len(starts) == math.floor(load.ramp.area + 1e-9)
    assert all(earlier < later for earlier, later in pairwise(starts))
    assert all(0 < start <= load.active_s * (1 + 1e-12) for start in starts)
    for number, start in enumerate(starts, 1):
        assert area_until(load, start) == pytest.approx(number, rel=1e-9, abs=1e-9)


@given(RAMPS, st.integers(1, 9))
def test_the_parts_of_all_workers_are_the_plan(load, of):
    plan = list(load.starts())
    parts = [list(load.starts(Share(index, of))) for index in range(of)]
    assert [parts[number % of][number // of] for number in range(len(plan))] == plan
    assert sum(map(len, parts)) == len(plan)


def poisson(seed=1, **keys):
    return ConstantArrivalRate(rate=100, duration="60s", arrivals="poisson", seed=seed, **keys)


def test_poisson_starts_repeat_with_their_seed_only():
    assert list(poisson().starts()) == list(poisson().starts())
    assert list(poisson().starts()) != list(poisson(2).starts())


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_poisson_starts_come_in_order_about_as_many_as_planned_and_unevenly(seed):
    starts = list(poisson(seed).starts())
    assert all(earlier <= later for earlier, later in pairwise(starts))
    assert starts[0] > 0
    assert starts[-1] < 60
    assert len(starts) == pytest.approx(6000, abs=5 * math.sqrt(6000))
    gaps = [later - earlier for earlier, later in pairwise(starts)]
    mean = sum(gaps) / len(gaps)
    spread = math.sqrt(sum((gap - mean) ** 2 for gap in gaps) / len(gaps))
    assert spread == pytest.approx(mean, rel=0.1)  # of an exponential they are equal


def test_poisson_starts_follow_the_ramp():
    load = RampingArrivalRate(stages=[("100s", 100)], arrivals="poisson", seed=7)
    starts = list(load.starts())
    first_half = sum(start < 50 for start in starts)
    assert len(starts) == pytest.approx(5000, abs=350)
    assert first_half == pytest.approx(1250, abs=180)


@pytest.mark.parametrize("of", [2, 3, 10])
def test_the_parts_of_a_poisson_plan_interleave_to_it(of):
    plan = list(poisson().starts())
    parts = [list(poisson().starts(Share(index, of))) for index in range(of)]
    assert sorted(start for part in parts for start in part) == plan
    assert parts[1] == plan[1::of]
