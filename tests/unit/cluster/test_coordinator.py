"""The states of a test over all its workers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_cdcperf.cluster.coordinator import Coordinator
from pytest_cdcperf.cluster.messages import (
    Arrived,
    Broken,
    CallEnded,
    Concluded,
    Go,
    Refused,
    Released,
    Start,
    Stop,
    WindowDone,
)
from pytest_cdcperf.events import LimitCrossed, RunStarted, WindowMerged
from pytest_cdcperf.judging.parser import Limit
from pytest_cdcperf.judging.verdict import Verdict
from pytest_cdcperf.load.share import Share
from pytest_cdcperf.metrics.failure import FailureKind
from pytest_cdcperf.metrics.metric import Definition, GaugeMerge, Kind, unit_of
from tests.unit.cluster.cluster import A, Cluster, RecordingSession, done, plan, second_of, to_all
from tests.unit.metrics.windows import window

# --- The barrier before the test


def test_all_go_once_the_last_has_arrived():
    cluster = Cluster("gw0", "gw1")
    cluster.send(Arrived(A), "gw1")
    assert cluster.all_posted() == {}
    cluster.send(Arrived(A), "gw0")
    assert cluster.all_posted() == {"gw0": [Go(A, True, is_first=True)], "gw1": [Go(A, True, is_first=False)]}


def test_a_test_waits_until_nothing_else_is_running():
    cluster = Cluster("gw0")
    cluster.coordinator.ordinary_tests_done(False)
    cluster.send(Arrived(A))
    assert not cluster.coordinator.has_begun(A)
    cluster.coordinator.ordinary_tests_done()
    cluster.coordinator.ordinary_tests_done()
    assert cluster.posted("gw0") == [Go(A, True)]
    assert cluster.coordinator.has_begun(A)


def test_workers_without_a_vu_pass_the_test_by():
    cluster = Cluster("gw0", "gw1", "gw2", vus=2)
    goes = cluster.arrive()
    assert {worker: go.takes_part for worker, (go,) in goes.items()} == {"gw0": True, "gw1": True, "gw2": False}
    cluster.send(plan(), "gw0", "gw1")
    assert cluster.all_posted() == {"gw0": [Start(Share(0, 2))], "gw1": [Start(Share(1, 2))]}


def test_a_worker_that_dies_before_the_test_is_not_waited_for():
    cluster = Cluster("gw0", "gw1")
    cluster.send(Arrived(A), "gw0")
    cluster.coordinator.drop("gw1", "died")
    assert cluster.all_posted() == {"gw0": [Go(A, True)]}
    cluster.send(plan(), "gw0")
    assert cluster.all_posted() == {"gw0": [Start(Share(0, 1))]}


# --- The run


def test_all_start_their_shares_once_the_last_has_sent_its_plan():
    cluster = Cluster("gw0", "gw1")
    cluster.arrive()
    cluster.send(plan(), "gw1")
    assert cluster.all_posted() == {}
    assert cluster.session.events == []
    cluster.send(plan(), "gw0")
    assert cluster.all_posted() == {"gw0": [Start(Share(0, 2))], "gw1": [Start(Share(1, 2))]}
    (started,) = cluster.session.of(RunStarted)
    assert (started.facts.test, started.workers) == (A, ("gw0", "gw1"))


def test_the_result_of_all_goes_to_all_and_is_kept_once():
    cluster = Cluster("gw0", "gw1")
    cluster.start()
    cluster.send(WindowDone(A, second_of(0.0, 5)), "gw0")
    cluster.send(WindowDone(A, second_of(0.0, 7)), "gw1")
    cluster.send(done(), "gw0")
    assert cluster.all_posted() == {}
    cluster.send(done(), "gw1")
    (result,) = cluster.session.results
    assert cluster.all_posted() == to_all(Concluded(result))
    assert (result.iterations, result.verdict) == (12, Verdict.PASSED)
    assert [part.name for part in result.workers] == ["gw0", "gw1"]
    assert cluster.session.of(WindowMerged)[-1].live.iterations == 12


def test_what_kept_a_result_from_being_written_is_told_to_all():
    cluster = Cluster("gw0", "gw1")
    cluster.session.unwritten = "disk full"
    cluster.start()
    cluster.send(done())
    assert {worker: message.fault for worker, (message,) in cluster.all_posted().items()} == {
        "gw0": "disk full",
        "gw1": "disk full",
    }


def test_a_run_whose_iterations_were_all_skipped_is_not_kept():
    cluster = Cluster("gw0")
    cluster.start()
    cluster.send(done(skipped="not today"))
    (concluded,) = cluster.posted("gw0")
    assert concluded.skipped == "not today"
    assert cluster.session.results == []


def test_servers_that_died_in_the_run_fail_it():
    cluster = Cluster("gw0")
    cluster.start()
    cluster.send(WindowDone(A, second_of(0.0, 5)))
    cluster.session.wrong = ["mongo died"]
    cluster.send(done())
    assert cluster.session.results[0].reasons == ("mongo died",)


def test_a_crossed_threshold_ends_the_run_on_all_once():
    cluster = Cluster("gw0", "gw1")
    cluster.start(plan(response_time=Limit("avg<15", abort_on_fail=True)))
    for second in range(2):
        cluster.send(WindowDone(A, window(float(second), ms=[90.0])))
    assert cluster.all_posted() == to_all(Stop("avg of response_time 90 ms, limit 15 ms (avg<15)"))
    (crossed,) = cluster.session.of(LimitCrossed)
    assert (str(crossed.result.threshold), crossed.elapsed_s) == ("response_time avg<15", 1.0)


def test_a_body_that_fails_in_the_same_way_on_all_workers_ends_the_run_on_all():
    cluster, only = Cluster("gw0", "gw1"), FailureKind("KeyError", "test_it.py:12", 1, "KeyError: 'price'")
    cluster.start()
    for second in range(2):
        cluster.send(WindowDone(A, window(float(second), iterations=30, iteration_failed=(30, 30)), None, only))
    said = "every one of the first 120 iterations failed: KeyError: 'price' at test_it.py:12; ended after 2.0 s"
    assert cluster.all_posted() == to_all(Stop(said))


def test_what_ends_the_run_on_one_worker_ends_it_on_all_at_once():
    cluster = Cluster("gw0", "gw1")
    cluster.start()
    cluster.send(done(ends_run="Exit: enough"), "gw1")
    assert cluster.all_posted() == to_all(Stop("Exit: enough on worker gw1", at_once=True))
    cluster.send(done(), "gw0")
    assert cluster.session.results[0].reasons[0] == "stopped early: Exit: enough on worker gw1"


@pytest.mark.parametrize("said", ["by the host", "by a worker"])
def test_what_runs_need_and_lose_ends_them_on_all_at_once(said):
    cluster = Cluster("gw0", "gw1")
    cluster.start()
    if said == "by the host":
        cluster.coordinator.fail("postgres died")
    else:
        cluster.send(Broken("postgres died"), "gw1")
    assert cluster.all_posted() == to_all(Stop("postgres died", at_once=True))
    cluster.send(done(), "gw0")
    cluster.send(done(), "gw1")
    assert cluster.session.results[0].reasons[0] == "postgres died"


def test_what_is_lost_while_the_run_ends_hurries_nobody():
    cluster = Cluster("gw0", "gw1")
    cluster.start()
    for reason in ("postgres died", "debezium died", "postgres died"):
        cluster.coordinator.fail(reason)
    assert cluster.all_posted() == to_all(Stop("postgres died", at_once=True))
    cluster.send(done(), "gw0")
    cluster.send(done(), "gw1")
    assert cluster.session.results[0].reasons[:2] == ("postgres died", "debezium died")


def test_what_is_lost_between_runs_ends_nothing():
    cluster = Cluster("gw0", "gw1")
    cluster.coordinator.fail("postgres died")
    assert cluster.all_posted() == {}


def test_alone_nobody_is_named():
    cluster = Cluster("main")
    cluster.start()
    cluster.send(done(ends_run="Ctrl-C"))
    assert cluster.session.results[0].reasons[0] == "stopped early: Ctrl-C"


def test_a_test_may_have_several_runs():
    cluster = Cluster("gw0", "gw1")
    for call in (1, 2):
        assert cluster.start(plan(call=call)) == {"gw0": [Start(Share(0, 2))], "gw1": [Start(Share(1, 2))]}
        cluster.send(done())
        cluster.all_posted()
    assert len(cluster.session.results) == 2


def test_metrics_of_a_plan_are_known_to_who_judges():
    cluster = Cluster("gw0")
    cluster.start(replace(plan(), metrics=(Definition("t_controller_far", Kind.GAUGE, "km", GaugeMerge.SUM),)))
    assert unit_of("t_controller_far") == "km"


def test_in_one_process_nobody_arrives_and_the_plan_starts_at_once():
    coordinator = Coordinator(*[RecordingSession()] * 2)
    posted = []
    coordinator.join("main", posted.append)
    coordinator.admit(["main"])
    coordinator.receive("main", plan("any"))
    assert posted == [Start(Share(0, 1))]


# --- Runs that do not start


@pytest.mark.parametrize(
    ("outcome", "reason", "skips"),
    [
        ("failed", "its set-up failed on worker gw1; no load was started", False),
        ("skipped", "its set-up skipped on worker gw1; no load was started", True),
        (
            "passed",
            "the workers diverged: gw1 has ended the test, gw0 begins another run; "
            "let a test decide by merged results only",
            False,
        ),
    ],
)
@pytest.mark.parametrize("plan_is_first", [True, False])
def test_no_run_starts_where_the_test_has_ended_on_another_worker(outcome, reason, skips, plan_is_first):
    cluster = Cluster("gw0", "gw1")
    cluster.arrive()
    messages = [(plan(), "gw0"), (CallEnded(A, outcome), "gw1")]
    for message, worker in messages if plan_is_first else reversed(messages):
        cluster.send(message, worker)
    assert cluster.all_posted() == {"gw0": [Refused(reason, skips=skips)]}
    assert cluster.session.events == []


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (plan(call=2), "run 2 (9 VUs)"),
        (plan(load="8 VUs"), "run 1 (8 VUs)"),
        (plan(response_time="avg<5"), "run 1 (9 VUs; response_time avg<5)"),
    ],
)
def test_no_run_starts_where_the_workers_mean_different_ones(other, words):
    cluster = Cluster("gw0", "gw1")
    cluster.arrive()
    cluster.send(plan(), "gw0")
    cluster.send(other, "gw1")
    reason = f"the workers diverged: gw0 begins run 1 (9 VUs), gw1 {words}; let a test decide by merged results only"
    assert cluster.all_posted() == to_all(Refused(reason))


def test_no_run_starts_beside_a_dead_server():
    cluster = Cluster("gw0", "gw1")
    cluster.session.wrong = ["mongo died", "debezium died"]
    assert cluster.start() == to_all(Refused("no load was started: mongo died; debezium died"))


@pytest.mark.parametrize("plan_is_first", [True, False])
def test_no_run_starts_without_a_worker_that_died_in_its_set_up(plan_is_first):
    cluster = Cluster("gw0", "gw1")
    cluster.arrive()
    steps = [lambda: cluster.send(plan(), "gw0"), lambda: cluster.coordinator.drop("gw1", "died")]
    for step in steps if plan_is_first else reversed(steps):
        step()
    assert cluster.all_posted() == {"gw0": [Refused("worker gw1 died; no load was started without it")]}


def test_a_refused_worker_that_ends_does_not_hide_why():
    cluster = Cluster("gw0", "gw1", "gw2")
    cluster.arrive()
    cluster.send(plan(), "gw0")
    cluster.send(CallEnded(A, "skipped"), "gw2")
    cluster.send(CallEnded(A, "failed"), "gw0")
    cluster.all_posted()
    cluster.send(plan(), "gw1")
    assert cluster.all_posted() == {
        "gw1": [Refused("its set-up skipped on worker gw2; no load was started", skips=True)]
    }


# --- The end of the test


def test_nobody_tears_down_before_all_have_ended_and_one_reports():
    cluster = Cluster("gw0", "gw1")
    cluster.arrive()
    cluster.send(CallEnded(A, "passed"), "gw1")
    assert cluster.all_posted() == {}
    cluster.send(CallEnded(A, "passed"), "gw0")
    assert cluster.all_posted() == {"gw0": [Released(True)], "gw1": [Released(False)]}


@pytest.mark.parametrize(
    ("outcomes", "reporter"),
    [
        (("passed", "failed", "skipped"), "gw1"),
        (("skipped", "passed", "passed"), "gw0"),
        (("passed", "passed", "failed"), "gw2"),
        (("failed", "failed", "failed"), "gw0"),
    ],
)
def test_the_worker_with_the_worst_outcome_reports(outcomes, reporter):
    cluster = Cluster("gw0", "gw1", "gw2")
    cluster.arrive()
    for worker, outcome in zip(cluster.workers, outcomes, strict=True):
        cluster.send(CallEnded(A, outcome), worker)
    released = {worker: message.reports for worker, (message,) in cluster.all_posted().items()}
    assert [worker for worker, reports in released.items() if reports] == [reporter]


def test_who_failed_of_itself_reports_before_who_was_refused_and_it_is_said_where():
    cluster = Cluster("gw0", "gw1")
    cluster.arrive()
    cluster.send(plan(), "gw0")
    cluster.send(CallEnded(A, "failed"), "gw1")
    cluster.send(CallEnded(A, "failed"), "gw0")
    note = "this happened on worker gw1; no load was started on any"
    assert cluster.posted("gw1") == [Released(True, note)]
    assert cluster.posted("gw0")[-1] == Released(False, note)


def test_only_a_worker_that_takes_part_is_waited_for_and_reports():
    cluster = Cluster("gw0", "gw1", vus=1)
    cluster.arrive()
    cluster.send(CallEnded(A, "passed"), "gw0")
    assert cluster.all_posted() == {"gw0": [Released(True)]}
