from __future__ import annotations

import threading

import pytest

from pytest_cdcperf.engine import run as run_module
from pytest_cdcperf.engine.current_vu import CurrentVU
from pytest_cdcperf.engine.late_vus import LateVUs
from pytest_cdcperf.load.closed import ConstantVUs, RampingVUs
from tests.unit.engine.test_loops import Subject
from tests.unit.harness import Subject as RunSubject

VU = CurrentVU()


def late(load, *, there, came_s, ended_early=False):
    subject = Subject(load)
    subject.go_to(came_s)
    for recorder in subject.loop.recorders[:there]:
        subject.loop.vu_joined(recorder)
    found = LateVUs()
    found.take(["hold"], [subject.loop], ended_early=ended_early)
    return found


def test_vus_that_never_came_make_the_run_invalid():
    found = late(ConstantVUs(vus=4, duration="2s"), there=3, came_s=2)
    assert found.weaknesses == [
        "hold: only 3 of 4 VUs were there when the load ended: starting them took 2s; "
        "use fewer VUs, an async def body, or more workers"
    ]
    assert found.notes == []


def test_nobody_is_missed_in_a_run_that_was_ended():
    assert late(ConstantVUs(vus=4, duration="2s"), there=3, came_s=0.1, ended_early=True) == LateVUs()


@pytest.mark.parametrize(("came_s", "weak", "noted"), [(0.9, 0, 0), (1.5, 0, 1), (2.5, 1, 0)])
def test_late_vus_are_told_and_too_late_ones_spoil_the_figures(came_s, weak, noted):
    found = late(ConstantVUs(vus=4, duration="20s"), there=4, came_s=came_s)
    assert (len(found.weaknesses), len(found.notes)) == (weak, noted)
    for line in (*found.weaknesses, *found.notes):
        assert line.startswith(f"hold: the last of 4 VUs came {came_s:g}s late")


def test_vus_that_the_plan_never_wants_are_not_missed():
    ramp = RampingVUs(start_vus=1, stages=[("10s", 2)])
    assert late(ramp, there=2, came_s=0) == LateVUs()


def test_a_run_is_supervised_while_its_vus_are_started(monkeypatch):
    """Starting takes longer than the load: windows come meanwhile, and the VUs that are there count."""
    monkeypatch.setattr(run_module, "TICK_S", 0.1)
    start, started = threading.Thread.start, []

    def slow(thread):
        start(thread)
        if thread.name.startswith("cdcperf-vu"):
            started.append(thread)
            threading.Event().wait(0.05)

    monkeypatch.setattr(threading.Thread, "start", slow)
    subject = RunSubject("threads")
    windows = []
    hand_on = run_module.Run._hand_on_window
    monkeypatch.setattr(run_module.Run, "_hand_on_window", lambda run: (windows.append(len(started)), hand_on(run)))
    run = subject.execute(lambda: VU.pause(0.01), ConstantVUs(vus=100, duration="500ms"))
    there = len(started)
    assert 2 <= there < 100
    assert 1 <= run.figure("vus", "max") <= there
    assert run.figure("vus_max", "max") == there
    assert windows[0] < windows[2] < there
    (line,) = run.outcome.weaknesses
    assert line.startswith(f"only {there} of 100 VUs were there when the load ended: starting them took ")
    assert run.outcome.stuck_vus == []


def test_a_run_can_be_ended_while_its_vus_are_started(monkeypatch):
    start = threading.Thread.start
    subject = RunSubject("threads")

    def ending(thread):
        start(thread)
        if thread.name == "cdcperf-vu-5":
            subject.run.interrupt("Ctrl-C", KeyboardInterrupt())

    monkeypatch.setattr(threading.Thread, "start", ending)
    ran = subject.execute(lambda: None, ConstantVUs(vus=100, duration="1h"))
    assert ran.outcome.stop_reason == "Ctrl-C"
    assert ran.figure("vus_max", "max") == 5
    assert ran.outcome.weaknesses == []
