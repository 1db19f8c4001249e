"""Which faults of the sink are waited out and which end the pipeline."""

from __future__ import annotations

from typing import Any, cast

import pytest
from pymongo.database import Database
from pymongo.errors import AutoReconnect, OperationFailure

from pytest_cdcperf.embedded import debezium
from pytest_cdcperf.embedded.debezium import Sink
from pytest_cdcperf.embedded.documents import Document, Write

INSERT = ('{"id": 1}', '{"op": "c", "source": {"table": "customer"}, "after": {"id": 1}}')


class FakeDatabase:
    """Records bulk writes; raises the faults it was given first."""

    def __init__(self, *faults: Exception) -> None:
        self._faults = list(faults)
        self.written: list[tuple[str, int]] = []

    def __getitem__(self, collection: str) -> Any:
        database = self

        class FakeCollection:
            def bulk_write(self, writes: list[Write]) -> None:
                if database._faults:
                    raise database._faults.pop(0)
                database.written.append((collection, len(writes)))

        return FakeCollection()


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debezium, "_SINK_RETRY_S", 0)


def sink_of(database: FakeDatabase) -> Sink:
    return Sink(cast("Database[Document]", database), {"customer": "customers"})


def test_a_sink_that_does_not_answer_is_asked_again() -> None:
    database = FakeDatabase(AutoReconnect("gone"), AutoReconnect("gone"))
    sink_of(database).write([INSERT, INSERT])
    assert database.written == [("customers", 2)]


def test_a_sink_that_refuses_is_not_asked_again() -> None:
    database = FakeDatabase(OperationFailure("refused"))
    with pytest.raises(OperationFailure, match="refused"):
        sink_of(database).write([INSERT])
    assert database.written == []


def test_nothing_is_asked_again_while_closing() -> None:
    sink = sink_of(FakeDatabase(AutoReconnect("gone")))
    sink.closing.set()
    with pytest.raises(AutoReconnect):
        sink.write([INSERT])
