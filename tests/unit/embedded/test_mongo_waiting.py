"""The getMore that waits, around a recording fake of nx-27017's handler."""

from __future__ import annotations

import threading
from typing import Any

from pytest_cdcperf.embedded.mongo import Message, Reply, WaitingHandler


class FakeStreams:
    def __init__(self) -> None:
        self.open = {1000}

    def get_stream(self, cursor: int) -> object | None:
        return cursor if cursor in self.open else None


class FakeInner:
    """Answers a getMore with what there is; counts how often it was asked."""

    def __init__(self) -> None:
        self._change_stream_manager = FakeStreams()
        self.databases: dict[str, object] = {}
        self.batch: list[dict[str, Any]] = []
        self.asked = threading.Semaphore(0)

    def handle_command(self, message: Message) -> Reply:
        self.asked.release()
        return message["request_id"], {"ok": 1, "cursor": {"nextBatch": self.batch}}

    def handle_insert(self, message: Message) -> Reply:
        message["sections"][0][1].pop("$db")
        return message["request_id"], {"ok": 1}


def command(**body: Any) -> Message:
    return {"request_id": 5, "sections": [("body", {"$db": "shop", **body})]}


def get_more(cursor: int = 1000, wait_ms: int = 5000) -> Message:
    return command(getMore=cursor, collection="orders", maxTimeMS=wait_ms)


def test_it_wakes_at_a_write_to_its_collection() -> None:
    inner = FakeInner()
    handler = WaitingHandler(inner)
    replies: list[Reply] = []
    waiter = threading.Thread(target=lambda: replies.append(handler.handle_command(get_more())))
    waiter.start()
    assert inner.asked.acquire(timeout=5)
    inner.batch = [{"_id": 1}]
    handler.handle_insert(command(insert="orders"))
    waiter.join(3)  # less than it would have waited
    assert replies == [(5, {"ok": 1, "cursor": {"nextBatch": [{"_id": 1}]}})]


def test_a_write_to_another_collection_does_not_wake_it() -> None:
    inner = FakeInner()
    handler = WaitingHandler(inner)
    waiter = threading.Thread(target=handler.handle_command, args=(get_more(wait_ms=300),))
    waiter.start()
    assert inner.asked.acquire(timeout=5)
    handler.handle_insert(command(insert="customers"))
    waiter.join(5)
    assert not inner.asked.acquire(blocking=False)


def test_it_answers_with_nothing_once_its_time_is_over() -> None:
    assert WaitingHandler(FakeInner()).handle_command(get_more(wait_ms=1))[1]["cursor"] == {"nextBatch": []}


def test_it_does_not_wait_when_there_is_something() -> None:
    inner = FakeInner()
    inner.batch = [{"_id": 1}]
    reply = WaitingHandler(inner).handle_command(get_more(wait_ms=10**9))
    assert reply[1]["cursor"]["nextBatch"] == [{"_id": 1}]


def test_a_stream_that_is_gone_is_said_to_be_so_that_drivers_resume() -> None:
    assert WaitingHandler(FakeInner()).handle_command(get_more(1001))[1]["code"] == 43


def test_the_cursor_of_a_find_never_waits() -> None:
    assert WaitingHandler(FakeInner()).handle_command(get_more(10**12 + 1, 10**9))[1]["ok"] == 1
