"""State that a body leaves in its database session lasts as long as its iteration; no other iteration meets it."""

# ruff: noqa: S608 - the tables are our own

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import psycopg
import pytest

from pytest_cdcperf.clients.postgres import Postgres, protocol
from pytest_cdcperf.engine.current_vu import current_vu
from pytest_cdcperf.errors import ConfigError
from pytest_cdcperf.load.closed import PerVUIterations
from tests.services.harness import BODY_KINDS, User, run_body

WORKERS = pytest.mark.parametrize("workers", [1, 25], ids=["own", "pooled"])
FACE = pytest.mark.parametrize("body_kind", BODY_KINDS)


@pytest.fixture
def pg(shared_stack: Any, workers: int) -> Iterator[Postgres]:
    """A client, of one worker or of so many that its VUs have to share connections."""
    made = Postgres(shared_stack.services.postgres, workers=workers)
    yield made
    made.close()


def run(
    pg: Postgres, body_kind: str, steps: Callable[[Any], Iterator[Any]], *, vus: int = 12, iterations: int = 3
) -> Any:
    """Run *steps*, which yields calls of a client, as a body of either kind."""

    def body() -> None:
        for _ in steps(pg):
            pass

    async def async_body() -> None:
        for call in steps(pg.aio):
            await call

    return run_body(PerVUIterations(vus=vus, iterations=iterations), async_body if body_kind == "async def" else body)


def notes(outcome: Any) -> str:
    return "\n".join(outcome.notes)


@WORKERS
@FACE
class TestIterations:
    def test_a_transaction_in_statements_of_its_own_is_one(
        self, body_kind: str, pg: Postgres, source: Postgres, thing: str
    ) -> None:
        def steps(client: Any) -> Iterator[Any]:
            yield client.execute("BEGIN")
            yield client.execute(f"UPDATE {thing} SET b = b + 1")
            yield client.execute("COMMIT")

        outcome, total = run(pg, body_kind, steps)
        assert outcome.failures == []
        assert source.execute(f"SELECT b FROM {thing}") == [{"b": 37}]
        assert total.select("pg_control_duration", {"op": "begin"}).count == 36
        assert total.select("pg_write_duration", {"op": "commit"}).count == 36
        assert "left" not in notes(outcome)

    def test_one_that_is_left_open_is_rolled_back_with_the_iteration_and_said_once(
        self, body_kind: str, pg: Postgres, source: Postgres, thing: str
    ) -> None:
        def steps(client: Any) -> Iterator[Any]:
            yield client.execute("/* x */ begin")
            yield client.insert(thing, {"id": 2})
            if current_vu().iteration == 0:  # type: ignore[union-attr]
                yield client.execute("SELECT 1 / 0")

        outcome, total = run(pg, body_kind, steps)
        assert {kind.type for kind in outcome.failures} == {"DivisionByZero"}
        assert total.select("iteration_failed").hits == 12
        assert source.execute(f"SELECT id FROM {thing}") == [{"id": 1}]
        assert notes(outcome).count("left a transaction open") == 1

    @pytest.mark.parametrize(
        ("statement", "met"),
        [
            ("SET cdcperf.mine = 'yes'", "SELECT 1 WHERE current_setting('cdcperf.mine', true) <> ''"),
            ("CREATE TEMP TABLE mine (a int)", "SELECT 1 WHERE to_regclass('mine') IS NOT NULL"),
            ("PREPARE mine AS SELECT 1", "SELECT 1 FROM pg_prepared_statements WHERE from_sql"),
            ("LISTEN mine", "SELECT pg_listening_channels()"),
            ("DECLARE mine CURSOR WITH HOLD FOR SELECT 1", "SELECT 1 FROM pg_cursors WHERE is_holdable"),
            (
                "SELECT pg_advisory_lock_shared(1)",
                "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()",
            ),
        ],
        ids=lambda statement: str(statement).split(maxsplit=1)[0],
    )
    def test_what_a_body_leaves_is_there_for_it_and_gone_for_everybody_else(
        self, body_kind: str, pg: Postgres, statement: str, met: str
    ) -> None:
        def body() -> None:
            assert pg.execute(met) == []
            pg.execute(statement)
            assert len(pg.execute(met)) == 1

        async def async_body() -> None:
            assert await pg.aio.execute(met) == []
            await pg.aio.execute(statement)
            assert len(await pg.aio.execute(met)) == 1

        load = PerVUIterations(vus=6, iterations=3)
        outcome, _ = run_body(load, async_body if body_kind == "async def" else body)
        assert [kind.sample for kind in outcome.failures] == []
        assert notes(outcome).count("they were reset") == 1

    def test_a_raw_connection_is_clean_again_too(self, body_kind: str, pg: Postgres) -> None:
        def left(raw: Any) -> None:
            raw.row_factory = psycopg.rows.tuple_row

        def body() -> None:
            assert pg.execute("SELECT current_setting('cdcperf.mine', true) AS v")[0]["v"] in {None, ""}
            with pg.connection() as raw:
                left(raw)
                raw.execute(psycopg.sql.SQL("SET cdcperf.mine = {}").format("yes"))
                raw.autocommit = False
                raw.execute("SELECT 1")

        async def async_body() -> None:
            assert (await pg.aio.execute("SELECT current_setting('cdcperf.mine', true) AS v"))[0]["v"] in {None, ""}
            async with pg.aio.connection() as raw:
                left(raw)
                await raw.execute(psycopg.sql.SQL("SET cdcperf.mine = {}").format("yes"))
                await raw.set_autocommit(False)
                await raw.execute("SELECT 1")

        outcome, _ = run_body(PerVUIterations(vus=6, iterations=3), async_body if body_kind == "async def" else body)
        assert [kind.sample for kind in outcome.failures] == []


