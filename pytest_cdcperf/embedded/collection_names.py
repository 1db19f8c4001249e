"""Collections of any name in nx-27017, which puts names into SQL without quotes and lets SQLite fold their case.

Inside of nx a collection has a name that needs no quotes: ``nxc_`` and its own where that is plain, else ``nxx_`` and
the hexadecimal digits of its own. Clients never see it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Protocol

from pytest_cdcperf.embedded.document_ids import (
    inner_document,
    inner_filter,
    outer_document,
    outer_id,
)

Message = dict[str, Any]
Reply = tuple[int, dict[str, Any]]

_PLAIN = re.compile(r"[a-z0-9_]+")
_GRIDFS = ("_files", "_chunks")  # for nx, the two collections of a bucket
_SEQUENCES = ("nsInfo", "documents", "updates", "deletes", "ops")
_NAMES_NO_COLLECTION = frozenset({"saslStart", "saslContinue", "renameCollection", "explain", "getMore"})


def inner_name(collection: str) -> str:
    """Return the name that *collection* has inside of nx."""
    if _PLAIN.fullmatch(collection) and not collection.endswith(_GRIDFS):
        return f"nxc_{collection}"
    return f"nxx_{collection.encode().hex()}"


def outer_name(inner: str) -> str:
    """Return the name of the collection that nx calls *inner*."""
    if inner.startswith("nxc_"):
        return inner.removeprefix("nxc_")
    if not inner.startswith("nxx_"):
        return inner  # nx's own
    return bytes.fromhex(inner.removeprefix("nxx_")).decode()


class Handler(Protocol):
    """The interface of a handler of requests that nx's connection loop calls."""

    def increment_connections(self) -> None:
        """Note that a client has come."""

    def decrement_connections(self) -> None:
        """Note that a client has gone."""

    def close_streams_for_connection(self, connection: object) -> None:
        """Drop what a client has left open that is gone."""

    def handle_query(self, message: Message) -> tuple[int, list[dict[str, Any]]]:
        """Answer the legacy OP_QUERY."""

    def handle_insert(self, message: Message) -> Reply:
        """Insert."""

    def handle_command(self, message: Message) -> Reply:
        """Answer any command but insert."""


class RenamingHandler:
    """Gives *inner* names of collections that it can carry, and clients those that they know."""

    def __init__(self, inner: Handler) -> None:
        self._inner = inner

    def increment_connections(self) -> None:
        """Note that a client has come."""
        self._inner.increment_connections()

    def decrement_connections(self) -> None:
        """Note that a client has gone."""
        self._inner.decrement_connections()

    def close_streams_for_connection(self, connection: object) -> None:
        """Drop what a client has left open that is gone."""
        self._inner.close_streams_for_connection(connection)

    def handle_query(self, message: Message) -> tuple[int, list[dict[str, Any]]]:
        """Answer the legacy OP_QUERY."""
        collection = message.get("collection") or ""
        if collection and not collection.endswith("$cmd"):
            message = {**message, "collection": inner_name(collection)}
        return self._inner.handle_query(message)

    def handle_insert(self, message: Message) -> Reply:
        """Insert."""
        return _outward(self._inner.handle_insert(_inward(message)))

    def handle_command(self, message: Message) -> Reply:
        """Answer any command but insert."""
        return _outward(self._inner.handle_command(_inward(message)))


def _inward(message: Message) -> Message:
    return {**message, "sections": [(kind, _section(kind, section)) for kind, section in message["sections"]]}


def _section(kind: str, section: Any) -> Any:
    if kind == "body":
        return _command(section)
    if kind == "payload_docs":
        return [inner_document(document) for document in section]
    return _sequences(section) if isinstance(section, dict) else section


