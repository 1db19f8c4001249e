"""The audit looks up pending writes after the load, apart from those that it cannot verify."""

from __future__ import annotations

import asyncio
import threading

import pytest

from pytest_cdcperf.engine.current_vu import acting_as
from pytest_cdcperf.engine.vu import VU
from pytest_cdcperf.errors import ExpectationError
from pytest_cdcperf.metrics.recorder import Recorder
from pytest_cdcperf.metrics.scope import Scope
from tests.unit.cdc.fake_sink import Client, pending


def test_what_was_written_and_not_seen_in_time_is_pending(client, sink):
    sink.answers = [{}, None]
    assert client.expect("expect_gone", "customers", 7).seen
    sink.answers = [None]
    assert pending(client) == []
    with pytest.raises(ExpectationError):
        client.expect("expect", "customers", 8, timeout="1s")
    assert pending(client) == ["1 of 1 writes that were not seen in time never arrived, 0.0 s after the load"]
    sink.answers = [None, {}]
    assert client.expect("expect", "customers", 8).seen
    assert pending(client) == []


def test_a_write_that_failed_is_not_pending(client):
    with pytest.raises(ZeroDivisionError):
        client.expect("expect", "customers", 8, block=lambda: 1 / 0)
    assert pending(client) == []


@pytest.mark.parametrize("before", [None, {"v": 1}])
def test_a_wait_that_is_cancelled_ends_at_once_and_is_pending(sink, before):
    sink.answers = [before]
    client = Client(sink, is_async=False)
    vu = VU(1, session_id="r", scope=Scope(Recorder()))
    over = threading.Event()

    def cancel():  # again and again, as the engine does
        while not over.is_set():
            vu.own.cancel_all()

    threading.Thread(target=cancel).start()
    with acting_as(vu), pytest.raises(ExpectationError, match="customers _id='8': the run ended before it was seen"):
        client.expect("expect", "customers", 8, timeout="1h")
    over.set()
    assert len(pending(client)) == (before is None)
    assert len(client.cdc.audit.notes()) == (before is not None)  # to look for it later would tell nothing
    assert vu.own._kept == {}


def test_an_async_wait_that_is_cancelled_is_pending(sink):
    client = Client(sink, is_async=True)

    async def main():
        waiting = asyncio.ensure_future(wait())
        await asyncio.gather(waiting, return_exceptions=True)

    async def wait():
        async with client.cdc.aio.expect("customers", 8, timeout="1h"):
            asyncio.get_running_loop().call_later(0.01, asyncio.current_task().cancel)

    asyncio.run(main())
    assert len(pending(client)) == 1
