from __future__ import annotations

import threading

import pytest

from pytest_cdcperf.engine import sampling as module
from pytest_cdcperf.engine.sampling import sampling
from pytest_cdcperf.engine.vu import current_vu
from pytest_cdcperf.metrics.recorder import Counter, Recorder, Scope

READINGS = Counter("t_sampling_readings")


def test_samplers_record_into_the_runs_scope_and_one_that_raises_is_passed_over(monkeypatch):
    monkeypatch.setattr(module, "EVERY_S", 0.0)
    recorder, twice = Recorder(), threading.Event()
    calls = []

    def broken():
        raise OSError("no reading")

    def reading():
        READINGS.add(1)
        calls.append(1)
        if len(calls) == 2:
            twice.set()

    with sampling([broken, reading], Scope(recorder, (("run", "r1"),))):
        assert twice.wait(10)
    assert recorder.drain().select(READINGS.name, {"run": "r1"}).total >= 2


def test_a_sampler_that_waits_for_a_server_is_cut_off_with_the_run(monkeypatch):
    monkeypatch.setattr(module, "EVERY_S", 0.0)
    waits, cut, closed = threading.Event(), threading.Event(), threading.Event()

    def blocked():
        own = current_vu().own
        own.keep("connection", cut, close=lambda _: closed.set(), cancel=threading.Event.set)
        waits.set()
        assert cut.wait(20)

    with sampling([blocked], Scope(Recorder())):
        assert waits.wait(10)
    assert closed.wait(10)


def test_without_samplers_there_is_no_thread():
    before = threading.active_count()
    with sampling([], Scope(Recorder())):
        assert threading.active_count() == before


def test_an_error_in_the_block_passes_through():
    with pytest.raises(ValueError, match="x"), sampling([lambda: None], Scope(Recorder())):
        raise ValueError("x")
