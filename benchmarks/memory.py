"""Resident memory after one and after four million samples, recorded and drained as in a run."""

from __future__ import annotations

import subprocess
import sys

PROBE = """
import random, sys
import psutil
from pytest_cdcperf.metrics.recorder import Recorder, Scope, Trend, recording
from pytest_cdcperf.metrics.series import Timeline, Window
trend, recorder, timeline = Trend("benchmark", unit="ms"), Recorder(), Timeline()
draw, process = random.Random(1), psutil.Process()
with recording(Scope(recorder)):
    for second in range(400):
        for _ in range(10_000):
            trend.add(draw.lognormvariate(3, 1))
        timeline.add(Window(second, second + 1, recorder.drain()))
        if second in (0, 99, 399):
            print(process.memory_info().rss)
"""


def main() -> None:
    """Print the memory at three points of one process."""
    done = subprocess.run([sys.executable, "-c", PROBE], check=True, capture_output=True, text=True)
    first, one, four = (int(line) / 1e6 for line in done.stdout.split())
    print(f"after 10,000 samples {first:.1f} MB, after 1 million {one:.1f} MB, after 4 million {four:.1f} MB")