def _sequences(named: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a command brings along in lists: documents to insert, and the steps of other writes."""
    changed = dict(named)
    if "nsInfo" in named:
        changed["nsInfo"] = [_namespace_info(info) for info in named["nsInfo"]]
    if isinstance(named.get("documents"), list):
        changed["documents"] = [inner_document(document) for document in named["documents"]]
    for name in ("updates", "deletes", "ops"):
        if isinstance(named.get(name), list):
            changed[name] = [_write(step) for step in named[name]]
    return changed


def _write(step: Mapping[str, Any]) -> dict[str, Any]:
    changed = dict(step)
    for name in ("q", "filter"):
        if name in step:
            changed[name] = inner_filter(step[name])
    for name in ("u", "updateMods", "document"):
        if name in step:
            changed[name] = inner_document(step[name])
    return changed


def _command(body: Mapping[str, Any]) -> dict[str, Any]:
    changed = dict(body)
    name = next(iter(body), "")
    if isinstance(body.get(name), str) and name not in _NAMES_NO_COLLECTION:
        changed[name] = inner_name(body[name])
    if name == "getMore" and isinstance(body.get("collection"), str):
        changed["collection"] = inner_name(body["collection"])
    if name == "renameCollection":
        changed.update({word: _namespace(body[word]) for word in ("renameCollection", "to") if word in body})
    if name == "explain" and isinstance(body["explain"], Mapping):
        changed["explain"] = _command(body["explain"])
    changed.update(_sequences({name: body[name] for name in _SEQUENCES if name in body}))
    changed.update({name: inner_filter(body[name]) for name in ("filter", "query") if name in body})
    if "update" in body and name.lower() == "findandmodify":
        changed["update"] = inner_document(body["update"])
    if isinstance(body.get("pipeline"), list):
        changed["pipeline"] = _stages(body["pipeline"])
    return changed


def _stages(stages: Any) -> Any:
    """Rename the collections that stages of a pipeline read from or write to."""
    if not isinstance(stages, list):
        return stages
    return [
        {name: _stage(name, how) for name, how in stage.items()} if isinstance(stage, Mapping) else stage
        for stage in stages
    ]


def _stage(name: str, how: Any) -> Any:
    if name == "$match":
        return inner_filter(how)
    if name in {"$out", "$unionWith", "$merge"} and isinstance(how, str):
        return inner_name(how)
    if name == "$facet" and isinstance(how, Mapping):
        return {facet: _stages(stages) for facet, stages in how.items()}
    if name not in {"$lookup", "$graphLookup", "$unionWith", "$out", "$merge"} or not isinstance(how, Mapping):
        return how
    named = {word: inner_name(how[word]) for word in ("from", "coll", "into") if isinstance(how.get(word), str)}
    return {**how, **named, **({"pipeline": _stages(how["pipeline"])} if "pipeline" in how else {})}


def _namespace(namespace: str) -> str:
    database, dot, collection = namespace.partition(".")
    return f"{database}{dot}{inner_name(collection)}"


def _namespace_info(info: Mapping[str, Any]) -> dict[str, Any]:
    return {**info, "ns": _namespace(info["ns"])}


def _outward(reply: Reply) -> Reply:
    request, body = reply
    for error in (body, *body.get("writeErrors", ())):
        if isinstance(error.get("errmsg"), str):
            error["errmsg"] = _INNER.sub(lambda match: outer_name(match.group()), error["errmsg"])
    body = {**body, **_found(body)}
    cursor = body.get("cursor")
    if not isinstance(cursor, dict):
        return request, body
    database, dot, collection = str(cursor.get("ns", "")).partition(".")
    if collection == "$cmd.listCollections":
        batch = [{**entry, "name": outer_name(entry["name"])} for entry in cursor["firstBatch"]]
        return request, {**body, "cursor": {**cursor, "firstBatch": batch}}
    shown = {**cursor, "ns": f"{database}{dot}{outer_name(collection)}"} if collection else dict(cursor)
    for name in ("firstBatch", "nextBatch"):
        if name in cursor:
            shown[name] = [_event(outer_document(document)) for document in cursor[name]]
    return request, {**body, "cursor": shown}


def _found(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an answer without a cursor shows of documents."""
    shown: dict[str, Any] = {}
    if isinstance(body.get("upserted"), list):
        shown["upserted"] = [{**one, "_id": outer_id(one.get("_id"))} for one in body["upserted"]]
    if isinstance(body.get("value"), dict):
        shown["value"] = outer_document(body["value"])
    if isinstance(body.get("values"), list):
        shown["values"] = [outer_id(value) for value in body["values"]]
    return shown


_INNER = re.compile(r"\b(?:nxc_[a-z0-9_]+|nxx_(?:[0-9a-f]{2})+)\b")


def _event(document: dict[str, Any]) -> dict[str, Any]:
    namespace = document.get("ns")
    if "operationType" not in document or not isinstance(namespace, dict) or "coll" not in namespace:
        return document
    return {**document, "ns": {**namespace, "coll": outer_name(namespace["coll"])}}
