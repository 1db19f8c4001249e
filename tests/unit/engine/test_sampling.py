from __future__ import annotations

import os
import subprocess
import sys
import threading

import psutil
import pytest

from pytest_cdcperf.engine import sampling as module
from pytest_cdcperf.engine.current_vu import current_vu
from pytest_cdcperf.engine.sampling import STACK_EVERY, MemorySampler, sampling
from pytest_cdcperf.metrics.metric import Counter
from pytest_cdcperf.metrics.recorder import Recorder
from pytest_cdcperf.metrics.scope import Scope

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


SHARING = """
import mmap, os, sys
shared = mmap.mmap(-1, 64 << 20)
for page in range(0, 64 << 20, 4096):
    shared[page] = 1
for _ in range(3):
    if not os.fork():
        touched = sum(shared[page] for page in range(0, 64 << 20, 4096))
        os.write(1, b"x")
        sys.stdin.read()
        os._exit(0)
sys.stdin.read()
"""


@pytest.mark.skipif(not hasattr(psutil.Process().memory_full_info(), "pss"), reason="the system has no PSS")
def test_memory_that_servers_share_counts_once(recorder):
    with subprocess.Popen([sys.executable, "-c", SHARING], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as servers:
        for _ in range(3):
            assert os.read(servers.stdout.fileno(), 1) == b"x"
        sampler = MemorySampler((servers.pid, 2**22 + 1))
        sampler()
        once = recorder.drain().select("stack_memory_mb").value
        readings = [recorder.drain().select("stack_memory_mb") for _ in range(STACK_EVERY) if not sampler()]
        servers.stdin.close()
    assert 64 < once < 2 * 64
    assert [reading is not None for reading in readings] == [False] * (STACK_EVERY - 1) + [True]
