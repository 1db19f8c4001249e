"""Some faults of the sink are waited out; others set a table aside while the rest goes on."""

from __future__ import annotations

from typing import Any, cast

import pytest
from pymongo import ReplaceOne
from pymongo.database import Database
from pymongo.errors import AutoReconnect, BulkWriteError, OperationFailure

from pytest_cdcperf.embedded import sink as module
from pytest_cdcperf.embedded.documents import UNCHANGED, Change, Document, Write
from pytest_cdcperf.embedded.sink import Sink
from pytest_cdcperf.servers import SET_ASIDE


def insert(table: str, key: int = 1, **columns: object) -> Change:
    return Change(table, "c", {"id": key}, {"id": key, **columns})


class FakeDatabase:
    """Records bulk writes; raises the faults it was given first, for any collection or for one."""

    def __init__(self, *faults: Exception, broken: str = "") -> None:
        self._faults = list(faults)
        self._broken = broken
        self.written: list[tuple[str, int]] = []
        self.documents: dict[tuple[str, str], Document] = {}
        self.aside: dict[str, Document] = {}

    def __getitem__(self, collection: str) -> Any:
        database = self

        class FakeCollection:
            def bulk_write(self, writes: list[Write]) -> None:
                if database._faults and database._broken in ("", collection):
                    raise database._faults.pop(0)
                database.written.append((collection, len(writes)))
                for write in writes:
                    if isinstance(write, ReplaceOne):
                        database.documents[collection, write._filter["_id"]] = cast("Document", write._doc)

            def find_one(self, query: dict[str, str]) -> Document | None:
                return database.documents.get((collection, query["_id"]))

            def replace_one(self, query: dict[str, str], document: Document, *, upsert: bool) -> None:
                assert upsert
                assert collection == SET_ASIDE
                database.aside[query["_id"]] = document

        return FakeCollection()


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_RETRY_S", 0)


def sink_of(database: FakeDatabase) -> Sink:
    return Sink(cast("Database[Document]", database), {"customer": "customers"})


def test_a_sink_that_does_not_answer_is_asked_again() -> None:
    database = FakeDatabase(AutoReconnect("gone"), AutoReconnect("gone"))
    sink_of(database).write([insert("customer", 1), insert("customer", 2)])
    assert database.written == [("customers", 2)]


def test_nothing_is_asked_again_while_closing() -> None:
    sink = sink_of(FakeDatabase(AutoReconnect("gone")))
    sink.closing.set()
    with pytest.raises(AutoReconnect):
        sink.write([insert("customer")])


def test_a_table_that_is_refused_is_set_aside_by_name_and_the_others_go_on() -> None:
    refusal = BulkWriteError({"writeErrors": [{"errmsg": "too large", "op": "x" * 10_000}]})
    database = FakeDatabase(refusal, broken="customers")
    sink = sink_of(database)
    sink.write([insert("customer"), insert("visit")])
    sink.write([insert("customer"), insert("visit", 2)])
    assert database.written == [("visit", 1), ("visit", 1)]
    assert database.aside == {
        "customer": {"_id": "customer", "collection": "customers", "reason": "too large"},
    }


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (Change("t", "c", None, {"n": 1}), "no primary key"),
        (Change("t", "c", {"a": 1, "b": None}, {"n": 1}), "column 'b' of its key is null"),
        (insert("t", n=2**70), "refused"),
    ],
)
def test_a_change_that_cannot_be_written_sets_its_table_aside(change: Change, reason: str) -> None:
    database = FakeDatabase(OperationFailure("refused"))
    sink_of(database).write([change])
    assert reason in database.aside["t"]["reason"]


def test_the_reason_is_left_although_the_sink_does_not_answer_at_first() -> None:
    database = FakeDatabase()
    sink_of(database).set_aside("t", "first")
    assert database.aside["t"]["reason"] == "first"


def test_a_value_that_was_not_sent_is_taken_from_what_the_same_batch_wrote() -> None:
    database = FakeDatabase()
    sink_of(database).write([insert("t", large="L", n=1), Change("t", "u", {"id": 1}, {"n": 2, "large": UNCHANGED})])
    assert database.documents["t", "1"] == {"_id": "1", "n": 2, "large": "L"}
