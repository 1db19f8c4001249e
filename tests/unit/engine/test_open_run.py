"""Open loops and several loads, with real threads and tasks, bounded by events and counts."""

from __future__ import annotations

import asyncio
import threading

import pytest

from pytest_cdcperf.engine import run as run_module
from pytest_cdcperf.engine.current_vu import CurrentVU
from pytest_cdcperf.load.closed import PerVUIterations, RampingVUs, SharedIterations
from pytest_cdcperf.load.open import ConstantArrivalRate, RampingArrivalRate
from pytest_cdcperf.load.share import Share
from pytest_cdcperf.metrics import builtin
from tests.unit.harness import Subject

VU = CurrentVU()


@pytest.fixture(params=["threads", "tasks"])
def subject(request):
    return Subject(request.param)


def blocking_body(subject, release, seen):
    if not subject.is_async:

        def body():
            seen.append(VU.id)
            assert release.wait(20)

        return body

    async def body_aio():
        seen.append(VU.id)
        while not release.is_set():  # noqa: ASYNC110  # it is set from another thread
            await asyncio.sleep(0.005)

    return body_aio


def test_every_planned_start_is_run(subject):
    seen = []
    ran = subject.execute(lambda: seen.append(VU.id), ConstantArrivalRate(rate=1000, duration="100ms", vus=2))
    assert ran.figure("iterations") == len(seen) == 100
    assert ran.figure("response_time", "count") == 100
    assert ran.figure("vu_wait", "count") == ran.figure("generator_lag", "count") == 100
    assert ran.total.select("dropped_iterations") is None
    assert set(seen) <= {1, 2}
    assert ran.outcome.stuck_vus == []


def test_a_blocked_open_loop_grows_to_its_most_vus_and_accounts_for_every_start(subject):
    """Five VUs are held until all starts are due; what is queued beyond the limit is dropped."""
    release, seen = threading.Event(), []
    load = ConstantArrivalRate(rate=1000, duration="100ms", vus=1, max_vus=5, max_lateness="20ms")
    waiting = threading.Event()
    body = blocking_body(subject, release, seen)

    def meanwhile():
        while len(seen) < 5 and not waiting.wait(0.005):
            pass
        while subject.run._context.elapsed_s() < 0.2 and not waiting.wait(0.005):
            pass
        release.set()

    subject.started.set()
    ran = subject.execute(body, load, meanwhile=meanwhile)
    done, dropped = ran.figure("iterations"), ran.figure("dropped_iterations")
    assert set(seen) == {1, 2, 3, 4, 5}
    assert done == len(seen)
    assert done + dropped == 100
    assert dropped > 0
    assert ran.figure("iteration_failed", "hits") == 0
    assert ran.figure("vus_max", "max") == 5
    assert ran.figure("vu_wait", "count") == done


def test_without_any_lateness_starts_that_find_a_free_vu_are_run(subject):
    load = ConstantArrivalRate(rate=100, duration="100ms", vus=10, max_vus=20, max_lateness="0s")
    ran = subject.execute(lambda: None, load)
    assert ran.figure("iterations") == 10
    assert ran.total.select("dropped_iterations") is None


def test_a_start_that_waits_for_the_thread_of_a_vu_waits_for_the_generator(monkeypatch):
    start = threading.Thread.start

    def slow(thread):
        if thread.name.startswith("cdcperf-vu"):
            threading.Event().wait(0.05)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", slow)
    load = ConstantArrivalRate(rate=1000, duration="3ms", vus=1, max_vus=3)
    release = threading.Event()
    ran = Subject("threads").execute(lambda: release.wait(0.3), load)
    assert ran.figure("vu_wait", "max") == 0
    assert ran.figure("generator_lag", "max") >= 50


def test_starts_that_a_blocked_event_loop_never_hands_out_are_counted(monkeypatch):
    monkeypatch.setattr(run_module, "CANCEL_GRACE_S", 0.2)
    release = threading.Event()
    tasks = Subject("tasks")

    async def body():
        if VU.iteration:
            release.wait(20)

    load = ConstantArrivalRate(rate=50, duration="400ms", vus=1, graceful_stop="100ms")
    ran = tasks.execute(body, load)
    release.set()
    dropped = ran.total.select("dropped_iterations")
    assert ran.outcome.stuck_vus == [1]
    assert ran.figure("iterations") == 1
    assert ran.outcome.interrupted == 1
    assert dropped.total == 18
    assert ran.total.select("dropped_iterations", dict(builtin.RUN_ENDED)).total == 18


def test_tasks_of_an_open_loop_that_never_wait_take_turns():
    """The first start blocks until many are due."""
    order = []

    async def body():
        if not order:
            threading.Event().wait(0.06)
        order.append(VU.id)

    Subject("tasks").execute(body, ConstantArrivalRate(rate=1000, duration="50ms", vus=2))
    assert len(order) == 50
    assert set(order[1:5]) == {1, 2}
    assert abs(order.count(1) - order.count(2)) <= 4


def test_the_workers_of_an_open_loop_run_the_plan_between_them():
    load = ConstantArrivalRate(rate=1000, duration="50ms", vus=3)
    parts = [Subject("threads").execute(lambda: None, load, share=Share(index, 3)) for index in range(3)]
    assert [part.figure("iterations") for part in parts] == [17, 17, 16]


def test_an_open_loop_ends_when_the_run_does(subject):
    def body():
        subject.started.set()

    ran = subject.execute(
        body,
        RampingArrivalRate(start_rate=50, stages=[("1h", 50)], vus=2),
        meanwhile=lambda: subject.run.stop.end("over"),
    )
    assert ran.outcome.stop_reason == "over"
    assert 1 <= ran.figure("iterations") < 50 * 3600
    assert ran.outcome.stuck_vus == []


