"""The closed and the open loop start and end iterations, by a fake clock."""

from __future__ import annotations

import pytest

from pytest_cdcperf.clock import FakeClock
from pytest_cdcperf.engine.closed_loop import ClosedLoop
from pytest_cdcperf.engine.context import RunContext, StopSignal
from pytest_cdcperf.engine.failures import Failures
from pytest_cdcperf.engine.load_phases import LoadPhases
from pytest_cdcperf.engine.open_loop import OpenLoop
from pytest_cdcperf.engine.run import new_loop
from pytest_cdcperf.engine.vu import VU
from pytest_cdcperf.load.closed import ConstantVUs, PerVUIterations, RampingVUs
from pytest_cdcperf.load.open import ConstantArrivalRate, RampingArrivalRate
from pytest_cdcperf.load.share import WHOLE
from pytest_cdcperf.metrics.recorder import Recorder
from pytest_cdcperf.metrics.scope import Scope
from tests.unit.harness import RULES

S = 10**9


class Subject:
    def __init__(self, load):
        self.clock = FakeClock(10**12)
        self.recorder = Recorder()
        self.phases = load.phases
        self.stop = StopSignal()
        self.context = RunContext(self.clock, self.clock.now_ns(), self.stop, Failures(RULES.describe), RULES)
        self.loop = new_loop(load, WHOLE, self.context, self.new_vu)

    def new_vu(self, number):
        phases = LoadPhases.of("", self.phases)
        return VU(number + 1, session_id="r", scope=Scope(self.recorder), phases=phases)

    def at(self, seconds):
        return self.context.start_ns + round(seconds * S)

    def go_to(self, seconds):
        self.clock.advance(seconds - self.context.elapsed_s())

    def figures(self):
        drained = self.recorder.drain()
        return {name: drained.select(name) for name in drained.names()}


@pytest.fixture
def open_loop():
    return Subject(ConstantArrivalRate(rate=10, duration="10s", vus=2, max_vus=3, max_lateness="2s"))


def overdue(subject, elapsed_s):
    return [recorder.vu.id for recorder, limit in subject.loop.under_way(elapsed_s) if limit.at_s <= elapsed_s]


def lags(subject):
    figures = subject.figures()
    return figures["vu_wait"].sum, figures["generator_lag"].sum


@pytest.mark.parametrize(
    ("waits_from_s", "free_since_s", "now_s", "vu_wait_ms", "generator_lag_ms"),
    [
        (None, 4.0, 5.0, 0, 0),  # free and on time
        (None, 4.0, 5.25, 0, 250),  # free, and we were late
        (5.0, 5.5, 5.5, 500, 0),  # every VU was busy
        (5.0, 5.5, 5.75, 500, 250),  # both, one after the other
        (5.25, 5.5, 5.5, 250, 250),  # the other way round
        (5.0, 5.0, 5.0, 0, 0),
        (5.0, 7.0, 7.0, 2000, 0),  # as long as it may wait
        (None, 5.25, 5.5, 0, 500),  # another VU was free
        (None, 4.0, 8.0, 0, 3000),  # what we are late by drops nothing
        (5.0, None, 5.5, 0, 500),  # taken by a VU that was still to come
    ],
)
def test_two_lags_never_one(open_loop, waits_from_s, free_since_s, now_s, vu_wait_ms, generator_lag_ms):
    (recorder, _) = open_loop.loop.first_vus()
    open_loop.go_to(now_s)
    waits_from_ns, free_since_ns = (0 if at_s is None else open_loop.at(at_s) for at_s in (waits_from_s, free_since_s))
    assert open_loop.loop.accept_start(recorder, open_loop.at(5), waits_from_ns, free_since_ns)
    assert lags(open_loop) == (pytest.approx(vu_wait_ms), pytest.approx(generator_lag_ms))
    assert open_loop.loop.take_dropped() == 0


def test_how_late_a_start_is_counts_in_the_phase_of_the_start():
    ramp = Subject(RampingArrivalRate(stages=[("5s", 10), ("5s", 10)], vus=1, max_lateness="2s"))
    (recorder,) = ramp.loop.first_vus()
    ramp.go_to(6)
    for intended_s in (4.5, 5.5):
        assert ramp.loop.accept_start(recorder, ramp.at(intended_s), 0, ramp.at(4))
    drained = ramp.recorder.drain()
    for metric in ("vu_wait", "generator_lag"):
        assert drained.phases(metric) == {0, 1}
    assert [drained.select("generator_lag", phases={phase}).sum for phase in (0, 1)] == [1500, 500]


