"""A state of the sink is an arrival or not, and the latencies of an arrival."""

from __future__ import annotations

import pytest

from pytest_cdcperf.clients.mongo_changes import Change
from pytest_cdcperf.errors import ExpectationError
from tests.unit.cdc.fake_sink import ServerGoneError, figures, pending


def test_a_document_that_is_there_at_the_first_read_after_the_block_has_arrived(client, sink, clock, recorder):
    sink.answers = [None, {"_id": "7", "email": "a@b"}]
    arrival = client.expect("expect", "customers", 7, email="a@b", block=lambda: clock.advance(0.5))
    assert sink.reads == [("customers", "7")] * 2
    assert sink.watched == [("customers", "7")]
    assert (arrival.document, arrival.reads) == ({"_id": "7", "email": "a@b"}, 1)
    assert arrival.e2e_ms == pytest.approx(750)  # without the read before the block
    assert arrival.propagation_ms == pytest.approx(250)
    assert arrival.confirm_ms == pytest.approx(250)
    assert figures(recorder) == pytest.approx(
        {
            "cdc_e2e_latency": 750,
            "cdc_propagation": 250,
            "cdc_success_rate": 1,
            "cdc_replication_success": 1,
            "cdc_creates": 1,
            "checks": 1,
        }
    )


def test_an_arrival_carries_its_collection(client, sink, recorder):
    sink.answers = [None, {"_id": "7"}]
    client.expect("expect", "customers", 7)
    tags = {key.name: dict(key.tags).get("collection") for key in recorder.drain().series if key.name != "checks"}
    assert tags == dict.fromkeys(
        ("cdc_e2e_latency", "cdc_propagation", "cdc_success_rate", "cdc_replication_success", "cdc_creates"),
        "customers",
    )


def test_it_reads_again_after_a_notification_until_the_fields_fit(client, sink, recorder):
    sink.answers = [None, None, {"status": "old"}, {"status": "new", "more": 1}]
    arrival = client.expect("expect", "customers", 7, {"status": "new"}, operation="update")
    assert (arrival.reads, len(sink.reads)) == (3, 4)
    assert arrival.propagation_ms == pytest.approx(750)
    assert arrival.confirm_ms == pytest.approx(250)
    assert figures(recorder)["cdc_updates"] == 1


STILL = (
    "customers _id='7': not seen as expected within 1s: the sink still shows the state from before the block ({}), "
    "and a write that changes nothing cannot be seen there: let the block change a field, and name it"
)


@pytest.mark.parametrize(
    ("fields", "shown"), [({"v": 1}, "v=1"), ({}, "{'_id': '7', 'v': 1}"), ({"v": 1, "_id": "7"}, "v=1, _id='7'")]
)
def test_what_was_there_before_the_block_is_no_arrival_and_no_latency(client, sink, recorder, fields, shown):
    sink.answers = [{"_id": "7", "v": 1}]
    with pytest.raises(ExpectationError) as failed:
        client.expect("expect", "customers", 7, fields, timeout="1s")
    assert str(failed.value) == STILL.format(shown)
    assert figures(recorder) == {"cdc_success_rate": 0, "cdc_replication_success": 0, "checks": 0}
    assert pending(client) == []
    (note,) = client.cdc.audit.notes()
    assert note.startswith("1 writes cannot be distinguished from what the sink showed before them (customers _id='7')")


@pytest.mark.parametrize("later", [{"v": 1, "n": 2}, {"v": 1.0}, {"v": 1, "x": float("nan")}, {"n": 2, "v": 1}])
def test_a_document_that_fitted_before_has_arrived_once_it_is_another_one(client, sink, recorder, later):
    sink.answers = [{"v": 1}, {"v": 1}, later]
    assert client.expect("expect", "customers", 7, v=1, operation="update").reads == 2
    assert figures(recorder)["cdc_updates"] == 1
    assert client.cdc.audit.notes() == []


def test_a_document_with_nan_is_not_another_one_each_time_it_is_read(client, sink):
    sink.answers = [{"v": 1, "x": float("nan")}, {"v": 1, "x": float("nan")}]
    with pytest.raises(ExpectationError):
        client.expect("expect", "customers", 7, v=1, timeout="1s")


def test_a_document_that_was_another_one_in_between_has_arrived(client, sink):
    sink.answers = [{"v": 1}, {"v": 2}, {"v": 1}]
    assert client.expect("expect", "customers", 7, v=1).reads == 2


def tell(sink, place):
    (subscription,) = sink.subscriptions
    subscription.on_change(Change("7", place))


def test_a_write_that_changes_nothing_is_met_by_its_event(client, sink, recorder):
    sink.answers, sink.place = [{"v": 1}], "5"
    assert client.expect("expect", "customers", 7, v=1, operation="update", block=lambda: tell(sink, "6")).seen
    assert figures(recorder)["cdc_updates"] == 1
    assert pending(client) == client.cdc.audit.notes() == []


@pytest.mark.parametrize("place", ["5", None, ServerGoneError("away")])
def test_an_event_from_before_the_block_is_no_arrival(client, sink, place):
    sink.answers, sink.place = [{"v": 1}], place
    with pytest.raises(ExpectationError, match="from before the block"):
        client.expect("expect", "customers", 7, v=1, timeout="1s", block=lambda: tell(sink, "5"))


def test_an_event_whose_document_does_not_fit_is_no_arrival(client, sink):
    sink.answers, sink.place = [{"v": 1}, {"v": 2}], "5"
    with pytest.raises(ExpectationError, match="v=2 instead of 1"):
        client.expect("expect", "customers", 7, v=1, timeout="1s", block=lambda: tell(sink, "6"))


def test_where_nothing_could_be_read_before_the_block_the_first_answer_stands_for_it(client, sink):
    sink.answers = [ServerGoneError("away"), {"v": 1}]
    with pytest.raises(ExpectationError, match="from before the block"):
        client.expect("expect", "customers", 7, v=1, timeout="1s")
    sink.answers = [ServerGoneError("away"), {"v": 1}]
    assert client.expect("expect", "customers", 7, v=1, block=lambda: tell(sink, "1")).seen
    sink.answers = [ServerGoneError("away"), None, {"v": 1}]
    assert client.expect("expect", "customers", 7, v=1).reads == 2


def test_what_is_gone_is_waited_for(client, sink, recorder):
    sink.answers = [{"_id": "7"}, {"_id": "7"}, None]
    arrival = client.expect("expect_gone", "customers", 7)
    assert (arrival.reads, arrival.document) == (2, None)
    assert figures(recorder)["cdc_deletes"] == 1


def test_the_check_is_called_by_operation_and_collection(client, sink, recorder):
    sink.answers = [None, {"gone": True}]
    client.expect("expect", "orders", 7)
    sink.answers = [None, {"gone": True}]
    client.expect("expect", "orders", 7, operation="delete", gone=True)
    assert [name for name, _state in recorder.drain().by_tag("checks", "check")] == [
        "create in orders seen in the sink",
        "delete in orders seen in the sink",
    ]
