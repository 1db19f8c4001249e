"""Sinks that refuse change streams: what is waited for is looked up, and that is said."""

from __future__ import annotations

import re
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Queue

import pytest

from pytest_cdcperf.cdc import watch as module
from pytest_cdcperf.cdc.expect import Cdc
from pytest_cdcperf.cdc.watch import SinkWatch
from pytest_cdcperf.clients.mongo import Mongo
from pytest_cdcperf.clients.postgres import Postgres
from pytest_cdcperf.embedded.stack import EmbeddedStack
from pytest_cdcperf.load.closed import PerVUIterations
from tests.services.harness import Session, User, named, run_body, until
from tests.services.wire_relay import NOT_IMPLEMENTED, WireRelay, through, wire_relayed

REFUSALS = [
    NOT_IMPLEMENTED,
    (13, "Unauthorized", "not authorized on cdc_materialized to execute command { aggregate: ... }"),
    (136, "CappedPositionLost", "CollectionScan died due to position in capped collection being deleted"),
    (40573, "Location40573", "The $changeStream stage is only supported on replica sets"),
    (40324, "Location40324", "Unrecognized pipeline stage name: '$changeStream'"),
    (59, "CommandNotFound", "no such command: 'aggregate'"),
    (987654, "Unheard", "of"),
]


@pytest.fixture
def relay(shared_stack: EmbeddedStack) -> Iterator[WireRelay]:
    with wire_relayed(shared_stack.services.mongo) as relay:
        relay.refusal = NOT_IMPLEMENTED
        yield relay


@pytest.fixture
def lines() -> Queue[str]:
    """What was said."""
    return Queue()


@pytest.fixture
def cdc(
    relay: WireRelay, shared_stack: EmbeddedStack, lines: Queue[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Cdc]:
    """The pipeline through the relay; a waiting VU reads only when it is woken."""
    monkeypatch.setattr("pytest_cdcperf.cdc.arrival._READ_AGAIN_S", 3600.0)
    mongo = Mongo(through(relay, shared_stack.services.mongo))
    watch = SinkWatch(mongo, lambda _collection, line: lines.put(line))
    yield Cdc(mongo, watch)
    watch.close()
    mongo.close()


def wait_for_a_new_row(user: User, source: Postgres, cdc: Cdc) -> None:
    key = str(uuid.uuid4())
    user.waiting(cdc, "expect", lambda: source.insert("gadget", {"id": key}), "gadget", key, timeout="30s")


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: str(refusal[0]))
def test_whatever_refusal_it_meets_it_polls_and_says_so(
    users: Callable[..., User],
    source: Postgres,
    relay: WireRelay,
    cdc: Cdc,
    lines: Queue[str],
    refusal: tuple[int, str, str],
) -> None:
    relay.refusal = code, name, words = refusal
    wait_for_a_new_row(users("def"), source, cdc)
    why = f"the sink has no change stream for gadget ({name}, code {code}: {words.partition(' { ')[0]}): "
    assert lines.get(timeout=10).startswith(f"cdcperf: {why}what is waited for is looked up every ")
    (note,) = cdc.notes()
    assert re.fullmatch(
        re.escape(why) + r"arrivals were looked up every \S+ on average, \S+ at most, "
        r"so latencies of cdc_\* may be that much too long",
        note,
    )


def test_a_stream_that_opens_and_tells_nothing_is_refused_as_well(
    user: User, source: Postgres, relay: WireRelay, cdc: Cdc, lines: Queue[str]
) -> None:
    relay.refuses = lambda command: "getMore" in command
    wait_for_a_new_row(user, source, cdc)
    assert "NotImplemented, code 238" in lines.get(timeout=10)


def test_a_refused_stream_is_asked_for_again_and_told_by_from_then_on(
    user: User, source: Postgres, relay: WireRelay, cdc: Cdc, lines: Queue[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STREAM_AGAIN_S", 0.05)
    wait_for_a_new_row(user, source, cdc)
    assert until(lambda: relay.count()["aggregate"] > 3)
    relay.refusal = None
    assert until(lambda: relay.count()["getMore"])
    assert not cdc._watch.is_polled("gadget")
    wait_for_a_new_row(user, source, cdc)
    assert lines.qsize() == 1


def test_sixty_users_that_wait_share_one_poller(source: Postgres, cdc: Cdc) -> None:
    """More than are looked up one by one."""
    together = threading.Barrier(60, timeout=60)
    polling: set[threading.Thread] = set()

    def body() -> None:
        own = str(uuid.uuid4())
        with cdc.expect("gadget", own, timeout="60s"):
            together.wait()
            polling.update(thread for thread in threading.enumerate() if thread.name == "cdcperf-watch-poll")
            source.insert("gadget", {"id": own})

    before = {thread for thread in threading.enumerate() if thread.name == "cdcperf-watch-poll"}
    outcome, total = run_body(PerVUIterations(vus=60), body)
    assert outcome.failures == []
    assert total.select("cdc_creates").total == 60
    assert len(polling - before) == 1


def test_a_session_says_it_at_once_and_in_its_result(
    run: Callable[..., Session], shared_stack: EmbeddedStack, relay: WireRelay, tmp_path: Path
) -> None:
    (tmp_path / "test_it.py").write_text(
        """
import uuid
from pytest_cdcperf import perf

@perf(vus=2, iterations=6)
def test_it(pg, cdc):
    key = str(uuid.uuid4())
    with cdc.expect("gadget", key, pieces=1):
        pg.insert("gadget", {"id": key, "pieces": 1})
    with cdc.expect_gone("gadget", key):
        pg.delete("gadget", where={"id": key})
"""
    )
    services = named(shared_stack.services)
    services["MONGODB_URI"] = through(relay, shared_stack.services.mongo).uri
    session = run("test_it.py", "--perf-run", "--perf-stack=external", **services)
    assert session.code == 0
    said = "the sink has no change stream for gadget (NotImplemented, code 238"
    assert session.output.count(f"cdcperf: {said}") == 1
    assert session.output.count(f"\nnote      {said}") == 1
    (note,) = [note for note in session.result("test_it-test_it")["notes"] if said in note]
    assert "arrivals were looked up every " in note
