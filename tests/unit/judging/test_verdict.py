from __future__ import annotations

import pytest

from pytest_cdcperf.judging.evaluation import evaluate
from pytest_cdcperf.judging.parser import parse_thresholds
from pytest_cdcperf.judging.rules.drift import Drift
from pytest_cdcperf.judging.rules.recovery import Recovery
from pytest_cdcperf.judging.saturation import Saturation, saturation
from pytest_cdcperf.judging.threshold import Outcome, ThresholdResult
from pytest_cdcperf.judging.verdict import Verdict, judge
from pytest_cdcperf.metrics import builtin
from pytest_cdcperf.metrics.metric import Kind
from pytest_cdcperf.metrics.snapshot import CounterState, RateState, SeriesKey, Snapshot, new_state
from tests.unit.metrics.windows import window

RESPONSE = builtin.RESPONSE_TIME.name


def figures(*, failed=0, total=100, response_ms=10.0, samples=100):
    histogram = new_state(Kind.TREND)
    histogram.record([response_ms] * samples)
    return Snapshot(
        {
            SeriesKey(builtin.ITERATION_FAILED.name, Kind.RATE): RateState(failed, total),
            SeriesKey(RESPONSE, Kind.TREND): histogram,
        }
    )


def judged(snapshot, spec=None, *, error_rate=0.0, shortened=False, windows=(), **more):
    more["saturation"] = saturation(snapshot, windows)
    results = [evaluate(threshold, snapshot, 10.0) for threshold in parse_thresholds(spec or {})]
    return judge(snapshot, results, error_rate=error_rate, shortened=shortened, **more)


@pytest.mark.parametrize(
    ("failed", "error_rate", "reasons"),
    [
        (0, 0.0, ()),
        (1, 0.01, ()),
        (1, 0.0, ("1 of 100 iterations failed (1%, tolerated 0%)",)),
        (2, 0.01, ("2 of 100 iterations failed (2%, tolerated 1%)",)),
        (100, 1.0, ()),
    ],
)
def test_failed_iterations_are_tolerated_up_to_the_error_rate(failed, error_rate, reasons):
    judgement = judged(figures(failed=failed), error_rate=error_rate)
    assert judgement.reasons == reasons
    assert judgement.verdict is (Verdict.FAILED if reasons else Verdict.PASSED)


@pytest.mark.parametrize("snapshot", [Snapshot(), figures(total=0)])
def test_a_run_without_a_completed_iteration_fails(snapshot):
    judgement = judged(snapshot, error_rate=1.0)
    assert (judgement.verdict, judgement.reasons) == (Verdict.FAILED, ("no iteration was completed",))


@pytest.mark.parametrize(
    ("response_ms", "samples", "shortened", "verdict", "outcome"),
    [
        (10.0, 59, False, Verdict.PASSED, Outcome.PASSED),
        (10.0, 58, False, Verdict.INVALID, Outcome.TOO_FEW),
        (10.0, 58, True, Verdict.PASSED, Outcome.NOT_JUDGED),
        (10000.0, 50, False, Verdict.FAILED, Outcome.FAILED),
        (10000.0, 50, True, Verdict.FAILED, Outcome.FAILED),
        (10000.0, 500, True, Verdict.FAILED, Outcome.FAILED),
        (10.0, 59, True, Verdict.PASSED, Outcome.PASSED),
    ],
)
def test_a_percentile_of_too_few_samples_is_invalid_and_in_a_shortened_run_not_judged(
    response_ms, samples, shortened, verdict, outcome
):
    judgement = judged(figures(response_ms=response_ms, samples=samples), {RESPONSE: "p(95)<100"}, shortened=shortened)
    assert judgement.verdict is verdict
    assert [result.outcome for result in judgement.thresholds] == [outcome]


def test_invalid_says_what_to_do():
    judgement = judged(figures(samples=50), {RESPONSE: "p(99)<100"})
    assert judgement.reasons == (
        "p(99) of response_time 10 ms, limit 100 ms (p(99)<100): 50 samples; p(99) needs 299, which takes "
        "about 1m; run longer",
    )


def test_a_failure_outweighs_too_few_samples():
    judgement = judged(figures(failed=1, samples=50), {RESPONSE: "p(99)<100"})
    assert judgement.verdict is Verdict.FAILED
    assert len(judgement.reasons) == 1
    assert judgement.thresholds[0].outcome is Outcome.TOO_FEW


