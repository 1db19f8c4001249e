"""Both runtimes under the same demands, bounded by counts and events."""

from __future__ import annotations

import asyncio
import threading

import pytest

from pytest_cdcperf.clock import FakeClock, MonotonicClock
from pytest_cdcperf.engine import run as run_module
from pytest_cdcperf.engine import tasks as tasks_module
from pytest_cdcperf.engine import threads as threads_module
from pytest_cdcperf.engine.body import check, think
from pytest_cdcperf.engine.current_vu import CurrentVU, current_vu
from pytest_cdcperf.engine.run import Body, Run
from pytest_cdcperf.load.closed import PerVUIterations, RampingVUs
from pytest_cdcperf.load.share import Share
from pytest_cdcperf.metrics import builtin
from tests.unit.harness import RULES, Exit, Skip, Subject

VU = CurrentVU()


@pytest.fixture(params=["threads", "tasks"])
def subject(request):
    return Subject(request.param)


@pytest.fixture
def threads():
    return Subject("threads")


@pytest.fixture
def tasks():
    return Subject("tasks")


def test_every_vu_runs_its_iterations(subject):
    seen = []
    ran = subject.execute(lambda: seen.append((VU.id, VU.iteration)), PerVUIterations(vus=3, iterations=4))
    assert sorted(seen) == [(number, iteration) for number in (1, 2, 3) for iteration in range(4)]
    assert ran.figure("iterations") == ran.figure("iteration_failed") == 12
    assert ran.figure("iteration_failed", "hits") == 0
    assert ran.figure("response_time", "count") == ran.figure("iteration_duration", "count") == 12
    assert ran.figure("vus", "max") == ran.figure("vus_max", "value") == 3
    assert ran.outcome.stop_reason == ""
    assert (ran.outcome.interrupted, ran.outcome.stuck_vus, ran.outcome.exit_request) == (0, [], None)


def test_vus_may_be_a_share_of_the_plan(subject):
    seen = []
    ran = subject.execute(lambda: seen.append(VU.id), PerVUIterations(vus=6), share=Share(1, 3))
    assert sorted(seen) == [2, 5]
    assert ran.figure("vus_max", "value") == 2


def test_a_worker_without_a_share_is_through_at_once(subject):
    ran = subject.execute(lambda: None, PerVUIterations(vus=2), share=Share(2, 3))
    assert ran.total.select("iterations") is None


def test_the_loads_tags_are_on_every_sample(subject):
    ran = subject.execute(lambda: check("c", True), PerVUIterations(tags={"team": "x"}))
    for name in ("checks", "iterations", "response_time"):
        assert ran.total.select(name, {"team": "x"}) is not None


def test_state_lasts_and_vus_do_not_share_it(subject):
    seen = []

    def body():
        VU.state.setdefault("iterations", []).append(VU.iteration)
        seen.append((VU.id, list(VU.state["iterations"])))

    subject.execute(body, PerVUIterations(vus=2, iterations=2))
    assert sorted(seen) == [(1, [0]), (1, [0, 1]), (2, [0]), (2, [0, 1])]


def test_iterations_fail_are_skipped_and_go_on(subject):
    def body():
        if VU.iteration == 1:
            raise AssertionError("wrong")
        if VU.iteration == 3:
            raise Skip("not today")

    ran = subject.execute(body, PerVUIterations(iterations=5))
    assert ran.figure("iterations") == 4
    assert ran.figure("iteration_failed", "hits") == 1
    assert ran.figure("iterations_skipped") == 1
    assert [(kind.type, kind.count, kind.sample) for kind in ran.outcome.failures] == [
        ("AssertionError", 1, "sample of wrong")
    ]
    assert ran.outcome.skip_reason == "not today"


def test_an_exit_ends_the_run_and_takes_effect_later(subject):
    def body():
        if VU.iteration == 2:
            raise Exit("enough")

    ran = subject.execute(body, PerVUIterations(iterations=1000))
    assert ran.figure("iterations") == 2
    assert isinstance(ran.outcome.exit_request, Exit)
    assert ran.outcome.stop_reason == "Exit: enough"
    assert ran.outcome.failures == []


def test_an_interrupt_lets_iterations_end_and_starts_none(subject):
    request = KeyboardInterrupt()

    def body():
        if VU.iteration == 5:
            subject.run.interrupt("Ctrl-C", request)

    ran = subject.execute(body, PerVUIterations(iterations=10**9))
    assert ran.figure("iterations") == 6
    assert (ran.outcome.exit_request, ran.outcome.stop_reason, ran.outcome.interrupted) == (request, "Ctrl-C", 0)


