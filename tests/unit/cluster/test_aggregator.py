from __future__ import annotations

import math
from dataclasses import replace

import pytest

from pytest_cdcperf.cluster.aggregator import RunAggregator
from pytest_cdcperf.cluster.messages import Plan, ShareDone
from pytest_cdcperf.engine.heartbeat import filled_in
from pytest_cdcperf.judging.parser import Limit, parse_thresholds
from pytest_cdcperf.judging.rules.breaking_point import Breaking
from pytest_cdcperf.judging.rules.recovery import Recovery
from pytest_cdcperf.judging.threshold import Outcome
from pytest_cdcperf.judging.verdict import Verdict
from pytest_cdcperf.metrics.delay_evidence import DelayEvidence
from pytest_cdcperf.metrics.failure import FailureKind
from pytest_cdcperf.metrics.histogram import Histogram
from pytest_cdcperf.metrics.metric import Definition, GaugeMerge, Kind, unit_of
from pytest_cdcperf.metrics.phases import Phase
from pytest_cdcperf.metrics.snapshot import CounterState, GaugeState, RateState, SeriesKey, Snapshot
from pytest_cdcperf.metrics.timeline import Window
from pytest_cdcperf.results.result import EventKind, RunFacts, WorkerPart

FACTS = RunFacts(session_id="r1", test="t.py::test", load="1 VU for 20s", planned_s=20.0, error_rate=0.1)


def window(start_s, iterations, *, failed=0, response_ms=10.0, vus=1):
    histogram = Histogram()
    histogram.record([response_ms] * iterations)
    series = {
        SeriesKey("iterations", Kind.COUNTER): CounterState(iterations),
        SeriesKey("iteration_failed", Kind.RATE): RateState(failed, iterations),
        SeriesKey("response_time", Kind.TREND): histogram,
        SeriesKey("vus", Kind.GAUGE): GaugeState(value=vus, min=vus, max=vus),
    }
    return Window(start_s, start_s + 1, Snapshot(series))


def done(elapsed_s=1.0, **more):
    return ShareDone("t.py::test", elapsed_s, **more)


def plan(thresholds=None, **more):
    return Plan("t.py::test", 1, FACTS, tuple(parse_thresholds(thresholds or {})), **more)


def feed(coordinator, worker, *messages):
    for message in messages:
        if isinstance(message, Window):
            coordinator.take_window(worker, message)
        else:
            coordinator.take_done(worker, message)


def coordinated(*messages, thresholds=None, emit=None):
    """A run of one worker."""
    coordinator = RunAggregator(plan(thresholds), emit=emit or [].append)
    feed(coordinator, "main", *messages)
    return coordinator


def several(**messages):
    """A run of several workers, with all that each sends, one after the other."""
    coordinator = RunAggregator(plan(), list(messages))
    for worker, sent in messages.items():
        feed(coordinator, worker, *sent)
    return coordinator


def test_the_result_holds_all_windows():
    result = coordinated(window(0, 50, vus=3), window(1, 70, failed=2), done(2.0, notes=("n",))).result()
    assert (result.verdict, result.reasons) == (Verdict.PASSED, ())
    assert (result.iterations, result.failed_iterations, result.elapsed_s, result.peak_vus) == (120, 2, 2, 3)
    assert result.windows.start_s == (0, 1)
    assert (result.notes, result.facts) == (("n",), FACTS)


def test_thresholds_and_faults_are_judged():
    result = coordinated(
        window(0, 100), done(1.0, faults=("a server died",)), thresholds={"response_time": "p(95)<5"}
    ).result()
    assert result.verdict is Verdict.FAILED
    assert result.reasons[0] == "a server died"
    assert result.reasons[1] == "p(95) of response_time 10 ms, limit 5 ms (p(95)<5)"
    assert [str(crossed.threshold) for crossed in result.crossed] == ["response_time p(95)<5"]


def test_without_a_word_from_anybody_the_run_failed():
    assert coordinated().result().reasons == ("no iteration was completed",)


def test_failures_of_several_workers_are_joined_by_kind():
    kinds = (FailureKind("ValueError", "t.py:1", 2, "one"), FailureKind("OSError", "t.py:2", 4, ""))
    first = done(failures=kinds)
    second = done(failures=(FailureKind("ValueError", "t.py:1", 3, "two"),))
    result = several(gw0=[first], gw1=[second]).result()
    assert [(kind.type, kind.count, kind.sample) for kind in result.failures] == [
        ("ValueError", 5, "one"),
        ("OSError", 4, ""),
    ]
    assert first.failures[0].count == 2


