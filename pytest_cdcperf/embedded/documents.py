"""Debezium's change events as writes to the sink: pure functions, no Java and no server."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from pymongo import DeleteMany, DeleteOne, ReplaceOne

from pytest_cdcperf.identity.elements import array_value
from pytest_cdcperf.identity.keys import stored_key

_SCHEMA = '{"schema":'
_PAYLOAD = ',"payload":'

Document = dict[str, Any]
Write = ReplaceOne[Document] | DeleteOne | DeleteMany

UNCHANGED = "__cdcperf_unchanged_toast__"
"""What Debezium puts in place of a large value that PostgreSQL did not send, because it did not change."""

_UNCHANGED_FORMS: tuple[object, ...] = (
    UNCHANGED,
    base64.b64encode(UNCHANGED.encode()).decode(),  # bytea
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
    position: int | None = None  # in the log; rows that one COPY wrote may share it


def read_change(key: str | None, value: str | None) -> Change | None:
    """Read one event as Debezium's JSON format gives it.

    Returns None for what is not a change of data: tombstones, heartbeats, transaction marks.
    """
    if value is None:
        return None
    event = json.loads(value)
    if event.get("op") not in ("c", "r", "u", "d", "t"):
        return None
    columns, types = _read_key(key)
    source, row = event["source"], event.get("after")
    return Change(source["table"], event["op"], _decoded(columns), _decoded(row), types, source.get("lsn"))


def write_for(change: Change, known: Document | None = None) -> Write:
    """Return the write that makes the sink show *change*. Applying it twice does no harm.

    A changed primary key comes as a delete and a create.

    :param known: the document that is there, from which the columns are taken that were not sent
    :raises ValueError: for a row without a key, which no document could be found by, and a column that is taken for
        an operator
    """
    if change.operation == "t":
        return DeleteMany({})
    document_id = id_of(change)
    if change.operation == "d":
        return DeleteOne({"_id": document_id})
    if any(column.startswith("$") for column in change.row or ()):
        raise ValueError("a column's name begins with $, which the sink takes for an operator; rename the column")
    document = {"_id": document_id, **(change.row or {})}
    for column in unsent_columns(change):
        del document[column]
        if known is not None and column in known:
            document[column] = known[column]
    return ReplaceOne({"_id": document_id}, {**document, "_id": document_id}, upsert=True)


def id_of(change: Change) -> str:
    """Return the ``_id`` of the document that shows the row of *change*.

    :raises ValueError: for a row without a key
    """
    if not change.key:
        raise ValueError("it has no primary key and no unique index on NOT NULL columns, and a document needs a key")
    return stored_key(change.key, change.types)


def unsent_columns(change: Change) -> list[str]:
    """Name the columns whose large values PostgreSQL did not send, because they did not change."""
    return [column for column, value in (change.row or {}).items() if value in _UNCHANGED_FORMS]


def _decoded(columns: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Return *columns* with the values that java/cdcperf/PostgresText.java has marked by a leading NUL."""
    if columns is None:
        return None
    return {
        column: _marked(value) if isinstance(value, str) and value.startswith("\0") else value
        for column, value in columns.items()
    }


def _marked(text: str) -> Any:
    _, element_type, literal = text.split("\0", 2) if len(text) > 1 else ("", "", "")
    return array_value(element_type, literal) if element_type else UNCHANGED


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
