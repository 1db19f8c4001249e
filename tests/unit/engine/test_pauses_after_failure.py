"""A closed loop pauses after a failed iteration: by a clock that moves when told to."""

from __future__ import annotations

import pytest

from pytest_cdcperf.load.closed import ConstantVUs
from pytest_cdcperf.load.open import ConstantArrivalRate
from tests.unit.engine.test_loops import S, Subject


@pytest.fixture
def open_loop():
    return Subject(ConstantArrivalRate(rate=10, duration="10s", vus=2, max_vus=3, max_lateness="2s"))


def failing(subject, recorder, *, think_s=0.0, error=True):
    """Run one iteration of a millisecond, which fails or not; return how long the next one is waited for."""
    recorder.start_iteration()
    subject.clock.advance(0.001 + think_s)
    recorder.vu.add_think_time(round(think_s * S))
    recorder.end_iteration(ValueError("no") if error else None)
    return subject.loop.pause_of(recorder)


def test_a_failed_iteration_pauses_as_long_as_the_vu_thinks_otherwise():
    subject = Subject(ConstantVUs(vus=1, duration="100s"))
    (recorder,) = subject.loop.recorders
    assert failing(subject, recorder, think_s=2.0, error=False) == 0
    assert failing(subject, recorder, think_s=1.0, error=False) == 0
    assert failing(subject, recorder) == pytest.approx(1.5)
    subject.clock.advance(1.0)
    assert subject.loop.pause_of(recorder) == pytest.approx(0.5)
    subject.clock.advance(0.5)
    assert subject.loop.pause_of(recorder) == 0
    assert failing(subject, recorder, think_s=1.0) == pytest.approx(0.5)  # it had thought of a part already
    assert subject.figures()["failure_pause_s"].total == pytest.approx(2.0)


def test_failures_in_a_row_are_ever_farther_apart_and_one_alone_is_not():
    subject = Subject(ConstantVUs(vus=1, duration="100s"))
    (recorder,) = subject.loop.recorders
    pauses = []
    for _ in range(8):
        pauses.append(failing(subject, recorder))
        subject.clock.advance(pauses[-1])
    assert pauses == pytest.approx([0, 0.01, 0.02, 0.04, 0.08, 0.16, 0.25, 0.25])
    assert failing(subject, recorder, error=False) == 0
    assert failing(subject, recorder) == 0


def test_a_pause_ends_with_the_load():
    subject = Subject(ConstantVUs(vus=1, duration="10s"))
    (recorder,) = subject.loop.recorders
    failing(subject, recorder, think_s=8.0, error=False)
    assert failing(subject, recorder) == pytest.approx(1.998)
    subject.go_to(10)
    assert subject.loop.pause_of(recorder) == 0


def test_an_open_loop_does_not_pause(open_loop):
    (recorder, _) = open_loop.loop.first_vus()
    for _ in range(3):
        recorder.start_iteration()
        recorder.end_iteration(ValueError("no"))
    assert "failure_pause_s" not in open_loop.figures()