def test_a_second_request_does_not_replace_the_first(subject):
    first, second = KeyboardInterrupt(), SystemExit()

    def body():
        subject.run.interrupt("Ctrl-C", first)
        subject.run.interrupt("SIGTERM", second)

    ran = subject.execute(body, PerVUIterations(iterations=2))
    assert (ran.outcome.exit_request, ran.outcome.stop_reason) == (first, "Ctrl-C")


def test_the_first_interrupt_waits_some_seconds_and_the_second_for_nobody():
    clock, deadlines = FakeClock(), []
    run = Run({"": PerVUIterations()}, Body(int), session_id="r", rules=RULES, on_window=lambda _: None, clock=clock)
    for _ in range(2):
        clock.advance(1)
        run.interrupt("Ctrl-C")
        deadlines.append(run._deadline_s)
    assert deadlines == [1 + run_module.INTERRUPT_GRACE_S, 2]


def test_an_interrupt_before_the_start_starts_nothing(subject):
    ran = subject.execute(lambda: None)
    assert ran.figure("iterations") == 1
    subject.run.stop.end("over before")
    assert subject.run.execute().stop_reason == "over before"


def test_an_iteration_under_way_at_the_end_is_finished_and_counted(threads):
    release = threading.Event()

    def body():
        threads.started.set()
        assert release.wait(10)

    def meanwhile():
        threads.run.stop.end("over")
        release.set()

    ran = threads.execute(body, PerVUIterations(iterations=1000), meanwhile=meanwhile)
    assert ran.figure("iterations") == 1
    assert ran.figure("iteration_failed", "hits") == 0
    assert ran.outcome.interrupted == 0


def interrupt_twice(subject):
    subject.run.interrupt("Ctrl-C", KeyboardInterrupt())
    subject.run.interrupt("Ctrl-C", KeyboardInterrupt())


def test_a_blocked_thread_is_cancelled_through_its_client(threads):
    connection, closed = threading.Event(), []

    def body():
        vu = current_vu()
        vu.own.keep("connection", connection, close=closed.append, cancel=threading.Event.set)
        threads.started.set()
        connection.wait(10)
        raise ConnectionError("cancelled")

    ran = threads.execute(body, PerVUIterations(iterations=3), meanwhile=lambda: interrupt_twice(threads))
    assert ran.outcome.interrupted == 1
    assert ran.outcome.stuck_vus == []
    assert ran.figure(builtin.ITERATIONS_INTERRUPTED.name) == 1
    assert ran.total.select("iterations") is None
    assert ran.outcome.failures == []
    assert closed == [connection]


def test_a_thread_that_cannot_be_cancelled_is_named(threads, monkeypatch):
    monkeypatch.setattr(run_module, "CANCEL_GRACE_S", 0.5)
    release, through = threading.Event(), threading.Event()

    def body():
        current_vu().own.keep("last", None, close=lambda _value: through.set())
        threads.started.set()
        release.wait(10)

    ran = threads.execute(body, PerVUIterations(vus=4), share=Share(3, 4), meanwhile=lambda: interrupt_twice(threads))
    assert (ran.outcome.interrupted, ran.outcome.stuck_vus) == (1, [4])
    release.set()
    assert through.wait(10)


def test_a_waiting_task_is_cancelled(tasks):
    closed = []

    async def close(value):
        closed.append(value)

    async def body():
        vu = current_vu()
        vu.own.keep("own", "own", close=close)
        vu.shared.keep("shared", "shared", close=close)
        tasks.started.set()
        await asyncio.Event().wait()

    ran = tasks.execute(body, PerVUIterations(vus=2, iterations=3), meanwhile=lambda: interrupt_twice(tasks))
    assert (ran.outcome.interrupted, ran.outcome.stuck_vus) == (2, [])
    assert ran.figure(builtin.ITERATIONS_INTERRUPTED.name) == 2
    assert ran.total.select("iterations") is None
    assert ran.outcome.failures == []
    assert closed == ["own", "own", "shared"]


def test_a_task_cancelled_from_within_is_a_failed_iteration(tasks):
    async def body():
        if VU.iteration == 0:
            asyncio.current_task().cancel()
        await asyncio.sleep(0)

    ran = tasks.execute(body, PerVUIterations(iterations=3))
    assert ran.figure("iterations") == 3
    assert ran.figure("iteration_failed", "hits") == 1
    assert ran.outcome.failures[0].sample == "sample of the body was cancelled from within"


