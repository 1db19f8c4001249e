"""Change events as writes, from the JSON that Debezium gives."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from pymongo import DeleteMany, DeleteOne, ReplaceOne

from pytest_cdcperf.embedded.documents import UNCHANGED, Change, read_change, unsent_columns, write_for


def event(op: str, **fields: Any) -> str:
    return json.dumps({"op": op, "source": {"table": "customer", "lsn": 77}, **fields})


def test_what_is_no_change_of_data_is_passed_over() -> None:
    assert read_change('{"id": 1}', None) is None
    assert read_change(None, json.dumps({"ts_ms": 1})) is None
    assert read_change(None, event("m")) is None


def test_a_change_is_read_with_its_key_and_its_new_row() -> None:
    assert read_change('{"id": 1}', event("u", before=None, after={"id": 1, "n": 2})) == Change(
        "customer", "u", {"id": 1}, {"id": 1, "n": 2}, position=77
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
        ({"order": "a:b", "position": "c"}, "a\\:b:c"),
    ],
)
def test_the_id_is_the_key_as_a_string(key: dict[str, object], document_id: str) -> None:
    assert write_for(Change("t", "d", key, None)) == DeleteOne({"_id": document_id})


@pytest.mark.parametrize(
    "unsent",
    [
        UNCHANGED,
        base64.b64encode(UNCHANGED.encode()).decode(),
        {UNCHANGED: UNCHANGED},
    ],
)
def test_a_value_that_was_not_sent_is_taken_from_the_document_that_is_there(unsent: object) -> None:
    change = Change("t", "u", {"id": 1}, {"id": 1, "n": 2, "large": unsent})
    assert unsent_columns(change) == ["large"]
    for known, kept in [({"n": 1, "large": "L", "dropped": 0}, {"large": "L"}), ({"n": 1}, {}), (None, {})]:
        document = {"_id": "1", "id": 1, "n": 2, **kept}
        assert write_for(change, known) == ReplaceOne({"_id": "1"}, document, upsert=True)


def test_truncate_deletes_all() -> None:
    assert write_for(Change("t", "t", None, None)) == DeleteMany({})


@pytest.mark.parametrize("operation", ["c", "u", "d"])
@pytest.mark.parametrize("key", [None, {}])
def test_a_row_without_a_key_is_refused(operation: str, key: dict[str, object] | None) -> None:
    with pytest.raises(ValueError, match="no primary key and no unique index"):
        write_for(Change("keyless", operation, key, {"n": 1}))


def test_a_column_that_would_be_an_operator_is_refused() -> None:
    with pytest.raises(ValueError, match=r"begins with \$"):
        write_for(Change("t", "c", {"id": 1}, {"id": 1, "$set": 2}))


def test_a_key_comes_with_the_names_of_its_types_where_it_has_its_schema() -> None:
    columns = [{"type": "string", "name": "numeric", "field": "payload"}, {"type": "int32", "field": "n"}]
    key = json.dumps(
        {"schema": {"type": "struct", "fields": columns}, "payload": {"payload": "1.50", "n": 2}}, separators=(",", ":")
    )
    change = read_change(key, event("c", after={"n": 2}))
    assert change is not None
    assert change.key == {"payload": "1.50", "n": 2}
    assert change.types == {"payload": "numeric", "n": ""}
    assert write_for(change) == ReplaceOne({"_id": "1.5:2"}, {"_id": "1.5:2", "n": 2}, upsert=True)
