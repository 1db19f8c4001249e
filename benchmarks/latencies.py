"""Latencies of simulated systems, whose percentiles are known, as the product's histograms."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from statistics import NormalDist

import numpy as np

from pytest_cdcperf.metrics.histogram import COARSE_SCHEMA, Histogram

_SCALE = 2**COARSE_SCHEMA
P95_OF = {"exponential": 2.995732, "lognormal": 5.180252}
MEAN_MS = 10.0
_LOWEST, _HIGHEST = 3 * _SCALE, 10 * _SCALE  # 8 ms to 1 s: no p95 lies below, and 2 of a million samples above
_LN_GRID = np.linspace(-14.0, 9.0, 20_001)
_CDF = {
    "exponential": -np.expm1(-np.exp(_LN_GRID)),
    "lognormal": np.array([NormalDist().cdf(x) for x in _LN_GRID]),
}


@dataclass(frozen=True)
class System:
    """What makes latencies: a distribution of independent ones, a queue, or a level that wanders.

    *utilisation* makes it the sojourn times of an M/M/1 queue, whose distribution is exponential. *wanders* is the
    standard deviation of the level's logarithm, an AR(1) process that forgets two thirds of itself in *memory_s*.
    """

    name: str
    distribution: str = "exponential"
    utilisation: float = 0.0
    wanders: float = 0.0
    memory_s: float = 0.0

    @property
    def p95_ms(self) -> float:
        """The true p95 at a level of 1."""
        return P95_OF[self.distribution] * MEAN_MS

    def arrivals(self, draw: np.random.Generator, expected: float) -> tuple[np.ndarray, np.ndarray]:
        """Return the times of Poisson arrivals, one a unit of time, up to *expected*, and the latency of each."""
        count = int(expected + 6 * expected**0.5 + 20)
        gaps = draw.standard_exponential(count)
        at = np.cumsum(gaps)
        if self.utilisation:
            latencies = self._sojourns(draw, gaps)
        elif self.distribution == "lognormal":
            latencies = np.exp(draw.standard_normal(count))
        else:
            latencies = draw.standard_exponential(count)
        seen = int(np.searchsorted(at, expected))
        return at[:seen], latencies[:seen] * MEAN_MS

    def _sojourns(self, draw: np.random.Generator, gaps: np.ndarray) -> np.ndarray:
        """Lindley's recursion, from a waiting time of the queue's steady state on, to a mean of 1."""
        rho = self.utilisation
        service = draw.standard_exponential(len(gaps)) * rho
        waits = draw.standard_exponential() * rho / (1 - rho) if draw.random() < rho else 0.0
        steps = np.empty(len(gaps))
        steps[0] = waits
        np.subtract(service[:-1], gaps[1:], out=steps[1:])
        walk = np.cumsum(steps)
        return (walk - np.minimum(np.minimum.accumulate(walk), 0.0) + service) * (1 / rho - 1)

    def levels(self, draw: np.random.Generator, runs: int, seconds: float, step_s: float) -> np.ndarray:
        """Return the level of each of *runs* at each step: 1 where it does not wander."""
        steps = int(seconds / step_s) + 1
        if not self.wanders:
            return np.ones((runs, steps))
        keep = np.exp(-step_s / self.memory_s)
        noise = draw.standard_normal((runs, steps)) * self.wanders
        noise[:, 1:] *= (1 - keep**2) ** 0.5
        for step in range(1, steps):
            noise[:, step] += keep * noise[:, step - 1]
        return np.exp(noise)


def histograms(at_s: np.ndarray, log2_ms: np.ndarray, windows: int, width_s: float) -> list[Histogram]:
    """Return the latencies of each of *windows* at the schema that the product keeps a run's history in."""
    buckets = np.clip(np.ceil(log2_ms * _SCALE).astype(np.int64), _LOWEST, _HIGHEST) - _LOWEST
    span = _HIGHEST - _LOWEST + 1
    rows = np.minimum((at_s / width_s).astype(np.int64), windows - 1)
    return _from_counts(np.bincount(rows * span + buckets, minlength=windows * span).reshape(windows, span))


def drawn_histograms(system: System, draw: np.random.Generator, expected: float, levels: np.ndarray) -> list[Histogram]:
    """Return a window for each of *levels*, of about *expected* independent samples: drawn by the bucket.

    What :func:`histograms` makes of single samples, at a cost that does not grow with their number.
    """
    edges = np.arange(_LOWEST, _HIGHEST + 1) / _SCALE * np.log(2)
    below = np.interp(edges - np.log(MEAN_MS * levels)[:, None], _LN_GRID, _CDF[system.distribution])
    below[:, -1] = 1.0
    counts = draw.multinomial(draw.poisson(expected, len(levels)), np.diff(below, axis=1, prepend=0.0))
    return _from_counts(counts)


def _from_counts(counts: np.ndarray) -> list[Histogram]:
    rows, columns = np.nonzero(counts)
    ends = np.searchsorted(rows, np.arange(len(counts) + 1)).tolist()
    buckets, numbers = (columns + _LOWEST).tolist(), counts[rows, columns].tolist()
    return [_histogram(buckets[a:b], numbers[a:b]) for a, b in pairwise(ends)]


def _histogram(buckets: list[int], numbers: list[int]) -> Histogram:
    if not buckets:
        return Histogram(schema=COARSE_SCHEMA)
    low, high = (2.0 ** ((index - 0.5) / _SCALE) for index in (buckets[0], buckets[-1]))
    counted: Counter[int] = Counter()
    dict.update(counted, zip(buckets, numbers, strict=True))
    return Histogram(COARSE_SCHEMA, sum(numbers), 0.0, low, high, 0, counted)
