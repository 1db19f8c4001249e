"""The confidence interval of a quantile, against draws whose true quantile is known."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_cdcperf.judging.threshold import evaluate, parse_threshold
from pytest_cdcperf.metrics.histogram import Histogram
from tests.unit.metrics.windows import window


def drawn(seed, count):
    histogram = Histogram()
    draw = random.Random(seed)  # noqa: S311
    histogram.record([draw.expovariate(1.0) * 100 for _ in range(count)])
    return histogram


def true_quantile(q):
    return -100 * math.log(1 - q)


@pytest.mark.parametrize(("q", "count"), [(0.5, 100), (0.95, 400), (0.99, 2000)])
def test_the_interval_holds_the_true_quantile_in_about_95_of_100_draws(q, count):
    held = 0
    for seed in range(200):
        low, high = drawn(seed, count).quantile_interval(q)
        held += low <= true_quantile(q) <= high
    assert held >= 180


@pytest.mark.parametrize("q", [0.5, 0.95])
def test_the_interval_is_not_wider_than_it_need_be(q):
    """A tenth off either way: the z of 95 %, and the density at the quantile."""
    widths = []
    for seed in range(50):
        low, high = drawn(seed, 10_000).quantile_interval(q)
        widths.append(high - low)
    normal = 2 * 1.96 * math.sqrt(q * (1 - q) / 10_000) * 100 / (1 - q)
    assert sum(widths) / len(widths) == pytest.approx(normal, rel=0.25)


@pytest.mark.parametrize("q", [0.5, 0.9, 0.95])
def test_it_shrinks_with_the_number_of_samples(q):
    widths = []
    for count in (100, 1000, 10_000, 100_000):
        low, high = drawn(1, count).quantile_interval(q)
        widths.append(high - low)
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] < widths[0] / 10


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=200), st.floats(0.01, 0.99))
def test_it_holds_the_quantile_itself_and_stays_within_the_extremes(values, q):
    histogram = Histogram()
    histogram.record(values)
    low, high = histogram.quantile_interval(q)
    assert histogram.min <= low <= histogram.quantile(q) <= high <= histogram.max


def test_a_single_sample_is_its_own_interval():
    assert window(0, ms=[5]).snapshot.select("response_time").quantile_interval(0.95) == (5, 5)


@pytest.mark.parametrize(("limit", "near"), [(93, False), (94, True), (96, True), (100.5, False)])
def test_a_limit_inside_the_interval_is_said(limit, near):
    snapshot = window(0, ms=[n / 10 for n in range(1, 1001)]).snapshot
    result = evaluate(parse_threshold("response_time", f"p(95)<{limit}"), snapshot, 1.0)
    assert ("confidence interval" in result.note) is near
    assert result.interval == snapshot.select("response_time").quantile_interval(0.95)
    assert evaluate(parse_threshold("response_time", "avg<5"), snapshot, 1.0).interval is None