def test_the_live_view_shows_all_counts_and_the_last_ten_seconds():
    seen = []
    windows = [window(second, 100, response_ms=1000.0, failed=1, vus=9) for second in range(5)]
    windows += [window(second, 20, vus=4) for second in range(5, 15)]
    coordinated(*windows, emit=seen.append)
    assert len(seen) == 15
    live = seen[-1].live
    assert (live.elapsed_s, live.planned_s, live.vus, live.iterations, live.failed) == (15, 20, 4, 700, 5)
    assert live.iterations_per_s == pytest.approx(20)
    assert live.p95_ms == 10.0


def test_the_live_view_counts_false_checks_apart_from_failed_iterations():
    seen, checks = [], {SeriesKey("checks", Kind.RATE): RateState(6, 20)}
    coordinated(Window(0.0, 1.0, Snapshot(checks)), emit=seen.append)
    assert (seen[-1].live.failed, seen[-1].live.failed_checks) == (0, 14)


def test_the_live_view_of_nothing_is_no_error():
    seen = []
    coordinated(Window(0.0, 0.0, Snapshot()), emit=seen.append)
    assert (seen[0].live.vus, seen[0].live.iterations, seen[0].live.iterations_per_s) == (0, 0, 0.0)
    assert math.isnan(seen[0].live.p95_ms)


def test_a_threshold_that_wants_to_ends_the_run_once_and_says_so():
    coordinator = coordinated(
        thresholds={"response_time": Limit("avg<15", abort_on_fail=True, delay="2s")},
    )
    reasons = []
    for second in range(3):
        feed(coordinator, "main", window(second, 10, response_ms=20.0))
        reasons.append(coordinator.abort_reason)
    crossed = "avg of response_time 20 ms, limit 15 ms (avg<15)"
    assert reasons == ["", crossed, crossed]
    feed(coordinator, "main", done(3.0, notes=("n",)))
    result = coordinator.result()
    assert result.notes == ("n",)
    assert result.verdict is Verdict.FAILED
    assert result.reasons[0] == f"ended before its time: {crossed}"


def test_a_run_that_a_threshold_ended_has_failed_also_where_the_figure_comes_back_within_its_limit():
    coordinator = coordinated(thresholds={"response_time": Limit("avg<15", abort_on_fail=True)})
    feed(coordinator, "main", window(0, 10, response_ms=20.0))
    feed(coordinator, "main", window(1, 1000, response_ms=1.0))
    feed(coordinator, "main", done(2.0))
    result = coordinator.result()
    assert result.thresholds[0].outcome is Outcome.PASSED
    assert (result.verdict, result.reasons) == (
        Verdict.FAILED,
        ("ended before its time: avg of response_time 20 ms, limit 15 ms (avg<15)",),
    )


PRICE = FailureKind("KeyError", "test_it.py:12", 1, "KeyError: 'price'")


def broken(*windows, only=PRICE, error_rate=0.1, planned_s=20.0):
    """A run whose windows, of so many iterations, failed as a whole, up to where it is to end."""
    facts = replace(FACTS, error_rate=error_rate, planned_s=planned_s)
    aggregator = RunAggregator(replace(plan(), facts=facts))
    for second, (iterations, failed) in enumerate(windows):
        aggregator.take_window("main", window(second, iterations, failed=failed), None, only)
    return aggregator


def test_a_body_that_fails_in_every_iteration_in_the_same_way_ends_the_run_with_that_as_its_first_reason():
    aggregator = broken((602, 602), (601, 601))
    words = "every one of the first 1,203 iterations failed: KeyError: 'price' at test_it.py:12; ended after 2.0 s"
    assert aggregator.reason_to_end == words
    aggregator.take_window("main", window(2, 10, failed=10), None, PRICE)  # until the workers have ended
    aggregator.take_done("main", done(failures=(PRICE,), weaknesses=("too slow",), faults=("VU 1 is stuck",)))
    result = aggregator.result()
    assert (result.verdict, result.reasons) == (Verdict.FAILED, (words, "VU 1 is stuck"))
    assert [(event.at_s, event.kind, event.text) for event in result.events] == [(2.0, EventKind.BROKEN_BODY, words)]


