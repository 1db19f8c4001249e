"""Check that each scenario of ``tests_perf`` is long enough for the percentiles that it limits.

Every scenario runs on the embedded stack with the VUs and the rates that it states, in a shorter time. From the result
comes, for each percentile with a limit, the number n of samples and the variance factor d: n samples that depend on
each other tell as much as n/d independent ones. A percentile q needs ln(0.05)/ln(q) of these.

- n is scaled to the scenario's full length: every stage scales alike, and so does the number of samples.
- d is taken as it was measured. It grows with the length of a run only up to the time for which latencies depend on
  each other, which is seconds here.
- A busy host makes latencies wander, and d larger than it is on a quiet one: then these figures are pessimistic.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from pytest_cdcperf.judging.intervals import needed_samples
from pytest_cdcperf.load.profiles import BUILTIN_PROFILES
from pytest_cdcperf.spec import parse_marker
from pytest_cdcperf.units import format_duration, percentile

SCENARIOS = (
    *("baseline", "stress", "spike", "soak", "e2e_latency", "mixed_workload"),
    *("adder_grpc", "totalizer_http", "full_flow", "api_load"),
)
SECONDS = 60
_SET_UP_AND_DRAIN_S = 240


class Row(NamedTuple):
    """One percentile with a limit, at the scenario's full length."""

    scenario: str
    phase: str
    threshold: str
    samples: float
    factor: float
    needed: int

    @property
    def effective(self) -> float:
        """How many independent samples are worth as much."""
        return self.samples / self.factor

    @property
    def carries(self) -> bool:
        """Whether these are enough."""
        return self.effective >= self.needed


def main(seconds: int = SECONDS, only: str = "") -> None:
    """Print n, d and n/d of every percentile with a limit, and how many it needs.

    :param seconds: how long each scenario is run at most
    :param only: the scenarios whose name has this text
    """
    print(f"each in {seconds} s, n scaled to the full length, d as measured")
    print("scenario        full   phase  threshold                              n          d        n/d  needed")
    for scenario in (name for name in SCENARIOS if only in name):
        full_s = full_length_s(scenario)
        result = _run(scenario, min(seconds, full_s))
        for row in rows(scenario, full_s, result):
            print(
                f"{row.scenario:<14}  {format_duration(full_s):<5}  {row.phase:<5}  {row.threshold:<32}  "
                f"{row.samples:>9,.0f}  {row.factor:>7.1f}  {row.effective:>9,.0f}  {row.needed:>6,}  "
                f"{'carries it' if row.carries else 'DOES NOT CARRY IT'}",
                flush=True,
            )
        if result["verdict"] != "PASSED" or result["warnings"]:
            for line in (result["verdict"], *result["reasons"], *result["warnings"]):
                print(f"    {line}", flush=True)


def full_length_s(scenario: str) -> float:
    """Return the seconds that the loads of *scenario* take as it states them."""
    module = import_module(f"tests_perf.test_{scenario}")
    marks = [mark for test in vars(module).values() for mark in getattr(test, "pytestmark", ())]
    keys = next(mark.kwargs for mark in marks if mark.name == "perf")
    loads = parse_marker(keys).loads_over(BUILTIN_PROFILES.get(scenario, BUILTIN_PROFILES["baseline"]))
    return max(load.planned_s for load in loads.values())


def rows(scenario: str, full_s: float, result: dict[str, Any]) -> Iterator[Row]:
    """Yield what *result*, of a run of *scenario* that was shortened, tells of one of *full_s* seconds."""
    for judged in result["thresholds"]:
        if judged["samples"] is None:
            continue
        bound, _, phase = judged["expression"].partition(" in ")
        aggregate = bound.partition("<")[0]
        q = percentile(aggregate) if aggregate != "med" else 0.5
        factor = judged["samples"] / judged["effective_samples"] if judged["effective_samples"] else 1.0
        samples = judged["samples"] * full_s / result["planned_s"]
        yield Row(scenario, phase or "all", f"{judged['metric']} {bound}", samples, factor, needed_samples(q))


def _run(scenario: str, seconds: float) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"tests_perf/test_{scenario}.py"]
        options = ["-m", scenario, "--perf-run", f"--perf-duration={seconds:g}s", "--perf-on-unfit=warn"]
        session = subprocess.run(
            [*command, *options],
            env={**os.environ, "RESULTS_DIR": directory},
            check=False,
            capture_output=True,
            text=True,
            timeout=seconds + _SET_UP_AND_DRAIN_S,
        )
        for path in Path(directory).glob(f"*-*/*test_{scenario}*.json"):
            result: dict[str, Any] = json.loads(path.read_text())
            return result
        said = [line for line in session.stdout.splitlines() if line.startswith(("FAILED", "ERROR", "SKIPPED"))]
        nothing = f"no result: {'; '.join(said) or session.stdout[-300:]}"
        return {"verdict": nothing, "reasons": [], "warnings": [], "thresholds": []}
