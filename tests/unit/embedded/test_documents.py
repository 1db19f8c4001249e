"""Change events as writes, from the JSON that Debezium gives."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from pymongo import DeleteMany, DeleteOne, ReplaceOne, UpdateOne

from pytest_cdcperf.embedded.documents import UNCHANGED, Change, read_change, write_for, writes_by_collection


def event(op: str, **fields: Any) -> str:
    return json.dumps({"op": op, "source": {"table": "customer"}, **fields})


def test_what_is_no_change_of_data_is_passed_over() -> None:
    assert read_change('{"id": 1}', None) is None
    assert read_change(None, json.dumps({"ts_ms": 1})) is None
    assert read_change(None, event("m")) is None


def test_a_change_is_read_with_its_key_and_its_new_row() -> None:
    assert read_change('{"id": 1}', event("u", before=None, after={"id": 1, "n": 2})) == Change(
        "customer", "u", {"id": 1}, {"id": 1, "n": 2}
    )


@pytest.mark.parametrize("operation", ["c", "r", "u"])
def test_a_whole_row_replaces_the_document(operation: str) -> None:
    change = Change("t", operation, {"id": 7}, {"id": 7, "n": None})
    assert write_for(change) == ReplaceOne({"_id": "7"}, {"id": 7, "n": None, "_id": "7"}, upsert=True)


@pytest.mark.parametrize(
    ("key", "document_id"),
    [
        ({"id": "a-b"}, "a-b"),
        ({"id": 7}, "7"),
        ({"id": True}, "true"),
        ({"order": 1, "position": "x"}, "1:x"),
    ],
)
def test_the_id_is_the_key_as_a_string(key: dict[str, object], document_id: str) -> None:
    assert write_for(Change("t", "d", key, None)) == DeleteOne({"_id": document_id})


@pytest.mark.parametrize(
    "unsent",
    [
        UNCHANGED,
        base64.b64encode(UNCHANGED.encode()).decode(),
        [UNCHANGED],
        list(UNCHANGED.encode()),
        {UNCHANGED: UNCHANGED},
    ],
)
def test_a_value_that_was_not_sent_is_left_alone(unsent: object) -> None:
    change = Change("t", "u", {"id": 1}, {"id": 1, "n": 2, "large": unsent})
    assert write_for(change) == UpdateOne({"_id": "1"}, {"$set": {"id": 1, "n": 2}}, upsert=True)


def test_truncate_deletes_all() -> None:
    assert write_for(Change("t", "t", None, None)) == DeleteMany({})


@pytest.mark.parametrize("operation", ["c", "u", "d"])
def test_a_row_without_a_key_is_refused_by_the_name_of_its_table(operation: str) -> None:
    with pytest.raises(ValueError, match="table 'keyless' has no primary key"):
        write_for(Change("keyless", operation, None, {"n": 1}))


def test_writes_keep_their_order_within_a_collection() -> None:
    changes = [
        Change("customer", "c", {"id": 1}, {"id": 1}),
        Change("visit", "c", {"id": 9}, {"id": 9}),
        Change("customer", "d", {"id": 1}, None),
    ]
    assert writes_by_collection(changes, {"customer": "customers"}) == {
        "customers": [ReplaceOne({"_id": "1"}, {"id": 1, "_id": "1"}, upsert=True), DeleteOne({"_id": "1"})],
        "visit": [ReplaceOne({"_id": "9"}, {"id": 9, "_id": "9"}, upsert=True)],
    }
