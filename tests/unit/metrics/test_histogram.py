from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pytest_cdcperf.metrics.histogram import COARSE_SCHEMA, SCHEMA, ZERO_THRESHOLD, Histogram, PackedCounts

QUANTILES = (0.01, 0.5, 0.9, 0.95, 0.99, 0.999)
MAGNITUDES = st.floats(min_value=1e-18, max_value=1e18)
ANY_SIGN = st.one_of(MAGNITUDES, MAGNITUDES.map(lambda v: -v), st.just(0.0))
SCHEMAS = st.integers(min_value=0, max_value=SCHEMA)


def holding(values, schema=SCHEMA):
    histogram = Histogram(schema)
    assert histogram.record(list(values)) == 0
    return histogram


def merged(*parts):
    whole = Histogram(parts[0].schema)
    for part in parts:
        whole.merge(part)
    return whole


def exactly(histogram):
    """All but the sum, whose rounding depends on the order."""
    return replace(histogram, sum=0.0)


def nearest_rank(values, q):
    return sorted(values)[max(1, math.ceil(Fraction(str(q)) * len(values))) - 1]


@given(st.lists(ANY_SIGN, min_size=1))
def test_count_sum_minimum_and_maximum_are_exact(values):
    histogram = holding(values)
    rounding = 1e-12 * math.fsum(map(abs, values))
    assert histogram.count == len(values)
    assert histogram.sum == pytest.approx(math.fsum(values), rel=0, abs=rounding)
    assert histogram.mean == histogram.sum / len(values)
    assert (histogram.min, histogram.max) == (min(values), max(values))


@given(st.lists(ANY_SIGN, min_size=1, max_size=300))
@pytest.mark.parametrize("q", QUANTILES)
def test_a_quantile_is_within_28_hundredths_of_a_percent(q, values):
    assert holding(values).quantile(q) == pytest.approx(nearest_rank(values, q), rel=0.0028, abs=ZERO_THRESHOLD)


@given(st.lists(MAGNITUDES, min_size=1, max_size=300))
@pytest.mark.parametrize("q", QUANTILES)
def test_a_coarse_quantile_is_within_22_thousandths(q, values):
    coarse = holding(values).coarse()
    assert coarse.schema == COARSE_SCHEMA
    assert coarse.quantile(q) == pytest.approx(nearest_rank(values, q), rel=0.0222)


@given(st.lists(ANY_SIGN, min_size=1, max_size=300), SCHEMAS)
@pytest.mark.parametrize("q", QUANTILES)
def test_the_true_quantile_lies_within_its_bounds(q, values, schema):
    low, high = holding(values, schema).quantile_bounds(q)
    true = nearest_rank(values, q)
    ulps = abs(true) * 1e-13
    assert low - ulps <= true <= high + ulps


@given(st.lists(ANY_SIGN), st.lists(ANY_SIGN))
def test_merging_is_the_same_as_recording_all_in_one(first, second):
    assert exactly(merged(holding(first), holding(second))) == exactly(holding([*first, *second]))


@given(st.lists(st.tuples(st.lists(ANY_SIGN), SCHEMAS), min_size=3, max_size=3))
def test_merging_is_associative_and_commutative(parts):
    a, b, c = (holding(values, schema) for values, schema in parts)
    wanted = exactly(merged(a, b, c))
    assert exactly(merged(a, merged(b, c))) == wanted
    assert exactly(merged(c, b, a)) == wanted
    assert exactly(merged(b, merged(c, a))) == wanted


@given(st.lists(ANY_SIGN), st.lists(ANY_SIGN))
def test_merging_leaves_the_other_as_it_was(first, second):
    other = holding(second)
    merged(holding(first), other).record([1.0])
    assert other == holding(second)


@given(st.lists(ANY_SIGN), SCHEMAS, SCHEMAS)
def test_making_it_coarse_is_the_same_as_recording_coarsely(values, fine, wanted):
    histogram = holding(values, fine)
    assert exactly(histogram.coarse(wanted)) == exactly(holding(values, min(fine, wanted)))
    assert histogram == holding(values, fine)


