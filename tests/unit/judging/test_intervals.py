"""The precision of a quantile, against draws whose true quantile and dependence are known."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_cdcperf.judging.intervals import (
    Cluster,
    PhaseWindows,
    Precision,
    Stratum,
    interval_ranks,
    needed_samples,
    precision,
    quantile_interval,
    quantile_precision,
)
from pytest_cdcperf.metrics.histogram import Histogram


def stratum(*above, samples=100, ramp=False):
    return Stratum(tuple(Cluster(samples, number) for number in above), ramp)


def histogram(values):
    made = Histogram()
    made.record(list(values))
    return made


def steady(_draw):
    while True:
        yield 1.0


def wandering(draw):
    """Yield levels that resemble their neighbours, and come back to 1."""
    off = 0.0
    while True:
        off = 0.8 * off + draw.gauss(0, 0.3)
        yield math.exp(off)


def drawn(seed, windows, samples, level=steady):
    """Return the values of each window: exponential ones, around the window's level."""
    draw = random.Random(seed)  # noqa: S311
    levels = level(draw)
    return [
        [draw.expovariate(1.0) * scale for _ in range(samples)]
        for scale, _ in zip(levels, range(windows), strict=False)
    ]


def interval(parts, q):
    windows = tuple(histogram(values).coarse() for values in parts)
    total = histogram(value for values in parts for value in values)
    return quantile_interval(total, q, quantile_precision([PhaseWindows(windows)], q))


@pytest.mark.parametrize(("q", "count"), [(0.5, 5), (0.9, 29), (0.95, 59), (0.99, 299), (0.999, 2995), (1.0, 1)])
def test_a_quantile_needs_as_many_samples_as_an_upper_bound_of_it(q, count):
    assert needed_samples(q) == count


def test_windows_that_are_alike_are_worth_their_samples():
    assert precision([stratum(*[5, 4, 6, 5, 5, 4, 6, 5] * 8)]).factor == 1


def test_windows_that_differ_are_worth_fewer():
    """All that lies above stands in every tenth window: the share varies as that of one sample a window would."""
    found = precision([stratum(*[50, 0, 0, 0, 0, 0, 0, 0, 0, 0] * 6)])
    assert 20 < found.factor < 60
    assert found.effective == found.samples / found.factor


def test_windows_that_resemble_their_neighbours_are_worth_fewer_still():
    """The same windows, in runs of six: joined ones still differ."""
    apart = precision([stratum(*[20, 0] * 30)])
    together = precision([stratum(*[*[20] * 6, *[0] * 6] * 5)])
    assert apart.factor < together.factor / 2


def test_a_ramp_whose_level_rises_steadily_counts_as_steady():
    rising = [number // 2 for number in range(60)]
    assert precision([stratum(*rising, ramp=True)]).factor == 1
    assert precision([stratum(*rising)]).factor > 10


def test_a_ramp_is_as_uncertain_as_its_windows_differ_from_their_neighbours():
    assert precision([stratum(*[20, 0] * 30, ramp=True)]).factor > 10


def test_phases_at_different_levels_are_each_compared_with_themselves():
    low, high = stratum(*[1, 2, 1, 2] * 8), stratum(*[30, 31, 30, 31] * 8)
    assert precision([low, high]).factor == 1
    assert precision([Stratum(low.clusters + high.clusters)]).factor > 5


def test_a_single_window_tells_nothing_of_the_precision():
    found = precision([stratum(5)])
    assert (found.factor, found.degrees) == (1, 0)
    assert quantile_interval(histogram(range(1, 101)), 0.95, found) is None


def test_no_window_at_all_is_no_sample():
    assert precision([]) == Precision(0)
    assert quantile_precision([], 0.95) == Precision(0)


def test_the_degrees_of_freedom_of_two_phases_lie_between_one_and_both():
    one = precision([stratum(*[9, 1] * 8)])
    both = precision([stratum(*[9, 1] * 8), stratum(*[9, 1] * 8)])
    assert one.degrees < both.degrees <= 2 * one.degrees + 1


@pytest.mark.parametrize(("q", "per_window"), [(0.5, 20), (0.95, 20), (0.99, 100)])
def test_the_interval_of_independent_samples_holds_the_truth_in_about_95_of_100_runs(q, per_window):
    held = 0
    for seed in range(200):
        low, high = interval(drawn(seed, 40, per_window), q)
        held += low <= -math.log(1 - q) <= high
    assert held >= 184


def test_the_interval_of_dependent_samples_holds_the_truth_too_where_that_of_independent_ones_does_not():
    runs = [drawn(seed, 60, 20, wandering) for seed in range(100)]
    p95 = sorted(value for parts in runs for values in parts for value in values)[int(60 * 20 * 100 * 0.95)]
    held = independent = 0
    for parts in runs:
        low, high = interval(parts, 0.95)
        held += low <= p95 <= high
        total = histogram(value for values in parts for value in values)
        low, high = quantile_interval(total, 0.95, Precision(total.count, 1.0, 1e9))
        independent += low <= p95 <= high
    assert held >= 85
    assert independent <= 65


def test_a_high_percentile_is_no_more_precise_than_the_body_of_the_distribution():
    """Few samples lie above the p99: that these are spread evenly does not make the run one of independent samples."""
    windows = []
    for number in range(40):
        slow = number // 10 % 2
        windows.append(histogram([*[1.0] * (90 - 40 * slow), *[10.0] * (9 + 40 * slow), 1000.0]).coarse())
    phases = [PhaseWindows(tuple(windows))]
    assert quantile_precision(phases, 0.99).factor == quantile_precision(phases, 0.95).factor > 5


def test_the_ends_of_the_interval_are_ranks_and_may_lie_beyond_the_samples():
    low, high = interval_ranks(1000, 0.95, Precision(1000, 4.0, 1e9))
    assert (low, high) == (922, 979)
    assert interval_ranks(100, 0.95, Precision(100, 4.0, 1e9))[1] > 100


@given(st.lists(st.lists(st.floats(0, 1e6), min_size=1, max_size=30), min_size=2, max_size=30), st.floats(0.01, 0.99))
def test_it_holds_the_quantile_itself_and_stays_within_the_extremes(parts, q):
    total = histogram(value for values in parts for value in values)
    found = interval(parts, q)
    if found is not None:
        assert total.min <= found[0] <= total.quantile(q) <= found[1] <= total.max
