"""Those who wait for a change of a document, as the threads that watch the sink know them."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from pytest_cdcperf.clients.mongo_changes import Change, Document, same_document


class Waiter:
    """Somebody who waits for a change of document *key*.

    :param wake: called by any thread when the document may have changed: a hint, whoever is woken reads
    """

    def __init__(self, collection: str, key: Any, wake: Callable[[], object]) -> None:
        self.collection = collection
        self.key = key
        self.wake = wake
        self.changed = False
        """Whether the change stream told of a change that came after :attr:`since`."""
        self.since: str | None = None
        """The place in the change stream from which on changes count; None where none does."""
        self._has_read = False
        self._read: Document | None = None

    def read(self, document: Document | None) -> None:
        """Note what a read of the waiter's has found."""
        self._read, self._has_read = document, True

    def tell(self, change: Change) -> None:
        """Take note of *change*, which is one of this document."""
        if self.since is not None and change.place > self.since:
            self.changed = True
        self.wake()

    def compare(self, document: Document | None) -> None:
        """Wake the waiter where *document* is not what it has read."""
        if not (self._has_read and same_document(self._read, document)):
            self.wake()


class Waiters:
    """Who waits for what, by collection and key, and which collections are polled. Called by any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._by_key: dict[str, dict[str, set[Waiter]]] = defaultdict(dict)
        self._polled: set[str] = set()
        self._closed = False

    @contextmanager
    def including(self, waiter: Waiter) -> Iterator[None]:
        """Inside the block *waiter* is one of them."""
        key = str(waiter.key)
        with self._lock:
            self._by_key[waiter.collection].setdefault(key, set()).add(waiter)
            self._changed.notify_all()
        try:
            yield
        finally:
            with self._lock:
                keys = self._by_key[waiter.collection]
                keys[key].discard(waiter)
                if not keys[key]:
                    del keys[key]

    def tell(self, collection: str, change: Change) -> None:
        """Tell those who wait for its document of a *change*."""
        with self._lock:
            told = list(self._by_key[collection].get(change.key, ()))
        for waiter in told:
            waiter.tell(change)

    def wake_all(self, collection: str) -> None:
        """Wake everybody who waits for a document of *collection*."""
        with self._lock:
            woken = self._of(collection)
        for waiter in woken:
            waiter.wake()

    def poll(self, collection: str, polled: bool) -> None:
        """Note whether the documents of *collection* are to be polled."""
        with self._lock:
            (self._polled.add if polled else self._polled.discard)(collection)
            self._changed.notify_all()

    def is_polled(self, collection: str) -> bool:
        """Whether the documents of *collection* are polled."""
        return collection in self._polled

    def wait_for_polled(self) -> list[Waiter]:
        """Return those who wait for a document that is polled, once there are some; nobody after :meth:`close`."""
        with self._lock:
            self._changed.wait_for(lambda: self._closed or any(map(self._of, self._polled)))
            return [] if self._closed else [waiter for collection in self._polled for waiter in self._of(collection)]

    def close(self) -> None:
        """Let nobody wait in :meth:`wait_for_polled` any more."""
        with self._lock:
            self._closed = True
            self._changed.notify_all()

    def _of(self, collection: str) -> list[Waiter]:
        return [waiter for waiters in self._by_key[collection].values() for waiter in waiters]
