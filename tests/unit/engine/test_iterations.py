from __future__ import annotations

import pytest

from pytest_cdcperf.clock import FakeClock
from pytest_cdcperf.engine.context import RunContext, StopSignal
from pytest_cdcperf.engine.failures import Failures
from pytest_cdcperf.engine.iterations import IterationRecorder
from pytest_cdcperf.engine.load_phases import LoadPhases
from pytest_cdcperf.engine.vu import VU
from pytest_cdcperf.errors import IterationTimeoutError
from pytest_cdcperf.metrics import builtin
from pytest_cdcperf.metrics.phases import Phase
from pytest_cdcperf.metrics.recorder import Recorder
from pytest_cdcperf.metrics.scope import Scope
from tests.unit.harness import RULES, Exit, Skip


class Subject:
    def __init__(self, phases=None):
        self.clock = FakeClock(10**12)
        self.recorder = Recorder()
        self.vu = VU(1, session_id="r1", scope=Scope(self.recorder), phases=phases)
        self.stop = StopSignal()
        self.failures = Failures(RULES.describe)
        self.context = RunContext(self.clock, self.clock.now_ns(), self.stop, self.failures, RULES)
        self.iterations = IterationRecorder(self.vu, self.context)

    def iterate(self, seconds=0.0, *, think_s=0.0, error=None):
        self.iterations.start_iteration()
        self.clock.advance(seconds)
        self.vu.think_ns += round(think_s * 1e9)
        self.iterations.end_iteration(error)

    def figures(self):
        drained = self.recorder.drain()
        return {name: drained.select(name) for name in drained.names()}


@pytest.fixture
def subject():
    return Subject()


def test_iterations_are_numbered_from_zero_and_run_between_begin_and_end(subject):
    for number in range(3):
        assert (subject.iterations.started, subject.iterations.running) == (number, False)
        subject.iterations.start_iteration()
        assert (subject.vu.iteration, subject.iterations.running) == (number, True)
        subject.iterations.end_iteration()
    assert subject.iterations.started == 3


def test_the_end_tells_the_time(subject):
    subject.iterations.start_iteration()
    subject.clock.advance(2)
    assert subject.iterations.end_iteration() == subject.clock.now_ns()
    assert subject.context.elapsed_s() == 2


def test_the_response_time_counts_from_the_intended_start(subject):
    intended_ns = subject.clock.now_ns()
    subject.clock.advance(0.25)
    subject.iterations.start_iteration(intended_ns)
    subject.clock.advance(0.5)
    subject.iterations.end_iteration()
    figures = subject.figures()
    assert figures["response_time"].sum == pytest.approx(750)
    assert figures["iteration_duration"].sum == pytest.approx(500)


@pytest.mark.parametrize("error", [None, ValueError("x"), Skip("x"), Exit("x")])
def test_an_interrupted_iteration_is_not_recorded_and_the_next_one_is(subject, error):
    subject.iterations.start_iteration()
    assert not subject.iterations.is_interrupted
    assert subject.iterations.interrupt()
    assert subject.iterations.is_interrupted
    assert not subject.iterations.interrupt()
    subject.clock.advance(1)
    assert subject.iterations.end_iteration(error) == subject.clock.now_ns()
    assert subject.figures() == {}
    assert subject.failures.kinds() == []
    assert subject.stop.exit_request is None
    subject.iterate(0.1)
    assert subject.figures()["iterations"].total == 1
    assert not subject.iterations.is_interrupted


def test_an_interrupted_iteration_that_failed_took_at_least_the_time_until_then(subject):
    intended_ns = subject.clock.now_ns()
    subject.clock.advance(1)
    subject.iterations.start_iteration(intended_ns)
    subject.clock.advance(3)
    subject.vu.think_ns = round(0.5e9)
    assert subject.iterations.under_way_s == 3
    assert subject.iterations.interrupt(IterationTimeoutError(3, "graceful_stop", "t.py:7"))
    assert not subject.iterations.interrupt(IterationTimeoutError(4, "graceful_stop", "t.py:7"))
    subject.clock.advance(1)
    subject.iterations.end_iteration(ConnectionError("cancelled"))
    figures = subject.figures()
    assert figures["response_time"].sum == pytest.approx(3500)
    assert figures["iteration_duration"].sum == pytest.approx(3000)
    assert (figures["iteration_failed"].hits, figures["iteration_failed"].total) == (1, 1)
    assert "iterations" not in figures
    assert [(kind.type, kind.where, kind.count, kind.sample) for kind in subject.failures.kinds()] == [
        ("IterationTimeoutError", "t.py:7", 1, "sample of interrupted after 3 s at the end of graceful_stop, at t.py:7")
    ]


def test_an_iteration_is_written_down_once_where_it_ends_while_it_is_cut(subject):
    subject.iterations.start_iteration()
    looks = []

    class Running:
        """True at the first look, and then the iteration has ended."""

        def __get__(self, _instance, _owner):
            looks.append(1)
            return len(looks) == 1

        def __set__(self, _instance, _value):
            pass

    subject.iterations.__class__ = type("Ending", (IterationRecorder,), {"running": Running()})
    assert not subject.iterations.interrupt(IterationTimeoutError(3, "graceful_stop", ""))
    subject.iterations.end_iteration()
    figures = subject.figures()
    assert figures["iterations"].total == figures["iteration_failed"].total == 1
    assert figures["iteration_failed"].hits == 0


def test_between_iterations_there_is_nothing_to_cut(subject):
    assert not subject.iterations.interrupt()
    subject.iterate(0.1)
    assert not subject.iterations.interrupt()
    subject.iterate(0.1)
    assert subject.figures()["iterations"].total == 2


