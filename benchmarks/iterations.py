"""CPU time of one empty iteration, threads and tasks, beside a bare loop that only reads the clock twice, and k6.

Where the system allows it all run on one core: threads of Python on two cores pay for handing the lock over.
"""

from __future__ import annotations

import time

from benchmarks import peer
from benchmarks.turns import last_core
from pytest_cdcperf.engine.run import Body, Run
from pytest_cdcperf.load.closed import ConstantVUs
from pytest_cdcperf.metrics.builtin import ITERATIONS
from pytest_cdcperf.metrics.timeline import Timeline

LOAD = ConstantVUs(vus=10, duration="3s")


def empty() -> None:
    """Do nothing."""


async def empty_async() -> None:
    """Do nothing, awaited."""


def cost_us(body: Body) -> tuple[float, int]:
    """Return the microseconds of CPU that one iteration of *body* takes, and how many there were."""
    timeline = Timeline()
    begin = time.process_time()
    Run({"": LOAD}, body, session_id="benchmark", on_window=timeline.add).execute()
    spent = time.process_time() - begin
    count = int(timeline.total.count(ITERATIONS.name))
    return spent / count * 1e6, count


def bare_us(rounds: int = 1_000_000) -> float:
    """Return the microseconds of an empty call between two readings of the clock."""
    now = time.perf_counter_ns
    begin = time.process_time()
    for _ in range(rounds):
        now()
        empty()
        now()
    return (time.process_time() - begin) / rounds * 1e6


def main() -> None:
    """Print both runtimes' costs."""
    last_core()
    bare = bare_us()
    print(f"bare call between two clock readings  {bare:.2f} us")
    for name, body in (("threads", Body(empty)), ("tasks", Body(empty_async, is_async=True))):
        cost, count = cost_us(body)
        print(f"empty iteration on {name:<8}           {cost:.2f} us, {cost / bare:.1f} x bare ({count} iterations)")
    if peer.available():
        k6 = peer.run({"vus": 10, "duration": "3s"}, "")
        count = int(k6.value("iterations", "count"))
        cost = k6.cpu_s / count * 1e6
        print(f"empty iteration in k6                 {cost:.2f} us, {k6.memory_mb:.0f} MB ({count} iterations)")
