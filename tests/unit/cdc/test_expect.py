"""The calls of ``cdc`` and their blocks, of the sync and the async client."""

from __future__ import annotations

import asyncio

import pytest

from pytest_cdcperf.cdc.expect import Cdc
from pytest_cdcperf.engine.current_vu import acting_as
from pytest_cdcperf.engine.vu import VU
from pytest_cdcperf.errors import BlockingCallError, ConfigError, ExpectationError, UnitError
from pytest_cdcperf.metrics.recorder import Recorder
from pytest_cdcperf.metrics.scope import Scope
from tests.unit.cdc.fake_sink import figures


def test_the_end_of_what_is_not_there_is_refused_before_the_block(client, sink, recorder):
    with pytest.raises(ExpectationError) as refused:
        client.expect("expect_gone", "customers", 7, block=lambda: pytest.fail("the block was run"))
    assert str(refused.value) == (
        "customers _id='7': the sink had no such document when the block was entered, so that it is gone would prove "
        "nothing; first wait with cdc.expect() until it is there"
    )
    assert sink.subscriptions == set()
    assert figures(recorder) == {"cdc_success_rate": 0, "cdc_replication_success": 0, "checks": 0}


@pytest.mark.parametrize(
    ("operation", "remedy"),
    [("update", "add a field that the update changes"), ("delete", r"use cdc\.expect_gone\(\)")],
)
def test_a_change_that_could_not_be_told_from_the_state_before_is_refused(sink, operation, remedy):
    cdc = Cdc(sink, sink)
    for one in (cdc, cdc.aio):
        with pytest.raises(ConfigError, match=remedy):
            one.expect("c", 1, operation=operation)
    assert sink.watched == []


def test_a_block_that_raises_is_one_failure_and_no_read(client, sink, recorder):
    def block():
        raise ValueError("the write failed")

    with pytest.raises(ValueError, match="the write failed"):
        client.expect("expect", "customers", 7, block=block)
    assert len(sink.reads) == 1
    assert sink.subscriptions == set()
    assert figures(recorder) == {"cdc_success_rate": 0, "cdc_replication_success": 0, "checks": 0}


def test_another_error_of_the_read_goes_on_and_the_subscription_ends(client, sink):
    sink.answers = [BlockingCallError("no")]
    with pytest.raises(BlockingCallError):
        client.expect("expect", "customers", 7)
    assert sink.subscriptions == set()


def test_the_subscription_begins_before_the_write(client, sink):
    seen = []
    sink.answers = [None, {}]
    client.expect("expect", "customers", 7, block=lambda: seen.append(len(sink.subscriptions)))
    assert seen == [1]


def test_a_notification_from_the_watching_thread_reaches_the_loop(sink):
    async def main():
        block = Cdc(sink, sink).aio.expect("c", 1)
        await block.__aenter__()
        block._notified.clear()
        (subscription,) = sink.subscriptions
        await asyncio.to_thread(subscription.notify)
        async with asyncio.timeout(2):
            await block._notified.wait(10)
        assert block._notified._event.is_set()
        block._unsubscribe()

    asyncio.run(main())


@pytest.mark.parametrize("method", ["expect", "expect_gone"])
def test_the_sync_client_is_refused_in_an_async_body(sink, method):
    with (
        acting_as(VU(1, session_id="r", scope=Scope(Recorder()), is_async=True)),
        pytest.raises(BlockingCallError, match=r"async with cdc\.aio\.expect"),
        getattr(Cdc(sink, sink), method)("c", 1),
    ):
        pass
    assert sink.watched == []


def test_an_unknown_operation_is_refused_at_once(sink):
    cdc = Cdc(sink, sink)
    for one in (cdc, cdc.aio):
        with pytest.raises(ConfigError) as refused:
            one.expect("c", 1, operation="upsert")
        assert str(refused.value) == "cdc.expect: operation='upsert'; allowed: create, update, delete"
        with pytest.raises(UnitError, match=r"^cdc\.expect: timeout="):
            one.expect("c", 1, timeout="10")
