"""SQL statements as they are sent and measured: identifiers quoted, values bound, nothing formatted in."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, LiteralString

from psycopg import sql

from pytest_cdcperf.clients.measured import Measured
from pytest_cdcperf.metrics.recorder import Counter, Trend
from pytest_cdcperf.metrics.snapshot import Tags

PG_WRITE_DURATION = Trend("pg_write_duration", unit="ms")
PG_READ_DURATION = Trend("pg_read_duration", unit="ms")
PG_WRITE_ERRORS = Counter("pg_write_errors")
PG_READ_ERRORS = Counter("pg_read_errors")
PG_RECORDS_INSERTED = Counter("pg_records_inserted")

WRITES = frozenset({"insert", "update", "delete", "merge", "truncate", "copy", "create", "alter", "drop"})


@dataclass(frozen=True)
class Statement:
    """One SQL statement with its bound values, and how it is measured."""

    query: bytes
    params: Sequence[Any] | Mapping[str, Any] | None
    tags: Tags
    writes: bool = True
    inserts: bool = False

    def measured(self) -> Measured:
        """Return the timer of one execution."""
        return Measured(*self._metrics(), self.tags)

    def count_unsent(self, since_ns: int) -> None:
        """Count a statement that could not even be sent, and time it: a failed call is a sample too."""
        duration, errors = self._metrics()
        duration.add((time.perf_counter_ns() - since_ns) * 1e-6, dict(self.tags))
        errors.add(1, dict(self.tags))

    def _metrics(self) -> tuple[Trend, Counter]:
        return (PG_WRITE_DURATION, PG_WRITE_ERRORS) if self.writes else (PG_READ_DURATION, PG_READ_ERRORS)

    def count_rows(self, rows: int) -> None:
        """Count what was inserted."""
        if self.inserts and rows > 0:
            PG_RECORDS_INSERTED.add(rows)


@lru_cache(maxsize=256)
def insert_sql(table: str, columns: tuple[str, ...], key: tuple[str, ...], changing: tuple[str, ...]) -> bytes:
    """Return an INSERT of *columns*; with *key* an upsert that changes the columns *changing*."""
    query = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
        _name(*table.split(".")),
        sql.SQL(", ").join(map(_name, columns)),
        sql.SQL(", ").join([sql.Placeholder()] * len(columns)),
    )
    if key:
        changes = sql.SQL(", ").join(sql.SQL("{0} = EXCLUDED.{0}").format(_name(c)) for c in changing)
        action = sql.SQL("UPDATE SET {}").format(changes) if changing else sql.SQL("NOTHING")
        keys = sql.SQL(", ").join(map(_name, key))
        query += sql.SQL(" ON CONFLICT ({}) DO {}").format(keys, action)
    return query.as_bytes(None)


@lru_cache(maxsize=256)
def update_sql(table: str, columns: tuple[str, ...], where: tuple[str, ...]) -> bytes:
    """Return an UPDATE of *columns* of the rows whose *where* columns match, a DELETE without *columns*."""
    head = sql.SQL("UPDATE {} SET {}") if columns else sql.SQL("DELETE FROM {}")
    query = head.format(_name(*table.split(".")), _equations(columns, ", "))
    return (query + sql.SQL(" WHERE {}").format(_equations(where, " AND "))).as_bytes(None)


def _equations(columns: tuple[str, ...], between: LiteralString) -> sql.Composed:
    return sql.SQL(between).join(sql.SQL("{} = {}").format(_name(c), sql.Placeholder()) for c in columns)


def _name(*parts: str) -> sql.Identifier:
    # psycopg quotes, but looks for placeholders in names as well.
    return sql.Identifier(*(part.replace("%", "%%") for part in parts))
