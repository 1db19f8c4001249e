"""Tells waiters that their document may have changed, from one watcher shared by the whole process.

A wake-up is a hint, never a proof: whoever is woken reads. So an event that is missed, doubled or comes
from before a reconnect costs a read at most, and never an arrival.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

from pytest_cdcperf.cdc.faults import PipelineFaults
from pytest_cdcperf.clients.mongo import ChangeStreamsUnsupported, Document, Mongo, ReadError
from pytest_cdcperf.engine.thread_start import start_thread
from pytest_cdcperf.errors import ThreadLimitError

Wake = Callable[[], None]

_POLL_S = 0.02
_RETRY_S = 0.2


class SinkWatch:
    """Watches the collections that anybody waits for: a thread for each, from the first waiter on.

    By a change stream where the server has them; else by one query for all waiters every 20 ms.
    """

    def __init__(self, mongo: Mongo, faults: PipelineFaults | None = None) -> None:
        self._mongo = mongo
        self._faults = faults
        self._lock = threading.Lock()
        self._waiters: dict[str, dict[str, set[Wake]]] = defaultdict(dict)
        self._watched: set[str] = set()
        self._closed = threading.Event()
        self._somebody_waits = threading.Condition(self._lock)

    @contextmanager
    def watching(self, collection: str, key: str, wake: Wake) -> Iterator[None]:
        """Call *wake*, from another thread, whenever document *key* may have changed.

        :raises ThreadLimitError: where that thread cannot be started
        """
        with self._lock:
            self._waiters[collection].setdefault(key, set()).add(wake)
            self._somebody_waits.notify_all()
            fresh = collection not in self._watched
            self._watched.add(collection)
        try:
            if fresh:
                self._start(collection)
            with nullcontext() if self._faults is None else self._faults.watching(wake):
                yield
        finally:
            with self._lock:
                wakes = self._waiters[collection].get(key)
                if wakes is not None:
                    wakes.discard(wake)
                    if not wakes:
                        del self._waiters[collection][key]

    def fault_of(self, collection: str) -> str | None:
        """Say why no row can arrive in *collection*; None where nothing is known."""
        return None if self._faults is None else self._faults.of(collection)

    def _start(self, collection: str) -> None:
        try:
            start_thread(f"the watcher of {collection}", f"cdcperf-watch-{collection}", self._watch, collection)
        except ThreadLimitError:
            with self._lock:
                self._watched.discard(collection)
            raise

    def close(self) -> None:
        """End the watching threads; they notice within half a second."""
        self._closed.set()
        if self._faults is not None:
            self._faults.close()
        with self._lock:
            self._somebody_waits.notify_all()

    def _watch(self, collection: str) -> None:
        while not self._closed.is_set():
            try:
                self._follow(collection)
            except ChangeStreamsUnsupported:
                self._poll(collection)
            except ReadError:
                self._closed.wait(_RETRY_S)

    def _follow(self, collection: str) -> None:
        with self._mongo.changes(collection) as changes:
            self._wake_all(collection)  # what came before the stream was open is not in it
            for key in changes:
                if self._closed.is_set():
                    return
                if key is not None:
                    self._wake(collection, key)

    def _poll(self, collection: str) -> None:
        seen: dict[str, Document | None] = {}
        while not self._closed.wait(_POLL_S):
            with self._lock:
                self._somebody_waits.wait_for(lambda: self._waiters[collection] or self._closed.is_set())
                keys = list(self._waiters[collection])
            try:
                found = self._mongo.find_many_unmeasured(collection, keys)
            except ReadError:
                self._closed.wait(_RETRY_S)
                continue
            now = {key: found.get(key) for key in keys}
            for key, document in now.items():
                if key not in seen or seen[key] != document:
                    self._wake(collection, key)
            seen = now

    def _wake(self, collection: str, key: str) -> None:
        with self._lock:
            wakes = list(self._waiters[collection].get(key, ()))
        for wake in wakes:
            wake()

    def _wake_all(self, collection: str) -> None:
        with self._lock:
            keys = list(self._waiters[collection])
        for key in keys:
            self._wake(collection, key)
