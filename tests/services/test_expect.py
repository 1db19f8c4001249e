"""Waiting for arrivals on the real pipeline, sync and async, with all that can come in between."""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import pytest

from pytest_cdcperf.cdc import arrival as module
from pytest_cdcperf.cdc.expect import Cdc
from pytest_cdcperf.cdc.watch import SinkWatch
from pytest_cdcperf.clients.mongo import Mongo
from pytest_cdcperf.clients.postgres import Postgres
from pytest_cdcperf.embedded.stack import EmbeddedStack
from pytest_cdcperf.errors import BlockingCallError, ConfigError, ExpectationError
from pytest_cdcperf.load.closed import PerVUIterations
from pytest_cdcperf.servers import MongoAddress
from tests.services.harness import Relay, User, relayed, run_body, until
from tests.services.wire_relay import NOT_IMPLEMENTED, through, wire_relayed

ARRIVAL_TIMEOUT = "30s"


@pytest.fixture
def key(source: Postgres) -> Iterator[str]:
    """The key of one gadget."""
    own = str(uuid.uuid4())
    yield own
    source.delete("gadget", where={"id": own})


@pytest.fixture
def notifications_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let arrivals be seen by the watcher's notifications only, not by reading again now and then."""
    monkeypatch.setattr(module, "_READ_AGAIN_S", 3600.0)


@pytest.fixture
def polled(shared_stack: EmbeddedStack) -> Iterator[Cdc]:
    """The pipeline with a sink that has no change streams."""

    sink = shared_stack.services.mongo
    with wire_relayed(sink) as relay:
        relay.refusal = NOT_IMPLEMENTED
        mongo = Mongo(through(relay, sink))
        watch = SinkWatch(mongo)
        yield Cdc(mongo, watch)
        watch.close()
        mongo.close()


def insert(pg: Postgres, key: str, **columns: object) -> Callable[[], object]:
    return lambda: pg.insert("gadget", {"id": key, **columns})


def update(pg: Postgres, key: str, **columns: object) -> Callable[[], object]:
    return lambda: pg.update("gadget", columns, where={"id": key})


def delete(pg: Postgres, key: str) -> Callable[[], object]:
    return lambda: pg.delete("gadget", where={"id": key})


