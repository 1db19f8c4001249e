"""Early ends: of workers, of loads, of the session."""

from __future__ import annotations

import threading

import pytest

from pytest_cdcperf.cluster.coordinator import INTERRUPTED_SILENCE_S, SILENCE_S, WAITING_S, WAITING_SAID_S
from pytest_cdcperf.cluster.messages import (
    Arrived,
    CallEnded,
    Concluded,
    Go,
    Interrupted,
    Refused,
    Released,
    Start,
    Stop,
    WindowDone,
)
from pytest_cdcperf.judging.parser import Limit
from pytest_cdcperf.judging.verdict import Verdict
from pytest_cdcperf.load.share import Share
from tests.unit.cluster.cluster import A, B, Cluster, done, plan, second_of, to_all
from tests.unit.metrics.windows import window

# --- Workers that die


def test_a_worker_that_dies_in_a_run_fails_it_and_the_others_go_on():
    cluster = Cluster("gw0", "gw1")
    cluster.start()
    cluster.send(WindowDone(A, second_of(0.0, 5)))
    cluster.coordinator.drop("gw1", "died")
    assert cluster.all_posted() == {}
    cluster.send(done(), "gw0")
    (result,) = cluster.session.results
    assert cluster.all_posted() == {"gw0": [Concluded(result)]}
    assert result.verdict is Verdict.FAILED
    assert result.reasons == ("worker gw1 died after 1 s; its 5 iterations until then are counted",)
    assert result.iterations == 10
    cluster.send(plan(call=2), "gw0")
    assert cluster.posted("gw0") == [Refused("worker gw1 died; no load was started without it")]


def test_the_last_to_be_waited_for_dies():
    cluster = Cluster("gw0", "gw1")
    cluster.start()
    cluster.send(done(), "gw0")
    cluster.coordinator.drop("gw1", "died")
    assert [type(message) for message in cluster.posted("gw0")] == [Concluded]
    cluster.send(CallEnded(A, "failed"), "gw0")
    assert cluster.posted("gw0") == [Released(True)]


def test_who_waits_for_the_end_of_a_test_is_released_when_the_other_dies():
    cluster = Cluster("gw0", "gw1")
    cluster.arrive()
    cluster.send(CallEnded(A, "passed"), "gw0")
    cluster.coordinator.drop("gw1", "died")
    assert cluster.all_posted() == {"gw0": [Released(True)]}


def test_a_worker_that_dies_after_a_test_concerns_the_next_ones_only():
    cluster = Cluster("gw0", "gw1")
    cluster.run_through()
    cluster.coordinator.drop("gw1", "died")
    assert cluster.arrive(B) == {"gw0": [Go(B, True)]}
    cluster.send(plan(B), "gw0")
    assert cluster.posted("gw0") == [Start(Share(0, 1))]


def test_a_worker_dies_once():
    cluster = Cluster("gw0", "gw1")
    cluster.start()
    for outcome in ("hangs", "died"):
        cluster.coordinator.drop("gw1", outcome)
    cluster.send(done(), "gw0")
    assert [part.outcome for part in cluster.session.results[0].workers] == ["", "hangs"]


def test_what_a_dead_worker_said_last_is_still_counted_in_the_run():
    cluster = Cluster("gw0", "gw1")
    cluster.start()
    cluster.coordinator.drop("gw1", "died")
    cluster.send(WindowDone(A, second_of(0.0, 5)), "gw1")
    cluster.send(done(), "gw0")
    assert cluster.session.results[0].iterations == 5
    cluster.send(WindowDone(A, second_of(1.0, 5)), "gw1")
    assert len(cluster.session.results) == 1


# --- What scheduling asks


def test_a_test_begins_once_all_that_took_part_in_the_one_before_or_passed_it_by_are_through_with_it():
    cluster = Cluster("gw0", "gw1", vus=1)
    cluster.send(Arrived(B))
    assert cluster.all_posted() == {}
    cluster.arrive()
    cluster.complete(A, "gw1")
    assert cluster.all_posted() == {}
    cluster.complete(A, "gw0")
    assert set(cluster.all_posted()) == {"gw0", "gw1"}