def test_a_start_that_waited_too_long_for_a_vu_is_dropped_and_measured_nowhere(open_loop):
    (recorder, _) = open_loop.loop.first_vus()
    open_loop.go_to(8)
    assert not open_loop.loop.accept_start(recorder, open_loop.at(5), open_loop.at(5), open_loop.at(7) + 1)
    assert open_loop.loop.take_dropped() == 1
    assert open_loop.loop.take_dropped() == 0
    assert open_loop.figures() == {}


def test_without_any_lateness_only_what_finds_every_vu_busy_is_dropped():
    subject = Subject(ConstantArrivalRate(rate=10, duration="10s", vus=1, max_lateness="0s"))
    (recorder,) = subject.loop.first_vus()
    subject.go_to(8)
    assert subject.loop.accept_start(recorder, subject.at(5), 0, subject.at(6))
    assert not subject.loop.accept_start(recorder, subject.at(5), subject.at(5), subject.at(6))
    assert subject.loop.take_dropped() == 1


def test_a_start_waits_for_a_busy_vu_where_none_is_free_and_there_may_be_no_more(open_loop):
    loop = open_loop.loop
    open_loop.go_to(5)
    for recorder in loop.first_vus():
        loop.vu_joined(recorder)
    assert [loop.hand_out() for _ in range(2)] == [(None, 0)] * 2
    assert loop.hand_out() == (loop.recorders[2], 0)
    loop.vu_joined(loop.recorders[2])
    assert loop.hand_out() == (None, open_loop.at(5))


def test_it_grows_to_its_most_vus_and_no_further(open_loop):
    loop = open_loop.loop
    first = loop.first_vus()
    assert [recorder.vu.id for recorder in first] == [1, 2]
    assert loop.active(0) == 0
    for recorder in first:
        loop.vu_joined(recorder)
    assert loop.active(0) == 2
    assert loop.add_vu().vu.id == 3
    assert loop.add_vu() is None
    assert loop.add_vu() is None
    assert loop.active(0) == 2
    loop.vu_joined(loop.recorders[-1])
    assert loop.active(0) == len(loop.recorders) == 3


def test_a_start_that_is_due_says_whether_every_vu_is_busy(open_loop):
    loop = open_loop.loop
    loop.vu_became_free()
    loop.vu_became_free()
    assert [loop.start_due() for _ in range(4)] == [False, False, True, True]
    loop.vu_became_free()  # takes the first of the two that are queued
    loop.vu_became_free()
    assert loop.start_due()
    loop.vu_became_free()
    loop.vu_became_free()
    assert not loop.start_due()


def test_a_start_dropped_from_the_queue_waits_no_longer(open_loop):
    loop = open_loop.loop
    loop.vu_became_free()
    assert not loop.start_due()
    assert loop.start_due()
    loop.drop_queued()
    assert loop.take_dropped() == 1
    loop.vu_became_free()
    assert not loop.start_due()


@pytest.mark.parametrize(
    ("load", "most"),
    [
        (ConstantArrivalRate(rate=10, duration="10s", max_lateness="2s"), 21),
        (ConstantArrivalRate(rate=10, duration="10s", max_lateness="0s"), 1),
        (RampingArrivalRate(stages=[("10s", 100), ("10s", 0)], max_lateness="500ms"), 51),
        (RampingArrivalRate(start_rate=60, per="1m", stages=[("10s", 0)]), 11),
    ],
)
def test_the_queue_holds_the_starts_of_max_lateness(load, most):
    assert Subject(load).loop.most_queued == most


def test_only_starts_without_a_free_vu_fill_the_queue():
    loop = Subject(ConstantArrivalRate(rate=10, duration="10s", vus=3, max_vus=3, max_lateness="200ms")).loop
    for recorder in loop.first_vus():
        loop.vu_joined(recorder)
    for _ in range(3 + loop.most_queued):
        loop.hand_out()
        assert not loop.queue_is_full
    loop.hand_out()
    assert loop.queue_is_full
    loop.drop_queued()
    assert not loop.queue_is_full


def test_starts_count_from_the_common_start():
    loop = Subject(ConstantArrivalRate(rate=2, duration="1s", start_at="1m")).loop
    assert list(loop.starts) == [60, 60.5]


