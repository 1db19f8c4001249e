"""Threads and tasks that a body leaves behind are named, and never waited for without end."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from pytest_cdcperf.engine import run as run_module
from pytest_cdcperf.engine.current_vu import CurrentVU
from pytest_cdcperf.engine.event_loop import DaemonExecutor
from pytest_cdcperf.load.closed import PerVUIterations
from tests.unit.harness import Subject

VU = CurrentVU()


@pytest.fixture
def release():
    """An event that whatever still runs waits for; set at the end of the test."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def tasks():
    return Subject("tasks")


def wait_for(release):
    release.wait(20)


def end_at_once(subject, body):
    """Run *body*, and end the run without a grace period once *subject* has *started*."""

    def end():
        subject.run.interrupt("Ctrl-C", KeyboardInterrupt())
        subject.run.interrupt("Ctrl-C", KeyboardInterrupt())

    return subject.execute(body, meanwhile=end).outcome


def line_of(function, offset):
    return f"test_left_behind.py:{function.__code__.co_firstlineno + offset}"


def test_a_thread_that_asyncio_started_is_named_and_nobody_waits_for_it(tasks, release):
    def work():
        tasks.started.set()
        release.wait(20)

    async def body():
        await asyncio.to_thread(work)

    outcome = end_at_once(tasks, body)
    assert outcome.left_behind == [
        f"1 threads of asyncio.to_thread() still run, in {work.__qualname__}() at {line_of(work, 2)}: "
        "they cannot be cancelled; give the call a timeout"
    ]
    assert (outcome.stuck, outcome.interrupted, outcome.notes) == ([], 1, [])
    assert outcome.still_running()
    release.set()
    until = time.monotonic() + 10
    while outcome.still_running() and time.monotonic() < until:
        time.sleep(0.01)
    assert not outcome.still_running()


def test_a_thread_that_soon_ends_is_waited_for(tasks):
    async def body():
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.to_thread(time.sleep, 0.15), 0.01)

    outcome = tasks.execute(body).outcome
    assert (outcome.left_behind, outcome.failures) == ([], [])


def test_a_task_that_swallows_its_cancellation_is_named_and_abandoned(tasks, release):
    async def deaf():
        while True:
            try:
                await asyncio.sleep(20)
            except asyncio.CancelledError:
                continue

    async def body():
        VU.state["kept"] = asyncio.ensure_future(deaf())
        await asyncio.sleep(0)

    outcome = tasks.execute(body, PerVUIterations(vus=2)).outcome
    assert outcome.left_behind == [
        f"2 tasks that the body started swallow their cancellation at {line_of(deaf, 3)}; they were abandoned"
    ]
    assert not outcome.still_running()


def test_a_task_that_ends_when_it_is_cancelled_is_no_matter(tasks):
    async def body():
        VU.state["kept"] = asyncio.ensure_future(asyncio.sleep(20))
        await asyncio.sleep(0)

    assert tasks.execute(body).outcome.left_behind == []


def test_a_body_that_swallows_its_cancellation_is_a_stuck_vu(tasks, release, monkeypatch):
    monkeypatch.setattr(run_module, "CANCEL_GRACE_S", 0.3)

    async def body():
        tasks.started.set()
        while not release.is_set():
            try:
                await asyncio.sleep(0.05)
            except asyncio.CancelledError:
                continue

    (busy,) = end_at_once(tasks, body).stuck
    assert (busy.vu, busy.line, busy.was_cancelled) == (1, line_of(body, 4), True)
    assert not busy.waits_for_server


def test_a_body_that_blocks_the_loop_is_named_by_its_line(tasks, release, monkeypatch):
    monkeypatch.setattr(run_module, "CANCEL_GRACE_S", 0.3)

    async def body():
        tasks.started.set()
        release.wait(20)

    (busy,) = end_at_once(tasks, body).stuck
    assert (busy.vu, busy.line, busy.was_cancelled) == (1, line_of(body, 2), False)


@pytest.mark.parametrize("how", ["pool", "thread"])
def test_a_thread_that_python_waits_for_at_its_end_is_told(release, how):
    def body():
        if how == "pool":
            ThreadPoolExecutor(1, "mine").submit(wait_for, release)
        else:
            threading.Thread(target=wait_for, args=(release,), name="mine_0", daemon=False).start()

    outcome = Subject("threads").execute(body).outcome
    assert outcome.notes == [
        f"the thread mine_0 at {line_of(wait_for, 1)} still runs, and pytest cannot end before it; give it a timeout"
    ]


def test_threads_that_end_with_python_are_no_matter(release):
    pools = []

    def body():
        threading.Thread(target=wait_for, args=(release,)).start()  # a daemon, as the VU is
        pool = ThreadPoolExecutor(1)
        pool.submit(int).result()
        pools.append(pool)

    assert Subject("threads").execute(body).outcome.notes == []
    pools[0].shutdown()


def test_the_executor_calls_side_by_side_and_hands_on_what_is_raised():
    executor, meet = DaemonExecutor(), threading.Barrier(3)
    futures = [executor.submit(meet.wait, 10) for _ in range(3)]
    assert sorted(future.result(10) for future in futures) == [0, 1, 2]
    with pytest.raises(ZeroDivisionError):
        executor.submit(lambda: 1 / 0).result(10)
    assert list(executor.map(str, range(50))) == [str(number) for number in range(50)]
    executor.shutdown()
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit(int)


def test_python_ends_beside_a_blocked_call_of_the_executor():
    code = """
import threading
from pytest_cdcperf.engine.event_loop import DaemonExecutor
begun = threading.Event()
DaemonExecutor().submit(lambda: (begun.set(), threading.Event().wait(60)))
begun.wait(10)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)