def test_a_test_whose_workers_are_all_gone_does_not_hold_up_those_that_come_after_them():
    cluster = Cluster("gw0", "gw1")
    cluster.arrive()
    cluster.complete(A, "gw0")
    cluster.coordinator.drop("gw0", "died")
    cluster.coordinator.drop("gw1", "died")
    cluster.join("gw2")
    cluster.coordinator.admit(["gw2"])
    assert not cluster.coordinator.has_begun(B)
    cluster.send(Arrived(B), "gw2")
    assert cluster.posted("gw2") == [Go(B, True)]


def test_a_test_will_be_reported_while_one_of_its_workers_is_there():
    cluster = Cluster("gw0", "gw1", "gw2", vus=2)
    cluster.coordinator.drop("gw0", "died")
    assert cluster.coordinator.will_report(A)
    cluster.send(Arrived(A), "gw1", "gw2")
    cluster.coordinator.drop("gw1", "died")
    assert cluster.coordinator.will_report(A)
    cluster.coordinator.drop("gw2", "died")
    assert not cluster.coordinator.will_report(A)


def test_who_passes_a_test_by_does_not_report_it():
    cluster = Cluster("gw0", "gw1", vus=1)
    cluster.arrive()
    cluster.coordinator.drop("gw0", "died")
    assert not cluster.coordinator.will_report(A)
    assert cluster.coordinator.will_report(B)


@pytest.mark.parametrize("reported", [True, False])
def test_once_one_was_elected_it_is_that_one_that_reports(reported):
    cluster = Cluster("gw0", "gw1")
    cluster.arrive()
    cluster.send(CallEnded(A, "passed"))
    assert cluster.coordinator.will_report(A)
    if reported:
        cluster.complete(A, "gw0")
    cluster.coordinator.drop("gw0", "died")
    assert cluster.coordinator.will_report(A) is reported


# --- Loads that are refused from some test on


def test_after_a_failed_gate_one_worker_says_that_no_load_is_started():
    cluster = Cluster("gw0", "gw1", gate=True)
    cluster.run_through(A, "failed")
    reason = f"the health check {A} failed, so no load was started"
    assert cluster.arrive(B) == {"gw0": [Go(B, True, True, reason)], "gw1": [Go(B, False, False, reason)]}


@pytest.mark.parametrize("outcome", ["passed", "skipped"])
def test_a_gate_that_did_not_fail_refuses_nothing(outcome):
    cluster = Cluster("gw0", "gw1", gate=True)
    cluster.run_through(A, outcome)
    assert all(go.takes_part and not go.refused for (go,) in cluster.arrive(B).values())


def test_a_failure_of_another_test_refuses_nothing():
    cluster = Cluster("gw0", "gw1")
    cluster.run_through(A, "failed")
    assert all(not go.refused for (go,) in cluster.arrive(B).values())


def test_vus_that_are_stuck_on_a_worker_refuse_all_later_loads():
    cluster = Cluster("gw0", "gw1")
    cluster.arrive()
    cluster.send(CallEnded(A, "failed"), "gw0")
    cluster.send(CallEnded(A, "failed", "VUs are stuck"), "gw1")
    cluster.complete(A)
    cluster.all_posted()
    assert {go.refused for (go,) in cluster.arrive(B).values()} == {"VUs are stuck"}


# --- Interrupts


def test_an_interrupt_stops_what_runs_and_concludes_it():
    cluster = Cluster("gw0", "gw1")
    cluster.start()
    cluster.coordinator.interrupt("Ctrl-C")
    assert cluster.all_posted() == to_all(Interrupted("Ctrl-C"))
    cluster.send(done())
    assert cluster.session.results[0].reasons[0] == "stopped early: Ctrl-C"
    cluster.all_posted()
    cluster.send(plan(call=2))
    assert cluster.all_posted() == {"gw0": [Refused("Ctrl-C", True)], "gw1": [Refused("Ctrl-C", True)]}


