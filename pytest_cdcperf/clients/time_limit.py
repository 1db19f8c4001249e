"""Time limits for calls of drivers that have none: one thread cuts the calls that take longer."""

from __future__ import annotations

import os
import socket
import threading
import weakref
from contextlib import suppress
from typing import Protocol

from pytest_cdcperf.clock import real_time as time
from pytest_cdcperf.engine.thread_start import start_thread
from pytest_cdcperf.errors import ThreadLimitError, UnitError
from pytest_cdcperf.units import Duration, duration_s

Timeout = Duration

DEFAULT_TIMEOUT_S = 60.0  # of a call: k6's, as for HTTP and gRPC
POOL_TIMEOUT_S = 30.0  # to wait for a connection of a pool
CONNECT_TIMEOUT_S = 4  # less than what a run waits at its end: connecting cannot be interrupted
_EVERY_S = 0.2


class Limited(Protocol):
    """A connection whose calls have a limit. *ends_ns*: when the one that is under way must be over, 0 for none."""

    ends_ns: int

    def exceed(self) -> None:
        """Cut the call: it took too long."""


class Watchdog:
    """Cuts the calls that exceed their limit, from a thread that is there while there are connections.

    A limit so costs a call no more than an attribute.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watched: weakref.WeakSet[Limited] = weakref.WeakSet()
        self._runs = False

    def watch(self, connection: Limited) -> None:
        """Watch *connection* for as long as it exists.

        :raises ThreadLimitError: where there can be no such thread
        """
        with self._lock:
            self._watched.add(connection)
            if self._runs:
                return
            self._runs = True
        try:
            start_thread("the thread that limits calls", "cdcperf-limits", self._look)
        except ThreadLimitError:
            self._runs = False
            raise

    def _look(self) -> None:
        while True:
            time.sleep(_EVERY_S)
            with self._lock:
                watched = list(self._watched)
                self._runs = bool(watched)
            if not watched:
                return
            now_ns = time.perf_counter_ns()
            for connection in watched:
                if 0 < connection.ends_ns <= now_ns:
                    connection.exceed()
            del connection, watched  # or the last ones would never end


def seconds_of(call: str, timeout: Timeout | None, *, above_zero: bool = True) -> float:
    """Return the seconds of the *timeout* of *call*; None is the default.

    >>> seconds_of("pg, insert", "5m"), seconds_of("pg, insert", 2), seconds_of("pg, insert", None)
    (300.0, 2.0, 60.0)

    :raises UnitError: for what is not a duration, or with *above_zero* is 0
    """
    if timeout is None:
        return DEFAULT_TIMEOUT_S
    try:
        return duration_s(timeout, above_zero=above_zero)
    except UnitError as error:
        raise UnitError(f"{call}: timeout={error}") from None


def shut_down(fileno: int) -> None:
    """End the connection behind *fileno* in both directions, which ends the waits for it in all threads."""
    with suppress(OSError), socket.socket(fileno=os.dup(fileno)) as end:
        end.shutdown(socket.SHUT_RDWR)