def test_iterations_of_an_open_loop_are_overdue_after_the_graceful_stop_only(open_loop):
    first, second = open_loop.loop.first_vus()
    first.start_iteration()
    assert second.running is False
    assert overdue(open_loop, 39.9) == []
    assert overdue(open_loop, 40.0) == [first.vu.id]
    assert open_loop.loop.next_deadline_s(0) == open_loop.loop.deadline_s == 40


def test_a_closed_vu_waits_runs_and_stops():
    subject = Subject(PerVUIterations(iterations=2, start_at="2s", max_duration="10s"))
    (recorder,) = subject.loop.recorders
    next_wait = subject.loop.next_wait_of(recorder)
    assert next_wait() == pytest.approx(2)
    subject.go_to(2.5)
    for _ in range(2):
        assert next_wait() == 0
        recorder.start_iteration()
        recorder.end_iteration()
    assert next_wait() is None


def test_no_iteration_starts_once_the_run_has_ended():
    subject = Subject(ConstantVUs(duration="10s"))
    next_wait = subject.loop.next_wait_of(subject.loop.recorders[0])
    assert next_wait() == 0
    subject.stop.end("over")
    assert next_wait() is None


@pytest.mark.parametrize(
    ("elapsed_s", "active"),
    [(0, 0), (5, 0), (9.9, 0), (10, 1), (14.9, 1), (15, 2), (19.9, 2), (22, 2), (22.6, 1), (24.9, 1), (26, 0), (31, 1)],
)
def test_the_active_vus_are_the_plans(elapsed_s, active):
    ramp = RampingVUs(start_at="5s", stages=[("10s", 2), ("5s", 2), ("5s", 0), ("10s", 2)])
    loop = Subject(ramp).loop
    assert loop.active(elapsed_s) == 0
    for recorder in loop.recorders:
        loop.vu_joined(recorder)
    assert loop.active(elapsed_s) == active


def test_how_late_vus_came_counts_from_when_each_is_wanted():
    subject = Subject(RampingVUs(start_vus=1, stages=[("10s", 3), ("10s", 3)]))
    first, second, third = subject.loop.recorders
    subject.go_to(0.5)
    subject.loop.vu_joined(first)
    subject.go_to(4)
    subject.loop.vu_joined(second)  # wanted from 5 s on
    assert subject.loop.late_s == pytest.approx(0.5)
    subject.go_to(12)
    subject.loop.vu_joined(third)  # wanted from 10 s on
    assert subject.loop.late_s == pytest.approx(2)


def test_starts_that_are_due_when_the_run_ends_are_counted_and_later_ones_are_not():
    subject = Subject(ConstantArrivalRate(rate=10, duration="1s"))
    next(subject.loop.starts)
    next(subject.loop.starts)  # at 0.1 s: in hand
    subject.go_to(0.35)
    subject.loop.drop_rest()
    assert (subject.loop.take_unstarted(), subject.loop.take_unstarted()) == (3, 0)
    assert subject.loop.take_dropped() == 0


@pytest.mark.parametrize(("reason", "dropped", "unstarted"), [("", 1, 0), ("Ctrl-C", 0, 1)])
def test_a_start_that_nobody_had_taken_at_the_end_is_dropped_for_what_ended_the_run(reason, dropped, unstarted):
    subject = Subject(ConstantArrivalRate(rate=10, duration="1s", vus=1))
    subject.stop.end(reason)
    assert subject.loop.start_due()
    subject.loop.drop_untaken()
    assert (subject.loop.take_dropped(), subject.loop.take_unstarted()) == (dropped, unstarted)
    subject.loop.vu_became_free()
    assert not subject.loop.start_due()


def test_starts_that_are_due_and_that_nobody_accounts_for_came_to_nothing():
    """Ten are due by 0.95 s: one ran, one was dropped before and one since, and the event loop is blocked for good."""
    subject = Subject(ConstantArrivalRate(rate=10, duration="10s", start_at="1s", vus=1))
    (recorder,) = subject.loop.first_vus()
    recorder.start_iteration()
    subject.loop.drop()
    subject.loop.take_dropped()
    subject.loop.drop()
    subject.go_to(1.95)
    subject.loop.drop_unaccounted()
    assert subject.loop.take_unstarted() == 7
    subject.loop.drop_unaccounted()
    assert subject.loop.take_unstarted() == 0