def test_an_interrupt_refuses_those_that_wait_for_others():
    cluster = Cluster("gw0", "gw1")
    cluster.arrive()
    cluster.send(plan(), "gw0")
    cluster.coordinator.interrupt("Ctrl-C")
    told = Interrupted("Ctrl-C")
    assert cluster.all_posted() == {"gw0": [told, Refused("Ctrl-C", skips=True)], "gw1": [told]}


def test_a_signal_that_comes_to_all_is_one_and_the_second_of_any_hurries():
    cluster = Cluster("gw0", "gw1")
    cluster.start()
    cluster.send(Interrupted("SIGTERM"))
    cluster.coordinator.interrupt("SIGTERM")
    assert cluster.all_posted() == to_all(Interrupted("SIGTERM"))
    cluster.send(Interrupted("Ctrl-C"), "gw1")
    assert cluster.all_posted() == to_all(Interrupted("SIGTERM"))
    cluster.send(done())
    assert cluster.session.results[0].reasons[0] == "stopped early: SIGTERM"


def test_after_an_interrupt_a_worker_that_sends_nothing_is_not_waited_for_long():
    cluster = Cluster("gw0", "gw1")
    cluster.start()
    cluster.wait(INTERRUPTED_SILENCE_S + 1)
    cluster.coordinator.interrupt("Ctrl-C")
    cluster.send(done(), "gw0")
    cluster.wait(INTERRUPTED_SILENCE_S)
    assert cluster.session.killed == []
    cluster.wait(1)
    assert cluster.session.killed == ["gw1"]
    assert "stopped early: Ctrl-C" in cluster.session.results[0].reasons


def test_whether_a_perf_test_is_under_way_is_known_until_its_reports_have_arrived():
    cluster = Cluster("gw0", "gw1")
    assert not cluster.coordinator.is_busy
    cluster.start()
    assert cluster.coordinator.is_busy
    cluster.complete(A, "gw0")
    assert cluster.coordinator.is_busy
    cluster.complete(A, "gw1")
    assert not cluster.coordinator.is_busy


def test_after_an_interrupt_tests_are_passed_by():
    cluster = Cluster("gw0", "gw1")
    cluster.coordinator.interrupt("enough")
    cluster.all_posted()
    assert all(not go.takes_part for (go,) in cluster.arrive().values())


def test_where_the_session_is_over_tests_are_passed_by_whatever_is_left_elsewhere():
    cluster = Cluster("gw0", "gw1")
    cluster.coordinator.ordinary_tests_done(False)
    assert cluster.arrive() == {}
    cluster.session.over = True
    cluster.coordinator.tick()
    assert all(not go.takes_part for (go,) in cluster.all_posted().values())


def test_a_stop_at_once_follows_one_that_was_not():
    cluster = Cluster("gw0")
    cluster.start(plan(response_time=Limit("avg<15", abort_on_fail=True)))
    cluster.send(WindowDone(A, window(0.0, ms=[90.0])))
    cluster.coordinator.interrupt("Ctrl-C")
    assert cluster.posted("gw0") == [Stop("avg of response_time 90 ms, limit 15 ms (avg<15)"), Interrupted("Ctrl-C")]


def test_what_has_not_ended_in_time_is_concluded_as_it_is():
    cluster = Cluster("gw0", "gw1")
    cluster.start()
    cluster.send(WindowDone(A, second_of(0.0, 5)))
    cluster.send(done(), "gw0")
    cluster.coordinator.wait_until_idle(0)
    (result,) = cluster.session.results
    assert result.reasons == ("worker gw1 did not answer after 1 s; its 5 iterations until then are counted",)
    cluster.coordinator.wait_until_idle(0)
    assert len(cluster.session.results) == 1


