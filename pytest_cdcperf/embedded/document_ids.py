"""``_id`` compared by type, as MongoDB does: inside of nx-27017 5 and "5" are one, and "2026-01-02Z" is never found.

Inside of nx an ``_id`` that is text, a number or a truth value is a text that begins with its type, in an order that
keeps theirs. Clients never see it. ObjectIds and whatever else is left to nx.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from typing import Any

_MARK = "\x01"  # no text of ours begins with it
_NUMBER, _TEXT, _TRUTH = "n", "s", "t"  # in MongoDB's order
_OFFSET = 1 << 63
_SIGN, _ALL_BITS = 1 << 63, (1 << 64) - 1
_COMPARING = frozenset({"$eq", "$ne", "$gt", "$gte", "$lt", "$lte"})
_ENDS = {"$gt": 1, "$gte": 1, "$lt": 0, "$lte": 0}
_OPPOSITE = {"$gt": ("$lt", "$lte"), "$gte": ("$lt", "$lte"), "$lt": ("$gte", "$gt"), "$lte": ("$gte", "$gt")}
_GROUPS = frozenset({"$and", "$or", "$nor"})


def inner_id(value: Any) -> Any:
    """Return what *value* is as an ``_id`` inside of nx."""
    if isinstance(value, bool):
        return f"{_MARK}{_TRUTH}{int(value)}"
    if isinstance(value, str):
        return f"{_MARK}{_TEXT}{value}"
    if isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        whole = math.floor(value)
        return f"{_MARK}{_NUMBER}{whole + _OFFSET:020}" + ("" if whole == value else f".{_ordered(float(value)):020}")
    return value


def outer_id(value: Any) -> Any:
    """Return the ``_id`` that is *value* inside of nx. A number without a fraction comes back as an int."""
    if not isinstance(value, str) or not value.startswith(_MARK):
        return value
    kind, text = value[1:2], value[2:]
    if kind == _TEXT:
        return text
    if kind == _TRUTH:
        return text == "1"
    whole, _, fraction = text.partition(".")
    return _float(int(fraction)) if fraction else int(whole) - _OFFSET


def _ordered(value: float) -> int:
    """Return the bits of *value*, turned so that they are in its order (IEEE 754, 5.10)."""
    (bits,) = struct.unpack(">Q", struct.pack(">d", value))
    return int(~bits & _ALL_BITS if bits & _SIGN else bits | _SIGN)


def _float(ordered: int) -> float:
    bits = ordered & ~_SIGN if ordered & _SIGN else ~ordered & _ALL_BITS
    (value,) = struct.unpack(">d", struct.pack(">Q", bits))
    return float(value)


def inner_document(document: Any) -> Any:
    """Return *document* as nx keeps it."""
    if not isinstance(document, Mapping) or "_id" not in document:
        return document
    return {**document, "_id": inner_id(document["_id"])}


def inner_filter(query: Any) -> Any:
    """Return a filter as nx has to read it."""
    if not isinstance(query, Mapping):
        return query
    return {name: _condition(name, condition) for name, condition in query.items()}


def _condition(name: str, condition: Any) -> Any:
    if name in _GROUPS and isinstance(condition, list):
        return [inner_filter(query) for query in condition]
    return _comparison(condition) if name == "_id" else condition


def _comparison(condition: Any) -> Any:
    if not isinstance(condition, Mapping) or not any(str(name).startswith("$") for name in condition):
        return inner_id(condition)
    compared: dict[str, Any] = {}
    for name, value in condition.items():
        if name == "$not":
            compared[name] = _comparison(value)
        elif name == "$regex" and isinstance(value, str):
            compared[name] = f"^{_MARK}{_TEXT}{value[1:]}" if value.startswith("^") else value
        elif isinstance(value, list):
            compared[name] = [inner_id(one) for one in value]
        else:
            compared[name] = inner_id(value) if name in _COMPARING else value
    for name, beyond in _ENDS.items():  # what is greater or less than a text is a text
        limit = compared.get(name)
        if isinstance(limit, str) and not any(other in compared for other in _OPPOSITE[name]):
            compared[_OPPOSITE[name][0]] = f"{limit[:1]}{chr(ord(limit[1]) + beyond)}"
    return compared


def outer_document(document: Any) -> Any:
    """Return a document, or an event of a change stream, as clients know it."""
    if not isinstance(document, dict):
        return document
    shown = {name: outer_id(value) for name, value in document.items()}
    for name in ("documentKey", "fullDocument", "fullDocumentBeforeChange"):
        if isinstance(shown.get(name), dict):
            shown[name] = outer_document(shown[name])
    return shown