def test_an_upper_edge_belongs_to_the_bucket_below_it():
    # (1, 2] at schema 0, and its four quarters at schema 2, the last of which ends at 2.
    assert holding([2.0], 0).positive == {1: 1}
    assert holding([2.0], 2).positive == {4: 1}
    assert holding([2.0], 2).coarse(0).positive == {1: 1}
    assert holding([2.0000001], 0).positive == {2: 1}
    assert holding([-2.0], 0).negative == {1: 1}
    assert holding([1.0], 7).positive == {0: 1}


@given(st.lists(ANY_SIGN))
def test_runs_of_buckets_carry_all_counts(values):
    histogram = holding(values)
    for counts in (histogram.positive, histogram.negative):
        runs = PackedCounts.of(counts).buckets
        assert PackedCounts.of_buckets(runs) == counts
        assert all(run[1] and run[-1] for run in runs)


@pytest.mark.parametrize(
    ("values", "left_out", "kept"),
    [
        ([1.0, math.nan], 1, [1.0]),
        ([math.nan, 1.0, 2.0], 1, [1.0, 2.0]),
        ([math.inf, 1.0], 1, [1.0]),
        ([-math.inf], 1, []),
        (["fast", 3, None, [], 4.5], 3, [3, 4.5]),
        ([None, None], 2, []),
        ([0, -0.0, 1e-300, -1e-300], 0, [0, 0, 1e-300, -1e-300]),
        ([-5, 5], 0, [-5, 5]),
        ([True, 2], 0, [1, 2]),
    ],
)
def test_what_is_no_finite_number_is_left_out_and_counted(values, left_out, kept):
    histogram = Histogram()
    assert histogram.record(values) == left_out
    assert histogram == holding(kept)
    assert histogram.count == len(kept)


def test_values_next_to_nothing_count_as_zero():
    histogram = holding([0.0, ZERO_THRESHOLD / 2, -ZERO_THRESHOLD / 2, ZERO_THRESHOLD, -ZERO_THRESHOLD])
    assert (histogram.zeros, histogram.positive.total(), histogram.negative.total()) == (3, 1, 1)
    assert abs(histogram.quantile(0.5)) <= ZERO_THRESHOLD


def test_without_samples_there_are_no_figures():
    empty = Histogram()
    assert empty.record([]) == 0
    assert math.isnan(empty.mean)
    assert math.isnan(empty.quantile(0.5))
    assert all(map(math.isnan, empty.quantile_bounds(0.5)))


def test_the_extremes_are_exact():
    histogram = holding([1.2345, 2.3456, 3.4567])
    assert histogram.quantile(0.0) == histogram.quantile(0.2) == 1.2345
    assert histogram.quantile(1.0) == 3.4567


def test_a_rank_is_not_moved_by_the_rounding_of_its_product():
    # 0.95 * 20 is 19 and 0.07 * 100 is 7.000000000000001
    assert holding([1.0] * 19 + [100.0]).quantile(0.95) == pytest.approx(1.0, rel=0.003)
    assert holding([1.0] * 7 + [100.0] * 93).quantile(0.07) == pytest.approx(1.0, rel=0.003)


def test_memory_follows_the_range_and_not_the_number_of_samples():
    histogram = Histogram()
    for _ in range(100):
        histogram.record([1 + i / 1000 for i in range(1000)])
    assert histogram.count == 100_000
    assert len(histogram.positive) <= 2**SCHEMA + 1


def test_extremes_are_plain_numbers_whatever_was_recorded():
    histogram = Histogram()
    histogram.record([1, 2])
    assert histogram == holding([1.0, 2.0])


@pytest.mark.parametrize(
    "values",
    [
        [Decimal("1.5"), Decimal("2.5"), Decimal("3.5")],
        [1.5, Decimal("2.5")],
        [10**400, 1.0],
    ],
    ids=["decimals", "mixed", "huge"],
)
def test_numbers_of_other_types_are_counted_once_or_left_out(values):
    histogram = Histogram()
    left_out = histogram.record(values)
    assert histogram.count + left_out == len(values)
    assert histogram.positive.total() == histogram.count
    assert {type(part) for part in (histogram.sum, histogram.min, histogram.max)} == {float}


