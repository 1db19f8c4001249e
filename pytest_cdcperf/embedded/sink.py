"""Change events into the sink, table by table: what one table holds up does not hold up the others."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TypeVar

from bson.errors import InvalidDocument
from pymongo.database import Database
from pymongo.errors import BulkWriteError, ConnectionFailure, PyMongoError

from pytest_cdcperf.embedded.documents import Change, Document, Write, id_of, unsent_columns, write_for
from pytest_cdcperf.servers import SET_ASIDE

_RETRY_S = 0.2
_LONGEST_WORDS = 300
# What a table's own rows can bring about; a sink that does not answer is not caused by them.
_FAULTS_OF_ROWS = (ValueError, OverflowError, InvalidDocument, PyMongoError)

_log = logging.getLogger("cdcperf.sink")
_Result = TypeVar("_Result")


class Sink:
    """Writes batches of change events; any thread, one at a time.

    A table whose changes cannot be written is *set aside*: nothing more of it is written, and why stands in the
    collection :data:`SET_ASIDE` of the sink, where every process that waits for its rows can read it.

    :param collections: where the tables go that do not go to a collection of their own name
    """

    def __init__(self, database: Database[Document], collections: Mapping[str, str]) -> None:
        self._database = database
        self._collections = collections
        self._aside: set[str] = set()
        self.closing = threading.Event()

    def write(self, changes: Iterable[Change]) -> None:
        """Write *changes*; return when all are written.

        Retries until it succeeds or :attr:`closing` is set while the sink does not answer.

        :raises pymongo.errors.ConnectionFailure: when it was closed meanwhile
        """
        by_table: dict[str, list[Change]] = {}
        for change in changes:
            if change.table not in self._aside:
                by_table.setdefault(change.table, []).append(change)
        for table, of_table in by_table.items():
            try:
                self._write_table(self._collection_of(table), of_table)
            except ConnectionFailure:
                raise
            except _FAULTS_OF_ROWS as error:
                self.set_aside(table, _words(error))

    def set_aside(self, table: str, reason: str) -> None:
        """Write nothing more of *table*, and leave word why."""
        if table in self._aside:
            return
        self._aside.add(table)
        _log.error("table %r is set aside: %s", table, reason)
        known = {"_id": table, "collection": self._collection_of(table), "reason": reason}
        self._until_answered(lambda: self._database[SET_ASIDE].replace_one({"_id": table}, known, upsert=True))

    def _collection_of(self, table: str) -> str:
        return self._collections.get(table, table)

    def _write_table(self, collection: str, changes: Iterable[Change]) -> None:
        target = self._database[collection]
        writes: list[Write] = []
        for change in changes:
            known: Document | None = None
            if unsent_columns(change):  # they are in the document, which has to be written first
                self._write(collection, writes)
                writes = []
                known = self._until_answered(partial(target.find_one, {"_id": id_of(change)}))
            writes.append(write_for(change, known))
        self._write(collection, writes)

    def _write(self, collection: str, writes: list[Write]) -> None:
        if writes:
            self._until_answered(lambda: self._database[collection].bulk_write(writes))

    def _until_answered(self, ask: Callable[[], _Result]) -> _Result:
        while True:
            try:
                return ask()
            except ConnectionFailure as error:
                if self.closing.is_set():
                    raise
                _log.warning("the sink does not answer, trying again: %s", error)
                self.closing.wait(_RETRY_S)


def _words(error: Exception) -> str:
    """Say in short what *error* says: a refused batch brings its documents along."""
    refused = error.details["writeErrors"] if isinstance(error, BulkWriteError) else ()
    return (str(refused[0]["errmsg"]) if refused else str(error))[:_LONGEST_WORDS]
