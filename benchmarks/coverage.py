"""Coverage of the 95 % intervals of percentiles: in which share of simulated runs they hold the true value."""

from __future__ import annotations

import math
import secrets
import statistics

import numpy as np

from benchmarks.latencies import MEAN_MS, System
from pytest_cdcperf.judging.intervals import (
    PhaseWindows,
    needed_samples,
    quantile_interval,
    quantile_precision,
)
from pytest_cdcperf.metrics.histogram import Histogram

RUNS = 2000
SERVED_PER_S = 100.0
LOADS = (0.5, 0.8, 0.9)
LENGTHS_S = (60, 300)
QUANTILES = (0.5, 0.95, 0.99)
# The least coverage of all quantiles that a run can carry, by load and length.
WANTED = {(0.5, 60): 0.94, (0.5, 300): 0.94, (0.8, 300): 0.90}


class _Cell:
    """The runs of one load and length, for one quantile."""

    def __init__(self) -> None:
        self.runs = 0
        self.held = 0
        self.factors: list[float] = []
        self.widths: list[float] = []

    @property
    def coverage(self) -> float:
        """The share of the runs that could carry the quantile whose interval held the truth."""
        return self.held / len(self.widths) if self.widths else float("nan")


def main(runs: int = RUNS, seed: int | None = None) -> None:
    """Print coverage, width and variance factor for each load, length and quantile."""
    seed = secrets.randbits(32) if seed is None else seed
    draw = np.random.default_rng(seed)
    print(f"M/M/1, {SERVED_PER_S:.0f} served a second, windows of 1 s, {runs} runs a row, seed {seed}")
    print("carried: the share of the runs in which n/d is enough for the percentile")
    print("load  length  quantile  coverage  carried  width of the interval  factor d  wanted")
    for load in LOADS:
        for seconds in LENGTHS_S:
            for q, cell in _cells(draw, runs, load, seconds).items():
                wanted = WANTED.get((load, seconds))
                said = "" if wanted is None else f"{wanted:.0%} {'met' if cell.coverage >= wanted else 'NOT MET'}"
                width = f"{statistics.median(cell.widths):.0%}" if cell.widths else "-"
                print(
                    f"{load:4.0%}  {seconds:4d} s  p{q * 100:<7g}  {cell.coverage:8.1%}  "
                    f"{len(cell.widths) / cell.runs:7.0%}  {width:>21}  {statistics.median(cell.factors):8.1f}  {said}",
                    flush=True,
                )


def _cells(draw: np.random.Generator, runs: int, load: float, seconds: int) -> dict[float, _Cell]:
    queue, per_s = System("M/M/1", utilisation=load), SERVED_PER_S * load
    cells = {q: _Cell() for q in QUANTILES}
    for _ in range(runs):
        arrivals, took_ms = queue.arrivals(draw, per_s * seconds)
        _judge(cells, np.split(took_ms, np.searchsorted(arrivals / per_s, np.arange(1, seconds))))
    return cells


def _judge(cells: dict[float, _Cell], seconds: list[np.ndarray]) -> None:
    total, windows = Histogram(), []
    for values in seconds:
        window = Histogram()
        window.record(values.tolist())
        total.merge(window)
        windows.append(window.coarse())
    phases = [PhaseWindows(tuple(windows))]
    for q, cell in cells.items():
        exact = quantile_precision(phases, q)
        cell.runs += 1
        cell.factors.append(exact.factor)
        interval = quantile_interval(total, q, exact)
        if interval is None or exact.effective < needed_samples(q):
            continue
        truth = -math.log(1 - q) * MEAN_MS  # response times of such a queue are exponential
        cell.held += interval[0] <= truth <= interval[1]
        cell.widths.append((interval[1] - interval[0]) / truth)
