"""The open loop: iterations start by the clock, whether or not the ones before have ended."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from itertools import chain, islice, takewhile

from pytest_cdcperf.engine.context import RunContext
from pytest_cdcperf.engine.iterations import IterationRecorder
from pytest_cdcperf.engine.loop import Loop, NewVU
from pytest_cdcperf.load.open import OpenLoad
from pytest_cdcperf.load.share import Share
from pytest_cdcperf.metrics import builtin

_MOST_COUNTED = 1_000_000  # which takes a second


class OpenLoop(Loop):
    """Starts by the clock, taken by whichever VU is free.

    One thread or task, the dispatcher, waits for each intended start and puts it into a queue; VUs that are free wait
    at the queue's other end. A start for which no VU is free gets a new one, up to ``max_vus``; beyond, it waits for a
    busy one, and is dropped after ``max_lateness``.

    Two lags, never one: ``vu_wait`` is how long a start waited because every VU was busy, which is the
    system under test being slow; ``generator_lag`` is how late it was although one was free, or because a new one had
    to be started, which is our own fault. Both are part of response_time.
    """

    load: OpenLoad

    def __init__(self, load: OpenLoad, share: Share, context: RunContext, new_vu: NewVU) -> None:
        super().__init__(load, share, context)
        self.starts = self._remembering(load.starts(share))
        self._in_hand: tuple[float, ...] = ()  # the start that was taken from the plan and is not handed out yet
        self._new_vu = new_vu
        self._numbers = iter(share.numbers(load.most_vus))
        self._first = share.part(load.first_vus)
        self._max_lateness_ns = round(load.max_lateness_s * 1e9)
        self.most_queued = math.ceil(load.peak_rate * load.max_lateness_s) + 1
        self._lock = threading.Lock()
        self._free = 0  # VUs that wait for a start; below 0: starts that wait for a VU
        self._dropped = 0
        self._unstarted = 0
        self._taken = 0  # of both, by the supervisor by now

    def first_vus(self) -> list[IterationRecorder]:
        """Return the VUs that are there from the start."""
        return [recorder for _ in range(self._first) if (recorder := self.add_vu()) is not None]

    def add_vu(self) -> IterationRecorder | None:
        """Return one more VU, or None where there are as many as there may be."""
        number = next(self._numbers, None)
        if number is None:
            return None
        recorder = IterationRecorder(self._new_vu(number), self._context)
        self.recorders.append(recorder)
        return recorder

    def vu_joined(self, recorder: IterationRecorder) -> None:
        """Note that the thread or task of *recorder* is there, and free."""
        recorder.is_there = True
        self.vu_became_free()

    def vu_became_free(self) -> None:
        """Note that a VU is free."""
        with self._lock:
            self._free += 1

    def hand_out(self) -> tuple[IterationRecorder | None, int]:
        """Note that a start is due, as :meth:`start_due` does.

        Return the VU that is to be started for it, where there is none free and there may be more, and since when it
        waits for a busy one, as the clock's nanoseconds: 0 where it does not.
        """
        if not self.start_due():
            return None, 0
        recorder = self.add_vu()
        return recorder, 0 if recorder is not None else self._context.clock.now_ns()

    def start_due(self) -> bool:
        """Note that a start is due; return whether every VU is busy."""
        with self._lock:
            self._free -= 1
            return self._free < 0

    @property
    def queue_is_full(self) -> bool:
        """Whether more starts wait for a VU than come while one may wait."""
        return -self._free > self.most_queued

    def accept_start(
        self, recorder: IterationRecorder, intended_ns: int, waits_from_ns: int, free_since_ns: int
    ) -> bool:
        """Record how late *recorder* takes a start; return whether it still counts, and drop it where not.

        :param waits_from_ns: since when the start has waited for a busy VU, as :meth:`hand_out` says
        :param free_since_ns: when *recorder* ended its last iteration, 0 where this is its first
        """
        # Until this VU became free the start waited for the system under test. All the rest of its lateness is ours:
        # it was queued late, or the thread or task of this VU was slow to take it.
        waited_ns = max(0, free_since_ns - waits_from_ns) if waits_from_ns else 0
        if waited_ns > self._max_lateness_ns:
            self.drop()
            return False
        recorder.enter_phase_at(intended_ns)
        appends = recorder.vu.scope.appends
        appends[builtin.VU_WAIT](waited_ns * 1e-6)
        appends[builtin.GENERATOR_LAG](max(0, self._context.clock.now_ns() - intended_ns - waited_ns) * 1e-6)
        return True

    def drop(self) -> None:
        """Count a start that waited too long for a VU."""
        with self._lock:
            self._dropped += 1

    def drop_queued(self) -> None:
        """Count a start that was taken out of the queue because too many wait there."""
        with self._lock:
            self._dropped += 1
            self._free += 1  # one start fewer waits for a VU

    def drop_untaken(self) -> None:
        """Count a start that was still in the queue when the run ended."""
        if not self._context.stop.reason:  # every VU was busy until the very end
            self.drop_queued()
            return
        with self._lock:
            self._unstarted += 1
            self._free += 1

    def _remembering(self, planned: Iterator[float]) -> Iterator[float]:
        # The run may end while the dispatcher still waits for the start that it took last: drop_rest counts that too.
        for start_s in planned:
            self._in_hand = (start_s,)
            yield start_s
            self._in_hand = ()

    def drop_rest(self) -> None:
        """Count the starts that were not handed out because the run has ended.

        Those that are due by now; where the run could not go on, all that were planned.
        """
        until_s = math.inf if self._context.stop.fault else self._context.elapsed_s()
        rest = takewhile(lambda due_s: due_s <= until_s, chain(self._in_hand, self.starts))
        unstarted = sum(1 for _ in islice(rest, _MOST_COUNTED))
        with self._lock:
            self._unstarted += unstarted

    def drop_unaccounted(self) -> None:
        """Count the starts that are due and came to nothing, where what hands them out is blocked for good."""
        until_s = self._context.elapsed_s()
        due = sum(1 for _ in takewhile(lambda due_s: due_s <= until_s, self.load.starts(self._share)))
        with self._lock:
            known = sum(recorder.started for recorder in self.recorders) + self._taken + self._dropped + self._unstarted
            self._unstarted += max(0, due - known)

    def take_unstarted(self) -> int:
        """Return the starts since the last call that came to nothing because the run ended."""
        with self._lock:
            unstarted, self._unstarted = self._unstarted, 0
            self._taken += unstarted
        return unstarted

    def take_dropped(self) -> int:
        """Return the starts since the last call that were dropped because every VU was busy."""
        with self._lock:
            dropped, self._dropped = self._dropped, 0
            self._taken += dropped
        return dropped
