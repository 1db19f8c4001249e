"""``pg``, the client for ``def`` bodies and for fixtures."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from psycopg.errors import FeatureNotSupported

from pytest_cdcperf.clients.effects import note_statement
from pytest_cdcperf.clients.per_vu import sync_vu
from pytest_cdcperf.clients.postgres.aio import AsyncPostgres
from pytest_cdcperf.clients.postgres.calls import (
    PG_POOL_WAIT,
    Calls,
    Params,
    check_commit,
    limit_ns,
    no_connection,
    too_long,
)
from pytest_cdcperf.clients.postgres.connection import Connection, Row, watchdog
from pytest_cdcperf.clients.postgres.lexer import Reading
from pytest_cdcperf.clients.postgres.server import PostgresUnreachableError, Server
from pytest_cdcperf.clients.postgres.session import (
    FORGET_PLANS,
    UNDO_S,
    cleaning,
    is_idle,
    may_undo,
    plan_is_stale,
    reading_raw,
    require_session,
)
from pytest_cdcperf.clients.postgres.statements import Statement, block_statements
from pytest_cdcperf.clients.time_limit import CONNECT_TIMEOUT_S, POOL_TIMEOUT_S, Timeout
from pytest_cdcperf.clock import real_time as time
from pytest_cdcperf.engine.current_vu import current_vu
from pytest_cdcperf.engine.vu import VU
from pytest_cdcperf.errors import BlockingCallError, ConfigError, UnreachableError
from pytest_cdcperf.servers import PostgresAddress, PostgresOptions


class Postgres(Calls[int, list[Row]]):
    """The sync client. One object serves all VUs; who asks is told by context."""

    def __init__(self, address: PostgresAddress, *, workers: int = 1, options: PostgresOptions | None = None) -> None:
        self.server = Server(address, workers, options or PostgresOptions())
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
                version = connection.info.parameter_status("server_version") or "unknown"
            return f"{version} {self.server.manner}".rstrip()
        except UnreachableError:
            raise
        except psycopg.Error as error:
            raise PostgresUnreachableError.of(self.address, error) from None

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """Lend the raw psycopg connection of whoever asks. What is done with it is not measured.

        What a body leaves in its session is undone at the end of the iteration.
        """
        with self._lent() as connection, reading_raw(connection):
            note_statement()
            yield connection

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Run what is in the block in one transaction: committed at its end, rolled back where it raises.

        Blocks nest: an inner one is a savepoint. BEGIN is in ``pg_control_duration``, COMMIT in ``pg_write_duration``.

        :raises psycopg.errors.InFailedSqlTransaction: where a statement failed and the block went on: nothing of the
            transaction is written
        """
        __tracebackhide__ = True
        with self._lent() as connection:
            block = block_statements(0 if is_idle(connection) else connection.depth + 1)
            self._run(block.begin, None, None)
            connection.depth += 1
            try:
                yield
                self._run(block.commit, None, None)
            except BaseException:
                with suppress(psycopg.Error):  # what the body raised is what counts
                    if may_undo(connection):
                        self._run(block.undo, None, UNDO_S)
                raise
            finally:
                connection.depth = max(0, connection.depth - 1)

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
        connection = self._open_already(current_vu())
        try:
            if connection is not None and statement.session is None:
                cursor = _executed(connection, statement, params, begin_ns + most_ns)
            else:
                with self._lent(statement.session) as connection:
                    begin_ns = time.perf_counter_ns()
                    cursor = _executed(connection, statement, params, begin_ns + most_ns)
                    check_commit(statement, cursor.statusmessage)
        except (BlockingCallError, ConfigError):
            raise
        except BaseException as error:
            exceeded = connection is not None and connection.exceeded
            statement.failed(begin_ns, error, timed_out=exceeded)
            if exceeded:
                self.server.suspect()
                raise too_long(statement, most_ns) from None
            raise
        statement.done(begin_ns, cursor.rowcount)
        return cursor

    def _open_already(self, vu: VU | None) -> Connection | None:
        # What _lent() would lend a VU of its own from its second call on, without the cost of a context manager.
        connection: Connection | None = None if vu is None or vu.is_async else vu.own.get(self)
        return connection if connection is not None and not connection.closed else None

    @contextmanager
    def _lent(self, session: Reading | None = None) -> Iterator[Connection]:
        """Lend the connection of whoever asks; what a statement does to its *session* may keep it for the VU."""
        vu = sync_vu("pg", "pg.aio.insert(...) and the like")
        connection = self._open_already(vu)
        if session is not None:
            require_session(self.server, vu, session, is_own=connection is not None)
        if vu is None:
            yield self.server.home()  # without its lock: every VU asks for the limit under it
            return
        if connection is None:
            connection = self._own(vu) if self.server.pinned(vu) else self._borrowed(vu)
        connection.users += 1
        try:
            if session is not None and session.touches:
                connection.touched = True
            yield connection
        finally:
            connection.users -= 1
            self._settle(vu, connection)

    def _settle(self, vu: VU, connection: Connection) -> None:
        """Let the VU have *connection* while something of its body is in it; else it goes back to the pool."""
        if connection.users:
            return
        if connection.is_dirty:
            vu.tidying[self] = lambda: self._tidy(vu, connection)
            return
        vu.tidying.pop(self, None)
        if connection.pool is not None:
            self._give_back(vu, connection)

    def _tidy(self, vu: VU, connection: Connection) -> None:
        connection.users = 0
        connection.ends_ns = time.perf_counter_ns() + CONNECT_TIMEOUT_S * 1_000_000_000
        try:
            for query in cleaning(connection, vu):
                connection.execute(query)
        except psycopg.Error:
            connection.close()
        finally:
            connection.ends_ns = 0
            if connection.pool is not None:
                self._give_back(vu, connection)

    def _cut(self, connection: Connection) -> None:
        self.server.suspect()
        connection.cut()

    def _own(self, vu: VU) -> Connection:
        connection: Connection | None = vu.own.get(self)
        if connection is None or connection.closed:  # broken: the server ended it
            connection = self.server.connect()
            vu.own.keep(self, connection, close=Connection.close, cancel=self._cut)
        return connection

    def _borrowed(self, vu: VU) -> Connection:
        __tracebackhide__ = True
        from psycopg_pool import PoolTimeout  # noqa: PLC0415  # only runs with more VUs than connections

        pool = self._open_pool()
        vu.own.keep(self, None, close=lambda _: None, cancel=lambda _: pool.close(timeout=0))
        begin_ns = time.perf_counter_ns()
        try:
            connection: Connection = pool.getconn(timeout=POOL_TIMEOUT_S)
        except PoolTimeout:
            raise no_connection(self.server, vu, POOL_TIMEOUT_S) from None
        finally:
            PG_POOL_WAIT.add((time.perf_counter_ns() - begin_ns) * 1e-6)
            vu.own.drop(self)
        connection.pool = pool
        vu.own.keep(self, connection, close=pool.putconn, cancel=self._cut)
        return connection

    def _give_back(self, vu: VU, connection: Connection) -> None:
        vu.own.drop(self)
        connection.pool.putconn(connection)

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
    except FeatureNotSupported as error:
        if not plan_is_stale(connection, error):
            raise
        connection.execute(FORGET_PLANS)
        return connection.execute(statement.query, params)
    finally:
        connection.ends_ns = 0
