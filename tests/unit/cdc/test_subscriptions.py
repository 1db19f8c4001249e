"""Subscribers are notified of changes of their own documents."""

from __future__ import annotations

import threading

import pytest

from pytest_cdcperf.cdc.subscriptions import Subscription, Subscriptions
from pytest_cdcperf.clients.mongo_changes import Change


class Counting(Subscription):
    """Counts how often it is notified."""

    def __init__(self, collection="orders", key="7"):
        super().__init__(collection, key, self._count)
        self.notified = 0

    def _count(self):
        self.notified += 1


def test_a_change_notifies_those_who_wait_for_its_document_and_no_others():
    subscriptions = Subscriptions()
    both = [Counting(), Counting()]
    others = [Counting(key="8"), Counting("customers")]
    with subscriptions.including(both[0]), subscriptions.including(both[1]):
        with subscriptions.including(others[0]), subscriptions.including(others[1]):
            subscriptions.on_change("orders", Change("7", "1"))
        assert [subscription.notified for subscription in (*both, *others)] == [1, 1, 0, 0]
        subscriptions.notify_all("orders")
    subscriptions.on_change("orders", Change("7", "2"))
    assert [subscription.notified for subscription in (*both, *others)] == [2, 2, 0, 0]


@pytest.mark.parametrize(
    ("since", "place", "changed"), [(None, "5", False), ("5", "5", False), ("5", "6", True), ("", "1", True)]
)
def test_a_change_counts_from_a_place_on(since, place, changed):
    subscription = Counting()
    subscription.since = since
    subscription.on_change(Change("7", place))
    assert subscription.changed is changed
    assert subscription.notified == 1


@pytest.mark.parametrize(
    ("read", "there", "notified"),
    [
        (None, None, 0),
        (None, {"v": 1}, 1),
        ({"v": 1}, None, 1),
        ({"v": 1}, {"v": 1}, 0),
        ({"v": 1}, {"v": True}, 1),
        ({"v": float("nan")}, {"v": float("nan")}, 0),
    ],
)
def test_a_poll_notifies_where_the_document_is_not_what_was_read(read, there, notified):
    subscription = Counting()
    subscription.record_read(read)
    subscription.on_poll(there)
    assert subscription.notified == notified


def test_who_has_read_nothing_yet_is_notified_by_a_poll():
    subscription = Counting()
    subscription.on_poll(None)
    assert subscription.notified == 1


def test_only_those_are_returned_whose_collection_is_polled():
    subscriptions = Subscriptions()
    one, other = Counting("orders"), Counting("customers")
    with subscriptions.including(one), subscriptions.including(other):
        subscriptions.set_polled("orders", True)
        assert subscriptions.wait_for_polled() == [one]
        subscriptions.set_polled("customers", True)
        subscriptions.set_polled("orders", False)
        assert subscriptions.wait_for_polled() == [other]
        assert subscriptions.is_polled("customers")
        assert not subscriptions.is_polled("orders")


def test_the_poller_waits_until_somebody_waits_or_it_is_closed():
    subscriptions, subscription, answers = Subscriptions(), Counting(), []
    subscriptions.set_polled("orders", True)

    def ask():
        while found := subscriptions.wait_for_polled():
            answers.append(found)
            subscription.__exit__(None, None, None)

    asking = threading.Thread(target=ask)
    asking.start()
    subscription = subscriptions.including(subscription)
    subscription.__enter__()
    subscriptions.close()
    asking.join(10)
    assert not asking.is_alive()
    assert answers in ([], [[subscription]])
