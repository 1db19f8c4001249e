"""Finds out from its words what a statement does: comments, texts and names in quotes are passed over.

Lexical rules: https://www.postgresql.org/docs/current/sql-syntax-lexical.html. It is not a parser: what a function does
that a SELECT calls is not known, except for PostgreSQL's own that leave something in the session.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise, takewhile

_TOKEN = re.compile(
    r"""
    (?P<skipped> \s+ | --[^\n]* | %\(\w+\)[sbt] )
  | (?P<comment> /\* )
  | (?P<tag> \$(?:[^\W\d]\w*)?\$ )
  | (?P<text> \b[eE]'(?:[^'\\]|\\.|'')*' | (?:\b[uU]&)?'(?:[^']|'')*' )
  | (?P<name> (?:\b[uU]&)?"(?:[^"]|"")*" )
  | (?P<word> [^\W\d][\w$]* )
  | (?P<sign> . )
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT_END = re.compile(r"/\*|\*/")

_MODIFIES = frozenset({"insert", "update", "delete", "merge"})
# fmt: off
_WRITES = _MODIFIES | {
    "truncate", "copy", "create", "alter", "drop", "comment", "grant", "revoke", "refresh", "reindex",
    "cluster", "vacuum", "analyze", "analyse", "import", "security", "reassign", "call", "do", "notify",
    "commit", "end", "checkpoint",
}
_CONTROLS = {
    "begin", "start", "commit", "end", "rollback", "abort", "savepoint", "release", "set", "reset",
    "listen", "unlisten", "prepare", "deallocate", "declare", "close", "discard", "load", "lock",
}
_STAYS_BY_CALLING = {
    "set_config", "pg_advisory_lock", "pg_advisory_lock_shared", "pg_try_advisory_lock",
    "pg_try_advisory_lock_shared", "setseed", "lo_open", "dblink_connect", "dblink_connect_u",
}
# fmt: on
_OPENS = frozenset({"begin", "start"})
_STAYS = frozenset({"set", "listen", "prepare", "load", "do", "call"})  # the latter two may do any of it
_TEMPORARY = frozenset({"temp", "temporary"})
_BEFORE_TEMPORARY = frozenset({"or", "replace", "global", "local"})
_RELIES = frozenset({"currval", "lastval"})  # on what the same session has drawn
_OFF = frozenset({"false", "off", "0"})


class Kind(Enum):
    """The figures that a statement is part of."""

    READ = "read"
    WRITE = "write"
    CONTROL = "control"


_DECIDES = (Kind.WRITE, Kind.READ, Kind.CONTROL)


@dataclass(frozen=True)
class Reading:
    """The facts about a statement: its *op* names it, as ``insert``; of several it is the one that decides.

    *touches*: it leaves something in its session that outlives the transaction, such as a setting. *opens*: it begins
    a transaction. *relies*: it asks for what the same session did before, as ``lastval()`` does. *ends*: it commits.
    """

    op: str
    kind: Kind
    touches: bool = False
    opens: bool = False
    relies: bool = False
    ends: bool = False

    @property
    def concerns_session(self) -> bool:
        """Whether its session matters to it, or is another one after it."""
        return self.touches or self.opens or self.relies or self.ends or self.kind is Kind.CONTROL


def read(query: str) -> Reading:
    """Return what *query*, one statement or several, does."""
    readings = [_read(words) for words in _statements(query)] or [Reading("", Kind.READ)]
    decisive = min(readings, key=lambda one: _DECIDES.index(one.kind))
    return Reading(
        decisive.op,
        decisive.kind,
        touches=any(one.touches for one in readings),
        opens=any(one.opens for one in readings),
        relies=any(one.relies for one in readings),
        ends=any(one.ends for one in readings),
    )


def _statements(query: str) -> Iterator[list[str]]:
    words: list[str] = []
    for word in _words(query):
        if word != ";":
            words.append(word)
        elif words:
            yield words
            words = []
    if words:
        yield words


def _words(query: str) -> Iterator[str]:
    """Yield the words in lower case and the signs; a text or a quoted name is "''" or '""'."""
    at = 0
    while match := _TOKEN.match(query, at):
        at = match.end()
        match match.lastgroup:
            case "word":
                yield match.group().lower()
            case "sign":
                yield match.group()
            case "comment":
                at = _after_comment(query, at)
            case "tag":
                at = _after(query, match.group(), at)
                yield "''"
            case "text":
                yield "''"
            case "name":
                yield '""'


