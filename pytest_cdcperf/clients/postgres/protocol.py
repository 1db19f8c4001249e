"""Running a statement, and choosing its connection, once for both clients as steps: see ``clients/steps.py``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from typing import Any, TypeVar

import psycopg
from psycopg.errors import FeatureNotSupported

from pytest_cdcperf.clients.postgres.calls import (
    PG_POOL_WAIT,
    Calls,
    Params,
    check_commit,
    limit_ns,
    no_connection,
    too_long,
)
from pytest_cdcperf.clients.postgres.lexer import Reading
from pytest_cdcperf.clients.postgres.server import Server
from pytest_cdcperf.clients.postgres.session import (
    FORGET_PLANS,
    UNDO_S,
    cleaning,
    is_idle,
    may_undo,
    plan_is_stale,
    require_session,
)
from pytest_cdcperf.clients.postgres.statements import Block, Statement, block_statements
from pytest_cdcperf.clients.steps import Steps
from pytest_cdcperf.clients.time_limit import CONNECT_TIMEOUT_S, POOL_TIMEOUT_S, Timeout
from pytest_cdcperf.clock import real_time as time
from pytest_cdcperf.engine.vu import VU
from pytest_cdcperf.errors import BlockingCallError, ConfigError

Count = TypeVar("Count")
Rows = TypeVar("Rows")


class Protocol(Calls[Count, Rows]):
    """The steps of both clients. Connections, cursors and pools are psycopg's: of its sync or of its async half."""

    _drive: Callable[[Steps[Any]], Any]
    """Runs steps: ``drive`` or ``adrive``."""

    def __init__(self, server: Server) -> None:
        self.server = server

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.server.address}>"

    def _vu(self) -> VU | None:
        """Return the VU that calls, or refuse the call."""
        raise NotImplementedError

    def _connect(self) -> Any:
        """Open a connection."""
        raise NotImplementedError

    def _open_pool(self, vu: VU) -> Steps[Any]:
        """Return the open pool that VUs share where there are more of them than connections."""
        raise NotImplementedError

    def _cancelling(self, vu: VU, pool: Any) -> AbstractContextManager[object]:
        """Let the end of the run end a wait for *pool* inside the block."""
        raise NotImplementedError

    def _keep(self, vu: VU, connection: Any) -> None:
        """Keep *connection* for *vu*, to be closed or given back with it."""
        raise NotImplementedError

    def _run(self, statement: Statement, params: Params, timeout: Timeout | None) -> Steps[Any]:
        """Execute *statement* and record how long that took; return the cursor."""
        __tracebackhide__ = True
        most_ns = limit_ns(statement, timeout)
        begin_ns = time.perf_counter_ns()
        connection = None
        try:
            vu = self._vu()
            connection = yield from self._lend(vu, statement.session)
            try:
                begin_ns = time.perf_counter_ns()
                cursor = yield from _executed(connection, statement, params, begin_ns + most_ns)
                check_commit(statement, cursor.statusmessage)
            finally:
                yield from self._take_back(vu, connection)
        except (BlockingCallError, ConfigError):
            raise
        except BaseException as error:
            self._record_failure(error, connection, statement, begin_ns, most_ns)
            raise
        statement.done(begin_ns, cursor.rowcount)
        return cursor

    def _record_failure(
        self, error: BaseException, connection: Any, statement: Statement, begin_ns: int, most_ns: int
    ) -> None:
        """Record an execution that failed with *error*.

        :raises PostgresTimeoutError: instead of it, where the execution took longer than it may
        """
        __tracebackhide__ = True
        exceeded = connection is not None and connection.exceeded
        statement.failed(begin_ns, error, timed_out=exceeded)
        if exceeded:
            self.server.suspect()
            raise too_long(statement, most_ns) from None
        if isinstance(error, asyncio.CancelledError):
            self.server.suspect()

    def _begin(self, connection: Any) -> Steps[Block]:
        """Begin a transaction, inside of another one a savepoint; return its statements."""
        __tracebackhide__ = True
        block = block_statements(0 if is_idle(connection) else connection.depth + 1)
        yield from self._run(block.begin, None, None)
        connection.depth += 1
        return block

    def _undo(self, connection: Any, block: Block) -> Steps[None]:
        """Roll back what *block* began, where the server has not done so itself."""
        with suppress(psycopg.Error):  # what the body raised is what counts
            if may_undo(connection):
                yield from self._run(block.undo, None, UNDO_S)

    def _open_already(self, vu: VU | None) -> Any:
        connection: Any = None if vu is None else vu.own.get(self)
        return connection if connection is not None and not connection.closed else None

    def _lend(self, vu: VU | None, session: Reading | None = None, *, keeps: bool = False) -> Steps[Any]:
        """Return the connection that *vu* uses until :meth:`_take_back`.

        :param session: what a statement does to its session, which may keep the connection for the VU, as *keeps* does
        """
        connection = self._open_already(vu)
        if session is not None:
            require_session(self.server, vu, session, is_own=connection is not None)
            keeps = keeps or session.touches or session.opens
        if vu is None:
            return self.server.session_connection()
        if connection is None:
            connection = yield from self._own(vu) if self.server.pinned(vu) else self._borrow(vu, keeps=keeps)
        connection.users += 1
        if session is not None and session.touches:
            connection.touched = True
        return connection

    def _take_back(self, vu: VU | None, connection: Any) -> Steps[None]:
        """Keep *connection* for the VU while something of its body is in it; else it goes back to its pool."""
        if vu is None:
            return
        connection.users -= 1
        if connection.users:
            return
        if connection.is_dirty:
            self._keep(vu, connection)
            vu.tidying[self] = lambda: self._drive(self._tidy(vu, connection))
            return
        vu.tidying.pop(self, None)
        if connection.pool is not None:
            yield from self._give_back(vu, connection)

    def _tidy(self, vu: VU, connection: Any) -> Steps[None]:
        """Clean up what the body left in the session."""
        connection.users = 0
        connection.ends_ns = time.perf_counter_ns() + CONNECT_TIMEOUT_S * 1_000_000_000
        try:
            for query in cleaning(connection, vu):
                yield connection.execute(query)
        except psycopg.Error:
            yield connection.close()
        finally:
            connection.ends_ns = 0
            if connection.pool is not None:
                yield from self._give_back(vu, connection)

    def _own(self, vu: VU) -> Steps[Any]:
        connection = yield self._connect()
        self._keep(vu, connection)
        return connection

    def _borrow(self, vu: VU, *, keeps: bool) -> Steps[Any]:
        __tracebackhide__ = True
        from psycopg_pool import PoolTimeout  # noqa: PLC0415  # only runs with more VUs than connections

        pool = yield from self._open_pool(vu)
        begin_ns = time.perf_counter_ns()
        try:
            with self._cancelling(vu, pool):
                connection = yield pool.getconn(timeout=POOL_TIMEOUT_S)
        except PoolTimeout:
            raise no_connection(self.server, vu, POOL_TIMEOUT_S) from None
        finally:
            PG_POOL_WAIT.add((time.perf_counter_ns() - begin_ns) * 1e-6)
        connection.pool = pool
        if (kept := self._open_already(vu)) is not None:  # another task of the body has one by now
            yield pool.putconn(connection)
            return kept
        if keeps:
            self._keep(vu, connection)
        return connection

    def _give_back(self, vu: VU, connection: Any) -> Steps[None]:
        if vu.own.get(self) is connection:
            vu.own.drop(self)
        yield connection.pool.putconn(connection)


def _executed(connection: Any, statement: Statement, params: Params, ends_ns: int) -> Steps[Any]:
    __tracebackhide__ = True
    connection.ends_ns = ends_ns
    try:
        return (yield connection.execute(statement.query, params))
    except FeatureNotSupported as error:
        if not plan_is_stale(connection, error):
            raise
        yield connection.execute(FORGET_PLANS)
        return (yield connection.execute(statement.query, params))
    finally:
        connection.ends_ns = 0