def test_every_reason_is_given_with_what_was_observed():
    judgement = judged(
        figures(failed=5, response_ms=512.0),
        {RESPONSE: ["max<100", "min>=1"], "t_verdict_nobody": "avg<1"},
        faults=["the server died"],
    )
    assert judgement.verdict is Verdict.FAILED
    assert judgement.reasons == (
        "the server died",
        "5 of 100 iterations failed (5%, tolerated 0%)",
        "max of response_time 512 ms, limit 100 ms (max<100)",
        "avg of t_verdict_nobody: no samples, limit 1 (avg<1)",
    )
    assert len(judgement.thresholds) == 3


def test_a_reason_says_in_words_what_is_no_figure_of_the_metric():
    late = ThresholdResult(Recovery(), Outcome.FAILED, 2.00034, "it was slow", (1.7, 2.4))
    judgement = judge(figures(), [late], error_rate=0, shortened=False)
    assert judgement.reasons == ("response_time p(95) back within 50% in 1m: 2 times [1.7 to 2.4] (it was slow)",)


def test_a_fault_of_the_run_fails_it_by_itself():
    assert judged(figures(), faults=["a server died"]).verdict is Verdict.FAILED


UNFIT = "the generator could not run for 31% of the time (allowed 15%)"
SATURATED = "{}: {} starts were dropped because every VU was busy; raise max_vus or lower the rate"


def test_an_unfit_generator_makes_it_invalid_whatever_crossed_and_lists_it_all_the_same():
    judgement = judged(figures(failed=5, response_ms=512.0), {RESPONSE: ["max<100", "min>=1"]}, unfit=[UNFIT])
    assert judgement.verdict is Verdict.INVALID
    assert judgement.reasons == (
        UNFIT,
        "5 of 100 iterations failed (5%, tolerated 0%)",
        "max of response_time 512 ms, limit 100 ms (max<100)",
    )
    assert [result.outcome for result in judgement.thresholds] == [Outcome.FAILED, Outcome.PASSED]


def test_an_unfit_generator_alone_is_enough():
    assert judged(figures(), unfit=[UNFIT]).verdict is Verdict.INVALID


def test_a_body_that_mostly_fails_and_a_fault_are_said_before_an_unfit_generator():
    judgement = judged(figures(failed=51), unfit=[UNFIT], faults=["died"])
    assert judgement.verdict is Verdict.FAILED
    assert judgement.reasons == ("died", "51 of 100 iterations failed (51%, tolerated 0%)", UNFIT)
    assert judged(figures(failed=50), unfit=[UNFIT]).verdict is Verdict.INVALID
    assert judged(figures(failed=100), error_rate=1.0, unfit=[UNFIT]).verdict is Verdict.INVALID


def test_a_limit_that_an_unfit_generator_leaves_untold_is_invalid_and_a_crossed_one_beside_it_fails():
    untold = ThresholdResult(parse_thresholds({RESPONSE: "max<100"})[0], Outcome.UNFIT, 144.0, "most of that is ours")
    alone = judge(figures(), [untold], error_rate=0.0, shortened=False)
    said = "max of response_time 144 ms, limit 100 ms (max<100): most of that is ours"
    assert (alone.verdict, alone.reasons) == (Verdict.INVALID, (said,))
    crossed = ThresholdResult(parse_thresholds({RESPONSE: "min<1"})[0], Outcome.FAILED, 10.0)
    both = judge(figures(), [untold, crossed], error_rate=0.0, shortened=False)
    assert (both.verdict, both.reasons) == (Verdict.FAILED, ("min of response_time 10 ms, limit 1 ms (min<1)", said))


def test_drops_fail_the_run_and_say_at_what_rate_it_was_saturated():
    snapshot = figures()
    snapshot.series[SeriesKey("dropped_iterations", Kind.COUNTER)] = CounterState(40)
    windows = [
        window(0, iterations=100),
        window(1, iterations=60, dropped_iterations=15),
        window(2, iterations=30),  # those who waited have not been dropped yet
        window(3, iterations=60, dropped_iterations=20),
        window(4, iterations=70, dropped_iterations=5),  # the last iterations of all VUs
    ]
    assert saturation(snapshot, windows) == Saturation(dropped=40, rate=50)
    judgement = judged(snapshot, windows=windows)
    assert judgement.verdict is Verdict.FAILED
    assert judgement.reasons == (SATURATED.format("saturated at 50/s", 40),)
    (reason,) = judged(snapshot, windows=windows[-1:]).reasons
    assert reason == SATURATED.format("saturated at 70/s", 40)
    assert judged(snapshot).reasons == (SATURATED.format("saturated", 40),)