def test_all_starts_are_counted_of_a_run_that_could_not_go_on():
    subject = Subject(ConstantArrivalRate(rate=10, duration="1s"))
    subject.stop.fail("no more threads")
    subject.loop.drop_rest()
    assert subject.loop.take_unstarted() == 10


@pytest.mark.parametrize(
    ("elapsed_s", "cut"),
    [(19.9, []), (20.1, []), (22.9, []), (23, [2]), (27.9, [2]), (28.1, [1, 2]), (31, [2]), (39, [1, 2])],
)
def test_a_vu_that_a_ramp_takes_away_is_overdue_after_graceful_ramp_down(elapsed_s, cut):
    """VU 2 leaves at 20 s and VU 1 at 25 s; VU 1 is back from 30 s on."""
    ramp = RampingVUs(
        start_at="5s",
        start_vus=2,
        stages=[("10s", 2), ("10s", 0), ("10s", 2)],
        graceful_ramp_down="3s",
        graceful_stop="4s",
    )
    subject = Subject(ramp)
    for recorder in subject.loop.recorders:
        recorder.start_iteration()
    assert overdue(subject, elapsed_s) == cut
    for recorder in subject.loop.recorders:
        recorder.end_iteration()
    assert overdue(subject, elapsed_s) == []


def test_a_constant_load_is_overdue_after_the_graceful_stop():
    subject = Subject(ConstantVUs(start_at="1s", duration="10s", graceful_stop="4s"))
    subject.loop.recorders[0].start_iteration()
    assert overdue(subject, 14.9) == []
    assert overdue(subject, 15) == [1]
    assert subject.loop.next_deadline_s(0) == 15


def test_the_graceful_stop_begins_where_the_load_is_ended():
    for load in (
        ConstantVUs(duration="10s", graceful_stop="4s"),
        RampingVUs(start_vus=1, stages=[("10s", 1)], graceful_stop="4s"),
        ConstantArrivalRate(rate=1, duration="10s", vus=1, graceful_stop="4s"),
    ):
        subject = Subject(load)
        (recorder,) = subject.loop.recorders or subject.loop.first_vus()
        recorder.start_iteration()
        subject.loop.end_early(12)
        assert subject.loop.deadline_s == 14
        subject.loop.end_early(3)
        assert subject.loop.deadline_s == subject.loop.next_deadline_s(3) == 7
        assert (overdue(subject, 6.9), overdue(subject, 7)) == ([], [1])


def test_vus_that_are_there_to_the_end_have_the_graceful_stop():
    subject = Subject(RampingVUs(start_vus=2, stages=[("10s", 2)], graceful_ramp_down="0s", graceful_stop="30s"))
    for recorder in subject.loop.recorders:
        recorder.start_iteration()
    assert overdue(subject, 10.5) == []


@pytest.mark.parametrize(
    "stages", [[("10s", 0)], [("9s", 2), ("1s", 0)], [("10s", 2), ("0s", 0)]], ids=["ramp", "hold", "step"]
)
def test_a_vu_that_the_ramp_takes_away_at_its_very_end_has_the_ramps_grace(stages):
    subject = Subject(RampingVUs(start_vus=2, stages=stages, graceful_ramp_down="1s", graceful_stop="30s"))
    for recorder in subject.loop.recorders:
        recorder.start_iteration()
    assert 1 not in overdue(subject, 10.9)
    assert overdue(subject, 11) == [1, 2]


def test_the_next_deadline_is_that_of_an_iteration_under_way():
    ramp = RampingVUs(start_vus=3, stages=[("3s", 0)], graceful_ramp_down="500ms")  # they leave at 1, 2 and 3 s
    subject = Subject(ramp)
    first, second, third = subject.loop.recorders
    for recorder in (first, third):
        recorder.start_iteration()
    assert second.running is False
    assert [subject.loop.next_deadline_s(now_s) for now_s in (0, 1.5, 3.4)] == pytest.approx([1.5, 3.5, 3.5])
    third.end_iteration()
    assert subject.loop.next_deadline_s(0) == pytest.approx(3.5)


def test_loops_are_closed_or_open():
    assert isinstance(Subject(RampingVUs(stages=[("1s", 1)])).loop, ClosedLoop)
    assert isinstance(Subject(ConstantArrivalRate(rate=1, duration="1s")).loop, OpenLoop)
