"""Knows why rows cannot arrive: a part of the embedded pipeline has died, or has set a table aside.

A thread of its own asks four times a second while there are subscribers: a server that does not answer holds up none
of them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pytest_cdcperf.clients.mongo import ReadError
from pytest_cdcperf.engine.thread_start import start_thread
from pytest_cdcperf.errors import ThreadLimitError
from pytest_cdcperf.servers import SET_ASIDE

if TYPE_CHECKING:
    from pytest_cdcperf.clients.mongo import Mongo
    from pytest_cdcperf.clients.mongo_changes import Document

_ASK_EVERY_S = 0.25
_ANSWER_WITHIN_S = 2.0


class PipelineFaults:
    """The known faults of the pipeline.

    :param deaths: says in a line each how parts of it have ended
    :param set_aside: returns what stands in the collection :data:`SET_ASIDE` of the sink
    """

    def __init__(self, deaths: Callable[[], Sequence[str]], set_aside: Callable[[], Sequence[Document]]) -> None:
        self._ask_deaths = deaths
        self._ask_set_aside = set_aside
        self._deaths: Sequence[str] = ()
        self._aside: Mapping[str, str] = {}
        self._lock = threading.Condition()
        self._callbacks: set[Callable[[], object]] = set()
        self._runs = False
        self._closed = threading.Event()

    def of(self, collection: str) -> str | None:
        """Say why no row can arrive in *collection*; None where nothing is known."""
        return "; ".join(self._deaths) or self._aside.get(collection)

    @contextmanager
    def subscribe(self, notify: Callable[[], object]) -> Iterator[None]:
        """Call *notify* inside the block, from another thread, whenever a new fault is known.

        :raises ThreadLimitError: where that thread cannot be started
        """
        with self._lock:
            self._callbacks.add(notify)
            self._lock.notify_all()
            fresh, self._runs = not self._runs, True
        try:
            if fresh:
                self._start()
            yield
        finally:
            with self._lock:
                self._callbacks.discard(notify)

    def _start(self) -> None:
        try:
            start_thread("the watcher of the pipeline", "cdcperf-faults", self._watch)
        except ThreadLimitError:
            self._runs = False
            raise

    def close(self) -> None:
        """End the thread; it notices at its next check."""
        self._closed.set()
        with self._lock:
            self._lock.notify_all()

    def check(self) -> None:
        """Ask now, and notify the subscribers where a new fault is known."""
        before = (self._deaths, self._aside)
        self._deaths = tuple(self._ask_deaths())
        if not self._deaths:
            try:
                self._aside = {
                    str(found["collection"]): f"table {found['_id']!r} is set aside: {found['reason']}"
                    for found in self._ask_set_aside()
                }
            except ReadError:  # it may be down for a moment; if it has died, *deaths* says so
                return
        if (self._deaths, self._aside) == before:
            return
        with self._lock:
            callbacks = list(self._callbacks)
        for notify in callbacks:
            notify()

    def _watch(self) -> None:
        while not self._closed.is_set():
            with self._lock:
                self._lock.wait_for(lambda: self._callbacks or self._closed.is_set())
            self.check()
            self._closed.wait(_ASK_EVERY_S)


def faults_of(mongo: Mongo, deaths: Callable[[], Sequence[str]]) -> PipelineFaults:
    """Return the faults of a pipeline into the sink of *mongo*."""
    return PipelineFaults(deaths, lambda: mongo.find_all_unmeasured(SET_ASIDE, timeout_s=_ANSWER_WITHIN_S))
