"""Names of collections inside of nx-27017, and that clients never see them."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_cdcperf.embedded.collection_names import Message, RenamingHandler, Reply, inner_name, outer_name

names = st.sampled_from(["order", "Order", "a.b", "a b", "häuser", "x_files", "nxc_t", "nxx_61"]) | st.text(max_size=8)


class Recording:
    """Answers what it is told to, and keeps what it was asked."""

    def __init__(self, answer: dict[str, Any] | None = None) -> None:
        self.asked: Message = {}
        self.answer = answer or {}

    def handle_command(self, message: Message) -> Reply:
        self.asked = message
        return 1, self.answer

    handle_insert = handle_command


def asked(body: dict[str, Any]) -> dict[str, Any]:
    inner = Recording()
    RenamingHandler(inner).handle_command({"request_id": 1, "sections": [("body", body)]})  # type: ignore[arg-type]
    found: dict[str, Any] = inner.asked["sections"][0][1]
    return found


def answered(reply: dict[str, Any]) -> dict[str, Any]:
    request = {"request_id": 1, "sections": [("body", {"ping": 1})]}
    return RenamingHandler(Recording(reply)).handle_command(request)[1]  # type: ignore[arg-type]


@given(names, names)
def test_a_name_needs_no_quotes_and_comes_back_and_none_is_taken_for_another(one: str, other: str) -> None:
    assert re.fullmatch("[a-z0-9_]+", inner_name(one))
    assert outer_name(inner_name(one)) == one
    assert (inner_name(one) == inner_name(other)) == (one == other)


ORDER = inner_name("order")


def event(collection: str) -> dict[str, Any]:
    return {"operationType": "insert", "ns": {"db": "d", "coll": collection}}


@pytest.mark.parametrize(
    ("sent", "received"),
    [
        ({"find": "order", "filter": {"find": "order"}}, {"find": ORDER, "filter": {"find": "order"}}),
        ({"insert": "order", "$db": "d"}, {"insert": ORDER, "$db": "d"}),
        ({"getMore": 7, "collection": "order"}, {"getMore": 7, "collection": ORDER}),
        ({"distinct": "order", "key": "order"}, {"distinct": ORDER, "key": "order"}),
        ({"explain": {"find": "order"}}, {"explain": {"find": ORDER}}),
        ({"bulkWrite": 1, "nsInfo": [{"ns": "d.order"}]}, {"bulkWrite": 1, "nsInfo": [{"ns": f"d.{ORDER}"}]}),
        ({"renameCollection": "d.order", "to": "d.a.b"}, {"renameCollection": f"d.{ORDER}", "to": "d.nxx_612e62"}),
        ({"pipeline": [{"$unionWith": "order"}]}, {"pipeline": [{"$unionWith": ORDER}]}),
        (
            {"aggregate": "order", "pipeline": [{"$lookup": {"from": "order", "as": "order"}}, {"$match": {"a": 1}}]},
            {"aggregate": ORDER, "pipeline": [{"$lookup": {"from": ORDER, "as": "order"}}, {"$match": {"a": 1}}]},
        ),
        ({"ping": 1}, {"ping": 1}),
        ({"saslStart": 1, "mechanism": "PLAIN"}, {"saslStart": 1, "mechanism": "PLAIN"}),
    ],
)
def test_a_command_reaches_nx_with_inner_names(sent: dict[str, Any], received: dict[str, Any]) -> None:
    assert asked(sent) == received


def test_namespaces_beside_the_body_are_renamed() -> None:
    inner = Recording()
    sections = [("body", {"bulkWrite": 1}), ("payload", {"nsInfo": [{"ns": "d.order"}]}), ("payload_docs", [{"a": 1}])]
    RenamingHandler(inner).handle_command({"request_id": 1, "sections": sections})  # type: ignore[arg-type]
    payload, documents = inner.asked["sections"][1:]
    assert payload == ("payload", {"nsInfo": [{"ns": f"d.{ORDER}"}]})
    assert documents == sections[2]


@pytest.mark.parametrize(
    ("sent", "received"),
    [
        ({"cursor": {"ns": f"d.{ORDER}", "firstBatch": []}}, {"cursor": {"ns": "d.order", "firstBatch": []}}),
        (
            {"cursor": {"ns": "d.$cmd.listCollections", "firstBatch": [{"name": ORDER}, {"name": "plain"}]}},
            {"cursor": {"ns": "d.$cmd.listCollections", "firstBatch": [{"name": "order"}, {"name": "plain"}]}},
        ),
        (
            {"cursor": {"ns": "d.x", "nextBatch": [event(ORDER)]}},
            {"cursor": {"ns": "d.x", "nextBatch": [event("order")]}},
        ),
        ({"ok": 0, "errmsg": f"no such table: {ORDER}"}, {"ok": 0, "errmsg": "no such table: order"}),
        ({"writeErrors": [{"errmsg": f"in {ORDER}.id"}]}, {"writeErrors": [{"errmsg": "in order.id"}]}),
    ],
)
def test_an_answer_reaches_clients_with_their_names(sent: dict[str, Any], received: dict[str, Any]) -> None:
    assert answered(sent) == received
