"""The PostgreSQL client against a real server, both faces."""

# ruff: noqa: S608 - the tables are our own

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from pytest_cdcperf.clients import postgres as module
from pytest_cdcperf.clients.postgres import Postgres
from pytest_cdcperf.engine.vu import acting_as
from pytest_cdcperf.errors import ConfigError, UnreachableError, WrongFaceError
from pytest_cdcperf.model.load import ConstantVUs, PerVUIterations
from pytest_cdcperf.model.services import PostgresAddress
from tests.services.conftest import PASSWORD, GuardedPostgres
from tests.services.harness import FACES, User, refused_port, run_body, until

NASTY_TABLE = """lab.Order "lines"; DROP TABLE customer --"""
NASTY_COLUMNS = ('The "Key"', "select * from x;--", "Größe (cm)")


@pytest.fixture
def thing(source: Postgres) -> Iterator[str]:
    """A table for one test, which holds one row."""
    name = f"lab.thing_{uuid.uuid4().hex[:8]}"
    source.execute(f"CREATE TABLE {name} (id int PRIMARY KEY, a text, b int)")
    source.insert(name, {"id": 1, "a": "one", "b": 1})
    yield name
    source.execute(f"DROP TABLE {name}")


def rows(pg: Postgres, table: str) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in pg.execute(f"SELECT * FROM {table} ORDER BY id")]


def cut(pg: Postgres, pid: int) -> None:
    """End a backend as an administrator would, and wait until it is gone."""
    pg.execute("SELECT pg_terminate_backend(%s)", (pid,))
    assert until(lambda: not alive(pg, pid))


