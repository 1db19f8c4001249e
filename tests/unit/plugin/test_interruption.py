"""A signal ends the session, by what the main thread is doing. The signals are real, the session is not."""

from __future__ import annotations

import queue
import signal
import sys
import threading
from types import SimpleNamespace

import pytest

from pytest_cdcperf.plugin.interruption import ENDING, TEARDOWN_S, TERMINATING, Interruption, Place

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")


class Subject:
    def __init__(self):
        self.told, self.now_s = queue.SimpleQueue(), 0.0
        self.session = SimpleNamespace(shouldstop=False, exitstatus=0, _setupstate=SimpleNamespace(stack=[]))
        self.interruption = Interruption(self.told.put, now_s=lambda: self.now_s)

    def take(self, *numbers):
        self.interruption.take(self.session, numbers or ENDING)

    def at(self, place, number=signal.SIGINT):
        with self.interruption.at(place):
            signal.raise_signal(number)

    def tells(self):
        return self.told.get(timeout=10)

    def finish(self):
        """The hooks that end the session; return its exit code."""
        for hook in (self.interruption.pytest_sessionfinish(self.session), self.interruption.pytest_unconfigure()):
            next(hook)
            next(hook, None)
        return self.session.exitstatus


@pytest.fixture
def subject():
    before = {number: signal.getsignal(number) for number in ENDING}
    subject = Subject()
    yield subject
    subject.finish()
    assert {number: signal.getsignal(number) for number in ENDING} == before


@pytest.mark.parametrize(
    ("number", "reason", "code"), [(signal.SIGINT, "Ctrl-C", 0), (signal.SIGTERM, "SIGTERM", 143), (1, "SIGHUP", 129)]
)
def test_code_of_the_framework_goes_on_and_the_session_ends_after_it(subject, number, reason, code):
    subject.take()
    subject.at(Place.FRAMEWORK, number)
    assert (subject.interruption.reason, subject.session.shouldstop, subject.tells()) == (reason, reason, reason)
    assert subject.finish() == code


@pytest.mark.parametrize("number", ENDING)
def test_a_test_under_load_is_interrupted_and_reported(subject, number):
    subject.take()
    with pytest.raises(pytest.fail.Exception, match="interrupted by"):
        subject.at(Place.LOAD_TEST, number)
    assert subject.session.shouldstop == subject.tells() != ""


def test_in_any_other_test_ctrl_c_is_pythons_own_and_what_would_kill_is_an_exit(subject):
    subject.take()
    with pytest.raises(KeyboardInterrupt):
        subject.at(Place.TEST)
    assert (subject.session.shouldstop, subject.interruption.reason) == (False, "")
    with pytest.raises(pytest.exit.Exception, match="SIGTERM"):
        subject.at(Place.TEST, signal.SIGTERM)
    assert subject.finish() == 143


def test_tear_down_is_interrupted_by_a_later_signal_and_not_by_pressing_twice(subject):
    subject.take()
    for subject.now_s in (1.0, 2.0, 1.0 + TEARDOWN_S):
        subject.at(Place.TEARDOWN)
    subject.now_s += 0.1
    with pytest.raises(pytest.fail.Exception, match="tear-down was interrupted by another Ctrl-C"):
        subject.at(Place.TEARDOWN)


def test_the_code_of_the_first_of_several_signals_is_that_of_the_session(subject):
    subject.take()
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        subject.at(Place.FRAMEWORK, number)
    assert (subject.interruption.reason, subject.finish()) == ("SIGTERM", 143)


def test_while_workers_are_in_a_perf_test_nothing_more_is_handed_out_and_who_hangs_is_not_waited_for_long(subject):
    subject.take()
    stopped = []
    subject.interruption.stop_handing_out = stopped.append
    subject.interruption.is_busy = lambda: True
    for subject.now_s in (0.0, 1.0, 9.0):
        subject.at(Place.HANDING_OUT)
    assert stopped == ["Ctrl-C"] * 3
    subject.now_s = 11.0
    with pytest.raises(KeyboardInterrupt):
        subject.at(Place.HANDING_OUT)


@pytest.mark.parametrize(("number", "raised"), [(signal.SIGINT, KeyboardInterrupt), (1, pytest.exit.Exception)])
def test_while_no_worker_is_in_a_perf_test_the_loop_that_hands_out_ends_at_once(subject, number, raised):
    subject.take()
    with pytest.raises(raised):
        subject.at(Place.HANDING_OUT, number)
    assert subject.session.shouldstop


def test_a_worker_is_interrupted_where_the_controller_says_so_and_tells_nobody(subject):
    subject.take()

    def under_load():
        with subject.interruption.at(Place.LOAD_TEST):
            threading.Thread(target=subject.interruption.on_interrupted, args=["SIGTERM"], daemon=True).start()
            threading.Event().wait(10)

    with pytest.raises(pytest.fail.Exception, match="interrupted by SIGTERM"):
        under_load()
    assert (subject.told.empty(), subject.session.shouldstop) == (True, "SIGTERM")
    assert subject.finish() == 0


def test_once_signals_are_given_back_the_controller_interrupts_nobody(subject):
    subject.take()
    subject.finish()
    subject.interruption.on_interrupted("SIGTERM")
    assert subject.interruption.reason == ""


def test_a_signal_that_is_ignored_stays_ignored_as_nohup_has_it(subject):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        subject.take()
        subject.at(Place.LOAD_TEST, signal.SIGHUP)
        assert subject.interruption.reason == ""
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_handler_that_another_has_set_since_is_left_alone(subject):
    before = signal.getsignal(signal.SIGTERM)
    subject.take()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    subject.finish()
    assert signal.signal(signal.SIGTERM, before) is signal.SIG_IGN


def test_only_what_is_asked_for_is_taken(subject):
    before = signal.getsignal(signal.SIGINT)
    subject.take(*TERMINATING)
    assert signal.getsignal(signal.SIGINT) is before
    subject.take()
    assert signal.getsignal(signal.SIGINT) is not before


def test_in_another_thread_nothing_is_changed(subject):
    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=subject.take)
    thread.start()
    thread.join()
    assert signal.getsignal(signal.SIGINT) is before