@pytest.mark.parametrize(
    ("windows", "more"),
    [
        ([(99, 99), (0, 0)], {}),  # too few
        ([(1000, 1000)], {}),  # too early
        ([(1, 0), (1000, 1000)], {}),  # one passed
        ([(500, 500), (500, 500)], {"only": None}),  # kinds differ
        ([(500, 500), (500, 500)], {"error_rate": 1.0}),
        ([(500, 500), (500, 500)], {"planned_s": 2.0}),  # it is over
    ],
)
def test_a_run_that_may_still_show_something_goes_on(windows, more):
    assert broken(*windows, **more).reason_to_end == ""


@pytest.mark.parametrize(
    ("kinds", "ends"),
    [
        ([PRICE, replace(PRICE, count=7)], True),
        ([PRICE, None], False),
        ([PRICE, replace(PRICE, where="test_it.py:13")], False),
    ],
)
def test_a_body_is_broken_where_it_fails_in_the_same_way_on_all_workers(kinds, ends):
    aggregator = RunAggregator(plan(), ["gw0", "gw1", "idle"])
    for second in range(2):
        for worker, kind in zip(("gw0", "gw1"), kinds, strict=True):
            aggregator.take_window(worker, window(second, 40, failed=40), None, kind)
        aggregator.take_window("idle", window(second, 0))
    assert bool(aggregator.reason_to_end) == ends


def late(start_s, iterations, lost_s, **more):
    """A second in which the generator could not run for a part of the time."""
    this = window(start_s, iterations, **more)
    beats = Histogram()
    beats.record(filled_in(lost_s * 1e3))
    this.snapshot.series[SeriesKey("generator_delay", Kind.TREND)] = beats
    this.snapshot.series[SeriesKey("generator_lost_s", Kind.COUNTER)] = CounterState(lost_s)
    return this


def test_an_unfit_generator_makes_the_result_invalid_and_says_why():
    coordinator = RunAggregator(plan())
    evidence = DelayEvidence(span_s=1.0, late_s=0.4, worst_ms=400.0, worst_from_s=1, worst_to_s=2, cpu_s=0.9, cpus=2)
    coordinator.take_window("main", window(0, 100))
    coordinator.take_window("main", late(1, 100, 0.4), evidence)
    coordinator.take_done("main", done(2.0, cpu=0.9))
    result = coordinator.result()
    assert (result.verdict, result.generator_fit) == (Verdict.INVALID, False)
    assert result.reasons == (
        "the generator could not run for 20% of the time (allowed 15%), worst at 1-2 s, 400 ms late: its own code used "
        "0.9 of a CPU, and Python runs on one: use more workers, fewer VUs, or think time",
    )
    assert (result.workers[0].lost, result.workers[0].own_delay_worst_ms) == (0.2, 800.0)


def test_an_unfit_generator_only_warns_where_that_was_asked_for():
    tolerant = replace(plan(), facts=replace(FACTS, on_unfit="warn"))
    coordinator = RunAggregator(tolerant)
    feed(coordinator, "main", late(0, 100, 0.4), done(1.0))
    result = coordinator.result()
    assert (result.verdict, result.reasons, result.generator_fit) == (Verdict.PASSED, (), False)
    assert [warning[:50] for warning in result.warnings] == ["the generator could not run for 40% of the time (a"]


@pytest.mark.parametrize(("on_unfit", "verdict"), [("fail", Verdict.INVALID), ("warn", Verdict.FAILED)])
def test_a_limit_that_the_generator_may_have_crossed_is_untold_and_with_a_warning_it_is_crossed(on_unfit, verdict):
    asked = plan({"response_time": "p(95)<5"})
    coordinator = RunAggregator(replace(asked, facts=replace(FACTS, on_unfit=on_unfit)))
    feed(coordinator, "main", late(0, 100, 0.1, response_ms=10.0), done(1.0))
    result = coordinator.result()
    assert result.verdict is verdict
    said = "p(95) of response_time 10 ms, limit 5 ms (p(95)<5): the generator's own delay, 200 ms, is above the limit"
    assert said in (result.reasons if on_unfit == "fail" else result.warnings)


@pytest.mark.parametrize("on_unfit", ["fail", "warn"])
def test_a_load_that_did_not_come_is_invalid_whatever_is_tolerated(on_unfit):
    coordinator = RunAggregator(replace(plan(), facts=replace(FACTS, on_unfit=on_unfit)))
    feed(coordinator, "main", window(0, 5), done(weaknesses=("3 of 8 VUs came late",)))
    result = coordinator.result()
    assert (result.verdict, result.reasons) == (Verdict.INVALID, ("3 of 8 VUs came late",))
    assert not result.generator_fit