def alive(pg: Postgres, pid: int) -> bool:
    return bool(pg.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", (pid,)))


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
        assert measured.count("pg_write_duration", op="insert", table=thing) == 1
        assert measured.count("pg_write_errors", op="insert", table=thing) == 1
        assert measured.count("pg_read_duration", op="select") == measured.count("pg_read_errors", op="select") == 1
        assert measured.count("pg_records_inserted") == 0

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


class TestConnections:
    def test_each_call_is_committed_at_once_and_a_failed_one_does_no_harm(
        self, user: User, source: Postgres, thing: str
    ) -> None:
        user.call(source, "insert", thing, {"id": 2})
        assert len(rows(source, thing)) == 2
        with pytest.raises(psycopg.errors.UniqueViolation):
            user.call(source, "insert", thing, {"id": 2})
        assert user.call(source, "insert", thing, {"id": 3}) == 1

    def test_a_user_keeps_one_connection_of_its_own_until_it_ends(
        self, face: str, source: Postgres, users: Callable[..., User]
    ) -> None:
        first, second = users(face, 1, vus=2), users(face, 2, vus=2)
        mine = {first.backend(source) for _ in range(3)}
        theirs = {second.backend(source) for _ in range(3)}
        assert len(mine) == len(theirs) == 1
        assert mine != theirs
        first.end()
        assert until(lambda: not alive(source, *mine))
        assert alive(source, *theirs)

    def test_a_connection_that_the_server_cut_costs_one_call_and_is_replaced(
        self, user: User, source: Postgres, thing: str
    ) -> None:
        before = user.backend(source)
        cut(source, before)
        with pytest.raises(psycopg.OperationalError):
            user.call(source, "insert", thing, {"id": 2})
        assert user.call(source, "insert", thing, {"id": 2}) == 1
        assert user.backend(source) != before
        assert user.measured.count("pg_write_errors") == 1
        assert user.measured.count("pg_write_duration", op="insert") == 2

    def test_a_cut_connection_of_nobody_in_particular_is_replaced_too(
        self, shared_stack: Any, source: Postgres
    ) -> None:
        own = Postgres(shared_stack.services.postgres)
        with own.connection() as raw:
            pid = raw.info.backend_pid
        cut(source, pid)
        with pytest.raises(psycopg.OperationalError):
            own.execute("SELECT 1")
        assert own.execute("SELECT 1 AS one") == [{"one": 1}]
        own.close()

    def test_a_fixture_that_holds_the_raw_connection_does_not_stop_the_users(
        self, face: str, shared_stack: Any, users: Callable[..., User]
    ) -> None:
        own = Postgres(shared_stack.services.postgres)
        user = users(face)
        answers: list[Any] = []
        with own.connection():
            thread = threading.Thread(
                target=lambda: answers.append(user.call(own, "execute", "SELECT 1 AS one")), daemon=True
            )
            thread.start()
            thread.join(10)
            answered_meanwhile = list(answers)
        thread.join(10)
        own.close()
        assert answered_meanwhile == [[{"one": 1}]]


class TestPool:
    @pytest.fixture
    def crowded(self, shared_stack: Any) -> Iterator[Postgres]:
        """A face that may open a few connections only, as in a run of many workers."""
        face = Postgres(shared_stack.services.postgres, workers=25)
        yield face
        face.close()

    @pytest.mark.parametrize("face", FACES)
    def test_users_beyond_the_limit_share_a_pool_and_their_wait_is_measured(self, face: str, crowded: Postgres) -> None:
        assert 1 <= crowded.limit <= 4
        seen: set[int] = set()
        query = "SELECT pg_backend_pid() AS pid, pg_sleep(0.01)::text"

        def body() -> None:
            seen.update(row["pid"] for row in crowded.execute(query))

        async def async_body() -> None:
            seen.update(row["pid"] for row in await crowded.aio.execute(query))

        load = PerVUIterations(vus=12, iterations=3)
        outcome, total = run_body(load, async_body if face == "async def" else body)
        assert outcome.failures == []
        assert total.select("iterations").total == 36
        assert total.select("pg_pool_wait").count == total.select("pg_read_duration").count == 36
        assert len(seen) <= crowded.limit

    def test_a_cut_connection_of_the_pool_costs_one_call(
        self, face: str, crowded: Postgres, source: Postgres, users: Callable[..., User]
    ) -> None:
        user = users(face, vus=12)
        before = user.backend(crowded)
        cut(source, before)
        failed = 0
        for _ in range(5):
            try:
                user.call(crowded, "execute", "SELECT 1")
            except psycopg.OperationalError:
                failed += 1
        assert failed == 1

    def test_a_wait_for_the_pool_that_was_in_vain_is_timed_and_one_error_of_its_operation(
        self, face: str, crowded: Postgres, users: Callable[..., User], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "POOL_TIMEOUT_S", 0.2)
        crowded._limit = 1
        user, other = users(face, 1, vus=12), users("def", 2, vus=12)
        with acting_as(other.vu), crowded.connection():
            if face == "async def":  # whose pool is another one
                monkeypatch.setattr(crowded, "arguments", lambda: {"host": "127.0.0.1", "port": refused_port()})
            with pytest.raises(psycopg.OperationalError):
                user.call(crowded, "insert", "lab.thing", {"id": 1})
        assert user.measured.count("pg_pool_wait") == 1
        assert user.measured.count("pg_write_errors", op="insert") == 1
        assert user.measured.count("pg_read_errors") == 0


class TestFaces:
    def test_the_blocking_face_is_refused_in_an_async_body(self, source: Postgres) -> None:
        async def body() -> None:
            source.execute("SELECT 1")

        outcome, _ = run_body(PerVUIterations(), body)
        (kind,) = outcome.failures
        assert kind.type == WrongFaceError.__name__
        assert "await pg.aio." in kind.sample

    def test_the_awaited_face_is_refused_outside_an_async_body(
        self, source: Postgres, users: Callable[..., User]
    ) -> None:
        with pytest.raises(WrongFaceError, match="async perf test only"):
            source.aio.execute("SELECT 1").send(None)
        with acting_as(users("def").vu), pytest.raises(WrongFaceError, match="async perf test only"):
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
        pg = Postgres(replace(guarded.with_password(PASSWORD), dbname="postgres"))
        assert pg.ping()
        pg.close()

    def test_an_unknown_database(self, shared_stack: Any) -> None:
        words = self.failure(replace(shared_stack.services.postgres, dbname="no_such_db"))
        assert 'database "no_such_db" does not exist' in words


class TestTheEndOfARun:
    @pytest.mark.parametrize("workers", [1, 60], ids=["own", "pooled"])
    @pytest.mark.parametrize("face", FACES)
    def test_users_stuck_in_a_query_are_cut_off_and_leave_no_trace(
        self, face: str, workers: int, shared_stack: Any, source: Postgres
    ) -> None:
        pg = Postgres(shared_stack.services.postgres, workers=workers)
        query = f"SELECT pg_sleep(60) /* {face} {workers} */"

        def body() -> None:
            pg.execute(query)

        async def async_body() -> None:
            await pg.aio.execute(query)

        load = ConstantVUs(vus=2, duration="500ms", graceful_stop="0s")
        outcome, total = run_body(load, async_body if face == "async def" else body)
        pg.close()
        assert outcome.stuck_vus == []
        assert outcome.interrupted == 2
        assert total.select("iterations_interrupted").total == 2
        assert outcome.failures == []
        sleeping = "SELECT 1 FROM pg_stat_activity WHERE query = %s AND state = 'active'"
        assert until(lambda: not source.execute(sleeping, (query,)))
        # What cancelling made them raise is no error of the server's.
        assert total.select("pg_read_errors") is None
        assert total.select("pg_read_duration") is None