def _after(query: str, end: str, at: int) -> int:
    found = query.find(end, at)
    return len(query) if found < 0 else found + len(end)


def _after_comment(query: str, at: int) -> int:
    depth = 1  # they nest
    while depth and (match := _COMMENT_END.search(query, at)):
        depth += 1 if match.group() == "/*" else -1
        at = match.end()
    return len(query) if depth else at


def _read(words: list[str]) -> Reading:
    while words and words[0] == "(":  # a SELECT in parentheses
        words = words[1:]
    first = words[0] if words else ""
    called = {name for name, sign in pairwise(words) if sign == "("}
    touches, relies = bool(called & _STAYS_BY_CALLING), bool(called & _RELIES)
    match first:
        case "explain":
            return _explain(words)
        case "with":
            op, writes = _with(words)
            return Reading(op, Kind.WRITE if writes else Kind.READ, touches=touches, relies=relies)
        case "select" | "table" | "values":
            makes = _into(words)
            touches = touches or bool(makes & _TEMPORARY)
            return Reading(first, Kind.WRITE if makes else Kind.READ, touches=touches, relies=relies)
        case "copy":
            return Reading(first, _copy(words), relies=relies)
        case "create":
            modifier = next((word for word in words[1:] if word not in _BEFORE_TEMPORARY), "")
            temporary = modifier in _TEMPORARY or "pg_temp" in words
            return Reading(first, Kind.WRITE, touches=touches or temporary, relies=relies)
    return Reading(
        first,
        _kind(words),
        touches=touches or _stays(words),
        opens=first in _OPENS,
        relies=relies,
        ends=first in {"commit", "end"} and "prepared" not in words,
    )


def _kind(words: list[str]) -> Kind:
    # A COMMIT is a write: it waits for what the transaction wrote to be on disk.
    if words[:1] and (words[0] in _WRITES or words[:2] in (["prepare", "transaction"], ["rollback", "prepared"])):
        return Kind.WRITE
    return Kind.CONTROL if words[:1] and words[0] in _CONTROLS else Kind.READ


def _stays(words: list[str]) -> bool:
    match words:
        case ["set", "local" | "transaction" | "constraints", *_] | ["prepare", "transaction", *_]:
            return False  # of the transaction only
        case ["declare", *_]:
            return "hold" in words
    return words[:1] != [] and words[0] in _STAYS


def _into(words: list[str]) -> set[str]:
    """Return the words behind the INTO of a SELECT, which makes a table; none without it."""
    depth = 0
    for at, word in enumerate(words):
        depth += (word == "(") - (word == ")")
        if word == "into" and depth == 0:
            return {*words[at + 1 : at + 4], "into"}
    return set()


def _with(words: list[str]) -> tuple[str, bool]:
    """Return the verb of a WITH that decides: the first part that changes rows, else that of the whole."""
    depth, whole = 0, ""
    inside = ""
    for before, word in pairwise(words):
        depth += (before == "(") - (before == ")")
        if before == "(" and word in _MODIFIES:
            inside = inside or word
        if depth == 0 and not whole and before != "as" and word in _MODIFIES | {"select", "table", "values"}:
            whole = word
    if whole in _MODIFIES:
        return whole, True
    if inside:
        return inside, True
    return whole or "select", whole == "select" and bool(_into(words))


def _explain(words: list[str]) -> Reading:
    if words[1:2] == ["("]:
        options = list(takewhile(lambda word: word != ")", words[2:]))
        rest = words[len(options) + 3 :]
        at = next((at for at, option in enumerate(options) if option in {"analyze", "analyse"}), None)
        runs = at is not None and not (set(options[at + 1 : at + 2]) & _OFF)
    else:
        options = list(takewhile(lambda word: word in {"analyze", "analyse", "verbose"}, words[1:]))
        rest = words[len(options) + 1 :]
        runs = bool(set(options) - {"verbose"})
    inner = _read(rest)
    return Reading("explain", inner.kind, inner.touches, relies=inner.relies) if runs else Reading("explain", Kind.READ)


def _copy(words: list[str]) -> Kind:
    if words[1:2] == ["("]:
        return Kind.WRITE if words[2:3] and words[2] in _MODIFIES else Kind.READ
    return Kind.WRITE if "from" in words else Kind.READ
