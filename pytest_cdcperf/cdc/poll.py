"""Polls the documents of subscriptions, in one thread, where the sink has no change streams."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from operator import attrgetter
from statistics import median

from pytest_cdcperf.cdc.subscriptions import Subscription, Subscriptions
from pytest_cdcperf.clients.mongo import Mongo
from pytest_cdcperf.clients.mongo_changes import UNREADABLE
from pytest_cdcperf.clock import Clock, MonotonicClock
from pytest_cdcperf.units import format_duration

MOST_ONE_BY_ONE = 50
"""Up to so many documents are read one by one: a query for several is a full scan in some servers."""

_AT_ONCE = 1_000
_USUAL = 9
_LEAST_PAUSE_S = 0.02
_PAUSES_A_POLL = 4  # polling takes at most a fifth of the time, so it is never the sink's main load
_RETRY_S = 0.2
_LONGEST_READ_S = 10.0


class Poller:
    """Reads the documents of those *subscriptions* whose collections are polled, round after round.

    A round ends with a pause of four times what its queries usually take, and of at least 20 ms. An arrival is seen at
    most a round late, which is the resolution of the latencies. What is usual is the median of the last nine queries:
    after a single one that hung for two seconds there must not be a pause of eight.
    """

    def __init__(
        self,
        mongo: Mongo,
        subscriptions: Subscriptions,
        *,
        clock: Clock | None = None,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        self._mongo = mongo
        self._subscriptions = subscriptions
        self._clock = clock or MonotonicClock()
        self._closed = threading.Event()
        self._sleep = self._closed.wait if sleep is None else sleep
        self._singles: deque[float] = deque(maxlen=_USUAL)  # seconds
        self._batches: deque[float] = deque(maxlen=_USUAL)
        self.reset()

    def reset(self) -> None:
        """Forget how long rounds took."""
        self._rounds, self._total_s, self._longest_s = 0, 0.0, 0.0

    @property
    def resolution(self) -> str:
        """The duration of a round, in words; "" before the first one."""
        if not self._rounds:
            return ""
        mean, most = format_duration(self._total_s / self._rounds), format_duration(self._longest_s)
        return f"every {mean} on average, {most} at most"

    def shortest_round_s(self, collection: str) -> float:
        """Return how long a round takes while one document is waited for in *collection*.

        :raises ReadError: when the sink does not answer
        """
        begin_ns = self._clock.now_ns()
        self._mongo.find_unmeasured(collection, "", timeout_s=_LONGEST_READ_S)
        took_s = self._seconds_since(begin_ns)
        return took_s + _pause_s(took_s)

    def run(self) -> None:
        """Poll until :meth:`close`. To be called in a thread of its own."""
        while not self._closed.is_set():
            self.poll(self._subscriptions.wait_for_polled())

    def poll(self, subscriptions: Sequence[Subscription]) -> None:
        """Read the documents of *subscriptions* once, notify those whose document has changed, and pause."""
        begin_ns = self._clock.now_ns()
        try:
            usual_s = self._compare(subscriptions)
        except UNREADABLE:
            for subscription in subscriptions:
                subscription.notify()  # its own read shows it what is wrong
            self._sleep(_RETRY_S)
            return
        pause_s = _pause_s(usual_s)
        round_s = self._seconds_since(begin_ns) + pause_s
        self._rounds += 1
        self._total_s += round_s
        self._longest_s = max(self._longest_s, round_s)
        self._sleep(pause_s)

    def close(self) -> None:
        """End :meth:`run`."""
        self._closed.set()

    def _compare(self, subscriptions: Sequence[Subscription]) -> float:
        """Return the seconds that the queries for *subscriptions* usually take."""
        if len(subscriptions) <= MOST_ONE_BY_ONE:
            for one in subscriptions:
                begin_ns = self._clock.now_ns()
                one.on_poll(self._mongo.find_unmeasured(one.collection, one.key, timeout_s=_LONGEST_READ_S))
                self._singles.append(self._seconds_since(begin_ns))
            return len(subscriptions) * median(self._singles or [0.0])
        parts = list(_parts(subscriptions))
        for collection, some in parts:
            keys = [one.key for one in some]
            begin_ns = self._clock.now_ns()
            found = self._mongo.find_many_unmeasured(collection, keys, timeout_s=_LONGEST_READ_S)
            self._batches.append(self._seconds_since(begin_ns))
            for one in some:
                one.on_poll(found.get(one.key))
        return len(parts) * median(self._batches)

    def _seconds_since(self, begin_ns: int) -> float:
        return (self._clock.now_ns() - begin_ns) * 1e-9


def _pause_s(usual_s: float) -> float:
    return max(_LEAST_PAUSE_S, _PAUSES_A_POLL * usual_s)


def _parts(subscriptions: Sequence[Subscription]) -> Iterator[tuple[str, Sequence[Subscription]]]:
    collection_of = attrgetter("collection")
    for collection, some in groupby(sorted(subscriptions, key=collection_of), collection_of):
        of_one = list(some)
        yield from ((collection, of_one[first : first + _AT_ONCE]) for first in range(0, len(of_one), _AT_ONCE))
