"""The watcher's threads around a sink whose change streams are scripts."""

from __future__ import annotations

import queue
import threading
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from pytest_cdcperf.cdc import watch as module
from pytest_cdcperf.cdc.watch import SinkWatch
from pytest_cdcperf.clients.mongo import ReadError
from pytest_cdcperf.clients.mongo_changes import Change, StreamRefusedError
from pytest_cdcperf.errors import ThreadLimitError
from tests.unit.cdc.test_subscriptions import Counting

TIMEOUT_S = 10.0


class Notified(Counting):
    """Can be waited for."""

    def __init__(self, collection="orders", key="7"):
        super().__init__(collection, key)
        self.notifications = queue.Queue()
        self.notify = lambda: self.notifications.put(True)

    def notification(self):
        return self.notifications.get(timeout=TIMEOUT_S)


class Sink:
    """Answers each attempt to open a stream by the next of *openings*: an error, or a queue of what the stream tells.

    The last one answers for ever.
    """

    def __init__(self, *openings):
        self.openings = list(openings)
        self.opened = 0
        self.document = None
        self.errors = []

    @contextmanager
    def changes(self, _collection):
        opening = self.openings[min(self.opened, len(self.openings) - 1)]
        self.opened += 1
        if isinstance(opening, Exception):
            raise opening
        yield self.told(opening)

    def told(self, told):
        while True:
            try:
                change = told.get(timeout=0.05)
            except queue.Empty:
                change = None
            if isinstance(change, Exception):
                raise change
            yield change

    def find_unmeasured(self, _collection, _key, *, timeout_s):
        if self.errors:
            raise self.errors.pop()
        return self.document


@pytest.fixture
def watching(monkeypatch):
    """Return a watch of *sink*, and its lines; it is closed with the test."""
    monkeypatch.setattr(module, "_RETRY_S", 0.01)
    made = []

    def make(sink):
        lines = queue.Queue()
        made.append(SinkWatch(sink, lambda _collection, line: lines.put(line)))
        return made[-1], lines

    yield make
    for watch in made:
        watch.close()


def test_changes_are_told_by_the_stream(watching):
    told = queue.Queue()
    watch, _ = watching(Sink(told))
    subscription = Notified()
    with watch.subscribe(subscription):
        assert subscription.notification()  # what came before the stream was open is not in it
        assert watch.stream_decided("orders").wait(TIMEOUT_S)
        assert not watch.is_polled("orders")
        told.put(Change("7", "1"))
        assert subscription.notification()
    assert watch.notes() == []


def test_a_stream_that_breaks_is_opened_again_and_everybody_is_woken(watching):
    broken, good = queue.Queue(), queue.Queue()
    sink = Sink(ReadError("away"), broken, good)
    watch, _ = watching(sink)
    subscription = Notified()
    with watch.subscribe(subscription):
        assert subscription.notification()
        broken.put(ReadError("cut"))
        assert subscription.notification()
        assert sink.opened == 3
        assert not watch.is_polled("orders")


def test_where_it_is_refused_the_sink_is_polled_and_that_is_said(watching):
    sink = Sink(StreamRefusedError("NotImplemented, code 238: no"))
    watch, lines = watching(sink)
    subscription = Notified()
    with watch.subscribe(subscription):
        assert subscription.notification()
        assert watch.is_polled("orders")
        line = lines.get(timeout=TIMEOUT_S)
        assert line.startswith(
            "cdcperf: the sink has no change stream for orders (NotImplemented, code 238: no): what is waited for is "
            "looked up every "
        )
        subscription.record_read(None)
        while not subscription.notifications.empty():
            subscription.notification()
        sink.document = {"v": 1}
        assert subscription.notification()
    (note,) = watch.notes()
    assert note.startswith(
        "the sink has no change stream for orders (NotImplemented, code 238: no): arrivals were looked up every "
    )
    watch.begin_run()
    assert watch.notes() == []  # nothing was looked up since


def test_a_refused_stream_is_asked_for_again_and_the_polling_ends_with_it(watching, monkeypatch):
    monkeypatch.setattr(module, "STREAM_AGAIN_S", 0.01)
    refusal, told = StreamRefusedError("no"), queue.Queue()
    watch, lines = watching(Sink(refusal, refusal, refusal, told))
    subscription = Notified()
    with watch.subscribe(subscription):
        told.put(Change("7", "1"))
        subscription.since = ""
        while not subscription.changed:
            assert subscription.notification()
        assert not watch.is_polled("orders")
    assert lines.qsize() == 1  # said once


def test_a_sink_that_refuses_and_then_does_not_answer_is_asked_again(watching):
    sink = Sink(StreamRefusedError("no"))
    sink.errors = [ReadError("away")]
    watch, lines = watching(sink)
    with watch.subscribe(Notified()):
        assert lines.get(timeout=TIMEOUT_S)
    assert sink.opened == 2


def test_one_thread_polls_all_collections(watching):
    watch, _ = watching(Sink(StreamRefusedError("no")))
    before = polling_threads()
    subscriptions = [Notified("orders"), Notified("customers"), Notified("addresses")]
    with watch.subscribe(subscriptions[0]), watch.subscribe(subscriptions[1]), watch.subscribe(subscriptions[2]):
        for subscription in subscriptions:
            assert subscription.notification()
        assert len(polling_threads() - before) == 1


def polling_threads():
    return {thread for thread in threading.enumerate() if thread.name == "cdcperf-watch-poll"}


def test_a_watcher_that_cannot_be_started_is_an_error_and_the_next_one_tries_again(monkeypatch):
    watch = SinkWatch(SimpleNamespace())
    started = []
    monkeypatch.setattr(watch, "_follow", started.append)

    def refuse(_thread):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(ThreadLimitError, match="the watcher of orders could not be started"):
            watch.subscribe(Counting()).__enter__()
    with watch.subscribe(Counting()):
        pass
    assert started == ["orders"]
