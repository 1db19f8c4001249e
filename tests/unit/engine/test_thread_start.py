"""Threads that cannot be started: the run ends with what it has, whichever thread it is."""

from __future__ import annotations

import threading

import pytest

from pytest_cdcperf.engine.current_vu import CurrentVU
from pytest_cdcperf.engine.thread_start import is_thread_limit, most_tasks, start_thread, thread_limits
from pytest_cdcperf.errors import ThreadLimitError
from pytest_cdcperf.load.closed import ConstantVUs, PerVUIterations, RampingVUs
from pytest_cdcperf.load.open import ConstantArrivalRate
from tests.unit.harness import Subject

VU = CurrentVU()
NO_MORE = "can't start new thread"


@pytest.fixture
def limit(monkeypatch):
    """Let no thread of ours be started whose name is not allowed."""
    start = threading.Thread.start

    def limit(allowed):
        def refuse(thread):
            if thread.name.startswith("cdcperf") and not allowed(thread.name):
                raise RuntimeError(NO_MORE)
            start(thread)

        monkeypatch.setattr(threading.Thread, "start", refuse)

    return limit


@pytest.fixture(params=["threads", "tasks"])
def subject(request):
    return Subject(request.param)


def up_to(most):
    def allowed(name):
        prefix, _, number = name.rpartition("-")
        return prefix != "cdcperf-vu" or int(number) <= most

    return allowed


def test_a_closed_load_ends_at_once(limit):
    limit(up_to(3))
    ran = Subject("threads").execute(lambda: VU.pause(0.001), ConstantVUs(vus=8, duration="1h"))
    fault = ran.outcome.fault
    assert fault.startswith(f"VU 4 could not be started: {NO_MORE}; 3 of 8 VUs were there; this process has ")
    assert fault.endswith("use fewer VUs, an async def body, or more workers")
    assert ran.outcome.stop_reason == "the run could not go on"
    assert (ran.outcome.stuck_vus, ran.outcome.failures, ran.outcome.weaknesses) == ([], [], [])
    assert ran.figure("vus", "max") == ran.figure("vus_max", "max") == 3
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("cdcperf")]


def test_what_was_measured_until_then_is_kept(limit, monkeypatch):
    limit(up_to(3))
    loads = {
        "first": PerVUIterations(vus=2, iterations=5),
        "then": RampingVUs(start_vus=0, stages=[("1h", 8)]),
    }
    done, start = threading.Event(), threading.Thread.start

    def body():
        if VU.iteration == 4:
            done.set()

    def once_done(thread):
        if thread.name == "cdcperf-vu-4":
            assert done.wait(10)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", once_done)
    ran = Subject("threads").execute(body, loads)
    assert "VU 4 could not be started" in ran.outcome.fault
    assert ran.figure("iterations") >= 5


@pytest.mark.parametrize("vus", [8, 2], ids=["first", "grown"])
def test_an_open_load_counts_every_start_that_never_ran_as_dropped(limit, vus):
    limit(up_to(3))
    load = ConstantArrivalRate(rate=100, duration="30s", vus=vus, max_vus=8)
    ran = Subject("threads").execute(lambda: VU.pause(0.2), load)
    assert "VU 4 could not be started" in ran.outcome.fault
    assert ran.outcome.stuck_vus == []
    done = ran.total.select("iterations")
    assert (0 if done is None else done.total) + ran.figure("dropped_iterations") == 3000
    unstarted = ran.total.select("dropped_iterations", {"reason": "run ended"})
    assert unstarted.total > 2900
    assert ran.figure("vus_max", "max") == 3


@pytest.mark.parametrize("loads", [1, 2])
def test_starts_are_counted_where_nothing_could_hand_them_out(limit, loads):
    limit(lambda name: name != "cdcperf-starts")
    load = ConstantArrivalRate(rate=10, duration="30s", vus=2)
    ran = Subject("threads").execute(lambda: None, {str(number): load for number in range(loads)})
    assert "the thread that hands out starts could not be started" in ran.outcome.fault
    assert ran.figure("dropped_iterations") == 300 * loads


def test_an_async_load_without_its_event_loop_ends(limit):
    limit(lambda name: name != "cdcperf-loop")
    ran = Subject("tasks").execute(lambda: None, ConstantVUs(vus=2, duration="1h"))
    assert ran.outcome.fault.startswith(f"the event loop could not be started: {NO_MORE}; 0 of 2 VUs were there")


def test_a_load_that_cannot_be_sampled_does_not_begin(limit, subject):
    limit(lambda name: name != "cdcperf-sampling")
    ran = subject.execute(lambda: None, ConstantVUs(duration="1h"), samplers=[lambda: None])
    assert ran.outcome.fault.startswith("the thread that samples could not be started")
    assert ran.total.select("iterations") is None


def test_a_load_without_its_heartbeat_does_not_begin(limit, subject):
    limit(lambda name: name != "cdcperf-heartbeat")
    ran = subject.execute(lambda: None, ConstantVUs(duration="1h"))
    assert ran.outcome.fault.startswith("the thread of the heartbeat could not be started")
    assert ran.total.select("iterations") is None


@pytest.mark.parametrize("error", [RuntimeError(NO_MORE), ThreadLimitError("the watcher could not be started")])
def test_a_thread_that_a_body_needs_ends_the_run_too(subject, error):
    def body():
        if VU.iteration == 3:
            raise error

    ran = subject.execute(body, PerVUIterations(iterations=1000))
    assert ran.outcome.fault.startswith(f"VU 1 could not start a thread: {error}; 1 of 1 VUs were there")
    assert ran.figure("iterations") == 4
    assert ran.figure("iteration_failed", "hits") == 1


def test_what_is_started_is_a_daemon_with_a_name():
    seen = []
    thread = start_thread("VU 1", "cdcperf-vu-1", seen.append, 5)
    thread.join(10)
    assert (seen, thread.name, thread.daemon) == ([5], "cdcperf-vu-1", True)


def test_other_errors_are_no_limit():
    assert not is_thread_limit(RuntimeError("no running event loop"))
    assert not is_thread_limit(ValueError(NO_MORE))


def test_the_limits_of_the_machine_are_told():
    assert thread_limits().startswith(f"this process has {threading.active_count()} threads")


@pytest.mark.parametrize(
    ("lines", "file", "content", "limits"),
    [
        ("0::/user.slice", "user.slice/pids.max", "500", [500]),
        ("0::/of/the/host", "pids.max", "200", [200]),
        ("8:pids:/docker/4\n1:cpu:/\n0::/", "pids/docker/4/pids.max", "100", [100]),
        ("0::/user.slice", "user.slice/pids.max", "max", []),
        ("0::/", "elsewhere", "1", []),
    ],
)
def test_the_limit_of_the_control_group_is_found(tmp_path, lines, file, content, limits):
    (tmp_path / "groups").write_text(lines)
    (tmp_path / "fs" / file).parent.mkdir(parents=True)
    (tmp_path / "fs" / file).write_text(content)
    assert list(most_tasks(tmp_path / "groups", tmp_path / "fs")) == limits


def test_a_system_without_control_groups_has_no_such_limit(tmp_path):
    assert list(most_tasks(tmp_path / "none", tmp_path)) == []
