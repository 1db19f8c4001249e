"""PostgreSQL through psycopg 3: ``pg`` for ``def`` bodies, ``pg.aio`` for ``async def`` ones.

Every connection is in autocommit mode. A VU has one of its own while the server's limit allows it for
all VUs of the run; beyond, they share a pool, and the wait for it is ``pg_pool_wait``.

A call takes at most 60 s, or its *timeout*: seconds, or a duration such as "5m". One that takes longer raises
:class:`PostgresTimeoutError`, and its connection is closed. What is done on a raw ``connection()`` has no limit but
the end of the run.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Generic, LiteralString, TypeVar

import psycopg
from psycopg.rows import dict_row

from pytest_cdcperf.clients.effects import note_statement
from pytest_cdcperf.clients.libpq import parameters_of, taken_over
from pytest_cdcperf.clients.postgres_connection import (
    AsyncConnection,
    Connection,
    PostgresTimeoutError,
    Row,
    watchdog,
)
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
from pytest_cdcperf.clients.time_limit import CONNECT_TIMEOUT_S, DEFAULT_TIMEOUT_S, Timeout, seconds_of
from pytest_cdcperf.clock import real_time as time
from pytest_cdcperf.engine.vu import VU, current_vu, refuse_blocking
from pytest_cdcperf.errors import UnreachableError, WrongFaceError
from pytest_cdcperf.metrics.recorder import Trend
from pytest_cdcperf.model.services import PostgresAddress
from pytest_cdcperf.redaction import redact
from pytest_cdcperf.units import format_duration

PG_POOL_WAIT = Trend("pg_pool_wait", unit="ms")

POOL_TIMEOUT_S = 30.0
_PROBE_S = 1.0
_DEFAULT_NS = round(DEFAULT_TIMEOUT_S * 1e9)
_SPARE_CONNECTIONS = 5  # for people and monitors beside the run


Count = TypeVar("Count")
Rows = TypeVar("Rows")
Params = Sequence[Any] | Mapping[str, Any] | None


class PostgresUnreachableError(UnreachableError, psycopg.OperationalError):
    """No connection could be opened: one line with the address and the driver's words."""

    @classmethod
    def of(cls, address: PostgresAddress, error: psycopg.Error) -> PostgresUnreachableError:
        """Return what is raised, from None, for the driver's *error*, whose frames hold the password."""
        words = redact(" ".join(str(error).split()))
        heeded = ", ".join(taken_over(address))
        return cls(
            f"PostgreSQL at {address} cannot be used: {words}" + f" (the environment sets {heeded})" * bool(heeded)
        )