@pytest.mark.parametrize(
    "load",
    [
        PerVUIterations(vus=2, iterations=1, max_duration="300ms", graceful_stop="50ms"),
        RampingVUs(start_vus=2, stages=[("300ms", 2)], graceful_stop="50ms"),
        ConstantArrivalRate(rate=10, duration="200ms", vus=2, graceful_stop="300ms"),
    ],
)
def test_iterations_are_interrupted_at_the_end_of_the_graceful_stop_and_have_failed(subject, load):
    release = threading.Event()
    through = []

    if subject.is_async:

        async def body():
            try:
                await asyncio.Event().wait()
            finally:
                through.append(VU.id)
    else:

        def body():
            VU.own.keep("connection", release, close=lambda _value: None, cancel=threading.Event.set)
            release.wait(20)
            through.append(VU.id)
            raise ConnectionError("cancelled")

    ran = subject.execute(body, load)
    assert sorted(through) == [1, 2]
    assert (ran.outcome.interrupted, ran.outcome.timed_out, ran.outcome.stuck_vus) == (2, 2, [])
    (kind,) = ran.outcome.failures
    assert (kind.type, kind.count) == ("IterationTimeoutError", 2)
    assert kind.where.startswith("test_open_run.py:")
    assert kind.sample.endswith(f" s at the end of graceful_stop, at {kind.where}")
    assert ran.figure("iterations_interrupted") == 2
    assert ran.total.select("iterations") is None
    assert ran.figure("iteration_failed", "hits") == ran.figure("iteration_failed") == 2
    assert ran.figure("response_time", "count") == ran.figure("iteration_duration", "count") == 2
    assert ran.outcome.stop_reason == ""


def test_whom_the_ramp_took_away_is_interrupted_and_the_others_go_on(subject, monkeypatch):
    monkeypatch.setattr(run_module, "SLICE_S", 0.02)
    release, cut = threading.Event(), []
    load = RampingVUs(start_vus=2, stages=[("400ms", 1), ("300ms", 1)], graceful_ramp_down="100ms")

    if subject.is_async:

        async def body():
            if VU.id == 1:
                await asyncio.sleep(0.005)
                return
            try:
                await asyncio.Event().wait()
            finally:
                cut.append(VU.id)
    else:

        def body():
            if VU.id == 1:
                release.wait(0.005)
                return
            VU.own.keep("connection", release, close=lambda _value: None, cancel=threading.Event.set)
            release.wait(20)
            cut.append(VU.id)

    ran = subject.execute(body, load)
    assert cut == [2]
    assert ran.outcome.interrupted >= 1  # the other one too, where the host is very slow
    assert ran.figure("iterations") >= 1
    assert ran.figure("iteration_failed", "hits") == ran.outcome.interrupted
    assert "at the end of graceful_ramp_down, at test_open_run.py" in ran.outcome.failures[0].sample


def test_several_loads_have_vus_and_a_tag_of_their_own(subject):
    seen = []

    def body():
        seen.append((VU.id, dict(VU.scope.tags)["scenario"], VU.vus))

    loads = {
        "each": PerVUIterations(vus=3, iterations=2, tags={"team": "x"}),
        "shared": SharedIterations(vus=2, iterations=5),
        "open": ConstantArrivalRate(rate=1000, duration="20ms", vus=2, max_vus=4),
        "ramp": RampingVUs(start_vus=1, stages=[("300ms", 1)]),
    }
    ran = subject.execute(body, loads)
    by_name = {name: {vu for vu, scenario, _ in seen if scenario == name} for name in loads}
    assert by_name["each"] == {1, 2, 3}
    assert by_name["shared"] <= {4, 5}
    assert by_name["open"] <= {6, 7, 8, 9}
    assert by_name["ramp"] == {10}
    assert {vus for _, _, vus in seen} == {10}
    counts = {name: state.total for name, state in ran.total.by_tag("iterations", "scenario")}
    assert (counts["each"], counts["shared"], counts["open"]) == (6, 5, 20)
    assert counts["ramp"] >= 1
    assert ran.total.select("iterations", {"team": "x"}).total == 6


@pytest.mark.parametrize("of", [1, 2, 3])
def test_vu_ids_are_the_plans_whatever_the_worker(of):
    seen = []
    loads = {"a": PerVUIterations(vus=4), "b": PerVUIterations(vus=3)}
    for index in range(of):
        Subject("threads").execute(
            lambda: seen.append((VU.id, dict(VU.scope.tags)["scenario"])), loads, share=Share(index, of)
        )
    assert sorted(seen) == [(1, "a"), (2, "a"), (3, "a"), (4, "a"), (5, "b"), (6, "b"), (7, "b")]


def test_a_later_load_starts_no_earlier_than_it_may(subject):
    begun = []

    def body():
        begun.append((dict(VU.scope.tags)["scenario"], subject.run._context.elapsed_s()))

    loads = {
        "late": PerVUIterations(start_at="60ms", iterations=3),
        "open": ConstantArrivalRate(start_at="30ms", rate=1000, duration="3ms", vus=1),
        "early": PerVUIterations(iterations=2),
    }
    subject.execute(body, loads)
    assert sorted(name for name, _ in begun) == ["early"] * 2 + ["late"] * 3 + ["open"] * 3
    assert all(at_s >= {"late": 0.06, "open": 0.03, "early": 0.0}[name] for name, at_s in begun)


def test_shared_iterations_are_run_exactly_by_several_vus(subject):
    seen = []
    ran = subject.execute(lambda: seen.append(VU.id), SharedIterations(vus=4, iterations=101))
    assert len(seen) == ran.figure("iterations") == 101