def test_who_waits_until_all_is_idle_is_woken():
    cluster = Cluster("gw0")
    cluster.start()
    waiting = threading.Thread(target=cluster.coordinator.wait_until_idle, args=(60,), daemon=True)
    waiting.start()
    cluster.send(done())
    waiting.join(10)
    assert not waiting.is_alive()
    assert [part.outcome for part in cluster.session.results[0].workers] == [""]


# --- Workers that hang


def test_a_worker_that_sends_nothing_in_a_run_is_killed():
    cluster = Cluster("gw0", "gw1")
    cluster.start()
    cluster.wait(SILENCE_S)
    cluster.send(WindowDone(A, second_of(0.0, 5)), "gw0")
    assert cluster.session.killed == []
    cluster.wait(1)
    assert cluster.session.killed == ["gw1"]
    cluster.send(done(), "gw0")
    assert cluster.session.results[0].workers[1].outcome == "hangs: it sent nothing for 30 s, and was killed"


def test_a_worker_whose_share_is_done_need_not_say_anything():
    cluster = Cluster("gw0", "gw1")
    cluster.start()
    cluster.send(done(), "gw1")
    cluster.wait(SILENCE_S - 1)
    cluster.send(WindowDone(A, window(0.0)), "gw0")
    cluster.wait(2)
    assert cluster.session.killed == []


@pytest.mark.parametrize("limit_s", [SILENCE_S, WAITING_S])
def test_a_controller_that_was_stopped_itself_does_not_blame_its_workers(limit_s):
    cluster = Cluster("gw0", "gw1")
    cluster.start()
    if limit_s == WAITING_S:
        cluster.send(done())
        cluster.send(CallEnded(A, "passed"), "gw0")
    cluster.wait(3)
    cluster.now_s += limit_s + 10
    cluster.coordinator.tick()
    cluster.wait(limit_s - 5)
    assert cluster.session.killed == []
    cluster.wait(6)
    assert set(cluster.session.killed) == ({"gw1"} if limit_s == WAITING_S else {"gw0", "gw1"})


def test_it_is_said_once_who_is_waited_for_and_the_waiting_has_an_end():
    cluster = Cluster("gw0", "gw1")
    cluster.arrive()
    cluster.wait(WAITING_S * 2)  # nobody is through with its set-up: that may last
    cluster.send(plan(), "gw0")
    cluster.wait(WAITING_SAID_S)
    assert (cluster.session.said, cluster.session.killed) == ([], [])
    cluster.wait(WAITING_S - WAITING_SAID_S)
    assert cluster.session.said == [f"{A}: waiting for gw1"]
    assert cluster.session.killed == []
    cluster.wait(1)
    assert cluster.session.killed == ["gw1"]
    assert cluster.posted("gw0") == [
        Refused(
            "worker gw1 hangs: it did not come to its end for 600 s, and was killed; no load was started without it"
        )
    ]


def test_a_worker_that_does_not_end_is_killed_also_where_one_that_did_has_died():
    cluster = Cluster("gw0", "gw1", "gw2")
    cluster.arrive()
    cluster.send(CallEnded(A, "passed"), "gw0", "gw1")
    cluster.coordinator.drop("gw0", "died")
    cluster.wait(WAITING_S + 1)
    assert cluster.session.killed == ["gw2"]
    assert cluster.posted("gw1") == [Released(True)]


def test_tests_that_were_not_begun_and_those_that_are_over_keep_nobody_waiting():
    cluster = Cluster("gw0", "gw1")
    cluster.run_through()
    cluster.send(Arrived(B), "gw0")
    cluster.wait(WAITING_S * 2)
    assert (cluster.session.said, cluster.session.killed) == ([], [])


def test_figures_that_cannot_be_judged_are_said_to_all_that_wait():
    cluster = Cluster("gw0", "gw1")
    cluster.start()
    cluster.session.faults = lambda: 1 / 0
    cluster.send(done())
    words = "the figures cannot be judged: ZeroDivisionError: division by zero"
    assert cluster.all_posted() == to_all(Refused(words))
