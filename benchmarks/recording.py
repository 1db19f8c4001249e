"""CPU time of one recorded sample, draining included, beside a reading of the clock."""

from __future__ import annotations

import random
import time

from pytest_cdcperf.metrics.metric import Trend
from pytest_cdcperf.metrics.recorder import Recorder
from pytest_cdcperf.metrics.scope import Scope, recording

SAMPLES = 1_000_000
BATCH = 50_000


def sample_us(record: str) -> float:
    """Return the microseconds that one sample costs: through Trend.add, or through a kept append."""
    trend, recorder = Trend("benchmark", unit="ms"), Recorder()
    draw = random.Random(1)  # noqa: S311
    values = [draw.lognormvariate(3, 1) for _ in range(BATCH)]
    with recording(Scope(recorder)) as scope:
        add = trend.add if record == "Trend.add" else scope.appends[trend]
        begin = time.process_time()
        for _ in range(SAMPLES // BATCH):
            for value in values:
                add(value)
            recorder.drain()
        return (time.process_time() - begin) / SAMPLES * 1e6


def clock_us() -> float:
    """Return the microseconds of one reading of the clock."""
    now = time.perf_counter_ns
    begin = time.process_time()
    for _ in range(SAMPLES):
        now()
    return (time.process_time() - begin) / SAMPLES * 1e6


def main() -> None:
    """Print the cost of a sample both ways."""
    clock = clock_us()
    print(f"one reading of the clock     {clock:.3f} us")
    for way in ("Trend.add", "kept append"):
        cost = sample_us(way)
        print(f"one sample by {way:<12}   {cost:.3f} us, {cost / clock:.1f} x the clock")
