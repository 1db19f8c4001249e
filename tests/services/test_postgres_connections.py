"""The connections that the PostgreSQL client uses, sync and async, and when they are closed."""

# ruff: noqa: S608 - the tables are our own

from __future__ import annotations

import re
import threading
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from pytest_cdcperf.clients.postgres import Postgres, protocol
from pytest_cdcperf.engine.current_vu import acting_as
from pytest_cdcperf.errors import UnreachableError
from pytest_cdcperf.load.closed import ConstantVUs, PerVUIterations
from pytest_cdcperf.servers import PostgresAddress
from tests.services.harness import BODY_KINDS, User, refused_port, run_body, until


def cut(pg: Postgres, pid: int) -> None:
    """End a backend as an administrator would, and wait until it is gone."""
    pg.execute("SELECT pg_terminate_backend(%s)", (pid,))
    assert until(lambda: not alive(pg, pid))


def alive(pg: Postgres, pid: int) -> bool:
    return bool(pg.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", (pid,)))


class TestConnections:
    def test_each_call_is_committed_at_once_and_a_failed_one_does_no_harm(
        self, user: User, source: Postgres, thing: str
    ) -> None:
        user.call(source, "insert", thing, {"id": 2})
        assert len(source.execute(f"SELECT * FROM {thing}")) == 2
        with pytest.raises(psycopg.errors.UniqueViolation):
            user.call(source, "insert", thing, {"id": 2})
        assert user.call(source, "insert", thing, {"id": 3}) == 1

    def test_a_user_keeps_one_connection_of_its_own_until_it_ends(
        self, body_kind: str, source: Postgres, users: Callable[..., User]
    ) -> None:
        first, second = users(body_kind, 1, vus=2), users(body_kind, 2, vus=2)
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
        assert user.measured.count("pg_write_duration", op="insert", ok="true") == 1
        assert user.measured.count("pg_write_duration", op="insert", ok="false") == 1

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

    def test_a_server_that_is_away_is_one_line_without_the_drivers_frames_which_hold_the_password(
        self, user: User
    ) -> None:
        pg = Postgres(PostgresAddress("127.0.0.1", refused_port(), "u", "d", "s3cr3t-of-pg"))
        pg.server._limit = 1  # which the server would have been asked for
        with pytest.raises(psycopg.OperationalError) as refused:
            user.call(pg, "insert", "thing", {"id": 1})
        assert isinstance(refused.value, UnreachableError)
        assert re.fullmatch(
            r"PostgreSQL at postgresql://u@127.0.0.1:\d+/d cannot be used: .*refused.*", str(refused.value)
        )
        assert refused.value.__suppress_context__
        assert "s3cr3t" not in "".join(traceback.format_exception(refused.value))
        assert not any("/psycopg/" in str(entry.path) for entry in refused.traceback)
        with pytest.raises(UnreachableError, match=r"^PostgreSQL at [^ ]* cannot be used: (?!PostgreSQL)"):
            pg.ping()

    def test_a_fixture_that_holds_the_raw_connection_does_not_stop_the_users(
        self, body_kind: str, shared_stack: Any, users: Callable[..., User]
    ) -> None:
        own = Postgres(shared_stack.services.postgres)
        user = users(body_kind)
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
        """A client that may open a few connections only, as in a run of many workers."""
        made = Postgres(shared_stack.services.postgres, workers=25)
        yield made
        made.close()

    @pytest.mark.parametrize("body_kind", BODY_KINDS)
    def test_users_beyond_the_limit_share_a_pool_and_their_wait_is_measured(
        self, body_kind: str, crowded: Postgres
    ) -> None:
        assert 1 <= crowded.server.limit <= 4
        seen: set[int] = set()
        query = "SELECT pg_backend_pid() AS pid, pg_sleep(0.01)::text"

        def body() -> None:
            seen.update(row["pid"] for row in crowded.execute(query))

        async def async_body() -> None:
            seen.update(row["pid"] for row in await crowded.aio.execute(query))

        load = PerVUIterations(vus=12, iterations=3)
        outcome, total = run_body(load, async_body if body_kind == "async def" else body)
        assert outcome.failures == []
        assert total.select("iterations").total == 36
        assert total.select("pg_pool_wait").count == total.select("pg_read_duration").count == 36
        assert len(seen) <= crowded.server.limit

    def test_a_cut_connection_of_the_pool_costs_one_call(
        self, body_kind: str, crowded: Postgres, source: Postgres, users: Callable[..., User]
    ) -> None:
        user = users(body_kind, vus=12)
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
        self, body_kind: str, crowded: Postgres, users: Callable[..., User], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(protocol, "POOL_TIMEOUT_S", 0.2)
        crowded.server._limit = 1
        user, other = users(body_kind, 1, vus=12), users("def", 2, vus=12)
        with acting_as(other.vu), crowded.connection():
            if body_kind == "async def":  # whose pool is another one
                monkeypatch.setattr(crowded.server, "arguments", lambda: {"host": "127.0.0.1", "port": refused_port()})
            with pytest.raises(psycopg.OperationalError):
                user.call(crowded, "insert", "lab.thing", {"id": 1})
        assert user.measured.count("pg_pool_wait") == 1
        assert user.measured.count("pg_write_errors", op="insert") == 1
        assert user.measured.count("pg_read_errors") == 0


class TestTheEndOfARun:
    @pytest.mark.parametrize("workers", [1, 60], ids=["own", "pooled"])
    @pytest.mark.parametrize("body_kind", BODY_KINDS)
    def test_users_stuck_in_a_query_are_cut_off_and_leave_no_trace(
        self, body_kind: str, workers: int, shared_stack: Any, source: Postgres
    ) -> None:
        pg = Postgres(shared_stack.services.postgres, workers=workers)
        query = f"SELECT pg_sleep(60) /* {body_kind} {workers} */"

        def body() -> None:
            pg.execute(query)

        async def async_body() -> None:
            await pg.aio.execute(query)

        load = ConstantVUs(vus=2, duration="500ms", graceful_stop="0s")
        outcome, total = run_body(load, async_body if body_kind == "async def" else body)
        pg.close()
        assert outcome.stuck_vus == []
        assert outcome.interrupted == 2
        assert total.select("iterations_interrupted").total == 2
        assert outcome.failures == []
        sleeping = "SELECT 1 FROM pg_stat_activity WHERE query = %s AND state = 'active'"
        assert until(lambda: not source.execute(sleeping, (query,)))
        # What cancelling made them raise is not an error of the server's.
        assert total.select("pg_read_errors") is None
        assert total.select("pg_read_duration") is None
