"""Debezium's change events as writes to the sink: pure functions, no Java and no server."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from pymongo import DeleteMany, DeleteOne, ReplaceOne, UpdateOne

from pytest_cdcperf.identity.keys import stored_key

_SCHEMA = '{"schema":'
_PAYLOAD = ',"payload":'

Document = dict[str, Any]
Write = ReplaceOne[Document] | UpdateOne | DeleteOne | DeleteMany

UNCHANGED = "__cdcperf_unchanged_toast__"
"""What Debezium puts in place of a large value that PostgreSQL did not send, because nobody changed it."""

_UNCHANGED_FORMS: tuple[object, ...] = (
    UNCHANGED,
    base64.b64encode(UNCHANGED.encode()).decode(),  # bytea
    [UNCHANGED],  # arrays of text, numeric, uuid, times
    list(UNCHANGED.encode()),  # arrays of integers
    {UNCHANGED: UNCHANGED},  # hstore
)


@dataclass(frozen=True)
class Change:
    """One change of one row, or of a whole table where *operation* is ``t``."""

    table: str
    operation: str
    key: Mapping[str, Any] | None
    row: Mapping[str, Any] | None
    types: Mapping[str, str] = field(default_factory=dict)  # Debezium's names of the key's columns' types


def read_change(key: str | None, value: str | None) -> Change | None:
    """Read one event as Debezium's JSON format gives it.

    Returns None for what is no change of data: tombstones, heartbeats, transaction marks.
    """
    if value is None:
        return None
    event = json.loads(value)
    if event.get("op") not in ("c", "r", "u", "d", "t"):
        return None
    columns, types = _read_key(key)
    return Change(
        table=event["source"]["table"], operation=event["op"], key=columns, row=event.get("after"), types=types
    )


def write_for(change: Change) -> Write:
    """Return the write that makes the sink show *change*. Applying it twice does no harm.

    A changed primary key comes as a delete and a create. Large values that PostgreSQL did not send with it
    are missing from the new document: REPLICA IDENTITY FULL on such a table has them sent.

    :raises ValueError: for a table without a primary key, which no document could be found by
    """
    if change.operation == "t":
        return DeleteMany({})
    if not change.key:
        raise ValueError(
            f"table {change.table!r} has no primary key; the sink needs one for _id: add one to the schema"
        )
    document_id = stored_key(change.key, change.types)
    if change.operation == "d":
        return DeleteOne({"_id": document_id})
    row = change.row or {}
    sent = {column: value for column, value in row.items() if value not in _UNCHANGED_FORMS}
    if len(sent) == len(row):
        return ReplaceOne({"_id": document_id}, {**sent, "_id": document_id}, upsert=True)
    return UpdateOne({"_id": document_id}, {"$set": sent}, upsert=True)


def writes_by_collection(changes: Iterable[Change], collections: Mapping[str, str]) -> dict[str, list[Write]]:
    """Group the writes for *changes* by collection, each group in the order of the changes.

    A table that *collections* does not name goes to a collection of its own name.
    """
    writes: dict[str, list[Write]] = {}
    for change in changes:
        collection = collections.get(change.table, change.table)
        writes.setdefault(collection, []).append(write_for(change))
    return writes


def _read_key(key: str | None) -> tuple[Mapping[str, Any] | None, Mapping[str, str]]:
    """Return the key's columns, and their types where it comes with its schema: ``{"schema":...,"payload":...}``."""
    if key is None:
        return None, {}
    schema, separator, payload = key.partition(_PAYLOAD)
    if not separator or not schema.startswith(_SCHEMA):
        return json.loads(key), {}
    return json.loads(payload[:-1]), _column_types(schema[len(_SCHEMA) :])


@lru_cache(maxsize=4096)
def _column_types(schema: str) -> Mapping[str, str]:
    return {column["field"]: column.get("name", "") for column in json.loads(schema)["fields"]}
