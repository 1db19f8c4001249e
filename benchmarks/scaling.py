"""One test on one and on two worker processes: throughput and generator lag; and what it costs to merge many workers.

The workers share the machine's cores with pytest itself, so two of them on two cores do not double anything.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from pytest_cdcperf.cluster.aggregator import RunAggregator
from pytest_cdcperf.cluster.messages import Plan, ShareDone, WindowDone
from pytest_cdcperf.cluster.wire import pack, unpack
from pytest_cdcperf.judging.parser import parse_thresholds
from pytest_cdcperf.metrics.metric import Trend
from pytest_cdcperf.metrics.recorder import Recorder
from pytest_cdcperf.metrics.scope import Scope, recording
from pytest_cdcperf.metrics.snapshot import Snapshot
from pytest_cdcperf.metrics.timeline import Window
from pytest_cdcperf.results.result import RunFacts

SECONDS, RATE = 5, 2_000
WORKERS, WINDOWS, SERIES, SAMPLES = 64, 20, 20, 200
SCENARIO = f"""
from pytest_cdcperf import ConstantArrivalRate, perf

def work():
    sum(range(1_000))  # some 10 us of the generator's own

@perf(vus=10, duration="{SECONDS}s")
def test_closed():
    work()

@perf(load=ConstantArrivalRate(rate={RATE}, duration="{SECONDS}s", vus=20))
def test_open():
    work()
"""


def results(workers: int) -> dict[str, dict[str, Any]]:
    """Run the scenario on so many workers; return the result of each test."""
    with tempfile.TemporaryDirectory() as name:
        Path(name, "test_it.py").write_text(SCENARIO)
        Path(name, "pytest.ini").write_text("[pytest]\n")
        command = [sys.executable, "-m", "pytest", "-q", "-n", str(workers), "--perf-run"]
        subprocess.run(command, cwd=name, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        return {
            test: json.loads(Path(name, f"perf-results/latest/test_it-{test}.json").read_text())
            for test in ("test_closed", "test_open")
        }


def window_of(worker: int) -> Snapshot:
    """Return a second of a worker's figures: series of tags with samples in each."""
    recorder = Recorder()
    with recording(Scope(recorder)):
        for series in range(SERIES):
            metric = Trend("http_req_duration", unit="ms")
            for sample in range(SAMPLES):
                metric.add(1 + (sample * 7919 + worker * 104_729) % 1_000, {"name": f"/path/{series}"})
    return recorder.drain()


def merging_s() -> float:
    """Return the CPU seconds that a second of many workers takes: bytes to merged, judged windows."""
    plan = Plan(
        "t", 1, RunFacts("r", "t", "load", WINDOWS), tuple(parse_thresholds({"http_req_duration": "p(95)<2000"}))
    )
    names = [f"gw{number}" for number in range(WORKERS)]
    coordinator = RunAggregator(plan, names)
    snapshots = [window_of(number) for number in range(WORKERS)]
    sent = [
        [
            (name, pack(WindowDone("t", Window(second, second + 1, snapshots[number]))))
            for number, name in enumerate(names)
        ]
        for second in range(WINDOWS)
    ]
    begin = time.process_time()
    for second in sent:
        for name, data in second:
            coordinator.take_window(name, unpack(data).window)
    for name in names:
        coordinator.take_done(name, ShareDone("t", WINDOWS))
    return (time.process_time() - begin) / WINDOWS


def main() -> None:
    """Print both."""
    for workers in (1, 2):
        found = results(workers)
        closed, opened = found["test_closed"], found["test_open"]
        lag = opened["metrics"]["generator_lag"]["values"]["p(99)"]
        print(
            f"{workers} worker{'s' * (workers > 1)}: closed loop {closed['iterations'] / closed['elapsed_s']:,.0f}/s; "
            f"{RATE}/s open loop: {opened['iterations']} of {RATE * SECONDS}, generator_lag p99 {lag:.2f} ms, "
            f"CPU {sum(part['cpu'] for part in opened['workers']):.0%} of a core"
        )
    print(
        f"merging {WORKERS} workers, {SERIES} series with {SAMPLES} samples each: "
        f"{merging_s() * 1e3:.0f} ms of CPU for each second of the run"
    )
