"""As many VUs as one process is meant for: 500 threads and 5,000 tasks, each pausing half a second an iteration."""

from __future__ import annotations

import time

import psutil

from pytest_cdcperf.engine.body import think
from pytest_cdcperf.engine.run import Body, Run
from pytest_cdcperf.load.closed import ConstantVUs
from pytest_cdcperf.metrics.builtin import ITERATION_DURATION
from pytest_cdcperf.metrics.histogram import Histogram
from pytest_cdcperf.metrics.timeline import Timeline

PAUSE_S = 0.5


def pause() -> None:
    """Think, as a user does."""
    think(PAUSE_S)


async def pause_async() -> None:
    """Think, awaited."""
    await think.aio(PAUSE_S)


def main() -> None:
    """Print a line for each runtime."""
    for name, vus, body in (("threads", 500, Body(pause)), ("tasks", 5000, Body(pause_async, is_async=True))):
        timeline, begin = Timeline(), time.process_time()
        load = ConstantVUs(vus=vus, duration="5s")
        outcome = Run({"": load}, body, session_id="benchmark", on_window=timeline.add).execute()
        spent_s = time.process_time() - begin
        state = timeline.total.select(ITERATION_DURATION.name)
        if isinstance(state, Histogram):
            over_ms = state.quantile(0.99) - PAUSE_S * 1e3
            rate = state.count / outcome.elapsed_s
            print(
                f"{vus} {name}: {rate:.0f} iterations/s, p99 {over_ms:.0f} ms over the pause, "
                f"{spent_s / state.count * 1e6:.0f} us of CPU each, {psutil.Process().memory_info().rss / 1e6:.0f} MB"
            )
