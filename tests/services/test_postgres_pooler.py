"""PostgreSQL behind PgBouncer, which gives each transaction another session."""

# ruff: noqa: S608 - the tables are our own

from __future__ import annotations

from collections.abc import Callable, Iterator

import psycopg
import pytest

from pytest_cdcperf.clients.postgres import Postgres
from pytest_cdcperf.engine.current_vu import current_vu
from pytest_cdcperf.errors import ConfigError
from pytest_cdcperf.load.closed import PerVUIterations
from pytest_cdcperf.servers import PostgresAddress, PostgresOptions
from tests.services.harness import User, run_body


@pytest.fixture
def behind(pooler: PostgresAddress) -> Iterator[Postgres]:
    pg = Postgres(pooler)
    yield pg
    pg.close()


def test_each_call_is_the_own_one(body_kind: str, behind: Postgres, thing: str) -> None:
    def number() -> int:
        return 1000 * current_vu().id + current_vu().iteration  # type: ignore[union-attr]

    def body() -> None:
        row = {"id": number()}
        behind.insert(thing, row)
        assert behind.execute(f"SELECT id FROM {thing} WHERE id = %s", (number(),)) == [row]
        with behind.transaction():
            assert behind.update(thing, {"b": 1}, where=row) == 1
            assert behind.delete(thing, where=row) == 1

    async def async_body() -> None:
        row = {"id": number()}
        await behind.aio.insert(thing, row)
        assert await behind.aio.execute(f"SELECT id FROM {thing} WHERE id = %s", (number(),)) == [row]
        async with behind.aio.transaction():
            assert await behind.aio.update(thing, {"b": 1}, where=row) == 1
            assert await behind.aio.delete(thing, where=row) == 1

    load = PerVUIterations(vus=12, iterations=10)
    outcome, _ = run_body(load, async_body if body_kind == "async def" else body)
    assert [kind.sample for kind in outcome.failures] == []


def test_it_is_told_and_what_would_stay_in_a_session_is_refused(
    behind: Postgres, body_kind: str, users: Callable[..., User]
) -> None:
    assert behind.ping().endswith("behind a connection pooler (statements are not prepared)")
    with pytest.raises(ConfigError, match=r"pg, set: .* pooler .* SET LOCAL"):
        users(body_kind).call(behind, "execute", "SET cdcperf.mine = 'yes'")
    assert users(body_kind).call(behind, "execute", "SET LOCAL cdcperf.mine = 'yes'") == []


def test_the_options_say_otherwise(pooler: PostgresAddress, users: Callable[..., User]) -> None:
    pg = Postgres(pooler, options=PostgresOptions(prepare_threshold=0, pool_mode="session"))
    with pytest.raises(psycopg.errors.DuplicatePreparedStatement):  # prepared by the first connection, met by another
        users("def").call(pg, "execute", "SET application_name = 'other'")
    pg.close()


def test_a_server_itself_is_none(source: Postgres) -> None:
    assert not source.server.has_pooler
    assert source.server.usage == ""
