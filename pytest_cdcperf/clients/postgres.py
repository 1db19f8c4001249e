"""PostgreSQL through psycopg 3: ``pg`` for ``def`` bodies, ``pg.aio`` for ``async def`` ones.

Every connection is in autocommit mode. A VU has one of its own while the server's limit allows it for
all VUs of the run; beyond, they share a pool, and the wait for it is ``pg_pool_wait``.
"""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Generic, LiteralString, TypeVar

import psycopg
from psycopg.rows import dict_row

from pytest_cdcperf.clients.postgres_statements import (
    UNUSABLE,
    Statement,
    columns_of,
    delete_statement,
    insert_statement,
    no_query,
    query_statement,
    update_statement,
    wrong_call,
)
from pytest_cdcperf.engine.vu import VU, current_vu, refuse_blocking
from pytest_cdcperf.errors import UnreachableError, WrongFaceError
from pytest_cdcperf.metrics.recorder import Trend
from pytest_cdcperf.model.services import PostgresAddress
from pytest_cdcperf.redaction import redact

PG_POOL_WAIT = Trend("pg_pool_wait", unit="ms")

Row = dict[str, Any]
Connection = psycopg.Connection[Row]
AsyncConnection = psycopg.AsyncConnection[Row]

CONNECT_TIMEOUT_S = 5
POOL_TIMEOUT_S = 30.0
_SPARE_CONNECTIONS = 5  # for people and monitors beside the run


Count = TypeVar("Count")
Rows = TypeVar("Rows")
Params = Sequence[Any] | Mapping[str, Any] | None


class PostgresUnreachableError(UnreachableError, psycopg.OperationalError):
    """No connection could be opened: one line with the address and the driver's words."""

    @classmethod
    def of(cls, address: PostgresAddress, error: psycopg.Error) -> PostgresUnreachableError:
        """Return what is raised, from None, for the driver's *error*, whose frames hold the password."""
        return cls(f"PostgreSQL at {address} cannot be used: {redact(' '.join(str(error).split()))}")


class _Face(Generic[Count, Rows]):
    """The statements, once for both faces: they differ in how a statement is run."""

    def insert(self, table: str, row: Mapping[str, Any]) -> Count:
        """Insert *row* into *table*; return the number of rows, 1."""
        try:
            statement, values = insert_statement(table, tuple(row)), tuple(row.values())
        except UNUSABLE as error:
            raise wrong_call("insert", error, table, row=row) from None
        return self._count(statement, values)

    def upsert(
        self, table: str, row: Mapping[str, Any], *, key: Sequence[str] = ("id",), update: Sequence[str] | None = None
    ) -> Count:
        """Insert *row*, or where *key* exists already update the columns *update* (all others by default)."""
        try:
            statement = insert_statement(
                table, tuple(row), columns_of(key), None if update is None else columns_of(update)
            )
            values = tuple(row.values())
        except UNUSABLE as error:
            raise wrong_call("upsert", error, table, row=row) from None
        return self._count(statement, values)

    def update(self, table: str, values: Mapping[str, Any], *, where: Mapping[str, Any]) -> Count:
        """Set *values* in the rows of *table* whose columns equal *where*; return how many there were."""
        try:
            statement = update_statement(table, tuple(values), tuple(where))
            bound = (*values.values(), *where.values())
        except UNUSABLE as error:
            raise wrong_call("update", error, table, values=values, where=where) from None
        return self._count(statement, bound)

    def delete(self, table: str, *, where: Mapping[str, Any]) -> Count:
        """Delete the rows of *table* whose columns equal *where*; return how many there were."""
        try:
            statement, values = delete_statement(table, tuple(where)), tuple(where.values())
        except UNUSABLE as error:
            raise wrong_call("delete", error, table, where=where) from None
        return self._count(statement, values)

    def execute(self, query: LiteralString, params: Params = None) -> Rows:
        """Run any *query* with *params* bound to its placeholders; return its rows as dictionaries.

        Measured as a write or a read by its first word.

        :raises ConfigError: for what is no text, or cannot be bound
        """
        try:
            statement = query_statement(query)
        except UNUSABLE:
            raise no_query(query) from None
        return self._rows(statement, params)

    def _count(self, statement: Statement, params: Params) -> Count:
        raise NotImplementedError

    def _rows(self, statement: Statement, params: Params) -> Rows:
        raise NotImplementedError


