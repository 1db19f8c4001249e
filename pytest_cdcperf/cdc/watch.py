"""Watches the sink and notifies subscriptions that their document may have changed: one watcher for the process.

A notification proves nothing: its receiver reads the document. So an event that is missed, doubled or from before a
reconnect costs at most a read, and never an arrival.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

from pytest_cdcperf.cdc.faults import PipelineFaults
from pytest_cdcperf.cdc.poll import Poller
from pytest_cdcperf.cdc.subscriptions import Subscription, Subscriptions
from pytest_cdcperf.clients.mongo import Mongo
from pytest_cdcperf.clients.mongo_changes import UNREADABLE, StreamRefusedError
from pytest_cdcperf.engine.thread_start import start_thread
from pytest_cdcperf.errors import ThreadLimitError
from pytest_cdcperf.units import format_duration

STREAM_AGAIN_S = 30.0
"""A change stream that was refused is asked for again after so long."""

_RETRY_S = 0.2


class SinkWatch:
    """Watches each collection from its first subscription on.

    A collection has a change stream, read in a thread of its own. Where the server refuses one, the poller reads the
    documents instead, in one thread for all such collections.

    :param say: is called with a collection that is polled, and a line that says why
    :param faults: knows why rows cannot arrive, and notifies the subscriptions once it does
    """

    def __init__(
        self,
        mongo: Mongo,
        say: Callable[[str, str], object] = lambda _collection, _line: None,
        faults: PipelineFaults | None = None,
    ) -> None:
        self._mongo = mongo
        self._faults = faults
        self._say = say
        self._lock = threading.Lock()
        self._decided: dict[str, threading.Event] = {}
        self._refusals: dict[str, str] = {}  # by collection: those of this run
        self._subscriptions = Subscriptions()
        self._poller = Poller(mongo, self._subscriptions)
        self._poller_runs = False
        self._said: set[str] = set()
        self._closed = threading.Event()

    def begin_run(self) -> None:
        """Begin another run: :meth:`notes` are about that one only."""
        self._poller.reset()
        with self._lock:
            self._refusals = {name: why for name, why in self._refusals.items() if self._subscriptions.is_polled(name)}

    def notes(self) -> list[str]:
        """Say which collections were polled in this run, why, and what that means for its figures."""
        with self._lock:
            refusals = sorted(self._refusals.items())
        resolution = self._poller.resolution
        if not refusals or not resolution:
            return []
        names, reasons = ", ".join(name for name, _ in refusals), "; ".join(sorted({why for _, why in refusals}))
        return [
            f"the sink has no change stream for {names} ({reasons}): arrivals were looked up {resolution}, "
            "so latencies of cdc_* may be that much too long"
        ]

    @contextmanager
    def subscribe(self, subscription: Subscription) -> Iterator[None]:
        """Notify *subscription* inside the block, from another thread, whenever its document may have changed.

        :raises ThreadLimitError: where that thread cannot be started
        """
        with self._subscriptions.including(subscription):
            self._watch(subscription.collection)
            with nullcontext() if self._faults is None else self._faults.subscribe(subscription.notify):
                yield

    def fault_of(self, collection: str) -> str | None:
        """Say why no row can arrive in *collection*; None where nothing is known."""
        return None if self._faults is None else self._faults.of(collection)

    def is_polled(self, collection: str) -> bool:
        """Whether *collection*, which is watched, is polled."""
        return self._subscriptions.is_polled(collection)

    def stream_decided(self, collection: str) -> threading.Event:
        """Return the event that is set once it is known whether *collection*, which is watched, has a change stream."""
        return self._decided[collection]

    def close(self) -> None:
        """End the watching threads; they notice within half a second."""
        self._closed.set()
        if self._faults is not None:
            self._faults.close()
        self._poller.close()
        self._subscriptions.close()

    def _watch(self, collection: str) -> None:
        with self._lock:
            if collection in self._decided:
                return
            self._decided[collection] = threading.Event()
        try:
            start_thread(f"the watcher of {collection}", f"cdcperf-watch-{collection}", self._follow, collection)
        except ThreadLimitError:
            with self._lock:
                del self._decided[collection]
            raise

    def _follow(self, collection: str) -> None:
        while not self._closed.is_set():
            try:
                self._stream_or_poll(collection)
            except (*UNREADABLE, ThreadLimitError):
                self._closed.wait(_RETRY_S)

    def _stream_or_poll(self, collection: str) -> None:
        try:
            self._stream(collection)
        except StreamRefusedError as refusal:
            self._poll(collection, str(refusal))
            self._closed.wait(STREAM_AGAIN_S)

    def _stream(self, collection: str) -> None:
        with self._mongo.changes(collection) as changes:
            self._subscriptions.set_polled(collection, False)
            self._decided[collection].set()
            self._subscriptions.notify_all(collection)  # what came before the stream was open is not in it
            for change in changes:
                if self._closed.is_set():
                    return
                if change is not None:
                    self._subscriptions.on_change(collection, change)

    def _poll(self, collection: str, why: str) -> None:
        round_s = self._poller.shortest_round_s(collection)
        with self._lock:
            self._refusals[collection] = why
            if not self._poller_runs:
                start_thread("the thread that polls the sink", "cdcperf-watch-poll", self._poller.run)
                self._poller_runs = True
        self._subscriptions.set_polled(collection, True)
        self._decided[collection].set()
        self._subscriptions.notify_all(collection)
        if collection not in self._said:
            self._said.add(collection)
            self._say(
                collection,
                f"cdcperf: the sink has no change stream for {collection} ({why}): what is waited for is looked up "
                f"every {format_duration(round_s)}, less often the more VUs wait, so latencies of cdc_* may be that "
                "much too long; the result says how much",
            )
