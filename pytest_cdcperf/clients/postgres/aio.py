"""``pg.aio``, the client for ``async def`` bodies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress
from typing import Any

import psycopg
from psycopg.errors import FeatureNotSupported

from pytest_cdcperf.clients.effects import note_statement
from pytest_cdcperf.clients.per_vu import async_vu
from pytest_cdcperf.clients.postgres.calls import (
    PG_POOL_WAIT,
    Calls,
    Params,
    check_commit,
    limit_ns,
    no_connection,
    too_long,
)
from pytest_cdcperf.clients.postgres.connection import AsyncConnection, Row, watchdog
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
from pytest_cdcperf.engine.vu import VU
from pytest_cdcperf.errors import BlockingCallError, ConfigError


class AsyncPostgres(Calls[Awaitable[int], Awaitable[list[Row]]]):
    """The async client. Its connections live on the loop of the run."""

    def __init__(self, server: Server) -> None:
        self.server = server

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[AsyncConnection]:
        """Lend the raw psycopg connection of whoever asks. What is done with it is not measured.

        What a body leaves in its session is undone at the end of the iteration.
        """
        async with self._lent() as connection:
            with reading_raw(connection):
                note_statement()
                yield connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """Run what is in the block in one transaction: committed at its end, rolled back where it raises.

        Blocks nest: an inner one is a savepoint. BEGIN is in ``pg_control_duration``, COMMIT in ``pg_write_duration``.

        :raises psycopg.errors.InFailedSqlTransaction: where a statement failed and the block went on: nothing of the
            transaction is written
        """
        __tracebackhide__ = True
        async with self._lent(keeps=True) as connection:
            block = block_statements(0 if is_idle(connection) else connection.depth + 1)
            await self._run(block.begin, None, None)
            connection.depth += 1
            try:
                yield
                await self._run(block.commit, None, None)
            except BaseException:
                with suppress(psycopg.Error):  # what the body raised is what counts
                    if may_undo(connection):
                        await self._run(block.undo, None, UNDO_S)
                raise
            finally:
                connection.depth = max(0, connection.depth - 1)

    async def _count(self, statement: Statement, params: Params, timeout: Timeout | None) -> int:  # noqa: ASYNC109  # a limit
        __tracebackhide__ = True
        return (await self._run(statement, params, timeout)).rowcount

    async def _rows(self, statement: Statement, params: Params, timeout: Timeout | None) -> list[Row]:  # noqa: ASYNC109
        __tracebackhide__ = True
        cursor = await self._run(statement, params, timeout)
        return await cursor.fetchall() if cursor.description else []

    async def _run(self, statement: Statement, params: Params, timeout: Timeout | None) -> psycopg.AsyncCursor[Row]:  # noqa: ASYNC109
        __tracebackhide__ = True
        most_ns = limit_ns(statement, timeout)
        begin_ns = time.perf_counter_ns()
        connection: AsyncConnection | None = None
        try:
            async with self._lent(statement.session) as connection:
                begin_ns = time.perf_counter_ns()
                cursor = await _executed(connection, statement, params, begin_ns + most_ns)
                check_commit(statement, cursor.statusmessage)
        except (BlockingCallError, ConfigError):
            raise
        except BaseException as error:
            exceeded = connection is not None and connection.exceeded
            statement.failed(begin_ns, error, timed_out=exceeded)
            if exceeded:
                self.server.suspect()
                raise too_long(statement, most_ns) from None
            if isinstance(error, asyncio.CancelledError):
                self.server.suspect()
            raise
        statement.done(begin_ns, cursor.rowcount)
        return cursor

    @asynccontextmanager
    async def _lent(self, session: Reading | None = None, *, keeps: bool = False) -> AsyncIterator[AsyncConnection]:
        """Lend the connection of whoever asks; what a statement does to its *session* may keep it for the VU."""
        vu = async_vu("pg")
        connection = self._open_already(vu)
        if session is not None:
            require_session(self.server, vu, session, is_own=connection is not None)
            keeps = keeps or session.touches or session.opens
        if connection is None:
            connection = await (self._own(vu) if self.server.pinned(vu) else self._borrowed(vu, keeps=keeps))
        connection.users += 1
        try:
            if session is not None and session.touches:
                connection.touched = True
            yield connection
        finally:
            connection.users -= 1
            await self._settle(vu, connection)

    def _open_already(self, vu: VU) -> AsyncConnection | None:
        connection: AsyncConnection | None = vu.own.get(self)
        return connection if connection is not None and not connection.closed else None

    async def _settle(self, vu: VU, connection: AsyncConnection) -> None:
        """Let the VU have *connection* while something of its body is in it; else it goes back to the pool."""
        if connection.users:
            return
        if connection.is_dirty:
            self._keep(vu, connection)
            vu.tidying[self] = lambda: self._tidy(vu, connection)
            return
        vu.tidying.pop(self, None)
        if connection.pool is not None:
            await self._give_back(vu, connection)

    async def _tidy(self, vu: VU, connection: AsyncConnection) -> None:
        connection.users = 0
        connection.ends_ns = time.perf_counter_ns() + CONNECT_TIMEOUT_S * 1_000_000_000
        try:
            for query in cleaning(connection, vu):
                await connection.execute(query)
        except psycopg.Error:
            await connection.close()
        finally:
            connection.ends_ns = 0
            if connection.pool is not None:
                await self._give_back(vu, connection)

    def _keep(self, vu: VU, connection: AsyncConnection) -> None:
        vu.own.keep(
            self, connection, close=AsyncConnection.close if connection.pool is None else connection.pool.putconn
        )

    async def _own(self, vu: VU) -> AsyncConnection:
        connection: AsyncConnection | None = vu.own.get(self)
        if connection is None or connection.closed:  # broken: the server ended it
            try:
                connection = await AsyncConnection.connect(**self.server.arguments())
            except psycopg.Error as error:
                raise PostgresUnreachableError.of(self.server.address, error) from None
            watchdog.watch(connection)
            self._keep(vu, connection)
        return connection

    async def _borrowed(self, vu: VU, *, keeps: bool) -> AsyncConnection:
        __tracebackhide__ = True
        from psycopg_pool import AsyncConnectionPool, PoolTimeout  # noqa: PLC0415  # only with more VUs than connections

        pool: Any = vu.shared.get(self)
        if pool is None:
            pool = AsyncConnectionPool(
                kwargs=self.server.arguments(),
                connection_class=AsyncConnection,
                configure=_watched,
                min_size=0,
                max_size=self.server.limit,
                open=False,
            )
            vu.shared.keep(self, pool, close=AsyncConnectionPool.close)
        await pool.open()
        begin_ns = time.perf_counter_ns()
        try:
            connection: AsyncConnection = await pool.getconn(timeout=POOL_TIMEOUT_S)
        except PoolTimeout:
            raise no_connection(self.server, vu, POOL_TIMEOUT_S) from None
        finally:
            PG_POOL_WAIT.add((time.perf_counter_ns() - begin_ns) * 1e-6)
        connection.pool = pool
        if (kept := self._open_already(vu)) is not None:  # another task of the body has one by now
            await pool.putconn(connection)
            return kept
        if keeps:
            self._keep(vu, connection)
        return connection

    async def _give_back(self, vu: VU, connection: AsyncConnection) -> None:
        if vu.own.get(self) is connection:
            vu.own.drop(self)
        await connection.pool.putconn(connection)


async def _executed(
    connection: AsyncConnection, statement: Statement, params: Params, ends_ns: int
) -> psycopg.AsyncCursor[Row]:
    __tracebackhide__ = True
    connection.ends_ns = ends_ns
    try:
        return await connection.execute(statement.query, params)
    except FeatureNotSupported as error:
        if not plan_is_stale(connection, error):
            raise
        await connection.execute(FORGET_PLANS)
        return await connection.execute(statement.query, params)
    finally:
        connection.ends_ns = 0


async def _watched(connection: AsyncConnection) -> None:
    watchdog.watch(connection)
