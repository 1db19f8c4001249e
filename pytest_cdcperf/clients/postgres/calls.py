"""The statements that both clients of PostgreSQL have: they differ in how one is run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Generic, LiteralString, TypeVar

from psycopg.errors import InFailedSqlTransaction

from pytest_cdcperf.clients.postgres.connection import PostgresTimeoutError
from pytest_cdcperf.clients.postgres.server import Server
from pytest_cdcperf.clients.postgres.statements import (
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
from pytest_cdcperf.clients.time_limit import DEFAULT_TIMEOUT_S, Timeout, seconds_of
from pytest_cdcperf.engine.vu import VU
from pytest_cdcperf.metrics.groups import POSTGRES
from pytest_cdcperf.metrics.metric import Trend
from pytest_cdcperf.units import format_duration

PG_POOL_WAIT = Trend("pg_pool_wait", unit="ms", group=POSTGRES)

_DEFAULT_NS = round(DEFAULT_TIMEOUT_S * 1e9)

Count = TypeVar("Count")
Rows = TypeVar("Rows")
Params = Sequence[Any] | Mapping[str, Any] | None


class Calls(Generic[Count, Rows]):
    """The statements of a client."""

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

        Measured as a read, a write or a control by what it does: a COMMIT is a write, since it waits for the disk.
        What outlives it in its session (BEGIN, SET, temporary tables, advisory locks, ...) keeps the connection for
        the VU until the end of the iteration, and is undone there.

        :raises ConfigError: for a query that is not text, or values that cannot be bound
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


def limit_ns(statement: Statement, timeout: Timeout | None) -> int:
    """Return the nanoseconds that an execution of *statement* may take."""
    return _DEFAULT_NS if timeout is None else round(seconds_of(f"pg, {statement.op}", timeout) * 1e9)


def too_long(statement: Statement, limit_ns: int) -> PostgresTimeoutError:
    """Return what is raised where *statement* took longer than it may."""
    limit = format_duration(limit_ns * 1e-9)
    return PostgresTimeoutError(
        f"pg, {statement.op}: the server did not answer within {limit}; the connection is closed. "
        "Where so long is right, give the call a timeout="
    )


def check_commit(statement: Statement, answer: str | None) -> None:
    """Refuse to take a COMMIT that rolled back for one: the server only says so in its *answer*.

    :raises psycopg.errors.InFailedSqlTransaction: where a statement of the transaction had failed
    """
    if statement.session is not None and statement.session.ends and answer == "ROLLBACK":
        raise InFailedSqlTransaction("a statement of this transaction has failed, so COMMIT has rolled it back")


def no_connection(server: Server, vu: VU, waited_s: float) -> PostgresTimeoutError:
    """Return what is raised where no connection of the pool came free."""
    return PostgresTimeoutError(
        f"pg: no connection came free within {format_duration(waited_s)}: {server.numbers(vu)}; "
        "use fewer VUs or shorter transactions, or raise max_connections"
    )
