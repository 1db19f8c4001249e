"""``pg.aio``, the client for ``async def`` bodies."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any

import psycopg

from pytest_cdcperf.clients.postgres.calls import PG_POOL_WAIT, Calls, Params, limit_ns, too_long
from pytest_cdcperf.clients.postgres.connection import AsyncConnection, Row, watchdog
from pytest_cdcperf.clients.postgres.server import PostgresUnreachableError, Server
from pytest_cdcperf.clients.postgres.statements import Statement
from pytest_cdcperf.clients.time_limit import POOL_TIMEOUT_S, Timeout
from pytest_cdcperf.engine.vu import VU, current_vu
from pytest_cdcperf.errors import WrongFaceError


class AsyncPostgres(Calls[Awaitable[int], Awaitable[list[Row]]]):
    """The async client. Its connections live on the loop of the run."""

    def __init__(self, server: Server) -> None:
        self.server = server

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[AsyncConnection]:
        """Lend the raw psycopg connection of whoever asks. What is done with it is not measured."""
        vu = current_vu()
        if vu is None or not vu.is_async:
            raise WrongFaceError("pg.aio works in the body of an async perf test only; elsewhere use pg")
        if self.server.pinned(vu):
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
        most_ns = limit_ns(statement, timeout)
        begin_ns = time.perf_counter_ns()
        connection: AsyncConnection | None = None
        try:
            async with self.connection() as connection:
                begin_ns = time.perf_counter_ns()
                connection.ends_ns = begin_ns + most_ns
                try:
                    cursor = await connection.execute(statement.query, params)
                finally:
                    connection.ends_ns = 0
        except WrongFaceError:
            raise
        except BaseException as error:
            statement.failed(begin_ns, error)
            if connection is not None and connection.exceeded:
                self.server.suspect()
                raise too_long(statement, most_ns) from None
            if isinstance(error, asyncio.CancelledError):
                self.server.suspect()
            raise
        statement.done(begin_ns, cursor.rowcount)
        return cursor

    async def _own(self, vu: VU) -> AsyncConnection:
        connection: AsyncConnection | None = vu.own.get(self)
        if connection is None or connection.closed:  # broken: the server ended it
            try:
                connection = await AsyncConnection.connect(**self.server.arguments())
            except psycopg.Error as error:
                raise PostgresUnreachableError.of(self.server.address, error) from None
            watchdog.watch(connection)
            vu.own.keep(self, connection, close=AsyncConnection.close)
        return connection

    @asynccontextmanager
    async def _borrowed(self, vu: VU) -> AsyncIterator[AsyncConnection]:
        from psycopg_pool import AsyncConnectionPool  # noqa: PLC0415  # only runs with more VUs than connections

        pool: Any = vu.shared.get(self)
        if pool is None:
            kwargs = self.server.arguments()
            pool = AsyncConnectionPool(
                kwargs=kwargs,
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
            connection = await pool.getconn(timeout=POOL_TIMEOUT_S)
        finally:
            PG_POOL_WAIT.add((time.perf_counter_ns() - begin_ns) * 1e-6)
        try:
            yield connection
        finally:
            await pool.putconn(connection)


async def _watched(connection: AsyncConnection) -> None:
    watchdog.watch(connection)
