"""Looking up what is waited for in a sink without change streams: one thread for all who wait in the process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

from pytest_cdcperf.cdc.waiters import Waiter, Waiters
from pytest_cdcperf.clients.mongo import Mongo
from pytest_cdcperf.clients.mongo_changes import UNREADABLE
from pytest_cdcperf.clock import Clock, MonotonicClock
from pytest_cdcperf.units import format_duration

MOST_ONE_BY_ONE = 50
"""Up to so many documents are read one by one: a query for several is a full scan in some servers."""

_AT_ONCE = 1_000
_LEAST_PAUSE_S = 0.02
_PAUSES_A_LOOK = 4  # a look takes at most a fifth of the time, so polling is never the sink's main load
_RETRY_S = 0.2
_LONGEST_READ_S = 10.0


class Poller:
    """Looks up the documents of those *waiters* whose collections are polled, round after round.

    A round ends with a pause of four times what it took, and of at least 20 ms. An arrival is seen at most a round
    late, which is the resolution of the latencies.
    """

    def __init__(
        self,
        mongo: Mongo,
        waiters: Waiters,
        *,
        clock: Clock | None = None,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        self._mongo = mongo
        self._waiters = waiters
        self._clock = clock or MonotonicClock()
        self._closed = threading.Event()
        self._sleep = self._closed.wait if sleep is None else sleep
        self.begin()

    def begin(self) -> None:
        """Forget how long rounds took."""
        self._rounds, self._total_s, self._longest_s = 0, 0.0, 0.0

    @property
    def resolution(self) -> str:
        """How long a round takes, in words; "" before the first one."""
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
        return _round_s((self._clock.now_ns() - begin_ns) * 1e-9)

    def run(self) -> None:
        """Poll until :meth:`close`. To be called in a thread of its own."""
        while not self._closed.is_set():
            self.look(self._waiters.wait_for_polled())

    def look(self, waiters: Sequence[Waiter]) -> None:
        """Look up once what *waiters* wait for, wake those whose document is another one now, and pause."""
        begin_ns = self._clock.now_ns()
        try:
            self._compare(waiters)
        except UNREADABLE:
            for waiter in waiters:
                waiter.wake()  # each learns by its own read what is wrong
            self._sleep(_RETRY_S)
            return
        took_s = (self._clock.now_ns() - begin_ns) * 1e-9
        round_s = _round_s(took_s)
        self._rounds += 1
        self._total_s += round_s
        self._longest_s = max(self._longest_s, round_s)
        self._sleep(round_s - took_s)

    def close(self) -> None:
        """End :meth:`run`."""
        self._closed.set()

    def _compare(self, waiters: Sequence[Waiter]) -> None:
        if len(waiters) <= MOST_ONE_BY_ONE:
            for waiter in waiters:
                waiter.compare(self._mongo.find_unmeasured(waiter.collection, waiter.key, timeout_s=_LONGEST_READ_S))
            return
        for collection, some in _parts(waiters):
            keys = [waiter.key for waiter in some]
            found = self._mongo.find_many_unmeasured(collection, keys, timeout_s=_LONGEST_READ_S)
            for waiter in some:
                waiter.compare(found.get(waiter.key))


def _round_s(took_s: float) -> float:
    return took_s + max(_LEAST_PAUSE_S, _PAUSES_A_LOOK * took_s)


def _parts(waiters: Sequence[Waiter]) -> Iterator[tuple[str, Sequence[Waiter]]]:
    by_collection = groupby(sorted(waiters, key=lambda waiter: waiter.collection), lambda waiter: waiter.collection)
    for collection, some in by_collection:
        of_one = list(some)
        yield from ((collection, of_one[first : first + _AT_ONCE]) for first in range(0, len(of_one), _AT_ONCE))
