"""Calls that take too long are cut at their time limit."""

from __future__ import annotations

import gc
import socket
import threading
import time

import pytest

from pytest_cdcperf.clients import time_limit as module
from pytest_cdcperf.clients.time_limit import Watchdog, seconds_of, shut_down
from pytest_cdcperf.errors import ConfigError, ThreadLimitError, UnitError


class Connection:
    def __init__(self, ends_ns):
        self.ends_ns = ends_ns
        self.cut = threading.Event()

    def exceed(self):
        self.ends_ns = 0
        self.cut.set()


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(module, "_EVERY_S", 0.005)


def limiting(before=()):
    return {thread for thread in threading.enumerate() if thread.name == "cdcperf-limits"} - set(before)


def test_only_a_call_that_is_over_its_time_is_cut(quick):
    watchdog, now_ns = Watchdog(), time.perf_counter_ns()
    late, early, idle = Connection(now_ns - 1), Connection(now_ns + 3600 * 10**9), Connection(0)
    for connection in (early, idle, late):
        watchdog.watch(connection)
    assert late.cut.wait(10)
    again = Connection(now_ns - 1)
    watchdog.watch(again)
    assert again.cut.wait(10)
    assert not early.cut.is_set()
    assert not idle.cut.is_set()


def test_one_thread_watches_as_long_as_there_is_anything_to_watch(quick):
    before = limiting()
    watchdog = Watchdog()
    connections = [Connection(0) for _ in range(3)]
    for connection in connections:
        watchdog.watch(connection)
    assert len(limiting(before)) == 1
    del connection
    connections.clear()
    gc.collect()
    until = time.monotonic() + 10
    while limiting(before) and time.monotonic() < until:
        time.sleep(0.005)
    assert not limiting(before)
    late = Connection(1)
    watchdog.watch(late)
    assert late.cut.wait(10)


def test_without_a_thread_nothing_can_be_limited_and_the_next_one_tries_again(quick, monkeypatch):
    def refuse(_thread):
        raise RuntimeError("can't start new thread")

    watchdog, late = Watchdog(), Connection(1)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(ThreadLimitError, match="the thread that limits calls could not be started"):
            watchdog.watch(late)
    watchdog.watch(Connection(0))
    assert late.cut.wait(10)


def test_a_thread_that_waits_for_a_socket_is_woken_when_it_is_shut_down():
    mine, theirs = socket.socketpair()
    with mine, theirs:
        thread = threading.Thread(target=lambda: answers.append(mine.recv(1)))
        answers = []
        thread.start()
        shut_down(mine.fileno())
        thread.join(10)
        assert answers == [b""]
        assert theirs.recv(1) == b""


def test_what_is_closed_already_is_no_matter():
    mine, theirs = socket.socketpair()
    number = mine.fileno()
    mine.close()
    theirs.close()
    shut_down(number)


@pytest.mark.parametrize(("timeout", "seconds"), [(None, 60), (2, 2), (0.5, 0.5), ("500ms", 0.5), ("5m", 300)])
def test_a_limit_is_seconds_or_a_duration(timeout, seconds):
    assert seconds_of("pg, insert", timeout) == seconds


@pytest.mark.parametrize("timeout", [0, -1, 1e9, float("nan"), "0s"])
def test_what_is_no_limit_is_refused(timeout):
    with pytest.raises(ConfigError, match=r"^pg, insert: timeout=.*; allowed: "):
        seconds_of("pg, insert", timeout)


@pytest.mark.parametrize("timeout", ["soon", "30", True, []])
def test_what_is_no_duration_is_refused(timeout):
    with pytest.raises(UnitError, match=r"^pg, insert: timeout="):
        seconds_of("pg, insert", timeout)
