"""Short runs of the scenario "baseline" on the embedded stack: the generator shares the CPUs with the servers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.fitness import beside

SECONDS = 6
CONDITIONS = (("quiet", 0, 0), ("1 busy process", 1, 0), ("4 busy processes", 4, 2))  # INVALID of 20, at most


def main(runs: str) -> None:
    """Print the verdict of each run, and how many were INVALID."""
    for words, busy, allowed in CONDITIONS:
        with beside.busy(busy)([]):
            found = [_run() for _ in range(int(runs))]
        invalid = [result for result in found if result["verdict"] == "INVALID"]
        print(f"{words}: INVALID in {len(invalid)} of {len(found)} (at most {allowed} of 20)")
        for result in found:
            if not result["workers"]:
                print(f"    {result['verdict']}")
                continue
            worker = result["workers"][0]
            own = f"own delay p95 {worker['own_delay_p95_ms']:.1f} ms, lost {worker['lost']:.1%}"
            print(f"    {result['verdict']}, {result['iterations']} iterations, {own}  {'; '.join(result['reasons'])}")


def _run() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests_perf/test_baseline.py"]
        options = ["-m", "baseline", f"--perf-duration={SECONDS}s"]
        environment = {**os.environ, "RESULTS_DIR": directory}
        session = subprocess.run([*command, *options], env=environment, check=False, capture_output=True, text=True)
        for path in Path(directory).glob("*-*/*baseline*.json"):
            result: dict[str, Any] = json.loads(path.read_text())
            return result
        said = [line for line in session.stdout.splitlines() if line.startswith(("FAILED", "ERROR", "SKIPPED"))]
        return {"verdict": f"no result: {'; '.join(said) or session.stdout[-300:]}", "workers": []}
