"""Readings that belong to the run rather than to a VU, taken once a second beside it."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from pytest_cdcperf.clock import real_time as time
from pytest_cdcperf.engine.current_vu import acting_as
from pytest_cdcperf.engine.thread_start import start_thread
from pytest_cdcperf.engine.vu import VU
from pytest_cdcperf.metrics import builtin
from pytest_cdcperf.metrics.scope import Scope

if TYPE_CHECKING:
    from psutil import Process

EVERY_S = 1.0
STACK_EVERY = 5  # readings
_MOST_CPU = 0.01  # of a CPU: the kernel walks all pages, 5 ms for a process that has touched 128 MB


class MemorySampler:
    """Records the resident memory of this process and, every fifth time or less, that of *pids* and their children.

    The latter is the sum of their proportional set sizes (PSS) where the system has these, as Linux does: memory
    that they share, such as PostgreSQL's buffers, counts once. Elsewhere it is the sum of what is resident.
    """

    def __init__(self, pids: Sequence[int] = ()) -> None:
        self._pids = pids
        self._skipped = self._until = 0

    def __call__(self) -> None:
        """Take a reading."""
        import psutil  # noqa: PLC0415  # only runs need it

        builtin.GENERATOR_MEMORY.add(psutil.Process().memory_info().rss / 1e6)
        self._skipped += 1
        if self._pids and self._skipped >= self._until:
            begin_s = time.thread_time()
            builtin.STACK_MEMORY.add(sum(map(_memory_of, self._pids)) / 1e6)
            spent_s = time.thread_time() - begin_s
            self._skipped, self._until = 0, max(STACK_EVERY, math.ceil(spent_s / _MOST_CPU / EVERY_S))


def _memory_of(pid: int) -> int:
    import psutil  # noqa: PLC0415

    total = 0
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        for member in (process, *process.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):  # a backend that has ended meanwhile
                total += _proportional(member)
    return total


def _proportional(process: Process) -> int:
    import psutil  # noqa: PLC0415

    try:
        full = process.memory_full_info()
    except psutil.AccessDenied:  # of another user
        return int(process.memory_info().rss)
    return int(getattr(full, "pss", full.rss))


@contextmanager
def sampling(samplers: Sequence[Callable[[], object]], scope: Scope) -> Iterator[None]:
    """Call each of *samplers* every second inside the block, in a thread of its own.

    What one raises is passed over: a reading that could not be taken is not there.

    :raises ThreadLimitError: where there can be no such thread
    """
    if not samplers:
        yield
        return
    over = threading.Event()
    sampling_vu = VU(0, session_id="", scope=scope)  # with connections of its own, that can be cut as those of all VUs

    def sample() -> None:
        with acting_as(sampling_vu):
            while not over.wait(EVERY_S):
                for sampler in samplers:
                    try:
                        sampler()
                    except Exception:  # noqa: BLE001, S112  # the load goes on; the gap in the series shows it
                        continue
        sampling_vu.own.close_all()

    start_thread("the thread that samples", "cdcperf-sampling", sample)
    try:
        yield
    finally:
        over.set()
        sampling_vu.own.cancel_all()