class TestArrivals:
    def test_a_new_row_is_seen_with_its_fields_of_every_type(
        self, user: User, source: Postgres, pipeline: Cdc, key: str
    ) -> None:
        row: dict[str, Any] = {
            "id": uuid.UUID(key),
            "name": "Ünïcode 'quoted'",
            "pieces": 7,
            "price": Decimal("12.50"),
            "sold": False,
            "made": datetime(2026, 2, 3, 4, 5, 6, 789012, tzinfo=timezone(timedelta(hours=2))),
            "born": date(1999, 12, 31),
        }
        block = lambda: source.insert("gadget", row)  # noqa: E731
        arrival = user.waiting(pipeline, "expect", block, "gadget", key, row, timeout=ARRIVAL_TIMEOUT)
        assert arrival.document is not None
        assert arrival.document["_id"] == key
        assert arrival.document["price"] == "12.50"
        assert arrival.reads >= 1
        assert arrival.e2e_ms >= arrival.propagation_ms >= arrival.confirm_ms > 0

    def test_a_time_without_a_zone_is_seen(self, user: User, source: Postgres, pipeline: Cdc, key: str) -> None:
        seen = datetime(2026, 2, 3, 4, 5, 6, 789012)  # noqa: DTZ001
        user.waiting(pipeline, "expect", insert(source, key, seen=seen), "gadget", key, seen=seen, timeout="5s")

    def test_null_is_waited_for_like_a_value(self, user: User, source: Postgres, pipeline: Cdc, key: str) -> None:
        block = insert(source, key, name=None)
        user.waiting(pipeline, "expect", block, "gadget", key, name=None, sold=None, timeout=ARRIVAL_TIMEOUT)

    def test_an_update_waits_for_the_new_value(self, user: User, source: Postgres, pipeline: Cdc, key: str) -> None:
        user.waiting(
            pipeline, "expect", insert(source, key, pieces=1), "gadget", key, pieces=1, timeout=ARRIVAL_TIMEOUT
        )
        arrival = user.waiting(
            pipeline,
            "expect",
            update(source, key, pieces=2),
            "gadget",
            key,
            pieces=2,
            operation="update",
            timeout=ARRIVAL_TIMEOUT,
        )
        assert arrival.document is not None
        assert arrival.document["pieces"] == 2

    def test_a_row_that_was_there_before_is_not_taken_for_its_update(
        self, user: User, source: Postgres, pipeline: Cdc, key: str
    ) -> None:
        user.waiting(pipeline, "expect", insert(source, key, pieces=1), "gadget", key, timeout=ARRIVAL_TIMEOUT)
        with pytest.raises(ExpectationError, match="pieces=1 instead of 2"):
            user.waiting(pipeline, "expect", lambda: None, "gadget", key, pieces=2, timeout="100ms")

    def test_a_deleted_row_is_waited_for_until_it_is_gone(
        self, user: User, source: Postgres, sink_client: Mongo, pipeline: Cdc, key: str
    ) -> None:
        user.waiting(pipeline, "expect", insert(source, key), "gadget", key, timeout=ARRIVAL_TIMEOUT)
        arrival = user.waiting(pipeline, "expect_gone", delete(source, key), "gadget", key, timeout=ARRIVAL_TIMEOUT)
        assert arrival.document is None
        assert sink_client.find_one("gadget", key) is None

    def test_fifty_users_that_wait_at_once_all_see_theirs(self, source: Postgres, pipeline: Cdc) -> None:
        together = threading.Barrier(50, timeout=60)

        def body() -> None:
            own = str(uuid.uuid4())
            with pipeline.expect("gadget", own, name=own, timeout="60s"):
                together.wait()
                source.insert("gadget", {"id": own, "name": own})
            with pipeline.expect_gone("gadget", own, timeout="60s"):
                together.wait()
                source.delete("gadget", where={"id": own})

        outcome, total = run_body(PerVUIterations(vus=50), body)
        assert outcome.failures == []
        assert total.select("cdc_creates").total == total.select("cdc_deletes").total == 50
        rate = total.select("cdc_success_rate")
        assert (rate.hits, rate.total) == (100, 100)

    def test_fifty_tasks_that_wait_at_once_all_see_theirs(self, source: Postgres, pipeline: Cdc) -> None:
        async def body() -> None:
            own = str(uuid.uuid4())
            async with pipeline.aio.expect("gadget", own, name=own, timeout="60s"):
                await source.aio.insert("gadget", {"id": own, "name": own})
            async with pipeline.aio.expect_gone("gadget", own, timeout="60s"):
                await source.aio.delete("gadget", where={"id": own})

        outcome, total = run_body(PerVUIterations(vus=50), body)
        assert outcome.failures == []
        assert total.select("cdc_creates").total == total.select("cdc_deletes").total == 50


class TestMetrics:
    def test_a_success_is_one_sample_one_true_and_one_of_its_operation(
        self, user: User, source: Postgres, pipeline: Cdc, key: str
    ) -> None:
        expect = {"timeout": ARRIVAL_TIMEOUT}
        made = user.waiting(pipeline, "expect", insert(source, key, pieces=1), "gadget", key, **expect)
        for pieces in (2, 3):
            more = {"pieces": pieces, "operation": "update", **expect}
            user.waiting(pipeline, "expect", update(source, key, pieces=pieces), "gadget", key, **more)
        user.waiting(pipeline, "expect_gone", delete(source, key), "gadget", key, **expect)
        measured = user.measured
        counts = [measured.count(f"cdc_{operation}") for operation in ("creates", "updates", "deletes")]
        assert counts == [1, 2, 1]
        assert measured.count("cdc_e2e_latency") == measured.count("cdc_propagation") == 4
        assert measured.of("cdc_e2e_latency").max >= made.e2e_ms
        assert measured.hits("cdc_success_rate") == measured.hits("cdc_replication_success") == (4, 4)
        assert measured.hits("checks") == (4, 4)

    def test_a_timeout_is_a_sample_of_at_least_its_length_and_one_false(
        self, user: User, pipeline: Cdc, key: str
    ) -> None:
        with pytest.raises(ExpectationError):
            user.waiting(pipeline, "expect", lambda: None, "gadget", key, timeout="300ms")
        measured = user.measured
        for metric in ("cdc_e2e_latency", "cdc_propagation"):
            assert measured.count(metric) == 1
            assert measured.of(metric).min >= 300
        assert measured.hits("cdc_success_rate") == measured.hits("cdc_replication_success") == (0, 1)
        assert measured.hits("checks") == (0, 1)
        assert measured.count("cdc_creates") == 0

    def test_an_exception_in_the_block_is_one_false_and_goes_on(self, user: User, pipeline: Cdc, key: str) -> None:
        def fail() -> None:
            raise OSError("the write failed")

        with pytest.raises(OSError, match="the write failed"):
            user.waiting(pipeline, "expect", fail, "gadget", key)
        measured = user.measured
        assert measured.hits("cdc_success_rate") == (0, 1)
        assert measured.count("cdc_e2e_latency") == 0
        assert measured.count("mongo_read_duration") == 1  # before the block
        assert measured.count("cdc_creates") == 0


