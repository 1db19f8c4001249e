from __future__ import annotations

from itertools import combinations
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_cdcperf.errors import ConfigError
from pytest_cdcperf.judging.course import Drift, Recovery, breaking_point, theil_sen
from pytest_cdcperf.judging.threshold import Outcome, parse_thresholds
from pytest_cdcperf.model.load import Phase
from tests.unit.metrics.windows import window

SPIKE = (Phase("hold", 0, 10), Phase("ramp-up", 10, 20), Phase("ramp-down", 20, 30), Phase("hold", 30, 60))


def spiked(after, before=10.0, samples=20):
    """Seconds of a spike: *after* are the levels of the seconds from 30 on."""
    each = [before] * 10 + [500.0] * 20 + list(after)
    return [window(second, ms=[level] * samples) for second, level in enumerate(each)]


def judged(after, rule=None, **more):
    return (rule or Recovery(within="10s")).judge(spiked(after, **more), SPIKE)


@pytest.mark.parametrize(
    ("after", "outcome", "took_s"),
    [
        ([10] * 20, Outcome.PASSED, 0),
        ([15] * 20, Outcome.PASSED, 0),
        ([15.5] * 20, Outcome.FAILED, None),
        ([90] * 4 + [10] * 16, Outcome.PASSED, 4),
        ([90] * 10 + [10] * 10, Outcome.PASSED, 10),
        ([90] * 11 + [10] * 9, Outcome.FAILED, 11),
        ([10, 10, 90, 10, 10, 90, 10, 10, 10, 10], Outcome.PASSED, 6),  # three in a row
        ([90] * 18 + [10] * 2, Outcome.FAILED, None),
        ([90] * 5, Outcome.TOO_FEW, None),
        ([90] * 10, Outcome.FAILED, None),
        ([], Outcome.TOO_FEW, None),
    ],
)
def test_recovery_is_back_within_the_tolerance_in_time(after, outcome, took_s):
    result = judged(after)
    assert (result.outcome, result.observed) == (outcome, took_s)
    assert "p(95) before 10, so at most 15" in result.note


@pytest.mark.parametrize(("late_s", "words"), [(0.00034, "0ms"), (4.26, "4.3s"), (0.04, "0ms")])
def test_recovery_is_told_in_tenths_of_a_second(late_s, words):
    windows = [*spiked([]), *(window(30 + late_s + second, ms=[10.0] * 20) for second in range(10))]
    assert Recovery().judge(windows, SPIKE).words == words


def test_a_recovery_that_never_came_and_one_that_could_not_be_seen_say_so():
    assert judged([90] * 20).note.endswith("; it never was")
    assert judged([90] * 5).note.endswith("; the hold after lasted 5s")


def test_tolerance_and_metric_are_the_rules_own():
    assert judged([19] * 20, Recovery(tolerance=1.0)).outcome is Outcome.PASSED
    assert judged([10.5] * 20, Recovery(tolerance=0, within="20s")).outcome is Outcome.FAILED
    assert judged([10] * 20, Recovery("other")).outcome is Outcome.TOO_FEW


def test_windows_with_few_samples_neither_count_nor_interrupt():
    windows = [*spiked([10, 10]), window(32, ms=[900] * 4), window(33, ms=[10] * 20)]
    result = Recovery(within="10s").judge(windows, SPIKE)
    assert (result.outcome, result.observed) == (Outcome.PASSED, 0)


def test_without_samples_before_there_is_no_measure():
    result = Recovery().judge([part for part in spiked([10] * 9) if part.start_s >= 10], SPIKE)
    assert (result.outcome, result.note) == (Outcome.TOO_FEW, "too few samples in the hold before")


def test_the_ramps_are_no_part_of_before():
    assert judged([14] * 20, before=10).outcome is Outcome.PASSED
    slow_ramp = [window(second, ms=[10 if second < 10 else 1000] * 20) for second in range(30)]
    result = Recovery().judge([*slow_ramp, *(window(s, ms=[900] * 20) for s in range(30, 95))], SPIKE)
    assert result.outcome is Outcome.FAILED


@pytest.mark.parametrize("phases", [(), SPIKE[:1], SPIKE[:2], SPIKE[1:], SPIKE[:3], (SPIKE[0], SPIKE[1], SPIKE[3])])
def test_recovery_needs_a_hold_on_both_sides_of_a_fall(phases):
    result = Recovery().judge(spiked([10] * 20), phases)
    assert (result.outcome, result.note) == (Outcome.NOT_JUDGED, "needs a hold before and after the ramps")


