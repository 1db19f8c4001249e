"""A server without change streams that is not ours: FerretDB 1.24, where it was built (``tox -e ferretdb``)."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from queue import Queue
from typing import Any

import pytest

from benchmarks import ferretdb
from pytest_cdcperf.cdc import arrival
from pytest_cdcperf.cdc.expect import Cdc
from pytest_cdcperf.cdc.watch import SinkWatch
from pytest_cdcperf.clients.mongo import Mongo
from pytest_cdcperf.errors import ExpectationError
from tests.services.harness import User


@pytest.fixture(scope="module")
def mongo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mongo]:
    if not ferretdb.BUILT.exists() and not (os.environ.get("CDCPERF_FERRETDB") == "build" and ferretdb.available()):
        pytest.skip(f"FerretDB {ferretdb.VERSION} is not built here; with Go: tox -e ferretdb")
    with ferretdb.serving(tmp_path_factory.mktemp("ferretdb")) as address:
        made = Mongo(address)
        yield made
        made.close()


@pytest.fixture
def lines() -> Queue[str]:
    return Queue()


@pytest.fixture
def cdc(mongo: Mongo, lines: Queue[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Cdc]:
    monkeypatch.setattr(arrival, "_READ_AGAIN_S", 3600.0)
    watch = SinkWatch(mongo, lambda _collection, line: lines.put(line))
    yield Cdc(mongo, watch)
    watch.close()


def later(write: Callable[..., object], *arguments: Any) -> Callable[[], None]:
    """Return a block after which the sink is written to, as a pipeline does."""
    return lambda: threading.Timer(0.1, write, arguments).start()


def test_each_step_of_a_row_arrives_by_polling(user: User, mongo: Mongo, cdc: Cdc, lines: Queue[str]) -> None:
    notes, more = mongo.database["note"], {"timeout": "30s"}
    user.waiting(cdc, "expect", later(notes.insert_one, {"_id": "7", "v": 1}), "note", "7", v=1, **more)
    update = later(notes.replace_one, {"_id": "7"}, {"v": 2})
    user.waiting(cdc, "expect", update, "note", "7", v=2, operation="update", **more)
    with pytest.raises(ExpectationError, match="from before the block"):
        user.waiting(cdc, "expect", lambda: None, "note", "7", v=2, operation="update", timeout="300ms")
    user.waiting(cdc, "expect_gone", later(notes.delete_one, {"_id": "7"}), "note", "7", **more)
    assert user.measured.hits("cdc_success_rate") == (3, 4)
    assert user.measured.count("cdc_e2e_latency") == 3
    assert "NotImplemented, code 238" in lines.get(timeout=10)
    assert lines.empty()
    assert "arrivals were looked up every " in cdc.notes()[0]