def test_an_interrupt_wakes_those_who_think(threads):
    def body():
        threads.started.set()
        think(3600)

    ran = threads.execute(
        body,
        PerVUIterations(vus=2, iterations=5),
        meanwhile=lambda: threads.run.interrupt("Ctrl-C", KeyboardInterrupt()),
    )
    assert ran.outcome.interrupted == 0
    assert ran.figure("iterations") <= 2


def test_who_thinks_is_woken_where_its_iteration_is_interrupted_and_thinks_again_later(threads, monkeypatch):
    """Without waiting for the end of a slice of the pause."""
    monkeypatch.setattr(threads_module, "_SLICE_S", 10.0)
    pauses = []

    def body():
        begin_s = threads.run._context.elapsed_s()
        think(0.05 if VU.iteration else 60)
        pauses.append(threads.run._context.elapsed_s() - begin_s)

    ramp = RampingVUs(
        start_vus=1,
        stages=[("100ms", 1), ("0s", 0), ("200ms", 0), ("0s", 1), ("600ms", 1)],
        graceful_ramp_down="0s",
    )
    ran = threads.execute(body, ramp)
    assert pauses[0] < 5
    assert pauses[1] >= 0.05
    assert (ran.outcome.interrupted >= 1, ran.outcome.timed_out) == (True, 0)


def test_all_is_built_before_the_common_start(subject, monkeypatch):
    """What is built after it, or imported for it, makes the first starts late."""
    built_ns = []

    def noting(build):
        def noted(*arguments):
            made = build(*arguments)
            built_ns.append(MonotonicClock().now_ns())
            return made

        return noted

    monkeypatch.setattr(run_module, "new_loop", noting(run_module.new_loop))
    monkeypatch.setattr(tasks_module, "new_event_loop", noting(tasks_module.new_event_loop))
    subject.execute(lambda: None)
    assert len(built_ns) == 1 + subject.is_async
    assert max(built_ns) <= subject.run._context.start_ns


def test_tasks_that_never_wait_take_turns(tasks):
    order = []

    async def body():
        order.append(VU.id)

    tasks.execute(body, PerVUIterations(vus=3, iterations=20))
    assert all(set(order[start : start + 3]) == {1, 2, 3} for start in range(0, 60, 3))


def test_threads_run_side_by_side(threads):
    everybody = threading.Barrier(3)
    ran = threads.execute(lambda: everybody.wait(10), PerVUIterations(vus=3, iterations=3))
    assert ran.figure("iteration_failed", "hits") == 0


def test_what_a_vu_opened_is_closed_when_it_is_through(subject):
    closed = []

    def body():
        vu = current_vu()
        if vu.own.get("x") is None:
            vu.own.keep("x", vu.id, close=closed.append)

    subject.execute(body, PerVUIterations(vus=2, iterations=3))
    assert sorted(closed) == [1, 2]


def test_what_was_left_out_is_in_the_notes(subject):
    ran = subject.execute(lambda: builtin.GROUP_DURATION.add(float("nan")))
    assert ran.outcome.notes == ["group_duration: 1 values were no finite numbers and are left out"]


def test_the_body_runs_outside_the_main_thread_and_outside_it_nobody_is_current(subject):
    threads_seen = []
    subject.execute(lambda: threads_seen.append(threading.current_thread()))
    assert threads_seen[0] is not threading.main_thread()
    assert threads_seen[0].daemon
    assert current_vu() is None


def test_windows_follow_each_other_without_a_gap(threads, monkeypatch):
    monkeypatch.setattr(run_module, "TICK_S", 1e-6)
    windows, two = [], threading.Event()

    def on_window(window):
        windows.append(window)
        if len(windows) == 3:
            two.set()

    from pytest_cdcperf.engine.run import Body, Run
    from tests.unit.harness import RULES

    run = Run({"": PerVUIterations()}, Body(lambda: two.wait(10)), session_id="r", rules=RULES, on_window=on_window)
    outcome = run.execute()
    assert len(windows) >= 4
    assert windows[0].start_s == 0
    assert [w.end_s for w in windows[:-1]] == [w.start_s for w in windows[1:]]
    assert outcome.elapsed_s >= windows[-1].end_s
