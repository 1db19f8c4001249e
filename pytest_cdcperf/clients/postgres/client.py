"""``pg``, the client for ``def`` bodies and for fixtures."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from pytest_cdcperf.clients.postgres.aio import AsyncPostgres
from pytest_cdcperf.clients.postgres.calls import PG_POOL_WAIT, Calls, Params, limit_ns, too_long
from pytest_cdcperf.clients.postgres.connection import Connection, Row, watchdog
from pytest_cdcperf.clients.postgres.server import PostgresUnreachableError, Server
from pytest_cdcperf.clients.postgres.statements import Statement
from pytest_cdcperf.clients.time_limit import POOL_TIMEOUT_S, Timeout
from pytest_cdcperf.engine.vu import VU, current_vu, refuse_blocking
from pytest_cdcperf.errors import UnreachableError, WrongFaceError
from pytest_cdcperf.model.services import PostgresAddress


class Postgres(Calls[int, list[Row]]):
    """The sync client. One object serves all VUs; who asks is told by context."""

    def __init__(self, address: PostgresAddress, *, workers: int = 1) -> None:
        self.server = Server(address, workers)
        self.aio = AsyncPostgres(self.server)
        self._lock = threading.RLock()
        self._pool: Any = None

    @property
    def address(self) -> PostgresAddress:
        """Where the server is."""
        return self.server.address

    def ping(self) -> str:
        """Return the server's version.

        :raises UnreachableError: in one line with the address and the driver's words
        """
        try:
            with self.connection() as connection:
                return connection.info.parameter_status("server_version") or "unknown"
        except UnreachableError:
            raise
        except psycopg.Error as error:
            raise PostgresUnreachableError.of(self.address, error) from None

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """Lend the raw psycopg connection of whoever asks. What is done with it is not measured."""
        refuse_blocking("pg", "pg.aio.insert(...) and the like")
        vu = current_vu()
        if vu is None:
            yield self.server.home()  # without its lock: every VU asks for the limit under it
        elif self.server.pinned(vu):
            yield self._own(vu)
        else:
            with self._borrowed(vu) as connection:
                yield connection

    def close(self) -> None:
        """Close what is open beside the VUs' own connections."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.close(timeout=2)
        self.server.close()

    def _count(self, statement: Statement, params: Params, timeout: Timeout | None) -> int:
        __tracebackhide__ = True
        return self._run(statement, params, timeout).rowcount

    def _rows(self, statement: Statement, params: Params, timeout: Timeout | None) -> list[Row]:
        __tracebackhide__ = True
        cursor = self._run(statement, params, timeout)
        return cursor.fetchall() if cursor.description else []

    def _run(self, statement: Statement, params: Params, timeout: Timeout | None) -> psycopg.Cursor[Row]:
        __tracebackhide__ = True
        most_ns = limit_ns(statement, timeout)
        begin_ns = time.perf_counter_ns()
        connection = self._open_already()
        try:
            if connection is not None:
                cursor = _executed(connection, statement, params, begin_ns + most_ns)
            else:
                with self.connection() as connection:
                    begin_ns = time.perf_counter_ns()
                    cursor = _executed(connection, statement, params, begin_ns + most_ns)
        except WrongFaceError:
            raise
        except BaseException as error:
            statement.failed(begin_ns, error)
            if connection is not None and connection.exceeded:
                self.server.suspect()
                raise too_long(statement, most_ns) from None
            raise
        statement.done(begin_ns, cursor.rowcount)
        return cursor

    def _open_already(self) -> Connection | None:
        # What connection() would lend a VU of its own from its second call on, without the cost of a context manager.
        vu = current_vu()
        connection: Connection | None = None if vu is None or vu.is_async else vu.own.get(self)
        return connection if connection is not None and not connection.closed else None

    def _cut(self, connection: Connection) -> None:
        self.server.suspect()
        connection.cut()

    def _own(self, vu: VU) -> Connection:
        connection: Connection | None = vu.own.get(self)
        if connection is None or connection.closed:  # broken: the server ended it
            connection = self.server.connect()
            vu.own.keep(self, connection, close=Connection.close, cancel=self._cut)
        return connection

    @contextmanager
    def _borrowed(self, vu: VU) -> Iterator[Connection]:
        pool = self._open_pool()
        vu.own.keep(self, pool, close=lambda _: None, cancel=lambda pool: pool.close(timeout=0))
        begin_ns = time.perf_counter_ns()
        try:
            connection = pool.getconn(timeout=POOL_TIMEOUT_S)
        finally:
            PG_POOL_WAIT.add((time.perf_counter_ns() - begin_ns) * 1e-6)
            vu.own.drop(self)
        vu.own.keep(self, connection, close=lambda _: None, cancel=self._cut)
        try:
            yield connection
        finally:
            vu.own.drop(self)
            pool.putconn(connection)

    def _open_pool(self) -> Any:
        with self._lock:
            if self._pool is None or self._pool.closed:  # closed: to end the waiting of an earlier run's VUs
                from psycopg_pool import ConnectionPool  # noqa: PLC0415  # only runs with more VUs than connections

                self._pool = ConnectionPool(
                    kwargs=self.server.arguments(),
                    connection_class=Connection,
                    configure=watchdog.watch,
                    min_size=0,
                    max_size=self.server.limit,
                    open=True,
                    name="cdcperf",
                )
            return self._pool


def _executed(connection: Connection, statement: Statement, params: Params, ends_ns: int) -> psycopg.Cursor[Row]:
    __tracebackhide__ = True
    connection.ends_ns = ends_ns
    try:
        return connection.execute(statement.query, params)
    finally:
        connection.ends_ns = 0
