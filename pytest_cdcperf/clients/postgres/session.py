"""Cleans the session of a connection after an iteration, and refuses statements that may leave nothing in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Self

import psycopg
from psycopg import pq
from psycopg.errors import FeatureNotSupported
from psycopg.rows import dict_row
from psycopg.sql import Composable

from pytest_cdcperf.clients.postgres.connection import AsyncConnection, Connection, Row
from pytest_cdcperf.clients.postgres.lexer import Reading, read
from pytest_cdcperf.clients.postgres.server import Server
from pytest_cdcperf.engine.vu import VU
from pytest_cdcperf.errors import ConfigError

# DISCARD ALL, but for the statements that psycopg has prepared: they are part of what is measured.
_RESET = b"""
    CLOSE ALL; SET SESSION AUTHORIZATION DEFAULT; RESET ALL; UNLISTEN *; SELECT pg_advisory_unlock_all();
    DISCARD SEQUENCES; DISCARD TEMP;
    DO $$ DECLARE of_sql text; BEGIN
        FOR of_sql IN SELECT name FROM pg_prepared_statements WHERE from_sql LOOP
            EXECUTE format('DEALLOCATE %I', of_sql);
        END LOOP;
    END $$
"""
FORGET_PLANS = b"DEALLOCATE ALL"  # which psycopg takes note of
UNDO_S = 1.0
_OPEN = frozenset({pq.TransactionStatus.INTRANS, pq.TransactionStatus.INERROR})


def cleaning(connection: Connection | AsyncConnection, vu: VU) -> list[bytes]:
    """Return what to send so that *connection* is clean again, and note what the body of *vu* has left.

    A connection that cannot be cleaned is closed.
    """
    queries: list[bytes] = []
    if connection.pgconn.transaction_status in _OPEN:
        vu.scope.recorder.note(
            "pg: a body left a transaction open, and it was rolled back at the end of the iteration; "
            "write: with pg.transaction():"
        )
        queries.append(b"ROLLBACK")
    elif connection.pgconn.transaction_status != pq.TransactionStatus.IDLE:
        connection.pgconn.finish()
    if connection.touched:
        vu.scope.recorder.note(
            "pg: a body left settings, locks, temporary tables or the like in its session; they were reset at the end "
            "of the iteration"
        )
        queries.append(_RESET)
    if not _as_opened(connection):
        connection.pgconn.finish()
    connection.row_factory = dict_row
    connection.touched = False
    connection.depth = 0
    return [] if connection.closed else queries


def _as_opened(connection: Connection | AsyncConnection) -> bool:
    """Whether the settings of the driver for *connection* are those that it was opened with."""
    changed = (connection.isolation_level, connection.read_only, connection.deferrable)
    return connection.autocommit and changed == (None, None, None)


def require_session(server: Server, vu: VU | None, session: Reading, *, is_own: bool) -> None:
    """Refuse a statement that needs a session of its own where it cannot have one.

    :param is_own: whether the connection is lent to this VU alone
    :raises ConfigError: with the numbers and what to do
    """
    if session.touches and server.has_pooler:
        raise ConfigError(
            f"pg, {session.op}: what it leaves in its session would land with others, since a connection pooler such "
            f"as PgBouncer stands before {server.address}; use what ends with the transaction, in pg.transaction(): "
            "SET LOCAL, pg_advisory_xact_lock(), ON COMMIT DROP; or connect to PostgreSQL itself. "
            'Where the pooler keeps sessions apart, say so: [tool.cdcperf.postgres] pool_mode = "session"'
        )
    if session.relies and not is_own and vu is not None and not server.pinned(vu):
        raise ConfigError(
            f"pg, {session.op}: it asks for what its session has done before, and has none of its own: "
            f"{server.numbers(vu)}; use RETURNING, fewer VUs, or pg.transaction() around both"
        )


def is_idle(connection: Connection | AsyncConnection) -> bool:
    """Whether no transaction is open."""
    return connection.pgconn.transaction_status == pq.TransactionStatus.IDLE


def may_undo(connection: Connection | AsyncConnection) -> bool:
    """Whether there is a transaction to roll back: the server does so itself where the connection has broken."""
    return not connection.closed and connection.pgconn.transaction_status in _OPEN


def plan_is_stale(connection: Connection | AsyncConnection, error: FeatureNotSupported) -> bool:
    """Whether *error* says that a prepared statement has another result since its table was altered.

    Nothing has run then, so that the statement may be prepared anew; but not inside a transaction, which has failed.
    """
    return error.diag.source_function == "RevalidateCachedQuery" and is_idle(connection) and not connection.touched


@contextmanager
def reading_raw(connection: Connection | AsyncConnection) -> Iterator[None]:
    """Take note inside the block of what cursors of *connection* leave in its session."""
    before = connection.cursor_factory, connection.row_factory
    connection.cursor_factory = _Cursor if isinstance(connection, Connection) else _AsyncCursor
    try:
        yield
    finally:
        connection.cursor_factory, connection.row_factory = before
        if not (connection.closed or _as_opened(connection)):
            connection.touched = True


def _note(connection: Any, query: object) -> None:
    if isinstance(query, Composable):
        query = query.as_string(connection)
    text = query.decode(errors="replace") if isinstance(query, bytes) else query
    if isinstance(text, str) and _touches(text):
        connection.touched = True


@lru_cache(maxsize=256)
def _touches(query: str) -> bool:
    return read(query).touches


class _Cursor(psycopg.Cursor[Row]):
    """A cursor of a raw connection, which takes note of what stays in the session."""

    def execute(self, query: Any, *args: Any, **more: Any) -> Self:
        """Execute as psycopg does."""
        _note(self.connection, query)
        return super().execute(query, *args, **more)


class _AsyncCursor(psycopg.AsyncCursor[Row]):
    """The same, awaited."""

    async def execute(self, query: Any, *args: Any, **more: Any) -> Self:
        """Execute as psycopg does."""
        _note(self.connection, query)
        return await super().execute(query, *args, **more)
