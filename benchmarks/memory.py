"""Resident memory of four hours at 1,000 samples a second, drained every second as in a run; k6's beside it."""

from __future__ import annotations

import subprocess
import sys

from benchmarks import peer

PROBE = """
import random, sys
import psutil
from pytest_cdcperf.metrics.recorder import Recorder, Scope, Trend, recording
from pytest_cdcperf.metrics.series import Timeline, Window
trend, recorder, timeline = Trend("benchmark", unit="ms"), Recorder(), Timeline()
draw, process = random.Random(1), psutil.Process()
with recording(Scope(recorder)):
    for second in range(14_400):
        for _ in range(1_000):
            trend.add(draw.lognormvariate(3, 1))
        timeline.add(Window(second, second + 1, recorder.drain()))
        if second in (9, 999, 3_999, 14_399):
            print(process.memory_info().rss)
"""


def main() -> None:
    """Print the memory at three points of one process."""
    done = subprocess.run([sys.executable, "-c", PROBE], check=True, capture_output=True, text=True)
    megabytes = [int(line) / 1e6 for line in done.stdout.split()]
    for samples, memory in zip(("10,000", "1 million", "4 million", "14.4 million"), megabytes, strict=True):
        print(f"after {samples:>12} samples {memory:.1f} MB")
    if peer.available():
        for iterations in (1_000_000, 4_000_000):
            k6 = peer.run(
                {"scenarios": {"it": {"executor": "shared-iterations", "vus": 10, "iterations": iterations}}}, ""
            )
            print(f"k6 after {iterations:>9,} empty iterations {k6.memory_mb:.0f} MB")
