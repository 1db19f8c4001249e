from __future__ import annotations

import signal
import threading

import pytest

from pytest_cdcperf.clock import FakeClock
from pytest_cdcperf.engine.run import INTERRUPT_GRACE_S, Body, Run
from pytest_cdcperf.engine.signals import Terminated, ending_on_signals
from pytest_cdcperf.model.load import PerVUIterations
from tests.unit.harness import RULES


@pytest.fixture
def run():
    return Run({"": PerVUIterations()}, Body(lambda: None), run_id="r", rules=RULES, on_window=lambda _window: None)


@pytest.mark.parametrize(
    ("number", "request_type", "reason"),
    [(signal.SIGINT, KeyboardInterrupt, "Ctrl-C"), (signal.SIGTERM, Terminated, "SIGTERM")],
)
def test_a_signal_ends_the_run_instead_of_raising(run, number, request_type, reason):
    before = signal.getsignal(number)
    with ending_on_signals(run):
        signal.raise_signal(number)
    assert isinstance(run.stop.exit_request, request_type)
    assert run.stop.reason == reason
    assert run.stop.ended.is_set()
    assert signal.getsignal(number) is before


def test_the_first_request_waits_some_seconds_and_the_second_for_nobody():
    clock = FakeClock()
    body = Body(lambda: None)
    run = Run({"": PerVUIterations()}, body, run_id="r", rules=RULES, on_window=lambda _window: None, clock=clock)
    deadlines = []
    for _ in range(2):
        clock.advance(1)
        run.interrupt("Ctrl-C", KeyboardInterrupt())
        deadlines.append(run._last_s)
    assert deadlines == [1 + INTERRUPT_GRACE_S, 2]


def test_handlers_are_given_back_after_an_error(run):
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(ValueError, match="x"), ending_on_signals(run):
        raise ValueError("x")
    assert signal.getsignal(signal.SIGINT) is before


def test_in_another_thread_nothing_is_changed(run):
    before, seen = signal.getsignal(signal.SIGINT), []

    def other():
        with ending_on_signals(run):
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert seen == [before]