def test_a_phase_is_unfit_by_itself_for_the_limits_on_it():
    phases = (Phase("ramp-up", 0, 2), Phase("hold", 2, 10))
    sent = [late(0, 50, 0.4), late(1, 50, 0.3), *(window(second, 50) for second in range(2, 10)), done(10.0)]
    verdicts = {}
    for phase in ("ramp-up", "hold"):
        coordinator = RunAggregator(plan({"response_time": Limit("avg<5000", phase=phase)}, phases=phases))
        feed(coordinator, "main", *sent)
        verdicts[phase] = coordinator.result()
    assert verdicts["hold"].verdict is Verdict.PASSED
    assert (
        verdicts["ramp-up"]
        .reasons[0]
        .startswith("the generator could not run for 35% of the time in ramp-up (allowed 15%)")
    )


@pytest.mark.parametrize(("late_at", "verdict"), [(2, Verdict.FAILED), (3, Verdict.INVALID), (4, Verdict.INVALID)])
def test_a_limit_over_time_is_untold_by_the_worst_windows_and_the_one_before(late_at, verdict):
    coordinator = RunAggregator(plan({"response_time": Limit("max<50", over="1s")}))
    for second in range(6):
        response_ms = 120.0 if second == 4 else 10.0
        sent = (
            late(second, 50, 0.1, response_ms=response_ms)
            if second == late_at
            else window(second, 50, response_ms=response_ms)
        )
        feed(coordinator, "main", sent)
    feed(coordinator, "main", done(6.0))
    assert coordinator.result().verdict is verdict


@pytest.mark.parametrize(("limit", "verdict"), [(220, Verdict.INVALID), (230, Verdict.FAILED)])
def test_what_all_workers_lost_is_counted_in_the_mean(limit, verdict):
    coordinator = RunAggregator(plan({"iterations": f"count>={limit}"}), ["gw0", "gw1"])
    for worker in ("gw0", "gw1"):
        feed(coordinator, worker, late(0, 100, 0.1), done(1.0))
    assert coordinator.result().verdict is verdict  # 200 / (1 - 0.1) are 222


def test_workers_that_share_a_host_are_told():
    coordinator = RunAggregator(plan(), ["gw0", "gw1"])
    evidence = DelayEvidence(span_s=1.0, late_s=0.4, worst_ms=400.0, cpu_s=0.3, others_cpu_s=0.7, cpus=1)
    for worker in ("gw0", "gw1"):
        coordinator.take_window(worker, late(0, 100, 0.4), evidence)
        coordinator.take_done(worker, done(1.0, host="load1"))
    assert "2 workers share the 1 CPUs of their host" in coordinator.result().reasons[0]


def test_phases_windows_and_breaking_point_are_judged():
    phases = (Phase("hold", 0, 5), Phase("ramp-up", 5, 30))
    thresholds = {"response_time": ["p(95)<50", Limit("avg<15", phase="hold")]}
    coordinator = RunAggregator(plan(thresholds, run_rules=(Recovery(),), phases=phases))
    for second in range(30):
        feed(coordinator, "main", window(second, 20, response_ms=10.0 if second < 15 else 90.0, vus=second))
    result = coordinator.result()
    assert [str(r.outcome) for r in result.thresholds] == ["failed", "passed", "not judged"]
    assert result.breaking_point.words == (
        "breaking point at 15 s, 15 VUs, 20 iterations/s: the limit of 50 ms on p(95) of response_time is crossed and "
        "stays above to the end of the ramp (100% of the samples, 5% allowed)"
    )
    assert result.notes == ()


def test_a_ramp_that_may_have_broken_something_says_so_in_a_note():
    coordinator = RunAggregator(plan({"response_time": "p(95)<50"}, phases=(Phase("ramp-up", 0, 10),)))
    for second in range(10):
        feed(coordinator, "main", window(second, 20, response_ms=10.0 if second < 8 else 90.0, vus=second))
    result = coordinator.result()
    assert result.breaking_point.outcome is Breaking.UNCERTAIN
    assert result.notes == (
        "it may break from 8 VUs on, by the limit of 50 ms on p(95) of response_time; needs a longer ramp to decide",
    )


def test_a_level_load_has_no_breaking_point():
    coordinator = RunAggregator(plan({"response_time": "p(95)<50"}, phases=(Phase("hold", 0, 10),)))
    for second in range(10):
        feed(coordinator, "main", window(second, 20, response_ms=10.0 if second < 5 else 90.0))
    assert coordinator.result().breaking_point is None


