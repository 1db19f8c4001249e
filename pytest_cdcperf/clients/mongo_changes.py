"""Change streams of MongoDB and of servers like it, and the reasons why a server refuses one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import bson
from bson.errors import BSONError
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.change_stream import ChangeStream
from pymongo.collection import Collection
from pymongo.errors import ConnectionFailure, OperationFailure, PyMongoError

from pytest_cdcperf.clock import real_time as time
from pytest_cdcperf.redaction import redact

Document = dict[str, Any]

_AWAIT_CHANGES_MS = 500
_AT_ONCE_NS = 5_000_000
_PAUSE_S = 0.02
_LONGEST_REASON = 150


UNREADABLE = (PyMongoError, BSONError)
"""What a read may raise: of the server or its connection, or for a document that Python has no values for."""


class StreamRefusedError(Exception):
    """The server gives no change stream. The text is the reason in one line, such as "NotImplemented, code 238"."""


@dataclass(frozen=True)
class Change:
    """A change of document *key*. Of two changes of one server the later one has the greater *place*."""

    key: str
    place: str


def same_document(one: Document | None, other: Document | None) -> bool:
    """Whether two answers are the same, byte by byte: to Python, NaN differs from itself and 1 does not from True."""
    if one is None or other is None:
        return one is other
    return bson.encode(one) == bson.encode(other)


@contextmanager
def open_changes(collection: Collection[Document]) -> Iterator[Iterator[Change | None]]:
    """Open a change stream; iterate the changes, and None about twice a second.

    :raises StreamRefusedError: when the server refuses it, whatever it says
    :raises pymongo.errors.PyMongoError: when the server cannot be reached, and when a stream breaks that was good
    """
    answered = False

    def iterate(stream: ChangeStream[Document]) -> Iterator[Change | None]:
        nonlocal answered
        while stream.alive:
            asked_ns = time.monotonic_ns()
            event = stream.try_next()
            answered = True
            if event is not None:
                yield _change(event)
                continue
            yield None
            if time.monotonic_ns() - asked_ns < _AT_ONCE_NS:  # a server that does not wait for changes
                time.sleep(_PAUSE_S)

    try:
        with collection.watch(max_await_time_ms=_AWAIT_CHANGES_MS) as stream:
            yield iterate(stream)
    except ConnectionFailure:
        raise
    except UNREADABLE as error:
        if answered and isinstance(error, PyMongoError):
            raise
        raise StreamRefusedError(_reason(error)) from None


def place_now(collection: Collection[Document]) -> str:
    """Return the place that all changes up to now are at or before.

    :raises pymongo.errors.PyMongoError: when the server has no change stream or does not answer
    """
    with collection.watch(max_await_time_ms=1) as stream:
        return _place(stream.resume_token)


async def place_now_async(collection: AsyncCollection[Document]) -> str:
    """As :func:`place_now`."""
    async with await collection.watch(max_await_time_ms=1) as stream:
        return _place(stream.resume_token)


def _change(event: Document) -> Change | None:
    key = event.get("documentKey", {}).get("_id")
    return None if key is None else Change(str(key), _place(event["_id"]))


def _place(token: Any) -> str:
    # MongoDB's tokens are hexadecimal texts that sort (mongodb.com/docs/manual/changeStreams, "Resume Tokens");
    # nx-27017's are "nx:" and a number.
    text = str((token or {}).get("_data", ""))
    number = text.removeprefix("nx:")
    return f"{int(number):020d}" if number != text and number.isdecimal() else text


def _reason(error: PyMongoError | BSONError) -> str:
    # "not authorized on shop to execute command { aggregate: ... lsid: ..." is another text each time.
    words = " ".join(redact(str(error).partition(", full error:")[0].partition(" { ")[0]).split())
    if isinstance(error, OperationFailure) and error.code is not None:
        name = (error.details or {}).get("codeName") or type(error).__name__
        words = f"{name}, code {error.code}: {words}"
    return words if len(words) <= _LONGEST_REASON else f"{words[:_LONGEST_REASON]}..."
