"""An arrival is waited for until its deadline; the message where it does not come."""

from __future__ import annotations

import pytest

from pytest_cdcperf.errors import ExpectationError
from tests.unit.cdc.fake_sink import ServerGoneError, figures, pending


@pytest.mark.parametrize(
    ("answers", "seen"),
    [
        ([None], "the sink had no document with this _id"),
        ([None, {"a": 1, "b": 5}], "the sink had b=5 instead of 2, no field 'c'"),
        ([{"a": 1, "b": 2}], "the sink still shows the state from before the block: no field 'c'"),
    ],
)
def test_a_timeout_shows_what_was_there_instead(client, sink, recorder, answers, seen):
    sink.answers = list(answers)
    with pytest.raises(ExpectationError) as failed:
        client.expect("expect", "orders", "x", {"a": 1}, b=2, c=3, timeout="1s")
    assert str(failed.value) == f"orders _id='x': not seen as expected within 1s: {seen}"
    assert len(sink.reads) == 5
    assert figures(recorder) == pytest.approx(
        {
            "cdc_e2e_latency": 1000,
            "cdc_propagation": 1000,
            "cdc_success_rate": 0,
            "cdc_replication_success": 0,
            "checks": 0,
        }
    )
    assert sink.subscriptions == set()


def test_what_is_not_gone_in_time_is_shown_shortened(client, sink):
    sink.answers = [{"_id": "7", "text": "x" * 500}]
    with pytest.raises(ExpectationError) as failed:
        client.expect("expect_gone", "customers", 7, timeout="500ms")
    message = str(failed.value)
    assert message.startswith("customers _id='7': not seen as expected within 500ms: the sink still had {'_id': '7'")
    assert message.endswith("x...")
    assert len(message) < 300


def test_errors_of_the_server_are_waited_out(client, sink, recorder):
    sink.answers = [None, ServerGoneError("away"), ServerGoneError("away"), {"_id": "7"}]
    assert client.expect("expect", "customers", 7).reads == 3
    assert figures(recorder)["cdc_success_rate"] == 1


def test_an_error_of_the_server_that_stays_is_raised_at_the_deadline(client, sink, recorder):
    sink.answers = [None, ServerGoneError("away")]
    with pytest.raises(ServerGoneError, match="away"):
        client.expect("expect", "customers", 7, timeout="1s")
    assert len(sink.reads) == 5
    assert figures(recorder)["cdc_success_rate"] == 0
    assert figures(recorder) == {}


def test_an_error_that_passed_leaves_the_last_word_to_the_document(client, sink):
    sink.answers = [None, ServerGoneError("away"), {"a": 2}]
    with pytest.raises(ExpectationError, match="a=2 instead of 1"):
        client.expect("expect", "customers", 7, a=1, timeout="500ms")


def test_a_read_may_take_what_is_left_of_the_time(client, sink):
    sink.read_s = 0.75
    sink.answers = [None, None, ServerGoneError("away"), None]
    with pytest.raises(ExpectationError):
        client.expect("expect", "orders", 7, timeout="2s")
    assert sink.limits[:3] == [2, 2, pytest.approx(1.25, abs=0.01)]
    assert sink.limits[3:] == [0.5]  # the last one has a chance


def test_what_cannot_arrive_is_not_waited_for(client, sink):
    sink.fault = "table 'orders' is set aside: it has no key"
    with pytest.raises(ExpectationError) as error:
        client.expect("expect", "orders", 7, timeout="1h")
    assert str(error.value) == "orders _id='7': it cannot arrive: table 'orders' is set aside: it has no key"
    assert len(sink.reads) == 2
    assert len(pending(client)) == 1


def test_what_has_arrived_all_the_same_is_seen(client, sink):
    sink.fault = "debezium has died"
    sink.answers = [None, {}]
    assert client.expect("expect", "orders", 7).seen


def test_a_deadline_of_zero_still_reads_once(client, sink):
    sink.answers = [None, {}]
    assert client.expect("expect", "orders", 7, timeout="0s").reads == 1


@pytest.mark.parametrize(("timeout", "reads"), [("1s", 5), (1, 5), (0.5, 3)])
def test_the_time_to_wait_is_text_or_a_number_of_seconds(client, sink, timeout, reads):
    with pytest.raises(ExpectationError, match="not seen as expected within"):
        client.expect("expect", "orders", 7, timeout=timeout)
    assert len(sink.reads) == reads
    sink.answers, sink.reads = [{}], []
    with pytest.raises(ExpectationError, match="not seen as expected within"):
        client.expect("expect_gone", "orders", 7, timeout=timeout)
    assert len(sink.reads) == reads
