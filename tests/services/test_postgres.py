"""The PostgreSQL client against a real server, sync and async."""

# ruff: noqa: S608 - the tables are our own

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from pytest_cdcperf.clients.postgres import Postgres
from pytest_cdcperf.engine.current_vu import acting_as
from pytest_cdcperf.errors import BlockingCallError, ConfigError, UnreachableError
from pytest_cdcperf.load.closed import PerVUIterations
from pytest_cdcperf.servers import PostgresAddress
from tests.services.conftest import PASSWORD, GuardedPostgres
from tests.services.harness import User, refused_port, run_body

NASTY_TABLE = """lab.Order "lines"; DROP TABLE customer --"""
NASTY_COLUMNS = ('The "Key"', "select * from x;--", "Größe (cm)")


def rows(pg: Postgres, table: str) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in pg.execute(f"SELECT * FROM {table} ORDER BY id")]


class TestStatements:
    def test_insert_writes_the_row_and_returns_one(self, user: User, source: Postgres, thing: str) -> None:
        assert user.call(source, "insert", thing, {"id": 2, "a": None, "b": 20}) == 1
        assert rows(source, thing) == [(1, "one", 1), (2, None, 20)]

    def test_upsert_inserts_what_is_new_and_updates_what_is_not(self, user: User, source: Postgres, thing: str) -> None:
        assert user.call(source, "upsert", thing, {"id": 2, "a": "two", "b": 2}) == 1
        assert user.call(source, "upsert", thing, {"id": 1, "a": "new", "b": 10}) == 1
        assert rows(source, thing) == [(1, "new", 10), (2, "two", 2)]

    def test_upsert_updates_only_the_columns_named(self, user: User, source: Postgres, thing: str) -> None:
        user.call(source, "upsert", thing, {"id": 1, "a": "new", "b": 10}, update=["b"])
        assert rows(source, thing) == [(1, "one", 10)]

    def test_upsert_of_nothing_but_the_key_leaves_the_row_and_counts_none(
        self, user: User, source: Postgres, thing: str
    ) -> None:
        assert user.call(source, "upsert", thing, {"id": 1}) == 0
        assert rows(source, thing) == [(1, "one", 1)]
        assert user.measured.count("pg_records_inserted") == 0

    def test_update_and_delete_return_how_many_rows_they_hit(self, user: User, source: Postgres, thing: str) -> None:
        source.insert(thing, {"id": 2, "a": "one", "b": 2})
        source.insert(thing, {"id": 3, "a": "three", "b": 3})
        assert user.call(source, "update", thing, {"a": "x", "b": 9}, where={"a": "one"}) == 2
        assert user.call(source, "update", thing, {"a": "x"}, where={"id": 99}) == 0
        assert user.call(source, "delete", thing, where={"a": "x", "id": 1}) == 1
        assert user.call(source, "delete", thing, where={"id": 1}) == 0
        assert rows(source, thing) == [(2, "x", 9), (3, "three", 3)]

    def test_execute_returns_rows_as_dictionaries(self, user: User, source: Postgres, thing: str) -> None:
        def run(query: str, params: object = None) -> Any:
            return user.call(source, "execute", query, params)

        assert run(f"SELECT id, a FROM {thing}") == [{"id": 1, "a": "one"}]
        assert run(f"SELECT id FROM {thing} WHERE a = %(a)s", {"a": "none"}) == []
        assert run("SELECT %s::int + 1 AS n", (41,)) == [{"n": 42}]
        assert run(f"UPDATE {thing} SET b = 7") == []
        assert run(f"DELETE FROM {thing} RETURNING b") == [{"b": 7}]
        assert run("SELECT 'a' LIKE '%' AS like_works") == [{"like_works": True}]

    def test_a_write_without_a_column_is_refused_before_it_is_sent(
        self, user: User, source: Postgres, thing: str
    ) -> None:
        for method, args, more in (
            ("insert", ({},), {}),
            ("update", ({"a": "x"},), {"where": {}}),
            ("update", ({},), {"where": {"id": 1}}),
            ("delete", (), {"where": {}}),
        ):
            with pytest.raises(ConfigError, match="is empty"):
                user.call(source, method, thing, *args, **more)
        assert rows(source, thing) == [(1, "one", 1)]


