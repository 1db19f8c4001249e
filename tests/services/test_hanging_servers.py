"""Servers that hang without closing anything: calls end by their limit, runs end in time, and nobody is left."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pymongo.errors
import pytest
import requests

from pytest_cdcperf.cdc.expect import Cdc
from pytest_cdcperf.clients.grpc.client import GrpcClient
from pytest_cdcperf.clients.http.client import HttpClient
from pytest_cdcperf.clients.http.requests_session import PerVUSession
from pytest_cdcperf.clients.mongo import Mongo
from pytest_cdcperf.clients.postgres import Postgres, PostgresTimeoutError, calls
from pytest_cdcperf.embedded.stack import EmbeddedStack
from pytest_cdcperf.engine import run as run_module
from pytest_cdcperf.engine.current_vu import acting_as
from pytest_cdcperf.engine.run import RunOutcome
from pytest_cdcperf.errors import ConfigError, ExpectationError, GrpcError, HttpTimeoutError, UnreachableError
from pytest_cdcperf.load.closed import ConstantVUs
from pytest_cdcperf.metrics.snapshot import Snapshot
from tests.services.harness import BODY_KINDS, ROOT, User, hanging, run_body, until
from tests_perf.services.launcher import Launched

LOAD = ConstantVUs(vus=3, duration="1s", graceful_stop="0s")


@pytest.fixture
def pg(shared_stack: EmbeddedStack) -> Iterator[Postgres]:
    client = Postgres(shared_stack.services.postgres)
    client.ping()
    yield client
    client.close()


@pytest.fixture
def mongo(shared_stack: EmbeddedStack) -> Iterator[Mongo]:
    client = Mongo(shared_stack.services.mongo)
    client.ping()
    yield client
    client.close()


def hanging_meanwhile(pid: int, body: Callable[[], Any], served: list[int]) -> tuple[RunOutcome, Snapshot, float]:
    """Run *body* with three users; the server *pid* hangs once they were *served*."""
    begin_s = time.monotonic()
    with ExitStack() as hangs, pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_module, "CANCEL_GRACE_S", 2.5)  # less than the drivers take to find out by themselves
        patch.setattr(run_module, "CONNECT_GRACE_S", 0.0)

        def hang() -> None:
            if until(lambda: len(served) >= 30, 20):
                hangs.enter_context(hanging(pid))

        thread = threading.Thread(target=hang)
        thread.start()
        outcome, total = run_body(LOAD, body)
        thread.join(30)
        return outcome, total, time.monotonic() - begin_s


class TestPostgres:
    def test_a_call_ends_by_its_limit_and_the_next_one_works(
        self, user: User, pg: Postgres, shared_stack: EmbeddedStack
    ) -> None:
        user.call(pg, "execute", "SELECT 1")
        words = "^pg, select: the server did not answer within 500ms; the connection is closed"
        with hanging(shared_stack.pids["postgres"]), pytest.raises(PostgresTimeoutError, match=words):
            user.call(pg, "execute", "SELECT 1", timeout="500ms")
        assert user.call(pg, "execute", "SELECT 2 AS two") == [{"two": 2}]
        assert user.measured.count("pg_read_errors", op="select") == 1
        assert user.measured.of("pg_read_duration", op="select").max >= 500

    def test_a_query_that_takes_longer_than_its_limit_is_ended_on_the_server_as_well(
        self, user: User, pg: Postgres, source: Postgres
    ) -> None:
        query = f"SELECT pg_sleep(60) /* limited, {user.is_async} */"
        with pytest.raises(PostgresTimeoutError):
            user.call(pg, "execute", query, timeout=0.3)
        active = "SELECT 1 FROM pg_stat_activity WHERE query = %s AND state = 'active'"
        assert until(lambda: not source.execute(active, (query,)))

    @pytest.mark.parametrize("timeout", [0, -1, "soon", True, 1e12])
    def test_a_limit_that_is_none_is_refused(self, user: User, pg: Postgres, timeout: Any) -> None:
        with pytest.raises(ConfigError, match=r"^pg, insert: timeout="):
            user.call(pg, "insert", "orders", {"id": 1}, timeout=timeout)

    def test_calls_without_a_limit_of_their_own_have_one(
        self, user: User, pg: Postgres, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(calls, "_DEFAULT_NS", 300_000_000)
        with pytest.raises(PostgresTimeoutError):
            user.call(pg, "execute", "SELECT pg_sleep(60)")

    @pytest.mark.parametrize("workers", [1, 60], ids=["own", "pooled"])
    @pytest.mark.parametrize("body_kind", BODY_KINDS)
    def test_users_are_cut_off_at_the_end_of_the_run(
        self, body_kind: str, workers: int, shared_stack: EmbeddedStack
    ) -> None:
        pg = Postgres(shared_stack.services.postgres, workers=workers)
        served: list[int] = []

        def body() -> None:
            pg.execute("SELECT 1")
            served.append(1)

        async def async_body() -> None:
            await pg.aio.execute("SELECT 1")
            served.append(1)

        called = async_body if body_kind == "async def" else body
        outcome, total, took_s = hanging_meanwhile(shared_stack.pids["postgres"], called, served)
        assert outcome.stuck == []
        assert outcome.interrupted == 3
        assert total.select("pg_read_errors") is None
        assert took_s < 5
        pg.close()

    def test_raw_use_is_cut_off_as_well(self, body_kind: str, pg: Postgres, shared_stack: EmbeddedStack) -> None:
        served: list[int] = []

        def body() -> None:
            with pg.connection() as connection:
                connection.execute("SELECT 1").fetchall()
            served.append(1)

        async def async_body() -> None:
            async with pg.aio.connection() as connection:
                await connection.execute("SELECT 1")
            served.append(1)

        called = async_body if body_kind == "async def" else body
        outcome, _, took_s = hanging_meanwhile(shared_stack.pids["postgres"], called, served)
        assert (outcome.stuck, outcome.interrupted, took_s < 5) == ([], 3, True)

    def test_users_that_connect_end_by_themselves(
        self, body_kind: str, pg: Postgres, shared_stack: EmbeddedStack
    ) -> None:
        pg.server.limit  # noqa: B018  # asked for once

        def body() -> None:
            pg.execute("SELECT 1")

        async def async_body() -> None:
            await pg.aio.execute("SELECT 1")

        with hanging(shared_stack.pids["postgres"]):
            outcome, _ = run_body(LOAD, async_body if body_kind == "async def" else body)
        assert outcome.stuck == []

    def test_a_tear_down_fails_at_once_where_the_server_still_hangs(
        self, pg: Postgres, shared_stack: EmbeddedStack
    ) -> None:
        pg.execute("SELECT 1")
        with hanging(shared_stack.pids["postgres"]):
            with pytest.raises(PostgresTimeoutError):
                pg.execute("SELECT 1", timeout="300ms")
            begin = time.monotonic()
            with pytest.raises(UnreachableError, match="timeout expired"):
                pg.execute("SELECT 1")
            assert time.monotonic() - begin < 10
        pg.execute("SELECT 1")
        pg.server.suspect()
        with hanging(shared_stack.pids["postgres"]), pytest.raises(UnreachableError, match="does not answer"):
            pg.execute("SELECT 1")
        pg.server.suspect()
        assert pg.execute("SELECT 3 AS three") == [{"three": 3}]


class TestMongo:
    def test_a_read_ends_by_its_limit_and_the_next_one_works(
        self, user: User, mongo: Mongo, shared_stack: EmbeddedStack
    ) -> None:
        user.call(mongo, "count", "none")
        with hanging(shared_stack.pids["mongo"]):
            for method, arguments in (("find_one", ("none", "1")), ("count", ("none",))):
                with pytest.raises(pymongo.errors.NetworkTimeout):
                    user.call(mongo, method, *arguments, timeout="500ms")
        assert user.call(mongo, "count", "none") == 0
        assert user.measured.count("mongo_read_errors", collection="none") == 2

    def test_a_limit_that_is_none_is_refused(self, user: User, mongo: Mongo) -> None:
        with pytest.raises(ConfigError, match=r"^mongo.find_one: timeout='never'"):
            user.call(mongo, "find_one", "none", "1", timeout="never")

    def test_users_are_cut_off_at_the_end_of_the_run(
        self, body_kind: str, mongo: Mongo, shared_stack: EmbeddedStack
    ) -> None:
        served: list[int] = []

        def body() -> None:
            mongo.count("none")
            served.append(1)

        async def async_body() -> None:
            await mongo.aio.count("none")
            served.append(1)

        called = async_body if body_kind == "async def" else body
        outcome, total, took_s = hanging_meanwhile(shared_stack.pids["mongo"], called, served)
        assert outcome.stuck == []
        assert outcome.interrupted == 3
        assert total.select("mongo_read_errors") is None
        assert took_s < 6

    def test_one_user_can_be_cut_off_and_the_others_read_on(self, mongo: Mongo, users: Callable[..., User]) -> None:
        first, second = users("def", 1), users("def", 2)
        cursors = []
        for user in (first, second):
            with acting_as(user.vu):
                cursors.append(mongo.database["none"].find_one({"_id": 1}))
        first.vu.own.cancel_all()
        assert second.call(mongo, "count", "none") == 0
        assert first.call(mongo, "count", "none") == 0

    def test_closing_does_not_wait_for_the_server(self, shared_stack: EmbeddedStack) -> None:
        mongo = Mongo(shared_stack.services.mongo)
        mongo.count("none")
        with hanging(shared_stack.pids["mongo"]):
            begin = time.monotonic()
            mongo.close()
            assert time.monotonic() - begin < 4


class TestExpect:
    def test_it_takes_as_long_as_it_may(self, user: User, pipeline: Cdc, shared_stack: EmbeddedStack) -> None:
        with pytest.raises(ExpectationError, match="the sink had no such document"):  # connected
            user.waiting(pipeline, "expect_gone", lambda: None, "none", "1")
        with hanging(shared_stack.pids["mongo"]):
            begin = time.monotonic()
            with pytest.raises(pymongo.errors.PyMongoError):
                user.waiting(pipeline, "expect", lambda: None, "none", "1", timeout="1s")
            took_s = time.monotonic() - begin
        assert 0.9 < took_s < 3


class TestHttp:
    @pytest.mark.parametrize("body_kind", [*BODY_KINDS, "requests"])
    def test_users_are_cut_off_at_the_end_of_the_run(self, body_kind: str, totalizer: Launched) -> None:
        url, client, session = f"{totalizer.address}/v1/results?sequence=1", HttpClient(), PerVUSession()
        served: list[int] = []

        def body() -> None:
            (session if body_kind == "requests" else client).get(url)
            served.append(1)

        async def async_body() -> None:
            await client.aio.get(url)
            served.append(1)

        called = async_body if body_kind == "async def" else body
        outcome, _, took_s = hanging_meanwhile(totalizer.pid, called, served)
        client.close()
        session.close()
        assert (outcome.stuck, outcome.interrupted, took_s < 5) == ([], 3, True)

    def test_a_call_ends_by_its_limit(self, totalizer: Launched, user: User) -> None:
        client = HttpClient().with_options(base_url=totalizer.address)
        with hanging(totalizer.pid), pytest.raises(HttpTimeoutError):
            user.call(client, "get", "/v1/results", timeout=0.3)
        client.close()

    def test_a_call_of_requests_ends_by_its_limit(self, totalizer: Launched, users: Callable[..., User]) -> None:
        session = PerVUSession()
        with hanging(totalizer.pid), acting_as(users("def").vu), pytest.raises(requests.Timeout):
            session.get(totalizer.address, timeout=0.3)
        session.close()


class TestGrpc:
    def test_users_are_cut_off_at_the_end_of_the_run(self, body_kind: str, adder: Launched) -> None:
        client = GrpcClient(ROOT).with_options(address=adder.address)
        service = (client.aio if body_kind == "async def" else client).service(
            "sum.SumNumbersService", proto="tests_perf/services/sum.proto"
        )
        served: list[int] = []

        def body() -> None:
            service.SumNumbers(x=1, y=2)
            served.append(1)

        async def async_body() -> None:
            await service.SumNumbers(x=1, y=2)
            served.append(1)

        called = async_body if body_kind == "async def" else body
        outcome, _, took_s = hanging_meanwhile(adder.pid, called, served)
        client.close()
        assert (outcome.stuck, outcome.interrupted, took_s < 5) == ([], 3, True)

    def test_a_call_ends_by_its_limit(self, adder: Launched) -> None:
        client = GrpcClient(ROOT).with_options(address=adder.address, timeout="300ms")
        service = client.service("sum.SumNumbersService", proto="tests_perf/services/sum.proto")
        with hanging(adder.pid), pytest.raises(GrpcError, match="DEADLINE_EXCEEDED"):
            service.SumNumbers(x=1, y=2)
        client.close()