class Postgres(_Face[int, list[Row]]):
    """The blocking face. One object serves all VUs; who asks is told by context."""

    def __init__(self, address: PostgresAddress, *, workers: int = 1) -> None:
        self.address = address
        self.aio = AsyncPostgres(self)
        self._workers = workers
        self._lock = threading.RLock()
        self._home: Connection | None = None
        self._pool: Any = None
        self._limit = 0

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
            with self._lock:
                home = self._home_connection()
            yield home  # without the lock: every VU asks for the limit under it
        elif self.pinned(vu):
            yield self._own(vu)
        else:
            with self._borrowed(vu) as connection:
                yield connection

    def pinned(self, vu: VU) -> bool:
        """Whether each VU of the run has a connection of its own."""
        return vu.vus <= self.limit

    @property
    def limit(self) -> int:
        """How many connections this process may open, asked of the server once."""
        if not self._limit:
            with self._lock:
                self._limit = self._ask_limit()
        return self._limit

    def close(self) -> None:
        """Close what is open beside the VUs' own connections."""
        with self._lock:
            pool, self._pool = self._pool, None
            home, self._home = self._home, None
        if pool is not None:
            pool.close(timeout=2)
        if home is not None:
            home.close()

    def arguments(self) -> dict[str, Any]:
        """Return what psycopg connects with."""
        address = self.address
        return {
            "host": address.host,
            "port": address.port,
            "user": address.user,
            "password": address.password,
            "dbname": address.dbname,
            "connect_timeout": CONNECT_TIMEOUT_S,
            "application_name": "pytest-cdcperf",
            "autocommit": True,
            "row_factory": dict_row,
        }

    def _count(self, statement: Statement, params: Params) -> int:
        __tracebackhide__ = True
        return self._run(statement, params).rowcount

    def _rows(self, statement: Statement, params: Params) -> list[Row]:
        __tracebackhide__ = True
        cursor = self._run(statement, params)
        return cursor.fetchall() if cursor.description else []

    def _run(self, statement: Statement, params: Params) -> psycopg.Cursor[Row]:
        __tracebackhide__ = True
        begin_ns = time.perf_counter_ns()
        try:
            own = self._open_already()
            if own is not None:
                cursor = own.execute(statement.query, params)
            else:
                with self.connection() as connection:
                    begin_ns = time.perf_counter_ns()
                    cursor = connection.execute(statement.query, params)
        except WrongFaceError:
            raise
        except BaseException as error:
            statement.failed(begin_ns, error)
            raise
        statement.done(begin_ns, cursor.rowcount)
        return cursor

    def _open_already(self) -> Connection | None:
        # What connection() would lend a VU of its own from its second call on, without the cost of a context manager.
        vu = current_vu()
        connection: Connection | None = None if vu is None or vu.is_async else vu.own.get(self)
        return connection if connection is not None and not connection.closed else None

    def _connect(self) -> Connection:
        __tracebackhide__ = True
        try:
            return psycopg.connect(**self.arguments())
        except psycopg.Error as error:
            raise PostgresUnreachableError.of(self.address, error) from None

    def _home_connection(self) -> Connection:
        if self._home is None or self._home.closed:
            self._home = self._connect()
        return self._home

    def _own(self, vu: VU) -> Connection:
        connection: Connection | None = vu.own.get(self)
        if connection is None or connection.closed:  # broken: the server ended it
            connection = self._connect()
            vu.own.keep(self, connection, close=Connection.close, cancel=_cancel)
        return connection

    @contextmanager
    def _borrowed(self, vu: VU) -> Iterator[Connection]:
        pool = self._open_pool()
        vu.own.keep(self, pool, close=lambda _: None, cancel=lambda pool: pool.close(timeout=1))
        begin_ns = time.perf_counter_ns()
        try:
            connection = pool.getconn(timeout=POOL_TIMEOUT_S)
        finally:
            PG_POOL_WAIT.add((time.perf_counter_ns() - begin_ns) * 1e-6)
            vu.own.drop(self)
        vu.own.keep(self, connection, close=lambda _: None, cancel=_cancel)
        try:
            yield connection
        finally:
            vu.own.drop(self)
            pool.putconn(connection)

    def _open_pool(self) -> Any:
        with self._lock:
            if self._pool is None or self._pool.closed:  # closed: to end the waiting of an earlier run's VUs
                from psycopg_pool import ConnectionPool  # noqa: PLC0415  # only runs with more VUs than connections

                kwargs = self.arguments()
                self._pool = ConnectionPool(kwargs=kwargs, min_size=0, max_size=self.limit, open=True, name="cdcperf")
            return self._pool

    def _ask_limit(self) -> int:
        with self._lock:
            row = (
                self._home_connection()
                .execute(
                    "SELECT current_setting('max_connections')::int AS most,"
                    " current_setting('superuser_reserved_connections')::int"
                    " + coalesce(current_setting('reserved_connections', true)::int, 0) AS reserved,"
                    " (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')::int AS used"
                )
                .fetchone()
            )
        if row is None:
            return 1
        free = int(row["most"] - row["reserved"] - row["used"]) - _SPARE_CONNECTIONS
        return max(1, free // self._workers)


class AsyncPostgres(_Face[Awaitable[int], Awaitable[list[Row]]]):
    """The awaited face. Its connections live on the loop of the run."""

    def __init__(self, face: Postgres) -> None:
        self._face = face

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[AsyncConnection]:
        """Lend the raw psycopg connection of whoever asks. What is done with it is not measured."""
        vu = current_vu()
        if vu is None or not vu.is_async:
            raise WrongFaceError("pg.aio works in the body of an async perf test only; elsewhere use pg")
        if self._face.pinned(vu):
            yield await self._own(vu)
        else:
            async with self._borrowed(vu) as connection:
                yield connection

    async def _count(self, statement: Statement, params: Params) -> int:
        __tracebackhide__ = True
        return (await self._run(statement, params)).rowcount

    async def _rows(self, statement: Statement, params: Params) -> list[Row]:
        __tracebackhide__ = True
        cursor = await self._run(statement, params)
        return await cursor.fetchall() if cursor.description else []

    async def _run(self, statement: Statement, params: Params) -> psycopg.AsyncCursor[Row]:
        __tracebackhide__ = True
        begin_ns = time.perf_counter_ns()
        try:
            async with self.connection() as connection:
                begin_ns = time.perf_counter_ns()
                cursor = await connection.execute(statement.query, params)
        except WrongFaceError:
            raise
        except BaseException as error:
            statement.failed(begin_ns, error)
            raise
        statement.done(begin_ns, cursor.rowcount)
        return cursor

    async def _own(self, vu: VU) -> AsyncConnection:
        connection: AsyncConnection | None = vu.own.get(self)
        if connection is None or connection.closed:  # broken: the server ended it
            try:
                connection = await AsyncConnection.connect(**self._face.arguments())
            except psycopg.Error as error:
                raise PostgresUnreachableError.of(self._face.address, error) from None
            vu.own.keep(self, connection, close=AsyncConnection.close)
        return connection

    @asynccontextmanager
    async def _borrowed(self, vu: VU) -> AsyncIterator[AsyncConnection]:
        from psycopg_pool import AsyncConnectionPool  # noqa: PLC0415  # only runs with more VUs than connections

        pool: Any = vu.shared.get(self)
        if pool is None:
            kwargs = self._face.arguments()
            pool = AsyncConnectionPool(
                kwargs=kwargs, min_size=0, max_size=self._face.limit, open=False, connection_class=AsyncConnection
            )
            vu.shared.keep(self, pool, close=AsyncConnectionPool.close)
        await pool.open()
        begin_ns = time.perf_counter_ns()
        try:
            connection = await pool.getconn(timeout=POOL_TIMEOUT_S)
        finally:
            PG_POOL_WAIT.add((time.perf_counter_ns() - begin_ns) * 1e-6)
        try:
            yield connection
        finally:
            await pool.putconn(connection)


def _cancel(connection: Connection) -> None:
    connection.cancel_safe(timeout=1.0)
