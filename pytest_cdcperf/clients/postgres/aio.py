"""``pg.aio``, the client for ``async def`` bodies."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from typing import Any

import psycopg

from pytest_cdcperf.clients.effects import note_statement
from pytest_cdcperf.clients.per_vu import async_vu
from pytest_cdcperf.clients.postgres.calls import Params
from pytest_cdcperf.clients.postgres.connection import AsyncConnection, Row, watchdog
from pytest_cdcperf.clients.postgres.protocol import Protocol
from pytest_cdcperf.clients.postgres.server import PostgresUnreachableError
from pytest_cdcperf.clients.postgres.session import reading_raw
from pytest_cdcperf.clients.postgres.statements import Statement
from pytest_cdcperf.clients.steps import Steps, adrive
from pytest_cdcperf.clients.time_limit import Timeout
from pytest_cdcperf.engine.vu import VU


class AsyncPostgres(Protocol[Awaitable[int], Awaitable[list[Row]]]):
    """``pg.aio``: the async client. Its connections live on the loop of the run.

    As the sync one, with await::

        @perf(vus=10, duration="1m")
        async def test_order(pg, vu):
            await pg.aio.insert("orders", {"id": f"aio-{vu.id}-{vu.iteration}", "status": "new"})
    """

    _drive = staticmethod(adrive)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[AsyncConnection]:
        """Lend the raw psycopg connection of the VU, as :meth:`Postgres.connection` does."""
        async with self._lent() as connection:
            with reading_raw(connection):
                note_statement()
                yield connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """Run the block in one transaction, as :meth:`Postgres.transaction` does."""
        __tracebackhide__ = True
        async with self._lent(keeps=True) as connection:
            block = await adrive(self._begin(connection))
            try:
                yield
                await adrive(self._run(block.commit, None, None))
            except BaseException:
                await adrive(self._undo(connection, block))
                raise
            finally:
                connection.depth = max(0, connection.depth - 1)

    async def _count(self, statement: Statement, params: Params, timeout: Timeout | None) -> int:  # noqa: ASYNC109  # a limit
        __tracebackhide__ = True
        return (await adrive(self._run(statement, params, timeout))).rowcount  # type: ignore[no-any-return]

    async def _rows(self, statement: Statement, params: Params, timeout: Timeout | None) -> list[Row]:  # noqa: ASYNC109
        __tracebackhide__ = True
        cursor = await adrive(self._run(statement, params, timeout))
        return await cursor.fetchall() if cursor.description else []

    @asynccontextmanager
    async def _lent(self, *, keeps: bool = False) -> AsyncIterator[AsyncConnection]:
        vu = self._vu()
        connection = await adrive(self._lend(vu, keeps=keeps))
        try:
            yield connection
        finally:
            await adrive(self._take_back(vu, connection))

    def _vu(self) -> VU:
        return async_vu("pg")

    async def _connect(self) -> AsyncConnection:
        try:
            connection = await AsyncConnection.connect(**self.server.arguments())
        except psycopg.Error as error:
            raise PostgresUnreachableError.of(self.server.address, error) from None
        watchdog.watch(connection)
        return connection

    def _keep(self, vu: VU, connection: AsyncConnection) -> None:
        close = AsyncConnection.close if connection.pool is None else connection.pool.putconn
        vu.own.keep(self, connection, close=close)

    def _cancelling(self, vu: VU, pool: Any) -> AbstractContextManager[None]:  # noqa: ARG002  # the task is cancelled
        return nullcontext()

    def _open_pool(self, vu: VU) -> Steps[Any]:
        from psycopg_pool import AsyncConnectionPool  # noqa: PLC0415  # only runs with more VUs than connections

        pool = vu.shared.get_or_open(
            self,
            lambda: AsyncConnectionPool(
                kwargs=self.server.arguments(),
                connection_class=AsyncConnection,
                configure=_watch,
                min_size=0,
                max_size=self.server.limit,
                open=False,
            ),
            close=AsyncConnectionPool.close,
        )
        yield pool.open()
        return pool


async def _watch(connection: AsyncConnection) -> None:
    watchdog.watch(connection)