def test_figures_of_several_workers_are_joined_second_by_second():
    result = several(
        gw0=[window(0, 50, failed=1), window(1, 60), done(2.0)], gw1=[window(0, 5), window(1, 6, failed=2), done(2.0)]
    ).result()
    assert (result.iterations, result.failed_iterations, result.elapsed_s) == (121, 3, 2)
    assert result.windows.points("iterations", "count") == [(1, 55), (2, 66)]


def test_the_part_of_each_worker_is_told():
    lag = Histogram()
    lag.record([1.0, 2.0])
    with_lag = window(0, 7)
    with_lag.snapshot.series[SeriesKey("generator_lag", Kind.TREND)] = lag
    result = several(gw0=[window(0, 2), window(1, 3), done(cpu=0.5)], gw1=[with_lag, done(cpu=0.25)]).result()
    assert result.workers == (
        WorkerPart("gw0", "1 of 2", 5, 2.0, 0.5),
        WorkerPart("gw1", "2 of 2", 7, 1.0, 0.25, lag.quantile(0.99)),
    )


def test_with_several_workers_each_line_says_whose_it_is():
    sent = {"faults": ("broken",), "notes": ("odd",)}
    both = several(gw0=[window(0, 5), done(**sent)], gw1=[done(**sent)]).result()
    alone = coordinated(window(0, 5), done(**sent)).result()
    assert (both.reasons, both.notes) == (("gw0: broken", "gw1: broken"), ("gw0: odd", "gw1: odd"))
    assert (alone.reasons, alone.notes) == (("broken",), ("odd",))


def test_a_lost_worker_fails_the_run_and_what_it_sent_is_kept():
    coordinator = several(gw0=[window(0, 5), window(1, 5), done(2.0)], gw1=[window(0, 7)])
    assert (coordinator.finished, coordinator.is_complete) == ({"gw0"}, False)
    coordinator.lose("gw1", "died")
    assert coordinator.is_complete
    result = coordinator.result()
    assert result.verdict is Verdict.FAILED
    assert result.reasons == ("worker gw1 died after 1 s; its 7 iterations until then are counted",)
    assert result.iterations == 17
    assert [(part.name, part.outcome) for part in result.workers] == [("gw0", ""), ("gw1", "died")]


def test_a_worker_that_is_lost_after_its_share_was_done_fails_the_run_too():
    coordinator = several(gw0=[window(0, 5), done()], gw1=[window(0, 7), done()])
    coordinator.lose("gw1", "died")
    assert coordinator.result().reasons == ("worker gw1 died after 1 s; its 7 iterations until then are counted",)


def test_an_interrupted_run_failed_for_the_first_reason():
    coordinator = coordinated(window(0, 5), done())
    coordinator.interrupt("Ctrl-C")
    coordinator.interrupt("SIGTERM")
    assert coordinator.result().reasons == ("stopped early: Ctrl-C",)


def test_faults_of_the_servers_fail_the_run():
    assert coordinated(window(0, 5), done()).result(["mongo died"]).reasons == ("mongo died",)


def test_a_server_that_was_lost_is_the_first_reason_once_whatever_the_generator_did():
    coordinator = coordinated(window(0, 5), done(faults=("VU 1 is stuck",), weaknesses=("a full CPU",)))
    coordinator.fail("mongo died")
    result = coordinator.result(["mongo died", "postgres died"])
    assert result.verdict is Verdict.FAILED
    assert result.reasons == ("mongo died", "postgres died", "VU 1 is stuck")
    assert "ended before its time: what it needs is gone" in result.notes


def test_iterations_were_skipped_only_where_all_of_them_were():
    assert coordinated(done(skipped="not today")).skip_reason() == "not today"
    assert several(gw0=[done()], gw1=[done(skipped="not today")]).skip_reason() == "not today"
    assert several(gw0=[window(0, 5), done()], gw1=[done(skipped="not today")]).skip_reason() == ""
    assert coordinated(done()).skip_reason() == ""
    hung = Window(0, 1, Snapshot({SeriesKey("iteration_failed", Kind.RATE): RateState(1, 1)}))  # completed none
    assert coordinated(hung, done(skipped="not today")).skip_reason() == ""


def test_metrics_that_only_a_worker_defined_are_known_afterwards():
    coordinated(done(metrics=(Definition("t_coordinator_far", Kind.TREND, "km", GaugeMerge.LAST),)))
    assert unit_of("t_coordinator_far") == "km"
