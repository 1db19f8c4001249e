"""The delay of the load generator itself, measured by beats that are due every 10 ms beside the load.

What delays a beat delays VUs as well: Python's lock, a blocked event loop, a garbage collection, CPUs that others have,
a stopped process. So the lateness of beats shows how much of a measured time can be the generator's own.
"""

from __future__ import annotations

import gc
import math
import os
import sys
import threading
from types import FrameType
from typing import TYPE_CHECKING, Self

import psutil  # not at its first use: that is when the load has begun

from pytest_cdcperf.clock import Clock
from pytest_cdcperf.clock import real_time as time
from pytest_cdcperf.engine.source_lines import line_of, outwards, user_frame
from pytest_cdcperf.engine.thread_start import start_thread
from pytest_cdcperf.metrics import builtin
from pytest_cdcperf.metrics.delay_evidence import DelayEvidence
from pytest_cdcperf.metrics.recorder import Recorder

if TYPE_CHECKING:
    import asyncio

BEAT_MS = 10.0
LATE_MS = 5.0
OVERDUE_MS = 60.0  # then the event loop counts as blocked, and the line in which it is gets noted
BESIDE_MS = 50.0  # between the beats of the thread beside an event loop, which only show who was late
_BEAT_S = BEAT_MS / 1e3
_JOIN_S = 1.0
_MOST_FILLED_IN = 6_000  # a minute of missed beats