class TestQuoting:
    @pytest.fixture
    def create(self, source: Postgres) -> Iterator[Callable[..., None]]:
        """Make a table of text columns, the first of them its key."""
        made: list[psycopg.sql.Identifier] = []

        def create(table: str, *columns: str) -> None:
            quoted = [psycopg.sql.SQL("{} text").format(psycopg.sql.Identifier(column)) for column in columns]
            made.append(psycopg.sql.Identifier(*table.split(".")))
            with source.connection() as raw:
                raw.execute(
                    psycopg.sql.SQL("CREATE TABLE {} ({}, PRIMARY KEY ({}))").format(
                        made[-1], psycopg.sql.SQL(", ").join(quoted), psycopg.sql.Identifier(columns[0])
                    )
                )

        yield create
        with source.connection() as raw:
            for table in made:
                raw.execute(psycopg.sql.SQL("DROP TABLE {}").format(table))

    def stored(self, pg: Postgres, table: str) -> list[dict[str, Any]]:
        with pg.connection() as raw:
            return raw.execute(
                psycopg.sql.SQL("SELECT * FROM {}").format(psycopg.sql.Identifier(*table.split(".")))
            ).fetchall()

    def test_names_with_quotes_spaces_capitals_and_sql_are_names(
        self, user: User, source: Postgres, thing: str, create: Callable[..., None]
    ) -> None:
        key, second, third = NASTY_COLUMNS
        create(NASTY_TABLE, *NASTY_COLUMNS)
        user.call(source, "insert", NASTY_TABLE, {key: "1", second: "a", third: "b"})
        user.call(source, "upsert", NASTY_TABLE, {key: "1", second: "c"}, key=(key,))
        user.call(source, "update", NASTY_TABLE, {third: "d"}, where={second: "c"})
        assert self.stored(source, NASTY_TABLE) == [{key: "1", second: "c", third: "d"}]
        assert user.call(source, "delete", NASTY_TABLE, where={key: "1", third: "d"}) == 1
        assert rows(source, thing) == [(1, "one", 1)]

    def test_names_with_percent_signs_are_names(
        self, user: User, source: Postgres, create: Callable[..., None]
    ) -> None:
        create("lab.100% of %s", "id", "50 % off", "%s")
        user.call(source, "insert", "lab.100% of %s", {"id": "1", "50 % off": "a", "%s": "b"})
        user.call(source, "upsert", "lab.100% of %s", {"id": "1", "%s": "c"})
        assert user.call(source, "update", "lab.100% of %s", {"50 % off": "d"}, where={"%s": "c"}) == 1
        assert self.stored(source, "lab.100% of %s") == [{"id": "1", "50 % off": "d", "%s": "c"}]

    def test_sql_in_a_value_is_a_value(self, user: User, source: Postgres, thing: str) -> None:
        text = f"x'); DROP TABLE {thing}; -- %s %(a)s \\ \" $1"
        user.call(source, "insert", thing, {"id": 2, "a": text})
        assert user.call(source, "update", thing, {"b": 5}, where={"a": text}) == 1
        assert user.call(source, "update", thing, {"b": 6}, where={"a": "' OR 'a' = 'a"}) == 0
        found = user.call(source, "execute", f"SELECT b FROM {thing} WHERE a = %s", (text,))
        assert found == [{"b": 5}]
        assert rows(source, thing) == [(1, "one", 1), (2, text, 5)]


