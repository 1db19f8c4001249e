"""An arrival is a change: on the real pipeline, by change streams and without them."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pytest_cdcperf.cdc.expect import Cdc
from pytest_cdcperf.cdc.watch import SinkWatch
from pytest_cdcperf.clients.mongo import Mongo
from pytest_cdcperf.clients.postgres import Postgres
from pytest_cdcperf.embedded.stack import EmbeddedStack
from pytest_cdcperf.errors import ExpectationError
from pytest_cdcperf.load.closed import PerVUIterations
from tests.services.harness import User, run_body, until
from tests.services.wire_relay import NOT_IMPLEMENTED, WireRelay, through, wire_relayed

ARRIVAL_TIMEOUT = "30s"


@pytest.fixture(scope="module")
def relay(shared_stack: EmbeddedStack) -> Iterator[WireRelay]:
    with wire_relayed(shared_stack.services.mongo) as relay:
        yield relay


@pytest.fixture(scope="module", params=["streamed", "polled"])
def cdc(request: pytest.FixtureRequest, relay: WireRelay, shared_stack: EmbeddedStack) -> Iterator[Cdc]:
    """The pipeline with a sink that has change streams, and with one that refuses them."""
    relay.refusal = NOT_IMPLEMENTED if request.param == "polled" else None
    mongo = Mongo(through(relay, shared_stack.services.mongo))
    watch = SinkWatch(mongo)
    cdc = Cdc(mongo, watch)
    cdc.polled = request.param == "polled"  # type: ignore[attr-defined]
    yield cdc
    watch.close()
    mongo.close()


@pytest.fixture
def key(source: Postgres, sink_client: Mongo) -> Iterator[str]:
    """The key of a gadget that is in the sink, with one piece."""
    own = str(uuid.uuid4())
    source.insert("gadget", {"id": own, "pieces": 1})
    assert until(lambda: sink_client.find_one("gadget", own))
    yield own
    source.delete("gadget", where={"id": own})


def set_pieces(pg: Postgres, key: str, pieces: int) -> Callable[[], object]:
    return lambda: pg.update("gadget", {"pieces": pieces}, where={"id": key})


def refused(user: User, *arguments: Any, **more: Any) -> str:
    """Return the words with which an expectation fails that nothing has arrived for."""
    with pytest.raises(ExpectationError) as failed:
        user.waiting(*arguments, **more)
    assert user.measured.hits("cdc_success_rate")[0] == 0
    return str(failed.value)


@pytest.mark.parametrize("operation", ["create", "update"])
def test_what_was_there_before_is_no_arrival_and_no_latency(user: User, cdc: Cdc, key: str, operation: str) -> None:
    more = {"pieces": 1, "operation": operation, "timeout": "300ms"}
    words = refused(user, cdc, "expect", lambda: None, "gadget", key, **more)
    assert "the sink still shows the state from before the block (pieces=1)" in words
    assert user.measured.count("cdc_e2e_latency") == user.measured.count("cdc_propagation") == 0
    assert key in cdc.notes()[-1]
    cdc.begin_run()


def test_an_update_of_no_row_is_no_arrival(user: User, source: Postgres, cdc: Cdc, key: str) -> None:
    nobody = str(uuid.uuid4())
    for pieces in (1, 2):  # what is there already, and what is not
        more = {"pieces": pieces, "operation": "update", "timeout": "300ms"}
        refused(user, cdc, "expect", set_pieces(source, nobody, pieces), "gadget", key, **more)


def test_the_end_of_a_row_is_its_change_as_well(user: User, cdc: Cdc, key: str) -> None:
    nobody = str(uuid.uuid4())
    block = lambda: None  # noqa: E731
    assert "the sink still had" in refused(user, cdc, "expect_gone", block, "gadget", key, timeout="300ms")
    words = refused(user, cdc, "expect_gone", block, "gadget", nobody, timeout="300ms")
    assert "the sink had no such document when the block was entered" in words


class TestStatementsThatFoundNoRow:
    """What an earlier statement changed may arrive meanwhile."""

    WORDS = "the block changed no row, so nothing can arrive: its UPDATE or DELETE found none"

    def test_they_fail_at_once(self, source: Postgres, cdc: Cdc, key: str) -> None:
        nobody = str(uuid.uuid4())

        def body() -> None:
            source.update("gadget", {"pieces": 2}, where={"id": key})
            with (
                pytest.raises(ExpectationError, match=self.WORDS),
                cdc.expect("gadget", key, pieces=2, operation="update"),
            ):
                source.update("gadget", {"pieces": 2}, where={"id": nobody})
            with pytest.raises(ExpectationError, match=self.WORDS), cdc.expect_gone("gadget", key):
                source.execute("DELETE FROM gadget WHERE id = %s", [nobody])

        outcome, total = run_body(PerVUIterations(), body)
        assert outcome.failures == []
        assert total.select("cdc_e2e_latency") is None

    def test_they_fail_at_once_in_async_bodies(self, source: Postgres, cdc: Cdc, key: str) -> None:
        nobody = str(uuid.uuid4())

        async def body() -> None:
            await source.aio.update("gadget", {"pieces": 2}, where={"id": key})
            with pytest.raises(ExpectationError, match=self.WORDS):
                async with cdc.aio.expect("gadget", key, pieces=2, operation="update"):
                    await source.aio.update("gadget", {"pieces": 2}, where={"id": nobody})
            with pytest.raises(ExpectationError, match=self.WORDS):
                async with cdc.aio.expect_gone("gadget", key):
                    await source.aio.execute("DELETE FROM gadget WHERE id = %s", [nobody])

        outcome, total = run_body(PerVUIterations(), body)
        assert outcome.failures == []
        assert total.select("cdc_e2e_latency") is None

    def test_another_statement_may_have_changed_the_row(self, source: Postgres, cdc: Cdc, key: str) -> None:
        nobody, other = str(uuid.uuid4()), str(uuid.uuid4())

        def body() -> None:
            with cdc.expect("gadget", other, timeout=ARRIVAL_TIMEOUT):
                if not source.update("gadget", {"pieces": 2}, where={"id": other}):
                    source.insert("gadget", {"id": other})
            with cdc.expect("gadget", key, pieces=2, operation="update", timeout=ARRIVAL_TIMEOUT):
                source.update("gadget", {"pieces": 2}, where={"id": nobody})
                with source.connection() as connection:
                    connection.execute("UPDATE gadget SET pieces = 2 WHERE id = %s", [key])

        assert run_body(PerVUIterations(), body)[0].failures == []


def test_a_document_written_just_before_is_no_arrival(
    user: User, sink_client: Mongo, cdc: Cdc, source: Postgres, key: str
) -> None:
    """Its event may come only after the block was entered."""
    documents = sink_client.database["gadget"]
    for round_ in range(10):
        documents.update_one({"_id": key}, {"$set": {"name": str(round_)}})
        more = {"name": str(round_), "operation": "update", "timeout": "60ms"}
        refused(user, cdc, "expect", lambda: None, "gadget", key, **more)


def test_a_write_that_changes_nothing_arrives_where_its_event_can_be_had(
    user: User, source: Postgres, cdc: Cdc, key: str
) -> None:
    more: dict[str, Any] = {"pieces": 1, "operation": "update"}
    if cdc.polled:  # type: ignore[attr-defined]
        words = refused(user, cdc, "expect", set_pieces(source, key, 1), "gadget", key, timeout="500ms", **more)
        assert "a write that changes nothing cannot be seen there" in words
        assert user.measured.count("cdc_e2e_latency") == 0
        return
    for _ in range(3):
        assert user.waiting(
            cdc, "expect", set_pieces(source, key, 1), "gadget", key, timeout=ARRIVAL_TIMEOUT, **more
        ).seen
    assert user.measured.count("cdc_e2e_latency") == 3


def test_a_change_of_another_field_is_an_arrival(user: User, source: Postgres, cdc: Cdc, key: str) -> None:
    block = lambda: source.update("gadget", {"name": "new", "pieces": 1}, where={"id": key})  # noqa: E731
    more = {"pieces": 1, "operation": "update", "timeout": ARRIVAL_TIMEOUT}
    assert user.waiting(cdc, "expect", block, "gadget", key, **more).document["name"] == "new"  # type: ignore[index]


def test_the_life_of_a_row_costs_two_reads_a_step(user: User, source: Postgres, cdc: Cdc, relay: WireRelay) -> None:
    own, more = str(uuid.uuid4()), {"timeout": ARRIVAL_TIMEOUT}
    user.waiting(cdc, "expect", lambda: source.insert("gadget", {"id": own, "pieces": 1}), "gadget", own, **more)
    user.waiting(cdc, "expect", set_pieces(source, own, 2), "gadget", own, pieces=2, operation="update", **more)
    user.waiting(cdc, "expect_gone", lambda: source.delete("gadget", where={"id": own}), "gadget", own, **more)
    assert user.measured.hits("cdc_success_rate") == (3, 3)
    if not cdc.polled:  # type: ignore[attr-defined]
        assert user.measured.count("mongo_read_duration") <= 7  # one more where a hint is early
