"""Drift, on windows made by hand and on draws whose slope is known."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_cdcperf.errors import ConfigError
from pytest_cdcperf.judging.rules.drift import (
    Checkpoint,
    Drift,
    gauge_checkpoints,
    judge_drift,
    slope_with_half_width,
    trend_checkpoints,
)
from pytest_cdcperf.judging.rules.readings import TrendWindow
from pytest_cdcperf.judging.threshold import Outcome
from pytest_cdcperf.judging.words import observed
from pytest_cdcperf.metrics.histogram import Histogram
from pytest_cdcperf.metrics.metric import Counter
from pytest_cdcperf.metrics.phases import Phase
from pytest_cdcperf.units import duration_s
from tests.unit.metrics.windows import window

COUNTED = Counter("t_drift_counted")


def rising(per_hour, minutes=120, level=100.0):
    return [level * (1 + per_hour) ** (minute / 60) for minute in range(minutes)]


def soaked(levels, seconds=60.0, samples=10):
    return [window(n * seconds, seconds=seconds, ms=[level] * samples) for n, level in enumerate(levels)]


def noisy(levels, spread=0.03, seed=3, like=0.0):
    """*levels* with noise, each of which resembles the one before by *like*."""
    draw, off, made = random.Random(seed), 0.0, []  # noqa: S311
    for level in levels:
        off = like * off + math.sqrt(1 - like**2) * draw.gauss(0, spread)
        made.append(level * math.exp(off))
    return made


def checkpoints(levels):
    return [Checkpoint(60.0 * n, 60.0 * (n + 1), level, 100) for n, level in enumerate(levels)]


@pytest.mark.parametrize(
    ("per_hour", "outcome"),
    [(0.0, Outcome.PASSED), (0.05, Outcome.PASSED), (-0.3, Outcome.PASSED), (0.15, Outcome.FAILED)],
)
def test_drift_is_the_rise_an_hour_as_a_share(per_hour, outcome):
    result = Drift().judge(soaked(noisy(rising(per_hour), spread=0.01)), ())
    assert (result.outcome, result.observed) == (outcome, pytest.approx(per_hour, abs=0.01))
    assert result.interval[0] < result.observed < result.interval[1]


def test_it_says_the_rise_with_its_interval_and_the_levels_at_both_ends():
    result = Drift(every="10m").judge(soaked(noisy(rising(0.2), spread=0.001)), ())
    low, high = result.interval
    assert observed(result) == f"+20.0% an hour [{low:+.1%} to {high:+.1%}]"
    assert result.note == "101.4 ms in the first 10m, 141.6 ms in the last"


def test_a_short_run_shows_its_two_halves_at_most():
    result = Drift(every="1h").judge(soaked(rising(0.2, minutes=40)), ())
    assert result.note.partition(";")[0].endswith(" in the first 20m, 109.4 ms in the last")


def test_a_rise_near_the_limit_is_inconclusive_and_says_how_long_would_tell():
    result = judge_drift(checkpoints(noisy(rising(0.08), spread=0.05)), 0.10)
    assert result.outcome is Outcome.INCONCLUSIVE
    assert result.needs.startswith("needs about ")
    assert judge_drift(checkpoints(noisy(rising(0.1), spread=0.0001, seed=1)), 0.1).outcome is Outcome.INCONCLUSIVE


def test_a_run_as_long_as_it_says_it_needs_does_tell():
    short = [judge_drift(checkpoints(noisy(rising(0.02, 40), 0.05, seed)), 0.10) for seed in range(20)]
    needed_s = sorted(duration_s(found.needs.split()[-1]) for found in short if found.outcome is Outcome.INCONCLUSIVE)
    minutes = int(needed_s[len(needed_s) // 2] / 60)
    long = [judge_drift(checkpoints(noisy(rising(0.02, minutes), 0.05, seed)), 0.10).outcome for seed in range(20)]
    assert 40 < minutes < 200
    assert long.count(Outcome.PASSED) >= 14


def test_what_lies_on_the_limit_needs_no_advice():
    levels = [100 * 1.1 ** (minute / 60) * (1.01 if minute % 4 in {0, 3} else 1 / 1.01) for minute in range(120)]
    assert judge_drift(checkpoints(levels), 0.10).needs == "it lies too near 10% to be distinguished from it"


def test_the_interval_holds_the_slope_of_independent_levels_and_of_dependent_ones():
    for like, spread, least in ((0.0, 0.03, 92), (0.9, 0.05, 85)):
        held = 0
        for seed in range(100):
            rise = judge_drift(checkpoints(noisy(rising(0.0), spread, seed, like)), 0.10).rise
            held += rise.low <= 0.0 <= rise.high
        assert held >= least


def test_levels_that_resemble_their_neighbours_tell_less():
    points = [(minute / 60, value) for minute, value in enumerate(noisy([1.0] * 120))]
    slow = [(minute / 60, value) for minute, value in enumerate(noisy([1.0] * 120, like=0.9))]
    assert slope_with_half_width(slow)[1] > 2 * slope_with_half_width(points)[1]


def test_what_resembles_itself_over_longer_times_shows_where_neighbours_are_joined():
    """Noise that hides a slow wave from the autocorrelation of neighbours."""
    wave = [math.sin(minute / 10) * 0.03 for minute in range(120)]
    draw = random.Random(2)  # noqa: S311
    noise = [draw.gauss(0, 0.05) for _ in wave]
    alone = slope_with_half_width([(m / 60, off) for m, off in enumerate(noise)])[1]
    both = slope_with_half_width([(m / 60, a + b) for m, (a, b) in enumerate(zip(wave, noise, strict=True))])[1]
    assert both > 1.5 * alone


def test_a_step_in_the_last_tenth_does_not_pass():
    assert judge_drift(checkpoints(noisy([100] * 108 + [150] * 12)), 0.10).outcome is Outcome.INCONCLUSIVE


def test_the_slope_of_a_line_is_exact():
    slope, width = slope_with_half_width([(hour / 10, 3 + 0.25 * hour / 10) for hour in range(50)])
    assert (slope, width) == (pytest.approx(0.25), pytest.approx(0, abs=1e-9))


@pytest.mark.parametrize(
    ("windows", "note"),
    [
        (soaked([100]), "1 checkpoint of a minute; needs 30 minutes"),
        (soaked([100] * 29), "29 checkpoints of a minute; needs 30 minutes"),
        (soaked([100] * 60, samples=4), "4 samples in one minute; needs 5 in each"),
        (soaked([100] * 40 + [0.0] * 40), "needs levels above 0: a rise from 0 has no share"),
    ],
)
def test_what_cannot_be_judged_says_what_it_needs(windows, note):
    result = Drift().judge(windows, ())
    assert (result.outcome, result.note, result.observed) == (Outcome.NOT_JUDGED, note, None)


def test_a_checkpoint_is_the_p95_of_a_minute_of_windows():
    windows = [TrendWindow(float(s), s + 1.0, Histogram()) for s in range(150)]
    for part in windows:
        part.samples.record([10.0] * 9 + [100.0 if part.start_s < 60 else 200.0])
    first, second = trend_checkpoints(windows)
    assert (first.start_s, first.end_s, first.samples) == (0, 60, 600)
    assert (first.level, second.level) == (pytest.approx(100, rel=0.01), pytest.approx(200, rel=0.01))


@pytest.mark.parametrize(("seconds", "count"), [(1, 30), (2, 30), (16, 28), (32, 28), (64, 29), (300, 6)])
def test_windows_of_any_length_make_checkpoints_of_about_a_minute(seconds, count):
    windows = [TrendWindow(float(s), float(s + seconds), Histogram()) for s in range(0, 1800, seconds)]
    assert len(trend_checkpoints(windows)) == count


def test_windows_may_be_left_out():
    windows = [part for part in soaked(noisy(rising(0.0, 7200), spread=0.01), seconds=1.0) if part.start_s % 7]
    windows = [part for part in windows if not 1000 < part.start_s < 1200]
    assert Drift().judge(windows, ()).outcome is Outcome.PASSED


def test_the_longest_hold_is_judged_since_the_level_follows_the_load():
    levels = [200] * 10 + rising(0.0) + [20] * 10
    phases = (Phase("ramp-up", 0, 600), Phase("hold", 600, 7800), Phase("ramp-down", 7800, 8400))
    assert Drift().judge(soaked(noisy(levels, 0.01)), phases).outcome is Outcome.PASSED
    assert Drift().judge(soaked(noisy(levels, 0.01)), ()).outcome is not Outcome.PASSED


def memory(levels):
    return [window(n * 16, seconds=16, gauges={"t_rss": value}) for n, value in enumerate(levels)]


@pytest.mark.parametrize(
    ("levels", "outcome"),
    [
        ([150.0] * 450, Outcome.PASSED),
        (noisy([150.0] * 450, 0.005), Outcome.PASSED),
        ([150.0 + 3 * (n % 40) / 40 for n in range(450)], Outcome.PASSED),  # fills up and is emptied
        ([150.0 * (1 - 0.1 * math.exp(-n / 30)) for n in range(450)], Outcome.PASSED),  # a warm-up of ten minutes
        ([150.0 * 1.2 ** (n * 16 / 3600) for n in range(450)], Outcome.FAILED),
        ([150.0 + 30 * (n * 16 // 900) for n in range(450)], Outcome.FAILED),  # a leak in steps of a quarter
    ],
)
def test_the_drift_of_a_memory_is_that_of_its_mean(levels, outcome):
    assert Drift("t_rss").judge(memory(levels), ()).outcome is outcome


def test_a_gauge_at_zero_does_not_drift():
    result = Drift("t_rss").judge(memory([0] * 450), ())
    assert (result.outcome, result.observed) == (Outcome.PASSED, 0)


def test_the_checkpoint_of_a_gauge_is_its_mean():
    readings = [Checkpoint(20.0 * n, 20.0 * (n + 1), value) for n, value in enumerate([1, 2, 3, 5, 5, 5])]
    assert [(at.start_s, at.end_s, at.level) for at in gauge_checkpoints(readings)] == [(0, 60, 2), (60, 120, 5)]


def test_an_alias_names_the_same_gauge():
    windows = [window(n * 60, seconds=60, gauges={"generator_memory_mb": 100}) for n in range(60)]
    assert Drift("soak_memory_indicator").judge(windows, ()).outcome is Outcome.PASSED


def test_a_metric_that_the_run_does_not_have_fails_it_with_those_that_it_has():
    windows = [window(n * 60, seconds=60, ms=[1.0] * 9, gauges={"t_rss": 1}, t_drift_counted=1) for n in range(60)]
    absent, counted = (Drift(name).judge(windows, ()) for name in ("t_drift_nobody", "t_drift_counted"))
    names = "the trends and gauges of the run: t_rss, response_time"
    assert (absent.outcome, absent.note) == (Outcome.NO_SAMPLES, f"the run recorded no t_drift_nobody; {names}")
    assert (counted.outcome, counted.note) == (Outcome.NO_SAMPLES, f"it is a counter; {names}")


def test_a_metric_of_another_kind_cannot_be_judged():
    assert Drift("t_drift_counted").fault == "'t_drift_counted' is a counter; allowed: a trend or a gauge"
    assert Drift("generator_memory_mb").fault == Drift().fault == Drift("t_drift_unknown").fault == ""


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0, 1e300), min_size=30, max_size=50))
def test_whatever_was_measured_is_judged(levels):
    result = Drift().judge(soaked(levels), ())
    assert result.outcome in {Outcome.PASSED, Outcome.FAILED, Outcome.INCONCLUSIVE, Outcome.NOT_JUDGED}


def test_the_rule_is_written_in_words():
    assert str(Drift("t_rss", per_hour=0.2)) == "t_rss rises at most 20% an hour"
    assert Drift("x").selector == "x"


@pytest.mark.parametrize(
    ("keys", "fault"),
    [
        ({"per_hour": True}, "Drift: per_hour=True; allowed: a share of 0 to 1000, such as 0.5"),
        ({"every": "often"}, "Drift: every='often' is not a valid duration; "),
        ({"every": "0s"}, "Drift: every='0s'; allowed: a duration above zero"),
    ],
)
def test_an_invalid_value_is_refused(keys, fault):
    with pytest.raises(ConfigError) as refused:
        Drift(**keys)
    assert str(refused.value).startswith(fault)
