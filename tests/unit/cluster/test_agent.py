from __future__ import annotations

import threading

import pytest

from pytest_cdcperf.cluster.agent import _weaknesses, run_share
from pytest_cdcperf.cluster.messages import ShareDone, WindowDone
from pytest_cdcperf.engine import run as run_module
from pytest_cdcperf.engine.run import Body, RunOutcome
from pytest_cdcperf.engine.vu import CurrentVU, current_vu
from pytest_cdcperf.model.load import ConstantVUs, PerVUIterations
from tests.unit.harness import RULES, Exit

VU = CurrentVU()


def share(body, load=None, **more):
    messages = []
    outcome = run_share(
        {"": load or PerVUIterations(vus=2, iterations=3)},
        Body(body),
        run_id="r",
        rules=RULES,
        send=messages.append,
        **more,
    )
    return messages, outcome


def test_windows_come_first_and_the_end_last():
    messages, outcome = share(lambda: None, worker="gw1")
    *windows, done = messages
    assert windows
    assert all(isinstance(message, WindowDone) for message in windows)
    assert {message.worker for message in messages} == {"gw1"}
    assert sum(message.window.snapshot.select("iterations").total for message in windows) == 6
    assert done == ShareDone("gw1", outcome.elapsed_s, done.core)
    assert done.core >= 0


def test_failures_and_what_died_beside_are_reported():
    def body():
        raise ValueError(str(VU.id))

    messages, _outcome = share(body, faults_at_end=lambda: ["a server died"])
    assert [(kind.type, kind.count) for kind in messages[-1].failures] == [("ValueError", 6)]
    assert messages[-1].faults == ("a server died",)


def test_a_run_that_was_stopped_says_so():
    def body():
        raise Exit("enough")

    messages, outcome = share(body)
    assert messages[-1].faults == ("stopped early: Exit: enough",)
    assert isinstance(outcome.exit_request, Exit)


def test_iterations_cut_off_and_vus_that_are_stuck_are_named(monkeypatch):
    monkeypatch.setattr(run_module, "CANCEL_GRACE_S", 0.5)
    release, through = threading.Event(), threading.Event()

    def body():
        current_vu().own.keep("last", None, close=lambda _value: through.set())
        release.wait(10)

    messages, _outcome = share(body, PerVUIterations(max_duration="300ms", graceful_stop="0s"))
    release.set()
    assert through.wait(10)
    assert messages[-1].faults == ("VU 1 could not be stopped: blocked in a call that has no timeout; give it one",)
    assert messages[-1].notes == (
        "1 iterations were interrupted at the end of the graceful stop; counted nowhere else",
    )


def test_the_recorders_notes_are_handed_on():
    from pytest_cdcperf.metrics.builtin import GROUP_DURATION

    messages, _outcome = share(lambda: GROUP_DURATION.add(float("inf")), PerVUIterations())
    assert messages[-1].notes == ("group_duration: 1 values were no finite numbers and are left out",)


@pytest.mark.parametrize(
    ("core", "elapsed_s", "weak"), [(0.96, 3.0, True), (0.95, 3.0, True), (0.94, 60.0, False), (1.2, 2.9, False)]
)
def test_a_full_core_is_a_weakness_unless_the_run_was_too_short_to_tell(core, elapsed_s, weak):
    found = _weaknesses(RunOutcome(elapsed_s, []), core)
    assert bool(found) is weak
    if weak:
        assert found[0].startswith(f"the generator filled its core ({core:.0%} of one): use more workers")


def test_a_reason_in_answer_to_a_window_ends_the_run(monkeypatch):
    monkeypatch.setattr(run_module, "TICK_S", 0.01)
    messages = []

    def send(message):
        messages.append(message)
        return "enough seen"

    loads = {"": ConstantVUs(duration="1h")}
    outcome = run_share(loads, Body(lambda: None), run_id="r", rules=RULES, send=send)
    assert outcome.stop_reason == "enough seen"
    assert outcome.exit_request is None
    assert messages[-1].faults == ()
