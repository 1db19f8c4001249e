"""Memory of a run's figures, drained and judged every second as in a run; k6's beside it.

Each case runs in a process of its own, at 10,000 samples a second, for longer than the history has windows.
"""

from __future__ import annotations

import subprocess
import sys

from benchmarks import peer

CASES = (
    ("one trend", 1, 1, 620),
    ("4 trends of 195 URLs", 4, 195, 620),
    ("300 trends of 20 sets of tags", 300, 20, 280),  # its history is full after 133 s
)
PROBE = """
import random, sys
import psutil
from pytest_cdcperf.judging.live import Judging
from pytest_cdcperf.metrics.metric import Trend
from pytest_cdcperf.metrics.recorder import Recorder
from pytest_cdcperf.metrics.scope import Scope, recording
from pytest_cdcperf.metrics.timeline import Window
trends = [Trend(f"benchmark_{number}", unit="ms") for number in range(int(sys.argv[1]))]
urls = [{"url": f"/{number}"} for number in range(int(sys.argv[2]))]
recorder, judging = Recorder(), Judging([])
draw, process = random.Random(1), psutil.Process()
drawn = [draw.lognormvariate(3, 1) for _ in range(100_003)]
empty, most, sample = process.memory_info().rss, 0, 0
with recording(Scope(recorder)):
    for second in range(int(sys.argv[3])):
        for _ in range(10_000):
            sample += 1
            trends[sample % len(trends)].add(drawn[sample % 100_003], urls[sample * 7 // len(trends) % len(urls)])
        judging.add(Window(second, second + 1, recorder.drain()))
        most = max(most, process.memory_info().rss)
        if second + 1 in (60, int(sys.argv[3])):
            print((process.memory_info().rss - empty) / 1e6, (most - empty) / 1e6)
"""


def main() -> None:
    """Print the growth over an empty process after a minute and at the end, and the highest."""
    for name, *case in CASES:
        command = [sys.executable, "-c", PROBE, *map(str, case)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        for after_s, line in zip((60, case[-1]), done.stdout.splitlines(), strict=True):
            now, most = map(float, line.split())
            print(f"{name:<30} after {after_s:>3} s {now:6.1f} MB more than empty, at most {most:.1f} MB")
    if peer.available():
        for iterations in (1_000_000, 4_000_000):
            k6 = peer.run(
                {"scenarios": {"it": {"executor": "shared-iterations", "vus": 10, "iterations": iterations}}}, ""
            )
            print(f"k6 after {iterations:>9,} empty iterations {k6.memory_mb:.0f} MB")
