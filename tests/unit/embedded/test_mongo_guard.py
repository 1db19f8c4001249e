"""The guard before the sink's documents, around a recording fake of the handler behind it."""

from __future__ import annotations

from typing import Any, cast

import pytest

from pytest_cdcperf.embedded.mongo import GuardedHandler, Message, WaitingHandler, sink_uri

RIGHT = b"\0cdcperf\0secret"


class FakeInner:
    """Notes what gets to it."""

    def __init__(self) -> None:
        self.asked: list[Message] = []
        self.closed: list[object] = []

    def handle_command(self, message: Message) -> Any:
        self.asked.append(message)
        return message["request_id"], {"ok": 1}

    handle_insert = handle_command

    def handle_query(self, message: Message) -> Any:
        self.asked.append(message)
        return message["request_id"], [{"ok": 1}]

    def close_streams_for_connection(self, connection: object) -> None:
        self.closed.append(connection)


@pytest.fixture
def inner() -> FakeInner:
    return FakeInner()


@pytest.fixture
def guard(inner: FakeInner) -> GuardedHandler:
    return GuardedHandler(cast("WaitingHandler", inner), "secret")


def message(connection: str = "a", *more: tuple[str, Any], **body: Any) -> Message:
    return {"request_id": 5, "_conn_id": connection, "sections": [("body", body), *more], "query": body}


def login(payload: object = RIGHT, mechanism: str = "PLAIN") -> dict[str, Any]:
    return {"saslStart": 1, "mechanism": mechanism, "payload": payload, "$db": "$external"}


def test_a_stranger_gets_to_nothing(guard: GuardedHandler, inner: FakeInner) -> None:
    for command in ("find", "getMore", "listDatabases", "ping", "saslContinue"):
        assert guard.handle_command(message(**{command: 1}))[1]["code"] == 13
    assert guard.handle_insert(message(insert="orders", hello=1))[1]["code"] == 13
    assert guard.handle_query(message())[1][0]["code"] == 13
    assert inner.asked == []


def test_a_client_without_password_may_send_hello_only(guard: GuardedHandler, inner: FakeInner) -> None:
    drop = ("body", {"dropDatabase": 1, "$db": "shop"})
    guard.handle_command(message("a", drop, hello=1, find="orders", **{"$db": "shop"}))
    guard.handle_query(message(ismaster=1, **{"$query": {"find": "orders"}}))
    assert [asked["sections"] for asked in inner.asked] == [[("body", {"hello": 1, "$db": "admin"})]] * 2


@pytest.mark.parametrize(
    "wrong",
    [
        login(b"\0cdcperf\0wrong"),
        login(b"\0cdcperf\0"),
        login(b""),
        login("\0cdcperf\0secret"),
        login(None),
        login(mechanism="SCRAM-SHA-256"),
    ],
)
def test_a_wrong_password_is_refused(guard: GuardedHandler, inner: FakeInner, wrong: dict[str, Any]) -> None:
    assert guard.handle_command(message(**wrong))[1]["code"] == 18
    assert guard.handle_command(message(find="orders"))[1]["code"] == 13
    assert inner.asked == []


def test_the_password_lets_in_one_connection_until_it_is_closed(guard: GuardedHandler, inner: FakeInner) -> None:
    assert guard.handle_command(message("a", **login()))[1]["ok"] == 1
    assert guard.handle_command(message("a", find="orders"))[1] == {"ok": 1}
    assert guard.handle_insert(message("a", insert="orders"))[1] == {"ok": 1}
    assert guard.handle_query(message("a"))[1] == [{"ok": 1}]
    assert guard.handle_command(message("b", find="orders"))[1]["code"] == 13
    guard.close_streams_for_connection("a")
    assert inner.closed == ["a"]
    assert guard.handle_command(message("a", find="orders"))[1]["code"] == 13


def test_the_address_holds_the_password() -> None:
    assert sink_uri(5, "secret", "shop").startswith("mongodb://cdcperf:secret@127.0.0.1:5/shop?authMechanism=PLAIN&")
