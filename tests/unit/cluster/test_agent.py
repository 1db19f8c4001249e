from __future__ import annotations

import asyncio
import platform
import threading
from contextlib import contextmanager
from itertools import count

import pytest

from pytest_cdcperf.cluster import agent
from pytest_cdcperf.cluster.agent import Findings, run_share
from pytest_cdcperf.cluster.messages import ShareDone, Stop, WindowDone
from pytest_cdcperf.engine import run as run_module
from pytest_cdcperf.engine.current_vu import CurrentVU, current_vu
from pytest_cdcperf.engine.run import Body, RunOutcome
from pytest_cdcperf.load.closed import ConstantVUs, PerVUIterations, SharedIterations
from pytest_cdcperf.load.share import Share
from pytest_cdcperf.metrics.metric import definitions
from tests.unit.harness import RULES, Exit, Skip

VU = CurrentVU()


class Line:
    """A link that keeps what is sent, and answers the first window once *begun* with *stop*."""

    def __init__(self, stop=None, begun=lambda: True):
        self.sent = []
        self._stop, self._begun = stop, begun
        self.on_stop = None

    def send(self, message):
        self.sent.append(message)
        if self._stop is not None and isinstance(message, WindowDone) and self._begun():
            stop, self._stop = self._stop, None
            self.on_stop(stop)

    @contextmanager
    def stopping(self, on_stop):
        self.on_stop = on_stop
        yield
        self.on_stop = None


def share(body, load=None, *, stop=None, **more):
    line = Line(stop)
    loads = {"": load or PerVUIterations(vus=2, iterations=3)}
    outcome = run_share("t.py::test", loads, Body(body), session_id="r", rules=RULES, link=line, **more)
    assert line.on_stop is None
    return line.sent, outcome


@pytest.mark.parametrize("passes", [(), (4,)])
def test_windows_say_the_only_failure_until_an_iteration_passes(passes):
    calls = count(1)

    def body():
        if next(calls) not in passes:
            raise ValueError("x")

    *windows, _ = share(body)[0]
    only = windows[-1].only_failure
    assert (only is None) == bool(passes)
    assert passes or (only.type, only.count, only.sample) == ("ValueError", 6, "ValueError")


def test_windows_come_first_and_the_end_last():
    messages, outcome = share(lambda: None)
    *windows, done = messages
    assert windows
    assert all(isinstance(message, WindowDone) for message in windows)
    assert {message.test for message in messages} == {"t.py::test"}
    assert sum(message.window.snapshot.select("iterations").total for message in windows) == 6
    assert done == ShareDone("t.py::test", outcome.elapsed_s, done.cpu, metrics=definitions(), host=platform.node())
    assert done.cpu >= 0


def test_what_was_seen_of_a_late_generator_goes_with_the_window():
    async def body():
        threading.Event().wait(0.1)  # blocks the loop

    line = Line()
    run_share(
        "t", {"": PerVUIterations(iterations=2)}, Body(body, is_async=True), session_id="r", rules=RULES, link=line
    )
    (seen,) = [message.delays for message in line.sent[:-1] if message.delays is not None]
    assert seen.worst_ms > 50
    assert seen.on_loop


def test_only_this_workers_share_is_run():
    messages, _outcome = share(lambda: None, PerVUIterations(vus=3, iterations=2), share=Share(1, 2))
    assert sum(message.window.snapshot.select("iterations").total for message in messages[:-1]) == 2


def test_the_reason_of_skipped_iterations_is_told():
    def body():
        raise Skip("not today")

    messages, _outcome = share(body)
    assert (messages[-1].skipped, messages[-1].ends_run, messages[-1].failures) == ("not today", "", ())


def test_failures_and_what_died_beside_are_reported():
    def body():
        raise ValueError(str(VU.id))

    messages, _outcome = share(body, check_at_end=lambda _given_up: Findings(("a server died",)))
    assert [(kind.type, kind.count) for kind in messages[-1].failures] == [("ValueError", 6)]
    assert messages[-1].faults == ("a server died",)


