"""``pg``, the client for ``def`` bodies and for fixtures."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.errors import FeatureNotSupported

from pytest_cdcperf.clients.effects import note_statement
from pytest_cdcperf.clients.per_vu import sync_vu
from pytest_cdcperf.clients.postgres.aio import AsyncPostgres
from pytest_cdcperf.clients.postgres.calls import Params, limit_ns
from pytest_cdcperf.clients.postgres.connection import Connection, Row, watchdog
from pytest_cdcperf.clients.postgres.protocol import Protocol
from pytest_cdcperf.clients.postgres.server import PostgresUnreachableError, Server
from pytest_cdcperf.clients.postgres.session import plan_is_stale, reading_raw
from pytest_cdcperf.clients.postgres.statements import Statement
from pytest_cdcperf.clients.steps import Steps, drive
from pytest_cdcperf.clients.time_limit import Timeout
from pytest_cdcperf.clock import real_time as time
from pytest_cdcperf.engine.current_vu import current_vu
from pytest_cdcperf.engine.vu import VU
from pytest_cdcperf.errors import UnreachableError
from pytest_cdcperf.servers import PostgresAddress, PostgresOptions


class Postgres(Protocol[int, list[Row]]):
    """The fixture ``pg``: the sync client of PostgreSQL, whose statements are measured.

    One object serves all VUs; the current one is found through a context variable::

        @perf(vus=10, duration="1m")
        def test_order(pg, vu):
            order = f"{vu.id}-{vu.iteration}"
            pg.insert("orders", {"id": order, "status": "new"})
            assert pg.execute("SELECT status FROM orders WHERE id = %s", [order]) == [{"status": "new"}]
    """

    _drive = staticmethod(drive)

    def __init__(self, address: PostgresAddress, *, workers: int = 1, options: PostgresOptions | None = None) -> None:
        super().__init__(Server(address, workers, options or PostgresOptions()))
        self.aio = AsyncPostgres(self.server)
        self._lock = threading.RLock()
        self._pool: Any = None

    @property
    def address(self) -> PostgresAddress:
        """The address of the server."""
        return self.server.address

    def ping(self) -> str:
        """Return the server's version.

        :raises UnreachableError: in one line with the address and the driver's words
        """
        try:
            with self.connection() as connection:
                version = connection.info.parameter_status("server_version") or "of unknown version"
            return f"{version} {self.server.usage}".rstrip()
        except UnreachableError:
            raise
        except psycopg.Error as error:
            raise PostgresUnreachableError.of(self.address, error) from None

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """Lend the raw psycopg connection of the VU, outside of iterations that of the session. It is not measured.

        What a body leaves in its session is undone at the end of the iteration::

            def test_many_orders(pg):
                with pg.connection() as connection:
                    connection.cursor().executemany("INSERT INTO orders VALUES (%s, 'new')", [["M-1"], ["M-2"]])
        """
        with self._lent() as connection, reading_raw(connection):
            note_statement()
            yield connection

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Run the block in one transaction: committed at its end, rolled back where it raises.

        Blocks nest: an inner one is a savepoint. BEGIN is in ``pg_control_duration``, COMMIT in ``pg_write_duration``::

            def test_order_with_a_line(pg):
                with pg.transaction():
                    pg.insert("orders", {"id": "T-1", "status": "new"})
                    pg.insert("order_lines", {"order_id": "T-1", "position": 1})

        :raises psycopg.errors.InFailedSqlTransaction: where a statement failed and the block went on: nothing of the
            transaction is written
        """
        __tracebackhide__ = True
        with self._lent() as connection:
            block = drive(self._begin(connection))
            try:
                yield
                drive(self._run(block.commit, None, None))
            except BaseException:
                drive(self._undo(connection, block))
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
        return self._executed(statement, params, timeout).rowcount

    def _rows(self, statement: Statement, params: Params, timeout: Timeout | None) -> list[Row]:
        __tracebackhide__ = True
        cursor = self._executed(statement, params, timeout)
        return cursor.fetchall() if cursor.description else []

    def _executed(self, statement: Statement, params: Params, timeout: Timeout | None) -> psycopg.Cursor[Row]:
        __tracebackhide__ = True
        connection: Connection | None = self._open_already(current_vu())
        if connection is None or connection.pool is not None or statement.session is not None:
            return drive(self._run(statement, params, timeout))
        # Nearly every call is made on the VU's own connection and leaves nothing in its session. Steps would cost it a
        # microsecond, and do nothing for it.
        most_ns = limit_ns(statement, timeout)
        begin_ns = time.perf_counter_ns()
        connection.ends_ns = begin_ns + most_ns
        try:
            cursor = connection.execute(statement.query, params)
        except BaseException as error:
            if isinstance(error, FeatureNotSupported) and plan_is_stale(connection, error):
                return drive(self._run(statement, params, timeout))
            self._record_failure(error, connection, statement, begin_ns, most_ns)
            raise
        finally:
            connection.ends_ns = 0
        statement.done(begin_ns, cursor.rowcount)
        return cursor

    @contextmanager
    def _lent(self) -> Iterator[Connection]:
        __tracebackhide__ = True
        vu = self._vu()
        connection = drive(self._lend(vu, keeps=True))
        try:
            yield connection
        finally:
            drive(self._take_back(vu, connection))

    def _vu(self) -> VU | None:
        return sync_vu("pg", "pg.aio.insert(...) and the like")

    def _connect(self) -> Connection:
        return self.server.connect()

    def _keep(self, vu: VU, connection: Connection) -> None:
        close = Connection.close if connection.pool is None else connection.pool.putconn
        vu.own.keep(self, connection, close=close, cancel=self._cut)

    def _cut(self, connection: Connection) -> None:
        self.server.suspect()
        connection.cut()

    @contextmanager
    def _cancelling(self, vu: VU, pool: Any) -> Iterator[None]:
        vu.own.keep(self, None, close=lambda _: None, cancel=lambda _: pool.close(timeout=0))
        try:
            yield
        finally:
            vu.own.drop(self)

    def _borrow(self, vu: VU, *, keeps: bool) -> Steps[Connection]:  # noqa: ARG002  # a connection is always kept: to be cut
        return super()._borrow(vu, keeps=True)

    def _open_pool(self, vu: VU) -> Steps[Any]:  # noqa: ARG002  # one pool for the VUs of all runs
        yield from ()
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
