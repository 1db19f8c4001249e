from __future__ import annotations

import asyncio
import gc
import math
import threading

import pytest

from pytest_cdcperf.clock import FakeClock
from pytest_cdcperf.engine.heartbeat import Beats, Heartbeat, filled_in
from pytest_cdcperf.load.closed import ConstantVUs
from pytest_cdcperf.metrics.recorder import Recorder
from tests.unit.harness import Subject

TIMEOUT_S = 30


class FakeLoop:
    """A loop that calls what was asked of it last when told to."""

    def __init__(self):
        self.later = []

    def call_later(self, delay_s, callback):
        self.later.append((delay_s, callback))

    def fire(self):
        self.later.pop()[1]()


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def recorder():
    return Recorder()


def delays(recorder):
    snapshot = recorder.drain()
    lost = snapshot.select("generator_lost_s")
    return snapshot.select("generator_delay"), 0.0 if lost is None else lost.total


@pytest.mark.parametrize(
    ("late_ms", "beats"),
    [(0.0, [0.0]), (9.9, [9.9]), (10.0, [10.0, 0.0]), (25.0, [25.0, 15.0, 5.0])],
)
def test_a_late_beat_stands_for_those_it_left_out(late_ms, beats):
    assert filled_in(late_ms) == beats


def test_beats_that_were_missed_for_hours_are_bounded():
    assert len(filled_in(3_600_000.0)) == 6_001


def test_a_beat_is_due_ten_milliseconds_after_the_one_before(clock):
    beats = Beats(clock)
    clock.advance(0.012)
    assert beats.beat() == pytest.approx(2.0)
    clock.advance(0.009)
    assert beats.overdue_ms == 0.0
    clock.advance(0.004)
    assert beats.overdue_ms == pytest.approx(3.0)
    assert beats.beat() == pytest.approx(3.0)
    assert beats.beat() == 0.0


def test_a_beat_that_is_too_late_stays_due(clock):
    beats = Beats(clock)
    clock.advance(0.015)
    assert beats.beat_within(5.0) == pytest.approx(5.0)
    clock.advance(0.0151)
    assert beats.beat_within(5.0) == math.inf
    assert beats.beat() == pytest.approx(5.1)


def test_a_stop_counts_as_long_as_it_was_also_at_the_very_end(recorder, clock):
    with Heartbeat(recorder, clock):
        clock.advance(1.01)
    beats, lost_s = delays(recorder)
    assert (beats.max, lost_s) == (pytest.approx(1000.0), pytest.approx(1.0))
    assert sum(beats.positive.values()) >= 100
    assert beats.quantile(0.5) == pytest.approx(500, rel=0.02)


def test_lateness_of_up_to_five_milliseconds_is_a_delay_and_not_lost(recorder, clock):
    heart = Heartbeat(recorder, clock)
    with heart:
        clock.advance(0.0149)
    beats, lost_s = delays(recorder)
    assert (beats.max, lost_s) == (pytest.approx(4.9), 0.0)
    assert heart.take(1.0) is None


def test_nothing_is_recorded_once_it_is_over(recorder, clock):
    with Heartbeat(recorder, clock):
        pass
    recorder.drain()
    clock.advance(5.0)
    assert delays(recorder) == (None, 0.0)


def test_an_event_loop_beats_instead_of_the_thread(recorder, clock):
    loop = FakeLoop()
    with Heartbeat(recorder, clock) as heart:
        heart.beat_on(loop)
        assert loop.later[-1][0] == 0.01
        clock.advance(0.05)
        loop.fire()
        clock.advance(0.01)
        loop.fire()
        heart.loop_ends()
        loop.fire()
        assert loop.later == []
    beats, lost_s = delays(recorder)
    assert (beats.max, lost_s) == (pytest.approx(40.0), pytest.approx(0.04))
    assert heart.take(1.0).on_loop


def test_the_thread_beside_an_event_loop_beats_every_fifty_milliseconds(recorder, clock):
    with Heartbeat(recorder, clock) as heart:
        heart.beat_on(FakeLoop())
        assert heart._thread_beats.due_ns - clock.now_ns() == 50_000_000
        heart.loop_ends()
        clock.advance(0.05)  # in which the thread may still be asleep
    beats, lost_s = delays(recorder)
    assert (beats is None or beats.max == 0.0, lost_s) == (True, 0.0)
    assert heart.take(1.0) is None


def test_what_an_event_loop_left_overdue_at_its_end_counts(recorder, clock):
    with Heartbeat(recorder, clock) as heart:
        heart.beat_on(FakeLoop())
        clock.advance(0.3)
        heart.loop_ends()
    assert delays(recorder)[1] == pytest.approx(0.29)


def test_evidence_covers_the_time_since_it_was_last_taken(recorder, clock):
    with Heartbeat(recorder, clock) as heart:
        assert heart.take(1.0) is None
        heart.beat_on(FakeLoop())
        gc.collect()
        clock.advance(0.31)
        heart.loop_ends()
        seen = heart.take(2.5)
    assert (seen.span_s, seen.worst_from_s, seen.worst_to_s) == (1.5, 1.0, 2.5)
    assert (seen.late_s, seen.worst_ms) == (pytest.approx(0.3), pytest.approx(300.0))
    assert 0 < seen.longest_collection_ms / 1e3 <= seen.collecting_s
    assert seen.cpu_s > 0
    assert seen.cpus >= 1
    assert gc.callbacks == [each for each in gc.callbacks if not hasattr(each, "__self__")]


def test_the_line_in_which_an_event_loop_is_blocked_is_named(recorder, clock):
    with Heartbeat(recorder, clock) as heart:
        heart.beat_on(FakeLoop())
        clock.advance(0.08)
        pause = threading.Event()
        for _ in range(TIMEOUT_S * 100):
            if not heart._seen.blocked:
                pause.wait(0.01)
        heart.loop_ends()
        evidence = heart.take(1.0)
    (line,) = evidence.blocked
    assert line.startswith("test_heartbeat.py:")
    assert line.endswith(" in test_the_line_in_which_an_event_loop_is_blocked_is_named")


def test_a_run_beats_in_threads_and_on_its_event_loop():
    for runtime in ("threads", "tasks"):
        subject, seen = Subject(runtime), []

        def body(runtime=runtime, seen=seen, subject=subject):
            seen.append(subject.run.heartbeat._loop_thread == threading.get_ident())

        ran = subject.execute(body)
        assert ran.outcome.elapsed_s >= 0
        assert seen == [runtime == "tasks"]


def test_a_blocked_event_loop_is_seen_in_the_figures_of_a_run():
    subject = Subject("tasks")

    async def body():
        threading.Event().wait(0.15)
        await asyncio.sleep(0)

    subject.execute(body, ConstantVUs(duration="500ms"))
    evidence = subject.run.heartbeat.take(1.0)
    assert evidence.worst_ms > 100
    assert evidence.on_loop
    assert [line for line in evidence.blocked if line.endswith(" in body")]
