"""A recording fake of the sink, with a clock that only a read moves, and the clients of ``cdc`` on it."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from types import SimpleNamespace

from pytest_cdcperf.cdc.expect import Cdc
from pytest_cdcperf.clients.mongo import ReadError


class ServerGoneError(ReadError):
    """What a driver raises for a server that is away."""


class Sink:
    """Answers reads from a list, the last answer for ever; each read takes time and is followed by a notification.

    The first answer is what is there before the block. *place* is where its change stream is, None without one.
    """

    def __init__(self, clock, read_s):
        self.clock = clock
        self.read_s = read_s
        self.answers = [None]
        self.place = None
        self.reads = []
        self.limits = []
        self.watched = []
        self.fault = None
        self.subscriptions = set()
        self.opened = threading.Event()
        self.opened.set()
        self.aio = SimpleNamespace(find_one=self._find_one_aio, place_now=self._place_now_aio)

    def find_one(self, collection, key, *, timeout):
        self.reads.append((collection, key))
        self.limits.append(timeout)
        self.clock.advance(self.read_s)
        for subscription in list(self.subscriptions):
            subscription.notify()
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def _find_one_aio(self, collection, key, *, timeout):  # noqa: ASYNC109
        return self.find_one(collection, key, timeout=timeout)

    def fault_of(self, _collection):
        return self.fault

    def is_polled(self, _collection):
        return self.place is None

    def stream_decided(self, _collection):
        return self.opened

    def place_now(self, _collection, *, timeout_s):
        if isinstance(self.place, Exception):
            raise self.place
        return self.place

    async def _place_now_aio(self, collection, *, timeout_s):
        return self.place_now(collection, timeout_s=timeout_s)

    @contextmanager
    def subscribe(self, subscription):
        self.watched.append((subscription.collection, subscription.key))
        self.subscriptions.add(subscription)
        try:
            yield
        finally:
            self.subscriptions.discard(subscription)


class Client:
    """The sync or the async client of ``cdc``, used the same way."""

    def __init__(self, sink, is_async):
        self.sink = sink
        self.cdc = Cdc(sink, sink, clock=sink.clock)
        self.is_async = is_async

    def expect(self, method, *arguments, block=lambda: None, **keys):
        if not self.is_async:
            with getattr(self.cdc, method)(*arguments, **keys) as arrival:
                block()
            return arrival

        async def main():
            async with getattr(self.cdc.aio, method)(*arguments, **keys) as arrival:
                block()
            return arrival

        return asyncio.run(main())


def figures(recorder):
    drained = recorder.drain()
    return {
        name: state.hits / state.total if hasattr(state, "hits") else getattr(state, "sum", getattr(state, "total", 0))
        for name in drained.names()
        if (state := drained.select(name)) is not None
    }


def pending(client):
    client.sink.find_many_unmeasured = lambda _collection, _keys, timeout_s: {}
    return [words.partition(":")[0] for words in client.cdc.audit.verify(0).faults]
