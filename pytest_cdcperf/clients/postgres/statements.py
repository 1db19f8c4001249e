"""SQL statements as they are sent and measured: identifiers quoted, values bound, nothing formatted in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import LiteralString, NamedTuple

from psycopg import sql
from psycopg.errors import ConnectionTimeout, LockNotAvailable, QueryCanceled

from pytest_cdcperf.clients.effects import note_statement
from pytest_cdcperf.clients.postgres.lexer import Kind, Reading, read
from pytest_cdcperf.clients.recording import CallRecorder
from pytest_cdcperf.errors import ConfigError
from pytest_cdcperf.metrics.groups import POSTGRES
from pytest_cdcperf.metrics.metric import Counter, Tags, Trend

PG_WRITE_DURATION = Trend("pg_write_duration", unit="ms", group=POSTGRES)
PG_READ_DURATION = Trend("pg_read_duration", unit="ms", group=POSTGRES)
PG_WRITE_ERRORS = Counter("pg_write_errors", group=POSTGRES)
PG_READ_ERRORS = Counter("pg_read_errors", group=POSTGRES)
# BEGIN, SAVEPOINT, ROLLBACK, SET and the like
PG_CONTROL_DURATION = Trend("pg_control_duration", unit="ms", group=POSTGRES)
PG_CONTROL_ERRORS = Counter("pg_control_errors", group=POSTGRES)
PG_RECORDS_INSERTED = Counter("pg_records_inserted", group=POSTGRES)

UNUSABLE = (TypeError, AttributeError, UnicodeEncodeError)  # what arguments of other types come to
_FIGURES = {
    Kind.READ: (PG_READ_DURATION, PG_READ_ERRORS),
    Kind.WRITE: (PG_WRITE_DURATION, PG_WRITE_ERRORS),
    Kind.CONTROL: (PG_CONTROL_DURATION, PG_CONTROL_ERRORS),
}


class Statement:
    """One SQL statement and how it is measured; its values are bound at each execution.

    *op*: what it does: insert, select, ... *session*: what it does to its session, None where that is nothing.
    """

    __slots__ = ("_calls", "_changes_found", "_has_effect", "_inserts", "op", "query", "session")

    def __init__(self, query: bytes, tags: Tags, reading: Reading | None = None, *, inserts: bool = False) -> None:
        self.query = query
        self.session = reading if reading is not None and reading.concerns_session else None
        self.op = dict(tags)["op"]
        self._inserts = inserts
        self._has_effect = reading is None or not (reading.kind is Kind.CONTROL or reading.ends)
        # Of others, such as WITH ... DELETE, the number of rows is not that of the changes.
        self._changes_found = query[:6].lower() in {b"update", b"delete"}
        self._calls = CallRecorder(*_FIGURES[Kind.WRITE if reading is None else reading.kind], tags)

    def done(self, since_ns: int, rows: int) -> None:
        """Time an execution that began at *since_ns*, and count the *rows* that it inserted."""
        self._calls.succeeded(since_ns)
        if self._inserts and rows > 0:
            PG_RECORDS_INSERTED.add(rows)
        if self._has_effect:
            note_statement(void=rows == 0 and self._changes_found)

    def failed(self, since_ns: int, error: BaseException, *, timed_out: bool = False) -> None:
        """Time and count one that failed, or could not even be sent: a failed call is a sample too, but apart.

        One that *timed_out*, at a limit of ours or of the server's, stays with the successful ones.

        :raises ConfigError: where *error* says that a value cannot be sent
        """
        self._calls.failed(since_ns, timed_out=timed_out or _is_time_limit(error), error=error)
        if isinstance(error, TypeError | UnicodeEncodeError):
            words = "allowed: values that psycopg can send, in a sequence or a mapping"
            raise ConfigError(f"pg, {self.op}: {error}; {words}") from None


def _is_time_limit(error: BaseException) -> bool:
    match error:
        case TimeoutError() | QueryCanceled():  # statement_timeout
            return True
        case LockNotAvailable():  # lock_timeout, but not NOWAIT
            return error.diag.source_function == "ProcessInterrupts"
    return isinstance(error.__context__, ConnectionTimeout)


@lru_cache(maxsize=256)
def query_statement(query: LiteralString) -> Statement:
    """Return any *query*, measured as a read, a write or a control by what it does."""
    reading = read(query)
    return Statement(query.encode(), (("op", reading.op),), reading)


class Block(NamedTuple):
    """The statements of one ``with pg.transaction():``."""

    begin: Statement
    commit: Statement
    undo: Statement


@lru_cache(maxsize=64)
def block_statements(depth: int) -> Block:
    """Return the statements of a transaction, or of a savepoint where *depth*, the transactions around it, is not 0."""
    if not depth:
        return Block(query_statement("BEGIN"), query_statement("COMMIT"), query_statement("ROLLBACK"))
    name = f'"cdcperf_{depth}"'
    queries = (f"SAVEPOINT {name}", f"RELEASE {name}", f"ROLLBACK TO {name}; RELEASE {name}")
    return Block(*map(query_statement, queries))


@lru_cache(maxsize=256)
def insert_statement(
    table: str, columns: tuple[str, ...], key: tuple[str, ...] = (), update: tuple[str, ...] | None = None
) -> Statement:
    """Return an INSERT of *columns*; with *key* an upsert that changes the columns *update*, all others by default."""
    _require(table, row=columns)
    query = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
        _name(*table.split(".")),
        sql.SQL(", ").join(map(_name, columns)),
        sql.SQL(", ").join([sql.Placeholder()] * len(columns)),
    )
    if key:
        changing = [column for column in columns if column not in key] if update is None else update
        changes = sql.SQL(", ").join(sql.SQL("{0} = EXCLUDED.{0}").format(_name(c)) for c in changing)
        action = sql.SQL("UPDATE SET {}").format(changes) if changing else sql.SQL("NOTHING")
        keys = sql.SQL(", ").join(map(_name, key))
        query += sql.SQL(" ON CONFLICT ({}) DO {}").format(keys, action)
    tags = (("op", "upsert" if key else "insert"), ("table", table))
    return Statement(query.as_bytes(None), tags, inserts=True)


@lru_cache(maxsize=256)
def update_statement(table: str, columns: tuple[str, ...], where: tuple[str, ...]) -> Statement:
    """Return an UPDATE of *columns* of the rows whose *where* columns match."""
    _require(table, values=columns, where=where)
    query = sql.SQL("UPDATE {} SET {} WHERE {}").format(
        _name(*table.split(".")), _equations(columns, ", "), _equations(where, " AND ")
    )
    return Statement(query.as_bytes(None), (("op", "update"), ("table", table)))


@lru_cache(maxsize=256)
def delete_statement(table: str, where: tuple[str, ...]) -> Statement:
    """Return a DELETE of the rows whose *where* columns match."""
    _require(table, where=where)
    query = sql.SQL("DELETE FROM {} WHERE {}").format(_name(*table.split(".")), _equations(where, " AND "))
    return Statement(query.as_bytes(None), (("op", "delete"), ("table", table)))


def columns_of(names: str | Sequence[str]) -> tuple[str, ...]:
    """Return *names*, which may be a single one."""
    return (names,) if isinstance(names, str) else tuple(names)


def wrong_call(call: str, error: Exception, table: object, **mappings: object) -> ConfigError:
    """Return what is wrong with a call of ``pg`` that led to *error*. Values may be secrets: it names types."""
    faults = [] if isinstance(table, str) else [f"pg.{call}: table={table!r:.60}; allowed: the name of a table"]
    faults += [
        f"pg.{call}: {name}= is of type {type(mapping).__name__}; allowed: a mapping of columns' names to values"
        for name, mapping in mappings.items()
        if not (isinstance(mapping, Mapping) and all(isinstance(column, str) for column in mapping))
    ]
    return ConfigError(*faults or [f"pg.{call}: {error}; allowed: names that are text"])


def no_query(query: object) -> ConfigError:
    """Return what is wrong with a *query* that cannot be sent."""
    return ConfigError(
        f"pg.execute: the query {query!r:.60} cannot be sent; allowed: text; for psycopg's sql objects, pg.connection()"
    )


def _require(table: str, **columns: tuple[str, ...]) -> None:
    for name, named in columns.items():
        if not named:
            raise ConfigError(f"{table}: {name} is empty; name at least one column, or use pg.execute()")


def _equations(columns: tuple[str, ...], between: LiteralString) -> sql.Composed:
    return sql.SQL(between).join(sql.SQL("{} = {}").format(_name(c), sql.Placeholder()) for c in columns)


def _name(*parts: str) -> sql.Identifier:
    # psycopg quotes, but looks for placeholders in names as well.
    return sql.Identifier(*(part.replace("%", "%%") for part in parts))