@pytest.mark.parametrize(("odd", "left_out"), [(0, 0), ("fast", 1), (Decimal("sNaN"), 1)], ids=str)
def test_numbers_of_other_types_survive_beside_what_is_odd(odd, left_out):
    histogram = Histogram()
    assert histogram.record([Decimal("1.5"), Fraction(5, 2), odd]) == left_out
    assert (histogram.count, histogram.max) == (3 - left_out, 2.5)


def test_the_largest_values_have_quantiles():
    histogram = Histogram()
    histogram.record([1.0, 1.797e308, 1.7975e308])
    assert histogram.quantile(0.5) == pytest.approx(1.797e308, rel=0.0028)


@given(st.lists(ANY_SIGN, max_size=50))
def test_a_packed_histogram_reads_like_the_one_it_was_made_of(values):
    histogram = holding(values)
    packed = histogram.packed()
    assert packed == histogram
    assert merged(packed) == histogram
    for q in QUANTILES:
        assert packed.quantile(q) == pytest.approx(histogram.quantile(q), nan_ok=True)
    for value in (-1.0, 0.0, *values):
        assert packed.count_above(value) == histogram.count_above(value)


@given(st.lists(ANY_SIGN, max_size=50), st.integers(4, 60))
def test_limited_it_has_few_buckets_and_all_samples(values, most):
    histogram = holding(values)
    histogram.limit(most)
    assert len(histogram.positive) + len(histogram.negative) <= most
    assert exactly(histogram) == exactly(holding(values).coarse(histogram.schema))


@given(st.lists(ANY_SIGN, min_size=1, max_size=50), ANY_SIGN, SCHEMAS)
def test_the_number_above_a_value_is_off_by_its_own_bucket_at_most(values, value, schema):
    histogram = holding(values, schema)
    width = 2.0 ** (1.0 / 2.0**schema)
    low, high = sorted((value / width, value * width))
    assert sum(v > high for v in values) <= histogram.count_above(value) <= sum(v >= low for v in values)


@given(st.lists(ANY_SIGN, min_size=2, max_size=50), st.floats(0.01, 0.99), SCHEMAS)
@example([-1.0, 0.0], 0.99, 7)
def test_the_edge_next_to_a_quantile_parts_the_samples_where_they_can_be_parted(values, q, schema):
    histogram = holding(values, schema)
    above = histogram.count_above(histogram.edge_at(q))
    buckets = len(histogram.positive) + len(histogram.negative) + (histogram.zeros > 0)
    assert 0 < above < len(values) or buckets == 1


@given(st.lists(MAGNITUDES, min_size=1, max_size=50), SCHEMAS)
def test_ranks_are_values_within_their_buckets(values, schema):
    histogram, width = holding(values, schema), 2.0 ** (1.0 / 2.0**schema)
    for rank, value in enumerate(sorted(values), 1):
        low, high = histogram.values_at(rank, rank)
        assert value / width <= low * (1 + 1e-12) <= value * (1 + 2e-12)
        assert value <= high * (1 + 1e-12) <= value * width * (1 + 2e-12)


@pytest.mark.parametrize("schema", [COARSE_SCHEMA, SCHEMA])
def test_an_interpolated_quantile_moves_within_a_bucket(schema):
    """The level rises by a tenth of a bucket at a time, and so does the quantile."""
    width = 2 ** (1 / 2**schema)
    levels = [100 * width ** (step / 10) for step in range(11)]
    found = []
    for level in levels:
        histogram = Histogram(schema=schema)
        histogram.record([level * (1 + number / 1000) for number in range(-500, 500)])
        found.append(histogram.interpolated(0.95))
    assert found == pytest.approx([level * 1.45 for level in levels], rel=0.2 * (width - 1))
    assert found == sorted(found)


@given(st.lists(ANY_SIGN, min_size=1), st.floats(0, 1))
def test_an_interpolated_quantile_lies_within_the_extremes(values, q):
    histogram = Histogram()
    histogram.record(values)
    assert histogram.min <= histogram.interpolated(q) <= histogram.max
    assert histogram.interpolated(1.0) == histogram.max


def test_nothing_has_no_interpolated_quantile():
    assert math.isnan(Histogram().interpolated(0.5))
