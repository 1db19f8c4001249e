"""Connections of psycopg whose calls have a time limit and can be cut, whether the server answers or not."""

from __future__ import annotations

import asyncio
import selectors
import threading
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

import psycopg
from psycopg import pq, waiting

from pytest_cdcperf.clients.time_limit import Watchdog, shut_down
from pytest_cdcperf.clock import real_time as time
from pytest_cdcperf.engine.thread_start import start_thread
from pytest_cdcperf.errors import ServiceError, ThreadLimitError

Row = dict[str, Any]

_CANCEL_TIMEOUT_S = 1.0
_PENDING = (pq.PollingStatus.READING, pq.PollingStatus.WRITING)

watchdog = Watchdog()


class PostgresTimeoutError(ServiceError, psycopg.OperationalError, TimeoutError):
    """A statement took longer than its limit; its connection is closed."""


class _Cuttable:
    """The part that both kinds of connection have.

    *exceeded*: its call was cut because it took too long. *touched*: something in its session outlives transactions,
    such as a setting. *pool*: whose it is, None where it is the VU's own. *users*: how many blocks and calls use it.
    *depth*: how many blocks of ``transaction()`` are open.
    """

    ends_ns = 0
    exceeded = False
    touched = False
    pool: Any = None
    users = 0
    depth = 0
    pgconn: pq.abc.PGconn

    @property
    def is_dirty(self) -> bool:
        """Whether its session is not as it was when it was opened."""
        status = self.pgconn.transaction_status
        return status != pq.TransactionStatus.UNKNOWN and (self.touched or status != pq.TransactionStatus.IDLE)

    def exceed(self) -> None:
        """Cut the call that is under way: it took too long."""
        self.ends_ns = 0
        self.exceeded = True
        self.cut()

    def cut(self) -> None:
        """Cut what is under way, from any thread: the socket is shut down, and the server asked to forget the query."""
        with suppress(psycopg.Error):  # closed already
            canceller.ask(self.pgconn)
        with suppress(psycopg.Error):
            shut_down(self.pgconn.socket)

    def _close_if_ended(self) -> None:
        # The server has ended the session where its call has failed and it is not ready for another. psycopg notices
        # that only once the socket is closed, which may be a moment later: the next call would fail as well.
        busy = self.pgconn.transaction_status in {pq.TransactionStatus.ACTIVE, pq.TransactionStatus.UNKNOWN}
        if busy and self.pgconn.pipeline_status == pq.PipelineStatus.OFF:
            self.pgconn.finish()

    def _give_up(self) -> None:
        self.cut()
        self.pgconn.finish()


class Connection(_Cuttable, psycopg.Connection[Row]):
    """A connection of the sync client."""

    def wait(self, gen: Any, *args: Any, **more: Any) -> Any:
        """Wait as psycopg does; but where Ctrl-C ends it, do not wait for the server."""
        try:
            return waiting.wait(gen, self.pgconn.socket, *args, **more)
        except psycopg.OperationalError:
            self._close_if_ended()
            raise
        except (KeyboardInterrupt, SystemExit):
            self._give_up()
            raise


class AsyncConnection(_Cuttable, psycopg.AsyncConnection[Row]):
    """A connection of the async client."""

    async def wait(self, gen: Any, *args: Any, **more: Any) -> Any:
        """Wait as psycopg does; but where the task is cancelled, do not wait for the server."""
        try:
            return await waiting.wait_async(gen, self.pgconn.socket, *args, **more)
        except psycopg.OperationalError:
            self._close_if_ended()
            raise
        except (asyncio.CancelledError, KeyboardInterrupt, SystemExit):
            self._give_up()
            raise


class _Canceller:
    """Asks servers to cancel queries that were cut, in a thread of its own: a server may hang."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: SimpleQueue[Any] = SimpleQueue()
        self._runs = False

    def ask(self, connection: pq.abc.PGconn) -> None:
        """Ask for the query that *connection* waits for, if any."""
        if connection.transaction_status != pq.TransactionStatus.ACTIVE or not psycopg.capabilities.has_cancel_safe():
            return  # an older libpq can ask only while everything waits for it
        self._requests.put(connection.cancel_conn())
        with self._lock:
            if self._runs:
                return
            self._runs = True
        try:
            start_thread("the thread that cancels queries", "cdcperf-cancel", self._send)
        except ThreadLimitError:  # the server finds out when it answers
            self._runs = False

    def _send(self) -> None:
        while True:
            with self._lock:
                try:
                    request = self._requests.get_nowait()
                except Empty:
                    self._runs = False
                    return
            if not _sent(request):
                self._drop_all()  # it does not answer: the others would wait as long, one after the other

    def _drop_all(self) -> None:
        with suppress(Empty):
            while True:
                self._requests.get_nowait()


canceller = _Canceller()


def _sent(request: Any) -> bool:
    """Send a request to cancel; return whether the server took it in time."""
    until = time.monotonic() + _CANCEL_TIMEOUT_S
    try:
        request.start()
        while (status := request.poll()) in _PENDING:
            with selectors.DefaultSelector() as selector:
                reads = status == pq.PollingStatus.READING
                selector.register(request.socket, selectors.EVENT_READ if reads else selectors.EVENT_WRITE)
                if not selector.select(max(0.0, until - time.monotonic())):
                    return False
    except (psycopg.Error, OSError):
        return False
    finally:
        request.finish()
    return True
