"""How often the 95 % intervals of percentiles hold the truth, on simulated queues."""

from __future__ import annotations

import statistics

import numpy as np

from benchmarks.queues import Floats, mm1, mm1_quantile
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
_BATCH = 250


class _Cell:
    """What was seen of one quantile at one load and length."""

    def __init__(self) -> None:
        self.runs = 0
        self.held = 0
        self.factors: list[float] = []
        self.widths: list[float] = []

    @property
    def coverage(self) -> float:
        """The share of the runs that could carry the quantile whose interval held the truth."""
        return self.held / len(self.widths) if self.widths else float("nan")


def main() -> None:
    """Print coverage, width and variance factor for each load, length and quantile."""
    draw = np.random.default_rng()
    print(f"M/M/1, {SERVED_PER_S:.0f} served a second, windows of 1 s, {RUNS} runs a row; 'carried': n/d is enough")
    print("load  length  quantile  coverage  carried  width of the interval  factor d  wanted")
    for load in LOADS:
        for seconds in LENGTHS_S:
            for q, cell in _cells(draw, load, seconds).items():
                wanted = WANTED.get((load, seconds))
                said = "" if wanted is None else f"{wanted:.0%} {'met' if cell.coverage >= wanted else 'NOT MET'}"
                width = f"{statistics.median(cell.widths):.0%}" if cell.widths else "-"
                print(
                    f"{load:4.0%}  {seconds:4d} s  p{q * 100:<7g}  {cell.coverage:8.1%}  "
                    f"{len(cell.widths) / cell.runs:7.0%}  {width:>21}  {statistics.median(cell.factors):8.1f}  {said}"
                )


def _cells(draw: np.random.Generator, load: float, seconds: int) -> dict[float, _Cell]:
    cells = {q: _Cell() for q in QUANTILES}
    for _ in range(RUNS // _BATCH):
        arrivals, responses = mm1(draw, runs=_BATCH, load=load, per_s=SERVED_PER_S, seconds=seconds)
        for at, took in zip(arrivals, responses, strict=True):
            inside = at < seconds
            _judge(cells, at[inside], took[inside] * 1000, load, seconds)
    return cells


def _judge(cells: dict[float, _Cell], at: Floats, took_ms: Floats, load: float, seconds: int) -> None:
    total, windows = Histogram(), []
    for values in np.split(took_ms, np.searchsorted(at, np.arange(1, seconds))):
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
        truth = mm1_quantile(q, load=load, per_s=SERVED_PER_S) * 1000
        cell.held += interval[0] <= truth <= interval[1]
        cell.widths.append((interval[1] - interval[0]) / truth)