class TestTimeouts:
    def explained(self, user: User, cdc: Cdc, method: str, key: str, **more: Any) -> str:
        with pytest.raises(ExpectationError) as caught:
            user.waiting(cdc, method, lambda: None, "gadget", key, timeout="200ms", **more)
        assert isinstance(caught.value, AssertionError)
        message = str(caught.value)
        assert f"gadget _id={key!r}: not seen as expected within " in message
        assert "\n" not in message
        return message

    def test_nothing_there(self, user: User, pipeline: Cdc, key: str) -> None:
        assert "the sink had no document with this _id" in self.explained(user, pipeline, "expect", key)

    def test_other_values_there(self, user: User, source: Postgres, pipeline: Cdc, key: str) -> None:
        block = insert(source, key, pieces=1, name="a", price=Decimal("1.50"))
        user.waiting(pipeline, "expect", block, "gadget", key, timeout=ARRIVAL_TIMEOUT)
        wanted = {"name": "a", "pieces": 2, "price": Decimal("1.51"), "colour": "red"}
        words = self.explained(user, pipeline, "expect", key, **wanted)
        assert "pieces=1 instead of 2" in words
        assert "price='1.50' instead of Decimal('1.51')" in words
        assert "no field 'colour'" in words
        assert "name=" not in words

    def test_still_there(self, user: User, source: Postgres, pipeline: Cdc, key: str) -> None:
        user.waiting(pipeline, "expect", insert(source, key, name="stays"), "gadget", key, timeout=ARRIVAL_TIMEOUT)
        words = self.explained(user, pipeline, "expect_gone", key)
        assert "the sink still had" in words
        assert "'stays'" in words

    def test_a_boolean_is_not_taken_for_its_number(self, user: User, source: Postgres, pipeline: Cdc, key: str) -> None:
        block = insert(source, key, sold=True, pieces=1)
        user.waiting(pipeline, "expect", block, "gadget", key, sold=True, pieces=1, timeout=ARRIVAL_TIMEOUT)
        assert "sold=True instead of False" in self.explained(user, pipeline, "expect", key, sold=False)


class TestMisuse:
    def test_an_unknown_operation_is_refused_with_the_known_ones(self, pipeline: Cdc) -> None:
        for make in (pipeline.expect, pipeline.aio.expect):
            with pytest.raises(ConfigError, match="operation='created'; allowed: create, update, delete"):
                make("gadget", "1", operation="created")

    def test_the_sync_client_is_refused_in_an_async_body(self, pipeline: Cdc) -> None:
        async def body() -> None:
            with pipeline.expect("gadget", "1"):
                pass

        outcome, _ = run_body(PerVUIterations(), body)
        assert [kind.type for kind in outcome.failures] == [BlockingCallError.__name__]
        assert "async with cdc.aio.expect" in outcome.failures[0].sample


