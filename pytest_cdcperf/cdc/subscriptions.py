"""The waiting VUs by the document they wait for, kept for the threads that watch the sink."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pytest_cdcperf.clients.mongo_changes import Change, Document, same_document


class Subscription:
    """Asks to be notified when document *key* may have changed.

    A notification proves nothing: its receiver reads the document.

    :param notify: called by any thread
    """

    def __init__(self, collection: str, key: str, notify: Callable[[], object]) -> None:
        self.collection = collection
        self.key = key
        self.notify = notify
        self.changed = False
        """Whether the change stream showed a change after :attr:`since`."""
        self.since: str | None = None
        """The place in the change stream from which on changes count; None where none does."""
        self._has_read = False
        self._read: Document | None = None

    def record_read(self, document: Document | None) -> None:
        """Note which *document* the subscriber has read."""
        self._read, self._has_read = document, True

    def on_change(self, change: Change) -> None:
        """Take note of a *change* of the document, and notify."""
        if self.since is not None and change.place > self.since:
            self.changed = True
        self.notify()

    def on_poll(self, document: Document | None) -> None:
        """Notify where *document* is not the one that the subscriber has read."""
        if not (self._has_read and same_document(self._read, document)):
            self.notify()


class Subscriptions:
    """The subscriptions by collection and key, and which collections are polled. Called by any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._by_key: dict[str, dict[str, set[Subscription]]] = defaultdict(dict)
        self._polled: set[str] = set()
        self._closed = False

    @contextmanager
    def including(self, subscription: Subscription) -> Iterator[None]:
        """Hold *subscription* inside the block."""
        with self._lock:
            self._by_key[subscription.collection].setdefault(subscription.key, set()).add(subscription)
            self._changed.notify_all()
        try:
            yield
        finally:
            with self._lock:
                keys = self._by_key[subscription.collection]
                keys[subscription.key].discard(subscription)
                if not keys[subscription.key]:
                    del keys[subscription.key]

    def on_change(self, collection: str, change: Change) -> None:
        """Pass a *change* on to the subscriptions of its document."""
        with self._lock:
            of_document = list(self._by_key[collection].get(change.key, ()))
        for subscription in of_document:
            subscription.on_change(change)

    def notify_all(self, collection: str) -> None:
        """Notify all subscriptions of *collection*."""
        with self._lock:
            of_collection = self._of(collection)
        for subscription in of_collection:
            subscription.notify()

    def set_polled(self, collection: str, polled: bool) -> None:
        """Note whether the documents of *collection* are to be polled."""
        with self._lock:
            (self._polled.add if polled else self._polled.discard)(collection)
            self._changed.notify_all()

    def is_polled(self, collection: str) -> bool:
        """Whether the documents of *collection* are polled."""
        return collection in self._polled

    def wait_for_polled(self) -> list[Subscription]:
        """Return the subscriptions of polled collections once there are some; none after :meth:`close`."""
        with self._lock:
            self._changed.wait_for(lambda: self._closed or any(map(self._of, self._polled)))
            return [] if self._closed else [one for collection in self._polled for one in self._of(collection)]

    def close(self) -> None:
        """End the waiting in :meth:`wait_for_polled`."""
        with self._lock:
            self._closed = True
            self._changed.notify_all()

    def _of(self, collection: str) -> list[Subscription]:
        return [one for of_document in self._by_key[collection].values() for one in of_document]
