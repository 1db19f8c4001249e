"""Iterations at their deadlines, by a clock that moves when the run waits."""

from __future__ import annotations

import pytest

from pytest_cdcperf.clock import FakeClock
from pytest_cdcperf.engine import run as run_module
from pytest_cdcperf.engine.run import Body, Run
from pytest_cdcperf.engine.stacks import Busy
from pytest_cdcperf.load.closed import ConstantVUs, RampingVUs
from pytest_cdcperf.metrics.timeline import Timeline
from tests.unit.harness import RULES


class FakeRuntime:
    """Runs nothing: a wait is the passing of time, and *while_waiting* what happens meanwhile."""

    def __init__(self, clock, while_waiting=lambda: None):
        self.clock = clock
        self.while_waiting = while_waiting
        self.waits_s = []
        self.loops = ()
        self.interrupted = []
        self.start_ns = 0

    def start(self, loops):
        self.loops, self.start_ns = loops, self.clock.now_ns()
        for loop in loops:
            for recorder in loop.recorders:
                loop.vu_joined(recorder)
                recorder.start_iteration()
        return iter(())

    def wait(self, timeout_s):
        self.clock.advance(max(0.0, timeout_s))
        self.waits_s.append(timeout_s)
        self.while_waiting()
        return not any(recorder.running for loop in self.loops for recorder in loop.recorders)

    def busy(self):
        return [Busy(recorder.vu.id, ()) for loop in self.loops for recorder in loop.recorders if recorder.running]

    def interrupt(self, recorders):
        for recorder in recorders:
            self.interrupted.append((recorder.vu.id, round((self.clock.now_ns() - self.start_ns) * 1e-9, 6)))
            recorder.end_iteration()

    def left_behind(self):
        return []

    def alive(self):
        return False


class FakeRun:
    """A run by a clock that moves when it waits."""

    def __init__(self, monkeypatch, load, while_waiting=lambda: None):
        clock, self.timeline = FakeClock(), Timeline()
        self.runtime = FakeRuntime(clock, while_waiting)
        monkeypatch.setattr(Run, "_new_runtime", lambda _run: self.runtime)
        monkeypatch.setattr(Run, "_supervise_to_the_end", Run._supervise)
        self.run = Run({"": load}, Body(int), session_id="r", rules=RULES, on_window=self.timeline.add, clock=clock)

    @property
    def recorders(self):
        return [recorder for loop in self.runtime.loops for recorder in loop.recorders]

    @property
    def elapsed_s(self):
        return round(self.run._context.elapsed_s(), 6)

    def execute(self):
        return self.run.execute()

    def failed(self):
        state = self.timeline.total.select("iteration_failed")
        return None if state is None else (state.hits, state.total)


def test_an_iteration_is_interrupted_at_its_deadline(monkeypatch):
    fake = FakeRun(monkeypatch, ConstantVUs(duration="1s", graceful_stop="333ms"))
    outcome = fake.execute()
    assert fake.runtime.interrupted == [(1, 1.333)]
    assert (outcome.interrupted, outcome.timed_out) == (1, 1)
    assert fake.failed() == (1, 1)
    assert fake.timeline.total.select("response_time").max == pytest.approx(1333)
    assert len(fake.runtime.waits_s) <= 10  # five a second, the full seconds and the limit


def test_deadlines_close_together_are_handled_together(monkeypatch):
    ramp = RampingVUs(start_vus=200, stages=[("1s", 0)], graceful_ramp_down="0s")
    fake = FakeRun(monkeypatch, ramp)
    fake.execute()
    assert len(fake.runtime.interrupted) == 200
    assert all(
        at_s - vu_leaves_s <= run_module.INTERRUPT_SLICE_S + 1e-6
        for at_s, vu_leaves_s in ((at_s, (201 - vu) / 200) for vu, at_s in fake.runtime.interrupted)
    )
    assert len(fake.runtime.waits_s) <= 110


def test_a_run_that_is_ended_early_keeps_the_graceful_stop(monkeypatch):
    """Not the time until the planned end and the graceful stop."""
    fake = FakeRun(
        monkeypatch,
        ConstantVUs(duration="1h", graceful_stop="2s"),
        while_waiting=lambda: fake.elapsed_s < 3 or fake.run.stop.end("p(95)<5 failed"),
    )
    outcome = fake.execute()
    assert fake.runtime.interrupted == [(1, 5)]
    assert (outcome.timed_out, outcome.stop_reason) == (1, "p(95)<5 failed")


def test_an_iteration_interrupted_by_ctrl_c_has_not_failed(monkeypatch):
    fake = FakeRun(
        monkeypatch,
        ConstantVUs(duration="1h", graceful_stop="1s"),
        while_waiting=lambda: fake.elapsed_s < 3 or fake.run.stop.reason or fake.run.interrupt("Ctrl-C"),
    )
    outcome = fake.execute()
    assert fake.runtime.interrupted == [(1, 3 + run_module.INTERRUPT_GRACE_S)]
    assert (outcome.interrupted, outcome.timed_out, outcome.failures) == (1, 0, [])
    assert fake.failed() is None


def test_an_iteration_interrupted_in_a_pause_has_not_failed(monkeypatch):
    def think_on():
        fake.recorders[0].vu.is_thinking = True

    fake = FakeRun(monkeypatch, ConstantVUs(duration="1s", graceful_stop="1s"), while_waiting=think_on)
    outcome = fake.execute()
    assert (outcome.interrupted, outcome.timed_out) == (1, 0)
    assert fake.failed() is None


@pytest.mark.parametrize(("iterates_until_s", "timed_out"), [(3.5, 0), (1.5, 1)], ids=["healthy", "hanging"])
def test_without_a_graceful_stop_only_what_took_far_longer_than_any_before_has_failed(
    monkeypatch, iterates_until_s, timed_out
):
    """An iteration takes 1 s, and the run ends at 4 s. What began at 3 s is healthy, what began at 1 s is not."""

    def iterate():
        (recorder,) = fake.recorders
        if recorder.under_way_s >= 1 and fake.elapsed_s < iterates_until_s:
            recorder.end_iteration()
            recorder.start_iteration()

    load = ConstantVUs(duration="4s", graceful_stop="0s")
    fake = FakeRun(monkeypatch, load, while_waiting=iterate)
    outcome = fake.execute()
    assert (outcome.interrupted, outcome.timed_out) == (1, timed_out)