@pytest.mark.usefixtures("notifications_only")
class TestWatching:
    @pytest.fixture
    def relay(self, shared_stack: EmbeddedStack) -> Iterator[Relay]:
        port = urlsplit(shared_stack.services.mongo.uri).port
        assert port is not None
        with relayed(port) as relay:
            yield relay

    @pytest.fixture
    def relayed_pipeline(self, relay: Relay, shared_stack: EmbeddedStack) -> Iterator[Cdc]:
        uri = urlsplit(shared_stack.services.mongo.uri)
        there = uri._replace(netloc=uri.netloc.replace(f":{uri.port}", f":{relay.port}"))
        mongo = Mongo(MongoAddress(f"{there.geturl()}&directConnection=true"))
        watch = SinkWatch(mongo)
        yield Cdc(mongo, watch)
        watch.close()
        mongo.close()

    def test_notifications_alone_are_enough(self, user: User, source: Postgres, pipeline: Cdc, key: str) -> None:
        user.waiting(pipeline, "expect", insert(source, key, pieces=1), "gadget", key, timeout=ARRIVAL_TIMEOUT)
        more = {"pieces": 2, "operation": "update", "timeout": ARRIVAL_TIMEOUT}
        user.waiting(pipeline, "expect", update(source, key, pieces=2), "gadget", key, **more)
        user.waiting(pipeline, "expect_gone", delete(source, key), "gadget", key, timeout=ARRIVAL_TIMEOUT)

    def test_arrivals_are_seen_without_change_streams(
        self, user: User, source: Postgres, polled: Cdc, key: str
    ) -> None:
        user.waiting(polled, "expect", insert(source, key, pieces=1), "gadget", key, timeout=ARRIVAL_TIMEOUT)
        more = {"pieces": 2, "operation": "update", "timeout": ARRIVAL_TIMEOUT}
        user.waiting(polled, "expect", update(source, key, pieces=2), "gadget", key, **more)
        user.waiting(polled, "expect_gone", delete(source, key), "gadget", key, timeout=ARRIVAL_TIMEOUT)

    def test_arrivals_are_seen_after_the_stream_was_cut(
        self, user: User, source: Postgres, relay: Relay, relayed_pipeline: Cdc, key: str
    ) -> None:
        cdc = relayed_pipeline
        user.waiting(cdc, "expect", insert(source, key, pieces=0), "gadget", key, timeout=ARRIVAL_TIMEOUT)
        for pieces in range(1, 4):
            before = relay.accepted
            relay.cut()
            more = {"pieces": pieces, "operation": "update", "timeout": ARRIVAL_TIMEOUT}
            user.waiting(cdc, "expect", update(source, key, pieces=pieces), "gadget", key, **more)
            assert until(lambda before=before: relay.accepted > before)  # type: ignore[misc]

    def test_arrivals_are_seen_that_came_while_the_sink_could_not_be_reached(
        self, user: User, source: Postgres, relay: Relay, relayed_pipeline: Cdc, sink_client: Mongo, key: str
    ) -> None:
        def write_unseen() -> None:
            relay.refusing = True
            relay.cut()
            source.insert("gadget", {"id": key})
            assert until(lambda: sink_client.find_one("gadget", key))
            relay.refusing = False

        user.waiting(relayed_pipeline, "expect", write_unseen, "gadget", key, timeout=ARRIVAL_TIMEOUT)

    def test_a_waiter_whose_loop_is_closed_does_not_end_the_watching(
        self,
        source: Postgres,
        sink_client: Mongo,
        users: Callable[..., User],
        key: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        def find_nothing(_within_s: float) -> Iterator[None]:  # no client of a loop that is closed
            yield from ()

        watch = SinkWatch(sink_client)
        cdc = Cdc(sink_client, watch)
        left_behind = cdc.aio.expect("gadget", key)
        monkeypatch.setattr(left_behind, "_read", find_nothing)
        loop = asyncio.new_event_loop()
        loop.run_until_complete(left_behind.__aenter__())
        loop.close()
        user = users("def")
        user.waiting(cdc, "expect", insert(source, key, pieces=1), "gadget", key, timeout=ARRIVAL_TIMEOUT)
        more = {"pieces": 2, "operation": "update", "timeout": "10s"}
        user.waiting(cdc, "expect", update(source, key, pieces=2), "gadget", key, **more)
        watch.close()

    def test_a_closed_watch_ends_its_threads(
        self, source: Postgres, sink_client: Mongo, users: Callable[..., User], key: str
    ) -> None:
        def watching() -> set[threading.Thread]:
            return {thread for thread in threading.enumerate() if thread.name.startswith("cdcperf-watch-")}

        before = watching()
        watch = SinkWatch(sink_client)
        user = users("def")
        user.waiting(Cdc(sink_client, watch), "expect", insert(source, key), "gadget", key, timeout=ARRIVAL_TIMEOUT)
        own = watching() - before
        assert len(own) == 1
        watch.close()
        assert until(lambda: not any(thread.is_alive() for thread in own))
