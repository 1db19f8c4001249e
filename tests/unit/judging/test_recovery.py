"""Recovery, on windows made by hand and on draws whose p95 is known."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_cdcperf.errors import ConfigError
from pytest_cdcperf.judging.rules.readings import TrendWindow
from pytest_cdcperf.judging.rules.recovery import Recovery, judge_recovery
from pytest_cdcperf.judging.threshold import Outcome
from pytest_cdcperf.judging.words import observed
from pytest_cdcperf.metrics.histogram import Histogram
from pytest_cdcperf.metrics.metric import Counter, Gauge
from pytest_cdcperf.metrics.phases import Phase
from pytest_cdcperf.metrics.timeline import Window
from tests.unit.metrics.windows import window

SPIKE = (Phase("hold", 0, 60), Phase("ramp-up", 60, 90), Phase("ramp-down", 90, 120), Phase("hold", 120, 240))
COUNTED = Counter("t_recovery_counted")
GAUGED = Gauge("t_recovery_gauged")


def about(level, samples=20):
    """Samples within a tenth of *level*."""
    return [level * (1 + number / samples / 10) for number in range(samples)]


def spiked(after, before=10.0, samples=20, metric="response_time"):
    """Seconds of a spike: *after* are the levels of the seconds from 120 on."""
    levels = [before] * 60 + [500.0] * 60 + list(after)
    return [window(second, ms=about(level, samples), metric=metric) for second, level in enumerate(levels)]


def judged(after, rule=None, **more):
    return (rule or Recovery()).judge(spiked(after, **more), SPIKE)


@pytest.mark.parametrize(
    ("after", "outcome", "ratio"),
    [
        ([10] * 120, Outcome.PASSED, 1),
        ([14.5] * 120, Outcome.PASSED, 1.45),
        ([90] * 40 + [10] * 80, Outcome.PASSED, 1),
        ([90] * 58 + [10] * 62, Outcome.FAILED, 9),  # the last third of the time that it has
        ([90] * 80 + [10] * 40, Outcome.FAILED, 9),
        ([20] * 120, Outcome.FAILED, 2),
        ([10] * 60 + [90] * 60, Outcome.FAILED, 9),  # it was back, and did not stay
        ([20] * 60, Outcome.FAILED, 2),
        ([5] * 120, Outcome.PASSED, 0.5),
    ],
)
def test_recovery_is_the_ratio_of_the_levels_after_and_before(after, outcome, ratio):
    result = judged(after)
    assert (result.outcome, result.observed) == (outcome, pytest.approx(ratio, rel=0.02))
    assert result.interval[0] <= result.observed <= result.interval[1]


def test_it_says_the_ratio_with_its_interval_the_levels_and_when_they_were_seen():
    result = judged([20] * 120)
    low, high = result.interval
    assert observed(result) == f"{result.observed:.3g} times [{low:.3g} to {high:.3g}]"
    assert result.note == "p(95) 10.92 ms before, 21.84 ms from 40s to 1m after the load came down"


def test_what_few_samples_do_not_tell_is_not_judged_and_says_what_it_needs():
    result = judged([17] * 120, samples=1)
    assert result.outcome is Outcome.NOT_JUDGED
    assert observed(result) == "1.7 times [0 to ?]"
    assert result.note.endswith("; needs at least 2 times the rate or longer holds")


def exponential(draw, scale, samples, seconds, start_s):
    """Windows of independent samples."""
    made = []
    for second in range(seconds):
        histogram = Histogram()
        histogram.record([draw.expovariate(1.0) * scale for _ in range(samples)])
        made.append(TrendWindow(start_s + second, start_s + second + 1.0, histogram.coarse()))
    return made


def outcomes(scale, samples, runs):
    """How often runs are judged how, whose latencies after the spike are *scale* times those before."""
    draw = random.Random(5)  # noqa: S311
    found = []
    for _ in range(runs):
        before = exponential(draw, 10.0, samples, 60, 0)
        after = exponential(draw, 10.0 * scale, samples, 120, 120)
        found.append(judge_recovery(before, after, 120.0, 0.5, 60.0).outcome)
    return found


def test_of_independent_samples_twenty_a_second_tell_back_from_doubled():
    assert set(outcomes(1.0, 20, 30)) == {Outcome.PASSED}
    doubled = outcomes(2.0, 20, 30)
    assert Outcome.PASSED not in doubled
    assert doubled.count(Outcome.FAILED) >= 24


def test_one_sample_a_second_tells_little_and_fails_nobody():
    assert Outcome.FAILED not in outcomes(1.0, 1, 30)
    assert outcomes(1.0, 1, 30).count(Outcome.NOT_JUDGED) >= 8


def test_an_interval_that_reaches_beyond_twice_the_tolerance_is_not_judged_though_the_ratio_itself_keeps_it():
    draw = random.Random(8)  # noqa: S311
    before, after = exponential(draw, 10.0, 5, 60, 0), exponential(draw, 13.0, 5, 120, 120)
    found = judge_recovery(before, after, 120.0, 0.3, 60.0)
    assert found.ratio.point <= 1.3
    assert 1.6 < found.ratio.high < math.inf
    assert (found.outcome, found.needs) == (Outcome.NOT_JUDGED, "needs about 2 times the rate or longer holds")


def test_as_many_times_the_samples_as_it_says_it_needs_do_tell():
    draw = random.Random(6)  # noqa: S311
    told = []
    for _ in range(20):
        rates = [1]
        while len(rates) < 4:
            before, after = exponential(draw, 10.0, rates[-1], 60, 0), exponential(draw, 10.0, rates[-1], 120, 120)
            found = judge_recovery(before, after, 120.0, 0.5, 60.0)
            rates.append(rates[-1] * int(found.needs.split(" times")[0].split()[-1]) if found.needs else rates[-1])
        told.append(found.outcome)
    assert told.count(Outcome.PASSED) >= 16


def test_seconds_that_resemble_their_neighbours_count_for_less():
    """The same samples: spread evenly they tell the p95, in bursts they do not."""
    evenly = [window(s, ms=[10.0] * 18 + [30.0 + 10 * (s % 2)] * 2) for s in range(240)]
    bursts = [window(s, ms=([10.0] * 20 if s % 30 < 24 else [10.0] * 10 + [70.0] * 10)) for s in range(240)]
    assert Recovery().judge(evenly, SPIKE).outcome is Outcome.PASSED
    assert Recovery().judge(bursts, SPIKE).outcome is Outcome.NOT_JUDGED


def test_the_ramps_are_no_part_of_before():
    assert judged([14] * 120, before=10).outcome is Outcome.PASSED
    assert judged([90] * 120).outcome is Outcome.FAILED


def test_windows_may_be_left_out():
    kept = [part for part in spiked([10] * 120) if part.start_s % 5]
    assert Recovery().judge(kept, SPIKE).outcome is Outcome.PASSED
    kept = [part for part in spiked([20] * 120) if part.start_s % 5]
    assert Recovery().judge(kept, SPIKE).outcome is Outcome.FAILED


@pytest.mark.parametrize(("level", "outcome"), [(10, Outcome.PASSED), (20, Outcome.FAILED)])
def test_coarse_windows_of_several_seconds_are_judged_alike(level, outcome):
    windows = [window(s, seconds=4.0, ms=about(level if s >= 120 else 10, 80)) for s in range(0, 240, 4)]
    coarse = [Window(part.start_s, part.end_s, part.snapshot.coarse()) for part in windows]
    assert Recovery().judge(coarse, SPIKE).outcome is outcome


@pytest.mark.parametrize(("lasted", "words"), [(0, "0ms"), (10, "10s")])
def test_too_short_a_hold_after_is_not_judged(lasted, words):
    result = judged([10] * lasted)
    assert result.outcome is Outcome.NOT_JUDGED
    assert result.note == f"needs a hold of 1m20s after the ramps, with samples; it lasted {words}"


def test_a_hold_that_is_shorter_than_what_it_may_take_cannot_fail():
    assert judged([90] * 50).outcome is Outcome.NOT_JUDGED
    assert judged([10] * 50).outcome is Outcome.PASSED


def test_without_samples_before_there_is_nothing_to_compare_with():
    result = Recovery().judge([part for part in spiked([10] * 120) if part.start_s >= 60], SPIKE)
    assert (result.outcome, result.note) == (
        Outcome.NOT_JUDGED,
        "needs samples above 0 in the hold before the ramps",
    )
    assert judged([10] * 120, before=0.0).outcome is Outcome.NOT_JUDGED


def test_a_latency_of_nothing_is_back():
    assert judged([0.0] * 120).outcome is Outcome.PASSED


@pytest.mark.parametrize("phases", [(), SPIKE[:1], SPIKE[:2], SPIKE[1:], SPIKE[:3], (SPIKE[0], SPIKE[1], SPIKE[3])])
def test_recovery_needs_a_hold_on_both_sides_of_a_fall(phases):
    result = Recovery().judge(spiked([10] * 120), phases)
    assert (result.outcome, result.note) == (Outcome.NOT_JUDGED, "needs a hold before and after the ramps")


def test_a_metric_that_the_run_does_not_have_fails_it_with_those_that_it_has():
    result = judged([10] * 120, Recovery("t_recovery_nobody"))
    note = "the run recorded no t_recovery_nobody; the trends of the run: response_time"
    assert (result.outcome, result.note) == (Outcome.NO_SAMPLES, note)


def test_a_metric_of_another_kind_cannot_be_judged():
    assert Recovery("t_recovery_counted").fault == "'t_recovery_counted' is a counter; allowed: a trend"
    assert Recovery("t_recovery_gauged").fault == "'t_recovery_gauged' is a gauge; allowed: a trend"
    assert Recovery("t_recovery_unknown").fault == Recovery().fault == ""
    windows = [window(second, t_recovery_of_a_worker=3) for second in range(240)]
    result = Recovery("t_recovery_of_a_worker").judge(windows, SPIKE)
    assert (result.outcome, result.note) == (Outcome.NO_SAMPLES, "it is a counter; the trends of the run: none")


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0, 1e300), max_size=40), st.lists(st.floats(0, 1e300), max_size=40))
def test_whatever_was_measured_is_judged(before, after):
    windows = [window(s, ms=[value]) for s, value in enumerate(before)]
    windows += [window(120 + 3 * s, seconds=3, ms=[value]) for s, value in enumerate(after)]
    result = Recovery().judge(windows, SPIKE)
    assert result.outcome in {Outcome.PASSED, Outcome.FAILED, Outcome.NOT_JUDGED, Outcome.NO_SAMPLES}
    if result.interval is not None:
        assert not any(math.isnan(end) for end in result.interval)
        assert result.interval[0] <= result.observed <= result.interval[1]


def test_the_rule_is_written_in_words():
    assert str(Recovery()) == "response_time p(95) back within 50% in 1m"
    assert Recovery("x").selector == "x"


@pytest.mark.parametrize(
    ("keys", "fault"),
    [
        ({"tolerance": -1}, "Recovery: tolerance=-1; allowed: a share of 0 to 1000, such as 0.5"),
        ({"tolerance": "50%"}, "Recovery: tolerance='50%'; allowed: a share of 0 to 1000, such as 0.5"),
        ({"within": -60}, "Recovery: within=-60 is not a valid duration; "),
    ],
)
def test_an_invalid_value_is_refused(keys, fault):
    with pytest.raises(ConfigError) as refused:
        Recovery(**keys)
    assert str(refused.value).startswith(fault)


def began(second, phase, level, samples=20):
    return window(second, ms=about(level, samples), phase=phase)


def test_an_iteration_belongs_to_the_hold_in_which_it_began():
    """What begins under the spike and ends after it is not a sign of a system that is still slow, and the reverse."""
    windows = [began(second, 0, 10) for second in range(60)] + [began(second, 1, 500) for second in range(60, 120)]
    for second in range(120, 240):
        windows.append(began(second, 3, 10))
        windows[-1].snapshot.merge(began(second, 2, 500, samples=2).snapshot)
    result = Recovery().judge(windows, SPIKE)
    assert (result.outcome, result.observed) == (Outcome.PASSED, pytest.approx(1, rel=0.02))


def test_what_ends_after_the_load_counts_in_the_hold_in_which_it_began():
    hanging = [began(second, 0, 10) for second in range(60)] + [began(second, 3, 10, 1) for second in range(120, 240)]
    assert Recovery().judge(hanging, SPIKE).outcome is not Outcome.FAILED
    late = [began(second, 3, 60_000, 200) for second in range(241, 250)]
    assert Recovery().judge(hanging + late, SPIKE).outcome is Outcome.FAILED


def test_beside_another_load_the_holds_are_those_before_and_after_its_ramps():
    """A load that is level throughout is a witness of the system before and after."""
    edges = [(0, 60, "hold"), (60, 90, "ramp-up"), (90, 120, "ramp-down"), (120, 240, "hold")]
    plan = [Phase(name if load == "spike" else "hold", *edge, load) for *edge, name in edges for load in ("spike", "b")]
    windows = spiked([20] * 120)
    result = Recovery().judge([began(w.start_s, _number(plan, w), 10, 1) for w in windows], plan)
    assert result.outcome is not Outcome.FAILED
    for part in windows:
        part.snapshot.series = {key.in_phase(_number(plan, part)): of for key, of in part.snapshot.series.items()}
    assert Recovery().judge(windows, plan).outcome is Outcome.FAILED


def _number(plan, part):
    return next(n for n, phase in enumerate(plan) if phase.start_s <= part.start_s < phase.end_s and phase.load == "b")