def test_what_ended_the_run_from_within_is_told_to_the_others():
    def body():
        raise Exit("enough")

    messages, outcome = share(body)
    assert messages[-1].ends_run == "Exit: enough"
    assert messages[-1].faults == ()
    assert isinstance(outcome.exit_request, Exit)


def test_iterations_cut_off_and_vus_that_are_stuck_are_named(monkeypatch):
    monkeypatch.setattr(run_module, "CANCEL_GRACE_S", 0.5)
    release, through = threading.Event(), threading.Event()

    def body():
        current_vu().own.keep("last", None, close=lambda _value: through.set())
        release.wait(10)

    messages, _outcome = share(body, PerVUIterations(max_duration="200ms", graceful_stop="100ms"))
    release.set()
    assert through.wait(10)
    line = body.__code__.co_firstlineno + 2
    assert messages[-1].faults == (
        f"VU 1 could not be stopped: blocked in a call that has no timeout (test_agent.py:{line}); give it one",
    )
    assert messages[-1].notes == (
        "1 iterations were interrupted at the end of the graceful stop: they count as failed, "
        "and their time until then is in response_time as a lower bound",
    )
    assert [(kind.type, kind.where) for kind in messages[-1].failures] == [
        ("IterationTimeoutError", f"test_agent.py:{line}")
    ]


@pytest.mark.parametrize(
    ("reason", "why"), [("", "while thinking, or without a graceful stop"), ("Ctrl-C", "Ctrl-C")], ids=["end", "Ctrl-C"]
)
def test_iterations_cut_off_that_tell_nothing_of_the_system_are_named(reason, why):
    outcome = RunOutcome(elapsed_s=1, failures=[], interrupted=3, timed_out=1, stop_reason=reason)
    assert agent._notes(outcome)[1:] == [
        f"2 iterations were interrupted by the end of the run ({why}); counted nowhere else"
    ]


def test_all_that_a_counted_load_never_started_is_a_fault():
    """The one iteration that is interrupted at the end does not hide the others."""
    release, through = threading.Event(), threading.Event()

    def body():
        current_vu().own.keep("last", release, close=lambda _value: through.set(), cancel=threading.Event.set)
        release.wait(10)

    load = SharedIterations(vus=1, iterations=20, max_duration="200ms", graceful_stop="100ms")
    messages, outcome = share(body, load)
    assert through.wait(10)
    assert (outcome.interrupted, outcome.stop_reason) == (1, "")
    assert messages[-1].faults == ("19 iterations were not started within max_duration; raise it, or the vus",)


def test_the_recorders_notes_are_handed_on():
    from pytest_cdcperf.metrics.builtin import GROUP_DURATION

    messages, _outcome = share(lambda: GROUP_DURATION.add(float("inf")), PerVUIterations())
    assert messages[-1].notes == ("group_duration: 1 values were no finite numbers and are left out",)


@pytest.mark.parametrize("at_once", [False, True])
def test_a_stop_of_the_controllers_ends_the_run_and_is_not_told_back(monkeypatch, at_once):
    monkeypatch.setattr(run_module, "TICK_S", 0.01)
    stop = Stop("enough seen", at_once=at_once)
    messages, outcome = share(lambda: None, ConstantVUs(duration="10s"), stop=stop)
    assert outcome.stop_reason == "enough seen"
    assert outcome.exit_request is None
    assert (messages[-1].ends_run, messages[-1].faults) == ("", ())


def test_only_a_stop_at_once_cuts_iterations_short(monkeypatch):
    monkeypatch.setattr(run_module, "TICK_S", 0.01)
    monkeypatch.setattr(run_module, "INTERRUPT_GRACE_S", 0.1)
    begun, through = threading.Event(), threading.Event()

    async def body():
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            through.set()

    line = Line(Stop("Ctrl-C", at_once=True), begun.is_set)
    outcome = run_share(
        "t",
        {"": ConstantVUs(duration="10s", graceful_stop="10s")},
        Body(body, is_async=True),
        session_id="r",
        rules=RULES,
        link=line,
    )
    assert through.is_set()
    assert outcome.elapsed_s < 10  # the graceful stop was not waited for
    assert line.sent[-1].notes[0].startswith("1 iterations were interrupted")