def test_rules_are_written_in_words():
    assert str(Recovery()) == "response_time p(95) back within 50% in 60s"
    assert str(Drift("t_rss", per_hour=0.2)) == "t_rss rises at most 20% an hour"
    assert (Recovery().selector, Drift("x").selector) == ("response_time", "x")


@pytest.mark.parametrize(
    ("rule", "keys", "fault"),
    [
        (Recovery, {"tolerance": -1}, "Recovery: tolerance=-1; allowed: a share of 0 to 1000, such as 0.5"),
        (Recovery, {"tolerance": "50%"}, "Recovery: tolerance='50%'; allowed: a share of 0 to 1000, such as 0.5"),
        (Recovery, {"within": 60}, "Recovery: within=60 is no duration; "),
        (Drift, {"per_hour": True}, "Drift: per_hour=True; allowed: a share of 0 to 1000, such as 0.5"),
        (Drift, {"every": "often"}, "Drift: every='often' is no duration; "),
    ],
)
def test_a_rule_that_cannot_be_meant_is_refused(rule, keys, fault):
    with pytest.raises(ConfigError) as refused:
        rule(**keys)
    assert str(refused.value).startswith(fault)


def soaked(levels, seconds=60.0, samples=10):
    return [window(n * seconds, seconds=seconds, ms=[level] * samples) for n, level in enumerate(levels)]


@pytest.mark.parametrize(
    ("levels", "outcome", "rise"),
    [
        ([100] * 60, Outcome.PASSED, 0),
        ([100 + minute * 5 / 60 for minute in range(61)], Outcome.PASSED, 0.05),
        ([100 + minute * 30 / 60 for minute in range(61)], Outcome.FAILED, 30 / 115),
        ([130 - minute * 30 / 60 for minute in range(61)], Outcome.PASSED, -30 / 115),
        ([100 if minute != 30 else 9999 for minute in range(60)], Outcome.PASSED, 0),
    ],
)
def test_drift_is_the_rise_an_hour_as_a_share(levels, outcome, rise):
    result = Drift().judge(soaked(levels), ())
    assert result.outcome is outcome
    assert result.observed == pytest.approx(rise, abs=0.02)


def test_drift_of_a_gauge_is_that_of_its_value():
    windows = [window(n * 60, seconds=60, gauges={"t_rss": 100 + n}) for n in range(60)]
    result = Drift("t_rss").judge(windows, ())
    assert (result.outcome, result.observed) == (Outcome.FAILED, pytest.approx(60 / 129.5))
    assert result.words == "+46.3%"


@pytest.mark.parametrize(
    ("windows", "note"),
    [
        ([], "0 checkpoints of 5m; needs 4"),
        (soaked([100] * 19), "3 checkpoints of 5m; needs 4"),
        (soaked([100] * 60, samples=4), "0 checkpoints of 5m; needs 4"),
        (soaked([100] * 3, seconds=600), "3 checkpoints of 5m; needs 4"),
    ],
)
def test_too_short_a_soak_is_not_judged(windows, note):
    result = Drift().judge(windows, ())
    assert (result.outcome, result.note) == (Outcome.NOT_JUDGED, note)


def test_a_checkpoint_is_the_median_of_its_time_and_counts_when_it_is_complete():
    levels = [100, 100, 9999] * 4 + [9999, 9999]
    result = Drift(every="3m").judge(soaked(levels), ())
    assert (result.outcome, result.observed) == (Outcome.PASSED, 0)
    assert result.note == "4 checkpoints of 3m, 100 at the first, 100 at the last"


@pytest.mark.parametrize(
    ("every", "scale", "seen"),
    [
        ("5m", 1.0, "12 checkpoints of 5m"),
        ("5m", 0.5, "24 checkpoints of 2m30s"),
        ("5m", 0.01, "60 checkpoints of 1m"),
        ("5m", 2.0, "6 checkpoints of 10m"),
        ("90s", 0.01, "60 checkpoints of 1m"),
    ],
)
def test_checkpoints_scale_with_the_run_down_to_a_minute(every, scale, seen):
    result = Drift(every=every, scale=scale).judge(soaked([100] * 60), ())
    assert (result.outcome, result.note.partition(",")[0]) == (Outcome.PASSED, seen)


def test_a_run_too_short_for_a_rise_an_hour_shows_it_and_is_not_judged():
    result = Drift(scale=0.1).judge(soaked([100 + n for n in range(19)]), ())
    assert result.outcome is Outcome.NOT_JUDGED
    assert result.observed == pytest.approx(60 / 109)
    assert result.note.endswith("118 at the last; a rise an hour is not told from less than 20m")


