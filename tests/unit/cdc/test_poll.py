"""Rounds of looks at a sink of dictionaries, on a clock that reads and pauses move."""

from __future__ import annotations

import pytest
from bson.errors import InvalidBSON

from pytest_cdcperf.cdc.poll import Poller
from pytest_cdcperf.cdc.subscriptions import Subscriptions
from pytest_cdcperf.clients.mongo import ReadError
from pytest_cdcperf.clock import FakeClock
from tests.unit.cdc.test_subscriptions import Counting


class Sink:
    """Shows *documents*; a read takes *read_s*."""

    def __init__(self, clock, read_s):
        self.clock = clock
        self.read_s = read_s
        self.documents = {}
        self.reads = []
        self.error = None

    def find_unmeasured(self, collection, key, *, timeout_s):
        return self.find_many_unmeasured(collection, [key], timeout_s=timeout_s).get(key)

    def find_many_unmeasured(self, collection, keys, *, timeout_s):
        self.reads.append((collection, len(keys)))
        self.clock.advance(self.read_s)
        if self.error is not None:
            raise self.error
        return {key: document for key, document in self.documents.items() if key in keys}


class Pauses(list):
    """Remembers each pause, which moves the clock."""

    def __init__(self, clock):
        self.clock = clock

    def __call__(self, seconds):
        self.append(pytest.approx(seconds))
        self.clock.advance(seconds)


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def sink(clock):
    return Sink(clock, read_s=0.001)


@pytest.fixture
def pauses(clock):
    return Pauses(clock)


@pytest.fixture
def poller(sink, clock, pauses):
    return Poller(sink, Subscriptions(), clock=clock, sleep=pauses)


def waiting_for(count, collection="orders"):
    subscriptions = [Counting(collection, str(key)) for key in range(count)]
    for subscription in subscriptions:
        subscription.record_read(None)
    return subscriptions


def test_those_whose_document_has_changed_are_woken(poller, sink):
    subscriptions = waiting_for(3)
    sink.documents = {"1": {"v": 1}}
    poller.poll(subscriptions)
    assert [subscription.notified for subscription in subscriptions] == [0, 1, 0]
    subscriptions[1].record_read({"v": 1})
    poller.poll(subscriptions)
    assert [subscription.notified for subscription in subscriptions] == [0, 1, 0]


def test_up_to_fifty_are_looked_up_one_by_one_and_more_in_batches(poller, sink):
    sink.documents = {"7": {"v": 1}}
    poller.poll(waiting_for(50))
    assert sink.reads == [("orders", 1)] * 50
    sink.reads.clear()
    subscriptions = [*waiting_for(1001), *waiting_for(20, "customers")]
    poller.poll(subscriptions)
    assert sink.reads == [("customers", 20), ("orders", 1000), ("orders", 1)]
    assert [one.collection for one in subscriptions if one.notified] == [
        "orders",
        "customers",
    ]


@pytest.mark.parametrize(("count", "pause_s"), [(1, 0.02), (5, 0.02), (10, 0.04), (50, 0.2)])
def test_it_pauses_four_times_what_a_look_takes_and_at_least_20_ms(poller, pauses, count, pause_s):
    poller.poll(waiting_for(count))
    assert pauses == [pause_s]


def test_after_one_slow_read_it_does_not_pause_for_long_and_after_some_it_does(poller, sink, pauses):
    subscriptions = waiting_for(1)
    for read_s in (*[0.001] * 5, 2.0, *[0.1] * 4):
        sink.read_s = read_s
        poller.poll(subscriptions)
    assert pauses == [0.02] * 9 + [0.4]


def test_its_resolution_is_how_long_its_rounds_take(poller):
    assert poller.resolution == ""
    poller.poll(waiting_for(1))
    poller.poll(waiting_for(50))
    assert poller.resolution == "every 136ms on average, 250ms at most"
    assert poller.shortest_round_s("orders") == pytest.approx(0.021)
    poller.reset()
    assert poller.resolution == ""


@pytest.mark.parametrize("error", [ReadError("away"), InvalidBSON("year 10000")])
def test_a_look_that_fails_is_tried_again_soon_and_is_no_round(poller, sink, pauses, error):
    sink.error = error
    (subscription,) = subscriptions = waiting_for(1)
    poller.poll(subscriptions)
    assert subscription.notified == 1  # it learns by its own read what is wrong
    assert pauses == [0.2]
    assert poller.resolution == ""
