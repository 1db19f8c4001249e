"""Who is woken by what."""

from __future__ import annotations

import threading

import pytest

from pytest_cdcperf.cdc.waiters import Waiter, Waiters
from pytest_cdcperf.clients.mongo_changes import Change


class Sleeper(Waiter):
    """Counts how often it is woken."""

    def __init__(self, collection="orders", key="7"):
        super().__init__(collection, key, self._count)
        self.woken = 0

    def _count(self):
        self.woken += 1


def test_a_change_wakes_those_who_wait_for_its_document_and_no_others():
    waiters = Waiters()
    both = [Sleeper(), Sleeper()]
    others = [Sleeper(key="8"), Sleeper("customers")]
    with waiters.including(both[0]), waiters.including(both[1]):
        with waiters.including(others[0]), waiters.including(others[1]):
            waiters.tell("orders", Change("7", "1"))
        assert [waiter.woken for waiter in (*both, *others)] == [1, 1, 0, 0]
        waiters.wake_all("orders")
    waiters.tell("orders", Change("7", "2"))
    assert [waiter.woken for waiter in (*both, *others)] == [2, 2, 0, 0]


@pytest.mark.parametrize(
    ("since", "place", "changed"), [(None, "5", False), ("5", "5", False), ("5", "6", True), ("", "1", True)]
)
def test_a_change_counts_from_a_place_on(since, place, changed):
    waiter = Sleeper()
    waiter.since = since
    waiter.tell(Change("7", place))
    assert waiter.changed is changed
    assert waiter.woken == 1


@pytest.mark.parametrize(
    ("read", "there", "woken"),
    [
        (None, None, 0),
        (None, {"v": 1}, 1),
        ({"v": 1}, None, 1),
        ({"v": 1}, {"v": 1}, 0),
        ({"v": 1}, {"v": True}, 1),
        ({"v": float("nan")}, {"v": float("nan")}, 0),
    ],
)
def test_a_look_wakes_where_the_document_is_not_what_was_read(read, there, woken):
    waiter = Sleeper()
    waiter.read(read)
    waiter.compare(there)
    assert waiter.woken == woken


def test_who_has_read_nothing_yet_is_woken_by_a_look():
    waiter = Sleeper()
    waiter.compare(None)
    assert waiter.woken == 1


def test_only_those_are_returned_whose_collection_is_polled():
    waiters = Waiters()
    one, other = Sleeper("orders"), Sleeper("customers")
    with waiters.including(one), waiters.including(other):
        waiters.poll("orders", True)
        assert waiters.wait_for_polled() == [one]
        waiters.poll("customers", True)
        waiters.poll("orders", False)
        assert waiters.wait_for_polled() == [other]
        assert waiters.is_polled("customers")
        assert not waiters.is_polled("orders")


def test_the_poller_waits_until_somebody_waits_or_it_is_closed():
    waiters, waiter, answers = Waiters(), Sleeper(), []
    waiters.poll("orders", True)

    def ask():
        while found := waiters.wait_for_polled():
            answers.append(found)
            subscription.__exit__(None, None, None)

    asking = threading.Thread(target=ask)
    asking.start()
    subscription = waiters.including(waiter)
    subscription.__enter__()
    waiters.close()
    asking.join(10)
    assert not asking.is_alive()
    assert answers in ([], [[waiter]])