def test_four_checkpoints_are_enough():
    assert Drift().judge(soaked([100] * 20), ()).outcome is Outcome.PASSED
    assert Drift(every="1m").judge(soaked([100] * 4), ()).outcome is Outcome.PASSED


def test_a_metric_that_stands_at_zero_does_not_drift():
    windows = [window(n * 60, seconds=60, gauges={"t_rss": 0}) for n in range(60)]
    assert Drift("t_rss").judge(windows, ()).observed == 0


def test_checkpoints_of_no_length_are_refused():
    with pytest.raises(ConfigError):
        Drift(every="0s").judge(soaked([100] * 60), ())


POINTS = st.lists(st.tuples(st.integers(0, 50), st.integers(-100, 100)), min_size=1, max_size=30)


@given(POINTS)
def test_theil_and_sens_slope_is_the_median_of_all_slopes(points):
    points = sorted(points, key=lambda point: point[0])
    slopes = [(y2 - y1) / (x2 - x1) for (x1, y1), (x2, y2) in combinations(points, 2) if x2 != x1]
    assert theil_sen(points) == pytest.approx(median(slopes) if slopes else 0.0)


@given(st.integers(-20, 20), st.integers(-9, 9), st.integers(0, 39))
def test_an_outlier_does_not_bend_the_slope(slope, start, place):
    points = [(float(x), float(start + slope * x)) for x in range(40)]
    points[place] = (points[place][0], 1e9)
    assert theil_sen(points) == pytest.approx(slope)


def test_of_very_many_points_some_are_taken():
    assert theil_sen([(x, 3.0 * x) for x in range(5000)]) == pytest.approx(3)


def test_no_points_have_no_slope():
    assert theil_sen([]) == 0.0


def climbing():
    return [
        window(n, ms=[10 * (n + 1)] * 20, iterations=50 + n, iteration_failed=(n, 100), gauges={"vus": 5 * n})
        for n in range(10)
    ]


def test_the_breaking_point_is_the_first_window_that_crosses_a_limit():
    assert breaking_point(climbing(), parse_thresholds({"response_time": "p(95)<45"}), 0.9) == (
        "breaking point at 4 s, 20 VUs, 54 iterations/s: response_time p(95)<45 (observed 50); it did not recover"
    )


def test_failed_iterations_break_it_as_well():
    limits = parse_thresholds({"response_time": "p(95)<999"})
    assert breaking_point(climbing(), limits, 0.055) == (
        "breaking point at 6 s, 30 VUs, 56 iterations/s: 6% of the iterations failed; it did not recover"
    )
    assert breaking_point(climbing(), limits, 0.05).startswith("breaking point at 6 s")


def test_where_nothing_is_crossed_there_is_no_breaking_point():
    assert breaking_point(climbing(), parse_thresholds({"response_time": "p(95)<999"}), 0.5) == ""
    assert breaking_point(climbing(), parse_thresholds({"response_time": "avg<1", "iterations": "count<1"}), 0.5) == ""
    assert breaking_point([], parse_thresholds({"response_time": "p(95)<1"}), 0.0) == ""


def test_the_rate_at_the_breaking_point_is_per_second():
    (part,) = [window(0, seconds=2.0, ms=[9] * 20, iterations=50)]
    assert breaking_point([part], parse_thresholds({"response_time": "p(95)<5"}), 0.5) == (
        "breaking point at 0 s, 0 VUs, 25 iterations/s: response_time p(95)<5 (observed 9); it did not recover"
    )


@pytest.mark.parametrize(
    ("after", "words"),
    [
        ([10] * 3, "within its limits again from 2 s on, 22 VUs"),
        ([10] * 2, "it did not recover"),
        ([10, 10, 90, 10, 10, 10], "within its limits again from 5 s on, 25 VUs"),
        ([90] * 9, "it did not recover"),
    ],
)
def test_the_recovery_is_when_no_limit_is_crossed_any_more(after, words):
    windows = [
        window(n, ms=[level] * 20, iterations=20, gauges={"vus": 20 + n}) for n, level in enumerate([90, 90, *after])
    ]
    assert breaking_point(windows, parse_thresholds({"response_time": "p(95)<50"}), 0.5).endswith(f"; {words}")


def test_windows_without_an_iteration_are_no_recovery():
    windows = [window(0, ms=[90] * 20, iterations=20), *(window(n, gauges={"vus": 0}) for n in range(1, 9))]
    limits = parse_thresholds({"response_time": "p(95)<50"})
    assert breaking_point(windows, limits, 0.5).endswith("; it did not recover")