@WORKERS
@FACE
class TestTransaction:
    def test_it_commits_and_an_inner_one_that_fails_is_undone_alone(
        self, body_kind: str, pg: Postgres, source: Postgres, thing: str
    ) -> None:
        def body() -> None:
            number = 100 * current_vu().id + current_vu().iteration  # type: ignore[union-attr]
            with pg.transaction():
                pg.insert(thing, {"id": number})
                with suppress(psycopg.errors.UniqueViolation), pg.transaction():
                    pg.insert(thing, {"id": number + 50})
                    pg.insert(thing, {"id": number})

        async def async_body() -> None:
            number = 100 * current_vu().id + current_vu().iteration  # type: ignore[union-attr]
            async with pg.aio.transaction():
                await pg.aio.insert(thing, {"id": number})
                with suppress(psycopg.errors.UniqueViolation):
                    async with pg.aio.transaction():
                        await pg.aio.insert(thing, {"id": number + 50})
                        await pg.aio.insert(thing, {"id": number})

        outcome, total = run_body(
            PerVUIterations(vus=12, iterations=3), async_body if body_kind == "async def" else body
        )
        assert [kind.sample for kind in outcome.failures] == []
        ids = [row["id"] for row in source.execute(f"SELECT id FROM {thing} WHERE id > 1 ORDER BY id")]
        assert ids == [100 * vu + iteration for vu in range(1, 13) for iteration in range(3)]
        assert total.select("pg_control_duration", {"op": "savepoint"}).count == 36
        assert total.select("pg_control_duration", {"op": "rollback"}).count == 36
        assert total.select("pg_write_duration", {"op": "commit"}).count == 36
        assert outcome.notes == []

    def test_what_its_body_raises_undoes_it_and_is_raised(
        self, body_kind: str, pg: Postgres, users: Callable[..., User], source: Postgres, thing: str
    ) -> None:
        def body() -> None:
            with pg.transaction():
                pg.insert(thing, {"id": 2})
                raise LookupError("mine")

        async def async_body() -> None:
            async with pg.aio.transaction():
                await pg.aio.insert(thing, {"id": 2})
                raise LookupError("mine")

        outcome, _ = run_body(PerVUIterations(vus=12, iterations=1), async_body if body_kind == "async def" else body)
        assert [(kind.type, kind.count) for kind in outcome.failures] == [("LookupError", 12)]
        assert source.execute(f"SELECT id FROM {thing}") == [{"id": 1}]
        assert outcome.notes == []

    def test_a_commit_that_rolls_back_is_no_success(self, body_kind: str, pg: Postgres, thing: str) -> None:
        def body() -> None:
            with pg.transaction(), suppress(psycopg.errors.UniqueViolation):
                pg.insert(thing, {"id": 1})

        async def async_body() -> None:
            async with pg.aio.transaction():
                with suppress(psycopg.errors.UniqueViolation):
                    await pg.aio.insert(thing, {"id": 1})

        outcome, total = run_body(
            PerVUIterations(vus=12, iterations=1), async_body if body_kind == "async def" else body
        )
        assert [(kind.type, kind.count) for kind in outcome.failures] == [("InFailedSqlTransaction", 12)]
        assert total.select("pg_write_errors", {"op": "commit"}).total == 12

    def test_statements_whose_table_was_altered_are_prepared_anew(
        self, body_kind: str, pg: Postgres, source: Postgres, users: Callable[..., User], thing: str
    ) -> None:
        user = users(body_kind, vus=1 if pg.server._workers == 1 else 12)
        for _ in range(7):
            assert user.call(pg, "execute", f"SELECT * FROM {thing}") == [{"id": 1, "a": "one", "b": 1}]
        for column in ("c", "d"):
            source.execute(f"ALTER TABLE {thing} ADD {column} int")
            for _ in range(7):
                assert column in user.call(pg, "execute", f"SELECT * FROM {thing}")[0]
        assert user.measured.count("pg_read_errors") == 0


@pytest.mark.parametrize("workers", [25], ids=["pooled"])
@FACE
class TestWithoutASessionOfItsOwn:
    def test_a_question_about_the_session_is_refused_with_the_numbers_unless_it_is_kept(
        self, body_kind: str, pg: Postgres, users: Callable[..., User]
    ) -> None:
        user = users(body_kind, vus=12)
        with pytest.raises(ConfigError, match=r"12 VUs .* share \d+ connections \(max_connections \d+, 25 workers\)"):
            user.call(pg, "execute", "SELECT lastval()")
        user.call(pg, "execute", "BEGIN")
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState):  # the server's own: nothing was drawn
            user.call(pg, "execute", "SELECT lastval()")
        user.call(pg, "execute", "ROLLBACK")

    def test_where_none_comes_free_the_numbers_are_told(
        self, body_kind: str, pg: Postgres, users: Callable[..., User], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(protocol, "POOL_TIMEOUT_S", 0.1)
        pg.server.limit  # noqa: B018  # asked for
        pg.server._limit = 1

        def body() -> None:
            pg.execute("BEGIN")
            with suppress(threading.BrokenBarrierError):
                all_there.wait(0.5)

        async def async_body() -> None:
            await pg.aio.execute("BEGIN")
            await asyncio.sleep(0.5)

        all_there = threading.Barrier(2)
        outcome, _ = run_body(PerVUIterations(vus=2, iterations=1), async_body if body_kind == "async def" else body)
        refused = [kind for kind in outcome.failures if kind.type == "PostgresTimeoutError"]
        assert len(refused) == 1
        assert "2 VUs in this process share 1 connections" in refused[0].sample
