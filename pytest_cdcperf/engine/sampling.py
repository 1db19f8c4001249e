"""Readings that belong to the run rather than to a VU, taken once a second beside it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from pytest_cdcperf.engine.thread_start import start_thread
from pytest_cdcperf.engine.vu import VU, acting_as
from pytest_cdcperf.metrics import builtin
from pytest_cdcperf.metrics.recorder import Scope

EVERY_S = 1.0


def sample_memory(pids: Sequence[int] = ()) -> None:
    """Record the resident memory of this process and, where there are any, of the processes *pids* and theirs."""
    import psutil  # noqa: PLC0415  # only runs need it

    builtin.GENERATOR_MEMORY.add(psutil.Process().memory_info().rss / 1e6)
    total = 0
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            total += sum(member.memory_info().rss for member in (process, *process.children(recursive=True)))
    if pids:
        builtin.STACK_MEMORY.add(total / 1e6)


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
    sampling_vu = VU(0, run_id="", scope=scope)  # with connections of its own, that can be cut as those of all VUs

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