class _Face(Generic[Count, Rows]):
    """The statements, once for both faces: they differ in how a statement is run."""

    def insert(self, table: str, row: Mapping[str, Any], *, timeout: Timeout | None = None) -> Count:
        """Insert *row* into *table*; return the number of rows, 1."""
        try:
            statement, values = insert_statement(table, tuple(row)), tuple(row.values())
        except UNUSABLE as error:
            raise wrong_call("insert", error, table, row=row) from None
        return self._count(statement, values, timeout)

    def upsert(
        self,
        table: str,
        row: Mapping[str, Any],
        *,
        key: Sequence[str] = ("id",),
        update: Sequence[str] | None = None,
        timeout: Timeout | None = None,
    ) -> Count:
        """Insert *row*, or where *key* exists already update the columns *update* (all others by default)."""
        try:
            statement = insert_statement(
                table, tuple(row), columns_of(key), None if update is None else columns_of(update)
            )
            values = tuple(row.values())
        except UNUSABLE as error:
            raise wrong_call("upsert", error, table, row=row) from None
        return self._count(statement, values, timeout)

    def update(
        self, table: str, values: Mapping[str, Any], *, where: Mapping[str, Any], timeout: Timeout | None = None
    ) -> Count:
        """Set *values* in the rows of *table* whose columns equal *where*; return how many there were."""
        try:
            statement = update_statement(table, tuple(values), tuple(where))
            bound = (*values.values(), *where.values())
        except UNUSABLE as error:
            raise wrong_call("update", error, table, values=values, where=where) from None
        return self._count(statement, bound, timeout)

    def delete(self, table: str, *, where: Mapping[str, Any], timeout: Timeout | None = None) -> Count:
        """Delete the rows of *table* whose columns equal *where*; return how many there were."""
        try:
            statement, values = delete_statement(table, tuple(where)), tuple(where.values())
        except UNUSABLE as error:
            raise wrong_call("delete", error, table, where=where) from None
        return self._count(statement, values, timeout)

    def execute(self, query: LiteralString, params: Params = None, *, timeout: Timeout | None = None) -> Rows:
        """Run any *query* with *params* bound to its placeholders; return its rows as dictionaries.

        Measured as a write or a read by its first word.

        :raises ConfigError: for what is no text, or cannot be bound
        """
        try:
            statement = query_statement(query)
        except UNUSABLE:
            raise no_query(query) from None
        return self._rows(statement, params, timeout)

    def _count(self, statement: Statement, params: Params, timeout: Timeout | None) -> Count:
        raise NotImplementedError

    def _rows(self, statement: Statement, params: Params, timeout: Timeout | None) -> Rows:
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
        self._suspect = False

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
        with self._lent() as connection:
            note_statement()
            yield connection

    @contextmanager
    def _lent(self) -> Iterator[Connection]:
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
        return {**parameters_of(self.address), "autocommit": True, "row_factory": dict_row}

    def _count(self, statement: Statement, params: Params, timeout: Timeout | None) -> int:
        __tracebackhide__ = True
        return self._run(statement, params, timeout).rowcount

    def _rows(self, statement: Statement, params: Params, timeout: Timeout | None) -> list[Row]:
        __tracebackhide__ = True
        cursor = self._run(statement, params, timeout)
        return cursor.fetchall() if cursor.description else []

    def _run(self, statement: Statement, params: Params, timeout: Timeout | None) -> psycopg.Cursor[Row]:
        __tracebackhide__ = True
        limit_ns = _limit_ns(statement, timeout)
        begin_ns = time.perf_counter_ns()
        connection = self._open_already()
        try:
            if connection is not None:
                cursor = _executed(connection, statement, params, begin_ns + limit_ns)
            else:
                with self._lent() as connection:
                    begin_ns = time.perf_counter_ns()
                    cursor = _executed(connection, statement, params, begin_ns + limit_ns)
        except WrongFaceError:
            raise
        except BaseException as error:
            statement.failed(begin_ns, error)
            if connection is not None and connection.exceeded:
                self.suspect()
                raise _too_long(statement, limit_ns) from None
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
            connection = Connection.connect(**self.arguments())
        except psycopg.Error as error:
            raise PostgresUnreachableError.of(self.address, error) from None
        watchdog.watch(connection)
        return connection

    def _home_connection(self) -> Connection:
        if self._home is None or self._home.closed:
            self._home = self._connect()
        if self._suspect:
            self._require_answer(self._home)
        return self._home

    def suspect(self) -> None:
        """Note that the server did not answer: the next call outside the VUs first asks whether it does."""
        self._suspect = True

    def _require_answer(self, connection: Connection) -> None:
        """Fail at once where the server still hangs: a tear-down would wait for it with each of its calls."""
        try:
            connection.ends_ns = time.perf_counter_ns() + round(_PROBE_S * 1e9)
            connection.execute("SELECT 1")
        except psycopg.Error:
            connection.cut()
            connection.close()
            raise PostgresUnreachableError(f"PostgreSQL at {self.address} does not answer") from None
        finally:
            connection.ends_ns = 0
        self._suspect = False

    def _cut(self, connection: Connection) -> None:
        self.suspect()
        connection.cut()

    def _own(self, vu: VU) -> Connection:
        connection: Connection | None = vu.own.get(self)
        if connection is None or connection.closed:  # broken: the server ended it
            connection = self._connect()
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
                    kwargs=self.arguments(),
                    connection_class=Connection,
                    configure=watchdog.watch,
                    min_size=0,
                    max_size=self.limit,
                    open=True,
                    name="cdcperf",
                )
            return self._pool

    def _ask_limit(self) -> int:
        with self._lock:
            connection = self._home_connection()
            connection.ends_ns = time.perf_counter_ns() + CONNECT_TIMEOUT_S * 1_000_000_000
            try:
                row = connection.execute(
                    "SELECT current_setting('max_connections')::int AS most,"
                    " current_setting('superuser_reserved_connections')::int"
                    " + coalesce(current_setting('reserved_connections', true)::int, 0) AS reserved,"
                    " (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')::int AS used"
                ).fetchone()
            finally:
                connection.ends_ns = 0
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
        async with self._lent() as connection:
            note_statement()
            yield connection

    @asynccontextmanager
    async def _lent(self) -> AsyncIterator[AsyncConnection]:
        vu = current_vu()
        if vu is None or not vu.is_async:
            raise WrongFaceError("pg.aio works in the body of an async perf test only; elsewhere use pg")
        if self._face.pinned(vu):
            yield await self._own(vu)
        else:
            async with self._borrowed(vu) as connection:
                yield connection

    async def _count(self, statement: Statement, params: Params, timeout: Timeout | None) -> int:  # noqa: ASYNC109  # a limit
        __tracebackhide__ = True
        return (await self._run(statement, params, timeout)).rowcount

    async def _rows(self, statement: Statement, params: Params, timeout: Timeout | None) -> list[Row]:  # noqa: ASYNC109
        __tracebackhide__ = True
        cursor = await self._run(statement, params, timeout)
        return await cursor.fetchall() if cursor.description else []

    async def _run(self, statement: Statement, params: Params, timeout: Timeout | None) -> psycopg.AsyncCursor[Row]:  # noqa: ASYNC109
        __tracebackhide__ = True
        limit_ns = _limit_ns(statement, timeout)
        begin_ns = time.perf_counter_ns()
        connection: AsyncConnection | None = None
        try:
            async with self._lent() as connection:
                begin_ns = time.perf_counter_ns()
                connection.ends_ns = begin_ns + limit_ns
                try:
                    cursor = await connection.execute(statement.query, params)
                finally:
                    connection.ends_ns = 0
        except WrongFaceError:
            raise
        except BaseException as error:
            statement.failed(begin_ns, error)
            if connection is not None and connection.exceeded:
                self._face.suspect()
                raise _too_long(statement, limit_ns) from None
            if isinstance(error, asyncio.CancelledError):
                self._face.suspect()
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
            watchdog.watch(connection)
            vu.own.keep(self, connection, close=AsyncConnection.close)
        return connection

    @asynccontextmanager
    async def _borrowed(self, vu: VU) -> AsyncIterator[AsyncConnection]:
        from psycopg_pool import AsyncConnectionPool  # noqa: PLC0415  # only runs with more VUs than connections

        pool: Any = vu.shared.get(self)
        if pool is None:
            kwargs = self._face.arguments()
            pool = AsyncConnectionPool(
                kwargs=kwargs,
                connection_class=AsyncConnection,
                configure=_watched,
                min_size=0,
                max_size=self._face.limit,
                open=False,
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


def _limit_ns(statement: Statement, timeout: Timeout | None) -> int:
    return _DEFAULT_NS if timeout is None else round(seconds_of(f"pg, {statement.op}", timeout) * 1e9)


def _executed(connection: Connection, statement: Statement, params: Params, ends_ns: int) -> psycopg.Cursor[Row]:
    __tracebackhide__ = True
    connection.ends_ns = ends_ns
    try:
        return connection.execute(statement.query, params)
    finally:
        connection.ends_ns = 0


def _too_long(statement: Statement, limit_ns: int) -> PostgresTimeoutError:
    limit = format_duration(limit_ns * 1e-9)
    return PostgresTimeoutError(
        f"pg, {statement.op}: the server did not answer within {limit}; the connection is closed. "
        "Where so long is right, give the call a timeout="
    )


async def _watched(connection: AsyncConnection) -> None:
    watchdog.watch(connection)
