"""Tells waiters that their document may have changed, from one watcher shared by the whole process.

A wake-up is a hint, never a proof: whoever is woken reads. So an event that is missed, doubled or comes
from before a reconnect costs a read at most, and never an arrival.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

from pytest_cdcperf.cdc.faults import PipelineFaults
from pytest_cdcperf.cdc.poll import Poller
from pytest_cdcperf.cdc.waiters import Waiter, Waiters
from pytest_cdcperf.clients.mongo import Mongo
from pytest_cdcperf.clients.mongo_changes import UNREADABLE, StreamRefusedError
from pytest_cdcperf.engine.thread_start import start_thread
from pytest_cdcperf.errors import ThreadLimitError
from pytest_cdcperf.units import format_duration

STREAM_AGAIN_S = 30.0
"""A change stream that was refused is asked for again after so long."""

_RETRY_S = 0.2


class SinkWatch:
    """Watches the collections that anybody waits for, from the first waiter on.

    By a change stream for each collection, in a thread of its own; where the server refuses one, the poller, a thread
    for all of them, looks up what is waited for.

    :param say: told of a collection, in one line, that it is polled and why
    :param faults: knows why rows cannot arrive, and wakes waiters once it does
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
        self._settled: dict[str, threading.Event] = {}
        self._refusals: dict[str, str] = {}  # by collection: those of this run
        self._waiters = Waiters()
        self._poller = Poller(mongo, self._waiters)
        self._poller_runs = False
        self._said: set[str] = set()
        self._closed = threading.Event()

    def begin(self) -> None:
        """Another run begins: :meth:`notes` tell of that one only."""
        self._poller.begin()
        with self._lock:
            self._refusals = {name: why for name, why in self._refusals.items() if self._waiters.is_polled(name)}

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
    def watching(self, waiter: Waiter) -> Iterator[None]:
        """Wake *waiter*, from another thread, whenever its document may have changed.

        :raises ThreadLimitError: where that thread cannot be started
        """
        with self._waiters.including(waiter):
            self._watch(waiter.collection)
            with nullcontext() if self._faults is None else self._faults.watching(waiter.wake):
                yield

    def fault_of(self, collection: str) -> str | None:
        """Say why no row can arrive in *collection*; None where nothing is known."""
        return None if self._faults is None else self._faults.of(collection)

    def is_polled(self, collection: str) -> bool:
        """Whether changes in *collection* are told by polling; asked of a collection that is watched."""
        return self._waiters.is_polled(collection)

    def settled(self, collection: str) -> threading.Event:
        """Return what is set once it is known whether *collection*, which is watched, has a change stream."""
        return self._settled[collection]

    def close(self) -> None:
        """End the watching threads; they notice within half a second."""
        self._closed.set()
        if self._faults is not None:
            self._faults.close()
        self._poller.close()
        self._waiters.close()

    def _watch(self, collection: str) -> None:
        with self._lock:
            if collection in self._settled:
                return
            self._settled[collection] = threading.Event()
        try:
            start_thread(f"the watcher of {collection}", f"cdcperf-watch-{collection}", self._follow, collection)
        except ThreadLimitError:
            with self._lock:
                del self._settled[collection]
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
            self._waiters.poll(collection, False)
            self._settled[collection].set()
            self._waiters.wake_all(collection)  # what came before the stream was open is not in it
            for change in changes:
                if self._closed.is_set():
                    return
                if change is not None:
                    self._waiters.tell(collection, change)

    def _poll(self, collection: str, why: str) -> None:
        round_s = self._poller.shortest_round_s(collection)
        with self._lock:
            self._refusals[collection] = why
            if not self._poller_runs:
                start_thread("the thread that polls the sink", "cdcperf-watch-poll", self._poller.run)
                self._poller_runs = True
        self._waiters.poll(collection, True)
        self._settled[collection].set()
        self._waiters.wake_all(collection)
        if collection not in self._said:
            self._said.add(collection)
            self._say(
                collection,
                f"cdcperf: the sink has no change stream for {collection} ({why}): what is waited for is looked up "
                f"every {format_duration(round_s)}, less often the more VUs wait, so latencies of cdc_* may be that "
                "much too long; the result says how much",
            )
