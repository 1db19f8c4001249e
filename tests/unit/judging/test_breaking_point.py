"""The breaking point: a rising fit of the shares above a limit, and what is said of it."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_cdcperf.judging.parser import Limit, parse_threshold, parse_thresholds
from pytest_cdcperf.judging.rules.breaking_point import (
    Breaking,
    BreakingPoint,
    Counts,
    breaking_point,
    find_break,
    find_return,
    rising_fit,
    watched_in,
)
from pytest_cdcperf.metrics.phases import Phase
from tests.unit.metrics.windows import window

RAMP = (Phase("ramp-up", 0, 60), Phase("ramp-down", 60, 120))


def counted(*above, samples=20):
    return [Counts(float(n), n + 1.0, samples, many) for n, many in enumerate(above)]


def ramped(levels, failed=()):
    """A second for each of *levels*; VUs rise by one a second, and iterations with them."""
    return [
        window(
            second,
            ms=[level] * 20,
            iterations=100 + second,
            iteration_failed=(failed[second] if failed else 0, 20),
            gauges={"vus": second},
        )
        for second, level in enumerate(levels)
    ]


def said(levels, thresholds=None, error_rate=0.05, phases=RAMP, failed=()):
    windows = ramped(levels, failed)
    limits = parse_thresholds(thresholds or {"response_time": "p(95)<50"})
    return breaking_point(watched_in(windows, limits, error_rate), windows, phases)


def test_it_says_the_load_from_which_on_a_limit_is_crossed_to_the_end_of_the_ramp():
    assert said([10] * 30 + [90] * 30 + [10] * 60).words == (
        "breaking point at 30 s, 30 VUs, 129.5 iterations/s: the limit of 50 ms on p(95) of response_time is crossed "
        "and stays above to the end of the ramp (100% of the samples, 5% allowed); within the limit again "
        "from 60 s on, 60 VUs"
    )


def test_it_is_a_value_with_the_load_the_limit_and_the_return():
    assert said([10] * 30 + [90] * 30 + [10] * 60) == BreakingPoint(
        Breaking.FOUND,
        30,
        parse_threshold("response_time", "p(95)<50"),
        at_s=30.0,
        rate=129.5,
        observed=1.0,
        allowed=pytest.approx(0.05),
        load_fell=True,
        recovered_at_s=60.0,
        recovered_vus=60,
        windows=60,
    )
    assert said([10] * 120) == BreakingPoint(Breaking.NONE, 59, windows=60)


@pytest.mark.parametrize(
    ("fall", "words"),
    [
        ([90] * 20 + [10] * 40, "; within the limit again from 80 s on, 80 VUs"),
        ([10] * 20 + [90] * 20 + [10] * 20, "; within the limit again from 100 s on, 100 VUs"),
        ([90] * 55 + [10] * 5, "; it did not recover"),
        ([90] * 60, "; it did not recover"),
    ],
)
def test_it_says_from_when_on_the_limit_is_kept_once_the_load_has_fallen(fall, words):
    assert said([10] * 30 + [90] * 30 + fall).words.endswith(words)


def test_a_load_that_never_falls_has_nothing_to_recover_from():
    assert said([10] * 30 + [90] * 30, phases=RAMP[:1]).words.endswith("(100% of the samples, 5% allowed)")


def test_a_ramp_that_broke_nothing_says_how_far_it_came():
    assert said([10] * 120).words == "no breaking point up to 59 VUs"


def test_a_stall_is_no_breaking_point():
    assert said([10] * 30 + [90] * 3 + [10] * 87).outcome is not Breaking.FOUND


def test_a_break_at_the_very_end_needs_a_longer_ramp():
    assert said([10] * 55 + [90] * 65).words == (
        "it may break from 55 VUs on, by the limit of 50 ms on p(95) of response_time; needs a longer ramp to decide"
    )


def test_a_few_samples_above_the_limit_at_the_end_are_nothing_to_go_by():
    windows = counted(*[0] * 58, 0, 3)
    assert find_break(windows, 0.05) is None
    assert find_break(counted(*[0] * 58, 4, 4), 0.05) is not None


def test_a_load_that_does_not_rise_has_no_breaking_point():
    assert said([90] * 60, phases=(Phase("hold", 0, 60),)) is None
    assert said([90] * 60, phases=(Phase("ramp-down", 0, 60),)) is None


def test_holds_between_two_rises_belong_to_the_ramp():
    phases = (Phase("ramp-up", 0, 10), Phase("hold", 10, 50), Phase("ramp-up", 50, 60), Phase("ramp-down", 60, 120))
    assert said([10] * 30 + [90] * 30 + [10] * 60, phases=phases).words.startswith("breaking point at 30 s")


def test_every_rise_is_looked_at():
    phases = (Phase("ramp-up", 0, 30), Phase("ramp-down", 30, 60), Phase("ramp-up", 60, 120))
    assert said([10] * 90 + [90] * 30, phases=phases).words.startswith("breaking point at 90 s, 90 VUs")
    assert said([10] * 120, phases=phases).words == "no breaking point up to 119 VUs"


def test_of_several_limits_the_first_to_break_is_named():
    levels = [10] * 20 + [60] * 20 + [90] * 20 + [10] * 60
    both = said(levels, {"response_time": ["p(95)<80", "p(90)<50"]})
    assert both.words.startswith(
        "breaking point at 20 s, 20 VUs, 119.5 iterations/s: the limit of 50 ms on p(90) of response_time is crossed"
    )


@pytest.mark.parametrize(
    "limit", ["avg<1", "p(50)>1000", "count<1", "max<1", Limit("p(95)<50", phase="hold"), "p(100)<1"]
)
def test_other_limits_do_not_break(limit):
    assert said([90] * 120, {"response_time": limit}).words == "no breaking point up to 59 VUs"


def test_failed_iterations_break_it_as_well():
    failed = [0] * 30 + [10] * 30 + [0] * 60
    assert said([10] * 120, failed=failed, error_rate=0.1).words.startswith(
        "breaking point at 30 s, 30 VUs, 129.5 iterations/s: the limit of 10% on failed iterations is crossed and "
        "stays above to the end of the ramp (50% of the samples, 10% allowed)"
    )


def test_where_no_failure_is_tolerated_a_single_one_is_not_where_it_breaks():
    failed = [0] * 5 + [1] + [0] * 24 + [10] * 30 + [0] * 60
    assert said([10] * 120, failed=failed, error_rate=0.0).words.startswith("breaking point at 30 s")
    assert said([10] * 120, failed=[0] * 5 + [1] + [0] * 114, error_rate=0.0).outcome is not Breaking.FOUND


def test_windows_may_be_left_out_and_may_be_empty():
    kept = [part for part in counted(*[0] * 30, *[10] * 30) if int(part.start_s) % 4]
    found = find_break([*kept[:5], Counts(7.2, 7.4, 0, 0), *kept[5:]], 0.05)
    assert (found.at.start_s, found.certain) == (30, True)
    assert find_break([], 0.05) is None
    assert find_break([Counts(0, 1, 0, 0)], 0.05) is None


def drawn(draw, seconds, samples, share):
    return counted(
        *(sum(draw.random() < share(second) for _ in range(samples)) for second in range(seconds)), samples=samples
    )


def test_of_independent_samples_a_sudden_break_is_named_where_it_is_and_none_below_the_limit():
    draw = random.Random(4)  # noqa: S311
    below = [find_break(drawn(draw, 120, 10, lambda _: 0.036), 0.05) for _ in range(40)]
    sudden = [find_break(drawn(draw, 120, 10, lambda s: 0.01 if s < 72 else 0.3), 0.05) for _ in range(40)]
    assert not any(found is not None and found.certain for found in below)
    assert sum(found.certain and abs(found.at.start_s - 72) <= 7 for found in sudden) >= 38


def test_what_comes_in_bursts_is_less_certain():
    evenly, bursts = counted(*[0] * 30, *[3] * 30), counted(*[0] * 30, *[0] * 5, *[20] * 4, *[0] * 19, *[10] * 2)
    assert find_break(evenly, 0.05).certain
    assert not find_break(bursts, 0.05).certain


def test_the_return_needs_windows_enough_to_go_by():
    assert find_return(counted(*[10] * 20, *[0] * 10), 0.05).start_s == 20
    assert find_return(counted(*[10] * 20, *[0] * 9), 0.05) is None
    assert find_return([], 0.05) is None


SHARES = st.lists(st.tuples(st.integers(1, 50), st.floats(0, 1)), min_size=1, max_size=40)


@given(SHARES)
def test_the_rising_fit_rises_and_keeps_the_number_above(shares):
    windows = [Counts(float(n), n + 1.0, many, round(many * share)) for n, (many, share) in enumerate(shares)]
    fit = rising_fit(windows)
    assert all(before <= after for before, after in pairwise(fit))
    fitted = sum(share * part.samples for share, part in zip(fit, windows, strict=True))
    assert fitted == pytest.approx(sum(part.above for part in windows))


@given(st.lists(st.integers(0, 20), min_size=1, max_size=40))
def test_what_rises_already_is_its_own_fit(above):
    assert rising_fit(counted(*sorted(above))) == [many / 20 for many in sorted(above)]