def filled_in(late_ms: float) -> list[float]:
    """Return the lateness of a beat and of those that it left out: x, x - 10, x - 20, ...

    So beats weigh by time: without, a second in which nothing ran would be one beat among hundreds.

    >>> filled_in(25.0)
    [25.0, 15.0, 5.0]
    """
    missed = min(int(late_ms // BEAT_MS), _MOST_FILLED_IN)
    return [late_ms - BEAT_MS * number for number in range(missed + 1)]


class Beats:
    """The beats of one thread or event loop: each is due *every_ms* after the one before.

    The first is due after *first_ms*, where that is longer.
    """

    def __init__(self, clock: Clock, every_ms: float = BEAT_MS, first_ms: float = 0.0) -> None:
        self._now_ns = clock.now_ns
        self._every_ns = round(every_ms * 1e6)
        self.due_ns = clock.now_ns() + max(self._every_ns, round(first_ms * 1e6))

    @property
    def overdue_ms(self) -> float:
        """How late the next beat is by now, at least 0."""
        return max(0.0, (self._now_ns() - self.due_ns) * 1e-6)

    def beat(self) -> float:
        """Take the beat that was due; return how late it was, in milliseconds."""
        return self.beat_within(math.inf)

    def beat_within(self, most_ms: float) -> float:
        """The same where it is at most *most_ms* late; else it stays due, and the answer is infinite."""
        now_ns = self._now_ns()  # once: what comes between two readings would be lost
        late_ms = (now_ns - self.due_ns) * 1e-6
        if late_ms > most_ms:
            return math.inf
        self.due_ns = now_ns + self._every_ns
        return late_ms if late_ms > 0 else 0.0


class Heartbeat:
    """Beats inside its ``with`` block and records how late it was, as ``generator_delay`` and ``generator_lost_s``.

    A thread sleeps 10 ms at a time. Once :meth:`beat_on` has given it an event loop, the beats are a timer's on that
    loop; the thread then beats every 50 ms, which only shows who was late. Costs less than 1 % of a CPU.
    """

    def __init__(self, recorder: Recorder, clock: Clock) -> None:
        self._clock = clock
        self._delays = recorder.pending(builtin.GENERATOR_DELAY)
        self._lost = recorder.pending(builtin.GENERATOR_LOST)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._over = True
        self._ended = threading.Event()
        self._thread_beats = self._beats = Beats(clock)
        self._loop_thread: int | None = None
        self._sampled_ns = 0
        self._collection_begun_s = 0.0
        self._seen = DelayEvidence()
        self._taken_s = 0.0
        self._cpu_s = self._host_s = 0.0

    def __enter__(self) -> Self:
        self._over = False
        self._ended.clear()
        self._thread_beats = self._beats = Beats(self._clock)
        self._cpu_s, self._host_s = time.process_time(), _host_busy_s()
        self._thread = start_thread("the thread of the heartbeat", "cdcperf-heartbeat", self._beat_in_thread)
        gc.callbacks.append(self._on_collection)
        return self

    def __exit__(self, *_exc: object) -> None:
        gc.callbacks.remove(self._on_collection)
        with self._lock:
            self._count_overdue()
            self._over = True
        self._ended.set()
        if self._thread is not None:
            self._thread.join(_JOIN_S)

    def beat_on(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let *loop*, which runs in this thread, beat instead of the thread."""

        def beat() -> None:
            if self._over or self._loop_thread is None:
                return
            if not self._is_on_time(self._beats):
                with self._lock:
                    if self._over:
                        return
                    self._count(self._beats.beat())
            loop.call_later(_BEAT_S, beat)

        with self._lock:
            self._beats, self._thread_beats = Beats(self._clock), Beats(self._clock, BESIDE_MS)
            self._loop_thread = threading.get_ident()
            self._seen.on_loop = True
        loop.call_later(_BEAT_S, beat)

    def loop_ends(self) -> None:
        """The event loop is through: what its last beat is late by counts, and then the thread beats again."""
        with self._lock:
            self._count_overdue()
            self._loop_thread = None
            # Not twice for the same time. The thread may be in a sleep of 50 ms.
            self._thread_beats = self._beats = Beats(self._clock, first_ms=BESIDE_MS)

    def take(self, end_s: float) -> DelayEvidence | None:
        """Return what was seen since the last call, up to *end_s* of the run: None where no beat was late."""
        cpu_s, host_s = time.process_time(), _host_busy_s()
        with self._lock:
            seen, self._seen = self._seen, DelayEvidence(on_loop=self._loop_thread is not None)
        seen.span_s, seen.worst_from_s, seen.worst_to_s = end_s - self._taken_s, self._taken_s, end_s
        seen.cpu_s = cpu_s - self._cpu_s
        seen.others_cpu_s = max(0.0, host_s - self._host_s - seen.cpu_s)
        seen.cpus = os.cpu_count() or 1
        self._taken_s, self._cpu_s, self._host_s = end_s, cpu_s, host_s
        return seen if seen.late_s else None

    def _is_on_time(self, beats: Beats) -> bool:
        # Nearly all are, without a lock: each line more costs much where the caches are cold after a sleep.
        late_ms = beats.beat_within(LATE_MS)
        if late_ms > LATE_MS:
            return False
        self._delays.append(late_ms)
        return True

    def _beat_in_thread(self) -> None:
        while True:
            if self._beats is self._thread_beats:
                time.sleep(_BEAT_S)
            else:
                self._ended.wait(BESIDE_MS / 1e3)
            if self._over:
                return
            if self._beats is self._thread_beats and self._is_on_time(self._beats):
                continue
            with self._lock:
                if self._over:
                    return
                late_ms = self._thread_beats.beat()
                if self._loop_thread is None:
                    self._count(late_ms)
                    continue
                if late_ms > LATE_MS:
                    self._seen.thread_late_s += late_ms / 1e3
                self._watch(self._loop_thread)

    def _count(self, late_ms: float) -> None:
        if late_ms < BEAT_MS:
            self._delays.append(late_ms)
        else:
            self._delays.extend(filled_in(late_ms))
        if late_ms > LATE_MS:
            self._lost.append(late_ms / 1e3)
            self._seen.late_s += late_ms / 1e3
            self._seen.worst_ms = max(self._seen.worst_ms, late_ms)

    def _count_overdue(self) -> None:
        if not self._over and self._beats.overdue_ms > 0:
            self._count(self._beats.beat())

    def _watch(self, loop_thread: int) -> None:
        if self._beats.overdue_ms <= OVERDUE_MS or self._sampled_ns == self._beats.due_ns:
            return
        self._sampled_ns = self._beats.due_ns
        frame = sys._current_frames().get(loop_thread)  # noqa: SLF001  # documented, if only for debuggers
        if frame is not None:
            self._seen.blocked[_line(frame)] += 1

    def _on_collection(self, phase: str, _info: dict[str, int]) -> None:
        # No lock: a collection may begin in whichever thread, also while that one holds it.
        now_s = time.perf_counter()
        if phase == "start":
            self._collection_begun_s = now_s
            return
        took_s = now_s - self._collection_begun_s
        self._seen.collecting_s += took_s
        self._seen.longest_collection_ms = max(self._seen.longest_collection_ms, took_s * 1e3)


def _line(frame: FrameType) -> str:
    """Return "file:line in function" of the innermost frame that is the user's own, of the innermost without one."""
    found = user_frame(outwards(frame)) or frame
    return f"{line_of(found)} in {found.f_code.co_name}"


def _host_busy_s() -> float:
    """Return the CPU seconds that all processes of the host have used, and what its hypervisor took."""
    times = psutil.cpu_times()
    names = ("user", "nice", "system", "irq", "softirq", "steal")
    return float(sum(getattr(times, name, 0.0) for name in names))
