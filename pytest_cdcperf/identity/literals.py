"""Arrays, ranges and rows as PostgreSQL writes them in text; pure functions.

The grammar is that of PostgreSQL's manual, 8.15.6 (arrays), 8.16.6 (rows) and 8.17.5 (ranges).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_ARRAY = re.compile(r'"((?:[^"\\]|\\.)*)"|([{},])|([^{},"]+)', re.DOTALL)
_BOUNDS = re.compile(r"^\[-?\d+:-?\d+\](\[-?\d+:-?\d+\])*=")
_FIELD = re.compile(r'((?:"(?:[^"\\]|\\.|"")*"|[^,()\[\]"\\]|\\.)*)', re.DOTALL)
_PIECE = re.compile(r'"((?:[^"\\]|\\.|"")*)"|\\(.)', re.DOTALL)
_ESCAPED = re.compile(r'\\(.)|"(")', re.DOTALL)


def read_array(text: str, element: Callable[[str], Any]) -> list[Any]:
    """Return the nested lists that the array *text* is, each element read by *element*; NULL is None.

    :raises ValueError: when *text* is not an array
    """
    root: list[Any] = []
    open_lists = [root]
    position = match.end() if (match := _BOUNDS.match(text)) else 0
    while position < len(text):
        token = _ARRAY.match(text, position)
        if token is None:
            break
        position = token.end()
        quoted, sign, bare = token.groups()
        if sign == "{":
            inner: list[Any] = []
            open_lists[-1].append(inner)
            open_lists.append(inner)
        elif sign == "}":
            open_lists.pop()
            if not open_lists:
                break
        elif quoted is not None:
            open_lists[-1].append(element(re.sub(r"\\(.)", r"\1", quoted, flags=re.DOTALL)))
        elif bare is not None:
            open_lists[-1].append(None if bare.upper() == "NULL" else element(bare))
    if position != len(text) or len(open_lists) != 1 or len(root) != 1 or not isinstance(root[0], list):
        raise ValueError(f"not an array of PostgreSQL: {text[:80]!r}")
    found: list[Any] = root[0]
    return found


def read_row(text: str) -> list[str | None] | None:
    """Return the fields of the row *text*, None for NULL; None where it is not a row."""
    if not (text.startswith("(") and text.endswith(")")):
        return None
    return _fields(text[1:-1])


@dataclass(frozen=True)
class RangeText:
    """A range: its ends as text, None where it has none, and its bounds, such as ``[)``."""

    lower: str | None
    upper: str | None
    bounds: str


def read_range(text: str) -> RangeText | None:
    """Return the range that *text* is, with empty bounds for an empty one; None where it is not a range."""
    if text == "empty":
        return RangeText(None, None, "")
    if len(text) < 3 or text[0] not in "[(" or text[-1] not in "])":
        return None
    ends = _fields(text[1:-1])
    if ends is None or len(ends) != 2:
        return None
    return RangeText(ends[0], ends[1], text[0] + text[-1])


def read_multirange(text: str) -> list[RangeText] | None:
    """Return the ranges of a multirange; None where *text* is not one."""
    if not (text.startswith("{") and text.endswith("}")):
        return None
    ranges: list[RangeText] = []
    rest = text[1:-1]
    while rest:
        match = re.match(r'[\[(](?:"(?:[^"\\]|\\.|"")*"|[^\])"])*[\])]', rest, re.DOTALL)
        one = read_range(match.group()) if match else None
        if match is None or one is None:
            return None
        ranges.append(one)
        rest = rest[match.end() :].removeprefix(",")
    return ranges


def _fields(text: str) -> list[str | None] | None:
    fields: list[str | None] = []
    position = 0
    while True:
        match = _FIELD.match(text, position)
        if match is None:
            return None
        fields.append(_PIECE.sub(_plain, match[1]) if match[1] else None)
        position = match.end()
        if position == len(text):
            return fields
        if text[position] != ",":
            return None
        position += 1


def _plain(piece: re.Match[str]) -> str:
    quoted, escaped = piece.groups()
    return escaped if quoted is None else _ESCAPED.sub(lambda match: match[1] or match[2], quoted)