def test_the_response_time_leaves_the_thinking_out(subject):
    subject.iterate(0.5, think_s=0.2)
    figures = subject.figures()
    assert figures["iteration_duration"].sum == pytest.approx(500)
    assert figures["response_time"].sum == pytest.approx(300)


def test_thinking_is_not_carried_into_the_next_iteration(subject):
    subject.iterate(0.5, think_s=0.5)
    subject.figures()
    subject.iterate(0.25)
    assert subject.figures()["response_time"].sum == pytest.approx(250)


def test_a_passed_iteration_is_counted(subject):
    subject.iterate(0.1)
    figures = subject.figures()
    assert figures["iterations"].total == 1
    assert (figures["iteration_failed"].hits, figures["iteration_failed"].total) == (0, 1)
    assert "iterations_skipped" not in figures


def test_a_failed_iteration_is_counted_timed_and_kept_by_kind(subject):
    subject.iterate(0.1, error=AssertionError("x"))
    figures = subject.figures()
    assert figures["iterations"].total == 1
    assert (figures["iteration_failed"].hits, figures["iteration_failed"].total) == (1, 1)
    assert figures["response_time"].sum == figures["iteration_duration"].sum == pytest.approx(100)
    assert [kind.type for kind in subject.failures.kinds()] == ["AssertionError"]


def test_a_skipped_iteration_is_counted_as_nothing_else(subject):
    subject.iterate(0.1, error=Skip("not today"))
    figures = subject.figures()
    assert list(figures) == [builtin.ITERATIONS_SKIPPED.name]
    assert figures["iterations_skipped"].total == 1
    assert subject.failures.first_skip == "not today"
    assert subject.failures.kinds() == []


def test_an_exit_ends_the_run_and_is_no_figure(subject):
    first = Exit("enough")
    subject.iterate(0.1, error=first)
    subject.iterate(0.1, error=Exit("later"))
    assert subject.figures() == {}
    assert subject.stop.exit_request is first
    assert subject.stop.reason == "Exit: enough"
    assert subject.stop.ended.is_set()
    assert subject.stop.aborted.is_set()
    assert subject.failures.kinds() == []


@pytest.mark.parametrize("error", [None, ValueError("x"), Skip("x"), Exit("x")])
def test_once_the_run_is_accounted_for_nothing_is_written_down(subject, error):
    subject.stop.closed = True
    subject.iterate(0.1, error=error)
    assert subject.figures() == {}
    assert subject.failures.kinds() == []
    assert subject.stop.exit_request is None


def test_the_first_reason_to_stop_is_kept():
    stop = StopSignal()
    stop.end("first")
    assert not stop.aborted.is_set()
    stop.abort("second")
    assert (stop.reason, stop.aborted.is_set()) == ("first", True)


PLAN = (Phase("ramp-up", 0, 10), Phase("hold", 0, 15, "other"), Phase("hold", 10, 15))


@pytest.fixture
def phased():
    return Subject(LoadPhases.of("", PLAN))


def by_phase(subject, metric="iterations"):
    drained = subject.recorder.drain()
    return {phase: drained.select(metric, phases={phase}).total for phase in drained.phases(metric)}


def test_an_iteration_belongs_to_the_phase_of_its_load_in_which_it_began(phased):
    for seconds in (4, 7, 3, 60):  # from 0, 4, 11 and 14 s on
        phased.iterate(seconds)
    assert by_phase(phased) == {0: 2, 2: 2}


def test_a_start_belongs_to_the_phase_in_which_it_was_intended(phased):
    start_ns = phased.context.start_ns
    phased.clock.advance(12)
    phased.iterations.start_iteration(start_ns + 9 * 10**9)
    phased.iterations.end_iteration()
    assert by_phase(phased) == {0: 1}
    phased.iterations.start_iteration(start_ns + 10 * 10**9)
    phased.iterations.end_iteration()
    assert by_phase(phased) == {2: 1}


def test_the_next_iteration_after_an_interrupted_one_is_in_its_phase(phased):
    phased.clock.advance(9)
    phased.iterations.start_iteration()
    assert phased.iterations.interrupt()
    phased.clock.advance(2)
    phased.iterations.end_iteration()
    phased.iterate(1)
    phased.iterations.start_iteration()
    assert phased.iterations.interrupt()
    phased.iterations.end_iteration()
    phased.iterate(1)
    assert by_phase(phased) == {2: 2}


def test_what_is_recorded_after_an_interrupted_iteration_counts_again(phased):
    for checked in (False, True):
        phased.iterations.start_iteration()
        phased.vu.scope.appends[builtin.CHECKS](True)
        if checked:
            phased.iterations.end_iteration()
        else:
            assert phased.iterations.interrupt()
            phased.vu.scope.appends[builtin.CHECKS](False)  # what cancelling has a client record
            phased.iterations.end_iteration()
    assert by_phase(phased, "checks") == {0: 2}


def test_what_the_body_records_is_in_the_phase_of_its_iteration(phased):
    phased.clock.advance(9.5)
    phased.iterations.start_iteration()
    phased.clock.advance(1)
    phased.vu.scope.appends[builtin.CHECKS](True)
    phased.iterations.end_iteration(Skip("x"))
    assert by_phase(phased, "checks") == {0: 1}


def test_a_start_that_waits_counts_in_its_phase_before_it_begins(phased):
    phased.clock.advance(12)
    phased.iterations.enter_phase_at(phased.clock.now_ns())
    phased.vu.scope.appends[builtin.ITERATIONS_SKIPPED](1)
    assert by_phase(phased, "iterations_skipped") == {2: 1}
