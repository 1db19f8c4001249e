"""The coordinator answers the questions of workers."""

from __future__ import annotations

import threading

import pytest

from pytest_cdcperf.cluster.messages import (
    Answer,
    Ask,
    NoticeOnce,
    ServicesWanted,
)
from pytest_cdcperf.cluster.shared_state import OnceCall, PoolCall
from pytest_cdcperf.errors import StackError
from tests.unit.cluster.cluster import SERVING, Cluster


class Posts:
    """What a worker is posted, from whatever thread."""

    def __init__(self):
        self.messages = []
        self.there = threading.Event()

    def __call__(self, message):
        self.messages.append(message)
        self.there.set()


@pytest.mark.parametrize(
    ("serving", "answer"), [(SERVING, Answer(7, SERVING)), (StackError("no java"), Answer(7, error="no java"))]
)
def test_who_asks_for_servers_is_answered_once_they_are_there(serving, answer):
    cluster = Cluster("gw0")
    posts = Posts()
    cluster.coordinator.join("gw0", posts)
    cluster.session.serving = serving
    cluster.send(Ask(7, ServicesWanted()))
    assert posts.there.wait(10)
    assert posts.messages == [answer]


def test_what_all_workers_say_about_the_same_is_told_once():
    cluster = Cluster("gw0", "gw1")
    cluster.send(NoticeOnce("the stream of orders", "orders are looked up every 21 ms"), "gw0")
    cluster.send(NoticeOnce("the stream of orders", "orders are looked up every 23 ms"), "gw1")
    cluster.send(NoticeOnce("the stream of customers", "customers are looked up every 23 ms"), "gw1")
    assert cluster.session.said == ["orders are looked up every 21 ms", "customers are looked up every 23 ms"]


def test_what_workers_share_is_kept_here():
    cluster = Cluster("gw0", "gw1")
    cluster.send(Ask(1, PoolCall("ids", "put", 5)), "gw0")
    cluster.send(Ask(9, PoolCall("ids", "take")), "gw1")
    assert cluster.all_posted() == {"gw0": [Answer(1)], "gw1": [Answer(9, 5)]}


def test_what_a_worker_held_that_died_is_given_back():
    cluster = Cluster("gw0", "gw1")
    cluster.send(Ask(1, OnceCall("schema", "enter")), "gw0")
    cluster.send(Ask(1, OnceCall("schema", "enter")), "gw1")
    cluster.all_posted()
    cluster.coordinator.drop("gw0", "died")
    assert cluster.posted("gw1") == [Answer(1, ("failed", "gw0, the worker that ran it, is gone"))]


def test_a_question_that_comes_after_its_workers_end_holds_nothing():
    cluster = Cluster("gw0", "gw1")
    cluster.coordinator.drop("gw0", "died")
    cluster.send(Ask(1, OnceCall("schema", "enter")), "gw0")
    cluster.send(Ask(1, OnceCall("schema", "enter")), "gw1")
    assert cluster.all_posted() == {"gw1": [Answer(1, ("run", None))]}


def test_a_mistake_with_what_is_shared_is_answered():
    cluster = Cluster("gw0")
    cluster.send(Ask(7, PoolCall("orders", "put", 1)))
    cluster.send(Ask(8, PoolCall("orders", "take", leaving="x")))
    *_, answer = cluster.posted("gw0")
    assert answer.error.startswith("shared: TypeError")