def test_starts_that_the_end_of_the_run_dropped_do_not_saturate_it():
    snapshot = figures()
    snapshot.series[SeriesKey("dropped_iterations", Kind.COUNTER, builtin.RUN_ENDED)] = CounterState(400)
    assert judged(snapshot).verdict is Verdict.PASSED
    snapshot.series[SeriesKey("dropped_iterations", Kind.COUNTER)] = CounterState(40)
    assert judged(snapshot).reasons == (SATURATED.format("saturated", 40),)


def test_a_declared_count_of_no_drops_is_no_fault():
    snapshot = figures()
    snapshot.series[SeriesKey("dropped_iterations", Kind.COUNTER)] = CounterState(0)
    assert judged(snapshot).verdict is Verdict.PASSED


@pytest.mark.parametrize(
    ("outcome", "verdict"),
    [
        (Outcome.PASSED, Verdict.PASSED),
        (Outcome.FAILED, Verdict.FAILED),
        (Outcome.NO_SAMPLES, Verdict.FAILED),
        (Outcome.TOO_FEW, Verdict.INVALID),
        (Outcome.NOT_JUDGED, Verdict.INVALID),
        (Outcome.INCONCLUSIVE, Verdict.INVALID),
    ],
)
def test_a_rule_about_the_run_over_time_counts_like_a_threshold(outcome, verdict):
    results = [ThresholdResult(Drift(), outcome)]
    assert judge(figures(), results, error_rate=0.0, shortened=False).verdict is verdict
    shortened = Verdict.PASSED if verdict is Verdict.INVALID else verdict
    assert judge(figures(), results, error_rate=0.0, shortened=True).verdict is shortened


def test_what_a_rule_could_not_tell_is_said_with_what_it_saw_and_needs():
    seen = ThresholdResult(Drift(), Outcome.INCONCLUSIVE, 0.03, "needs about 3h20m", (0.01, 0.05))
    unseen = ThresholdResult(Recovery(), Outcome.NOT_JUDGED, note="needs a hold before and after the ramps")
    judgement = judge(figures(), [seen, unseen], error_rate=0, shortened=False)
    assert judgement.reasons == (
        "inconclusive: response_time rises at most 10% an hour: +3.0% an hour [+1.0% to +5.0%] (needs about 3h20m)",
        "not judged: response_time p(95) back within 50% in 1m (needs a hold before and after the ramps)",
    )


def test_the_reasons_stand_in_the_order_in_which_they_are_to_be_mended():
    """What the run lost, faults and a body that fails everywhere; the generator; failures; what could not be judged."""
    snapshot = figures(failed=60)
    snapshot.series[SeriesKey("dropped_iterations", Kind.COUNTER)] = CounterState(40)
    crossed, untold, unseen, few = (
        ThresholdResult(parse_thresholds({RESPONSE: limit})[0], outcome, 10.0)
        for limit, outcome in (
            ("max<1", Outcome.FAILED),
            ("max<2", Outcome.UNFIT),
            ("max<3", Outcome.NO_SAMPLES),
            ("max<4", Outcome.TOO_FEW),
        )
    )
    both = {"results": [few, untold, crossed, unseen], "error_rate": 0.0, "shortened": False, "unfit": [UNFIT]}
    both["saturation"] = saturation(snapshot, ())
    whole = judge(snapshot, broken=["the server died"], faults=["a VU is stuck"], error="at line 7", **both)
    assert [reason.partition(" ")[0] for reason in whole.reasons] == [
        "the",
        "a",
        "60",
        "saturated:",
        "max",
        "max",
        "max",
    ]
    mostly = judge(snapshot, error="at line 7", **both)
    assert mostly.verdict is Verdict.FAILED
    assert mostly.reasons[:3] == (
        "60 of 100 iterations failed (60%, tolerated 0%): at line 7",
        UNFIT,
        SATURATED.format("saturated", 40),
    )
    assert [reason.rpartition("(")[2] for reason in mostly.reasons[3:]] == ["max<1)", "max<3)", "max<2)"]
    both["saturation"] = None
    sometimes = judge(figures(failed=5), **both)
    assert sometimes.verdict is Verdict.INVALID
    assert sometimes.reasons[:2] == (UNFIT, "5 of 100 iterations failed (5%, tolerated 0%)")
    fit = judge(figures(), **{**both, "unfit": []})
    assert (fit.verdict, len(fit.reasons)) == (Verdict.FAILED, 3)


def test_a_share_of_failed_iterations_is_told_apart_from_what_is_tolerated():
    judgement = judged(figures(failed=10_001, total=1_000_000), error_rate=0.01)
    assert judgement.reasons == ("10,001 of 1,000,000 iterations failed (1.0001%, tolerated 1%)",)