class TestMetrics:
    def test_each_call_is_one_sample_of_its_operation_and_table(self, user: User, source: Postgres, thing: str) -> None:
        user.call(source, "insert", thing, {"id": 2})
        user.call(source, "upsert", thing, {"id": 2, "a": "x"})
        user.call(source, "update", thing, {"a": "y"}, where={"id": 2})
        user.call(source, "delete", thing, where={"id": 2})
        user.call(source, "execute", f"SELECT * FROM {thing}")
        user.call(source, "execute", f"  update {thing} SET b = 0")
        measured = user.measured
        for op in ("insert", "upsert", "update", "delete"):
            assert measured.count("pg_write_duration", op=op, table=thing) == 1, op
        assert measured.count("pg_write_duration", op="update") == 2
        assert measured.count("pg_write_duration") == 5
        assert measured.count("pg_read_duration", op="select") == 1
        assert measured.count("pg_read_duration") == 1
        assert measured.of("pg_write_duration").min > 0
        assert measured.count("pg_write_errors") == measured.count("pg_read_errors") == 0
        assert measured.count("pg_pool_wait") == 0

    def test_only_rows_of_inserts_and_upserts_count_as_inserted(self, user: User, source: Postgres, thing: str) -> None:
        user.call(source, "insert", thing, {"id": 2})
        user.call(source, "upsert", thing, {"id": 3})
        user.call(source, "update", thing, {"a": "y"}, where={"id": 2})
        user.call(source, "delete", thing, where={"id": 2})
        user.call(source, "execute", f"SELECT * FROM {thing}")
        assert user.measured.count("pg_records_inserted") == 2

    def test_a_failed_call_is_timed_and_counted_and_inserts_nothing(
        self, user: User, source: Postgres, thing: str
    ) -> None:
        with pytest.raises(psycopg.errors.UniqueViolation):
            user.call(source, "insert", thing, {"id": 1})
        with pytest.raises(psycopg.errors.UndefinedTable):
            user.call(source, "execute", "SELECT * FROM lab.nowhere")
        measured = user.measured
        assert measured.count("pg_write_duration", op="insert", table=thing, ok="false") == 1
        assert measured.count("pg_write_errors", op="insert", table=thing, error="UniqueViolation") == 1
        assert measured.count("pg_read_duration", op="select", ok="false") == 1
        assert measured.count("pg_read_errors", op="select") == 1
        assert measured.count("pg_write_duration") == measured.count("pg_read_duration") == 0
        assert measured.count("pg_records_inserted") == 0

    @pytest.mark.parametrize(
        ("setting", "query"),
        [("statement_timeout", "SELECT pg_sleep(60)"), ("lock_timeout", "SELECT * FROM {} FOR UPDATE")],
    )
    def test_a_call_that_ended_at_a_time_limit_of_the_server_stays_with_the_successful_ones(
        self, users: Callable[..., User], user: User, source: Postgres, thing: str, setting: str, query: str
    ) -> None:
        other = users("def", 2)
        other.call(source, "execute", "BEGIN")
        other.call(source, "execute", f"SELECT * FROM {thing} FOR UPDATE")
        user.call(source, "execute", f"SET {setting} = '100ms'")
        with pytest.raises(psycopg.errors.OperationalError):
            user.call(source, "execute", query.format(thing))
        assert user.measured.of("pg_read_duration", op="select").min >= 90
        assert user.measured.count("pg_read_duration", ok="false", error="timeout") == 1
        assert user.measured.count("pg_read_errors", error="timeout") == 1
        with pytest.raises(psycopg.errors.LockNotAvailable):
            user.call(source, "execute", f"SELECT * FROM {thing} FOR UPDATE NOWAIT")
        assert user.measured.count("pg_read_duration") == 1
        other.call(source, "execute", "ROLLBACK")

    def test_a_call_that_finds_no_server_is_an_error_of_its_kind(self, user: User) -> None:
        nobody = Postgres(PostgresAddress("127.0.0.1", refused_port(), "postgres"))
        with pytest.raises(psycopg.OperationalError):
            user.call(nobody, "insert", "lab.thing", {"id": 1})
        with pytest.raises(psycopg.OperationalError):
            user.call(nobody, "execute", "SELECT 1")
        assert user.measured.count("pg_write_errors", op="insert", table="lab.thing") == 1
        assert user.measured.count("pg_write_errors") == user.measured.count("pg_read_errors") == 1

    def test_what_is_done_with_the_raw_connection_is_not_measured(
        self, source: Postgres, users: Callable[..., User]
    ) -> None:
        user = users("def")
        with acting_as(user.vu), source.connection() as raw:
            raw.execute("SELECT 1")
        assert user.measured.count("pg_read_duration") == 0


class TestSyncAndAsync:
    def test_the_sync_client_is_refused_in_an_async_body(self, source: Postgres) -> None:
        async def body() -> None:
            source.execute("SELECT 1")

        outcome, _ = run_body(PerVUIterations(), body)
        (kind,) = outcome.failures
        assert kind.type == BlockingCallError.__name__
        assert "await pg.aio." in kind.sample

    def test_the_async_client_is_refused_outside_an_async_body(
        self, source: Postgres, users: Callable[..., User]
    ) -> None:
        with pytest.raises(BlockingCallError, match="async perf test only"):
            source.aio.execute("SELECT 1").send(None)
        with acting_as(users("def").vu), pytest.raises(BlockingCallError, match="async perf test only"):
            source.aio.execute("SELECT 1").send(None)


class TestPing:
    def test_it_returns_the_version(self, source: Postgres, shared_stack: Any) -> None:
        assert source.ping() == shared_stack.versions["PostgreSQL"]

    def failure(self, address: PostgresAddress) -> str:
        with pytest.raises(UnreachableError) as caught:
            Postgres(address).ping()
        message = str(caught.value)
        assert "\n" not in message
        assert message.startswith(f"PostgreSQL at {address} cannot be used: ")
        return message.partition(" cannot be used: ")[2]

    def test_a_refused_port(self) -> None:
        port = refused_port()
        words = self.failure(PostgresAddress("127.0.0.1", port, "postgres", password=PASSWORD))
        assert "Connection refused" in words
        assert str(port) in words
        assert PASSWORD not in words

    def test_a_wrong_password(self, guarded: GuardedPostgres) -> None:
        wrong = "w r0ng'p@ss word"
        words = self.failure(guarded.with_password(wrong))
        assert 'password authentication failed for user "postgres"' in words
        assert wrong not in words
        assert "r0ng" not in words

    def test_the_right_password(self, guarded: GuardedPostgres) -> None:
        pg = Postgres(replace(guarded.address, dbname="postgres"))
        assert pg.ping()
        pg.close()

    def test_an_unknown_database(self, shared_stack: Any) -> None:
        words = self.failure(replace(shared_stack.services.postgres, dbname="no_such_db"))
        assert 'database "no_such_db" does not exist' in words
