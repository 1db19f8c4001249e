"""Confidence intervals of percentiles whose samples resemble their neighbours.

Latencies of one second depend on each other: an interval for independent samples covers the truth in half of the runs
where it promises 95 %. So the samples of a window are one *cluster*, and what counts is how much the clusters differ:
Woodruff, Confidence intervals for medians and other position measures, JASA 47 (1952) 635. Clusters are joined two by
two while ten remain, since windows of a second may resemble each other too, and the largest variance counts (batch
means; for dependent output: arXiv 2311.04159).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pytest_cdcperf.judging.student import t_quantile
from pytest_cdcperf.metrics.histogram import COARSE_SCHEMA, Histogram

FEWEST_CLUSTERS = 10


class Cluster(NamedTuple):
    """How many samples one window has, and how many of them lie above the quantile."""

    samples: int
    above: int


@dataclass(frozen=True)
class Stratum:
    """The windows of one phase in the order of time.

    In a phase whose load changes (*ramp*) the level changes with it, which another run would repeat: there neighbours
    are compared with each other, by second differences, and not with the mean of the phase (Wolter, Introduction to
    Variance Estimation, 2nd ed., 8.2).
    """

    clusters: tuple[Cluster, ...]
    ramp: bool = False


@dataclass(frozen=True)
class PhaseWindows:
    """The coarse histograms of one phase, a window each, in the order of time."""

    windows: tuple[Histogram, ...]
    ramp: bool = False


@dataclass(frozen=True)
class Precision:
    """The precision of a share that *samples* measure: that of ``samples / factor`` independent ones.

    *degrees* are the degrees of freedom of that factor; 0 where a single window leaves nothing to compare.
    """

    samples: int
    factor: float = 1.0
    degrees: float = 0.0
    windows: int = 0

    @property
    def effective(self) -> float:
        """The number of independent samples that would be as precise.

        Fewer than ten windows do not show the factor: there samples count as independent.
        """
        return self.samples / self.factor if self.windows >= FEWEST_CLUSTERS else float(self.samples)


def needed_samples(q: float) -> int:
    """Return how many independent samples a 95 % upper bound of quantile *q* needs in order to exist.

    That is ln(0.05)/ln(q): David and Nagaraja, Order Statistics, 3rd ed., 7.1.

    >>> [needed_samples(q) for q in (0.5, 0.95, 0.99, 0.999)]
    [5, 59, 299, 2995]
    """
    return math.ceil(math.log(0.05) / math.log(q)) if 0 < q < 1 else 1


def precision(strata: Sequence[Stratum]) -> Precision:
    """Return how exactly the share of samples above a quantile is known from windows that are counted by phase.

    The variances of the phases add up; the factor is at least 1.
    """
    clusters = [cluster for stratum in strata for cluster in stratum.clusters]
    samples, above = _join(clusters)
    independent = above * (1.0 - above / samples) if samples else 0.0
    known = [found for stratum in strata if (found := _variance(stratum)) is not None]
    variance = sum(part for part, _ in known)
    if not independent or not variance:
        return Precision(samples, degrees=max((degrees for _, degrees in known), default=0.0), windows=len(clusters))
    # Satterthwaite's approximation for a sum of variances, Biometrics Bulletin 2 (1946) 110.
    degrees = variance**2 / sum(part**2 / freedom for part, freedom in known)
    return Precision(samples, max(1.0, variance / independent), degrees, len(clusters))


def quantile_precision(phases: Sequence[PhaseWindows], q: float) -> Precision:
    """Return how exactly quantile *q* is known from the windows of a run.

    Few samples lie beyond a high percentile, and a run that met no congestion by chance shows no dependence there. So
    the factor is the largest of those of *q*, and of the 95th percentile and the median where they lie below it.
    """
    total = Histogram(schema=COARSE_SCHEMA)
    for phase in phases:
        for window in phase.windows:
            total.merge(window)
    if not total.count:
        return Precision(0)
    found = [precision(_strata(phases, total.edge_at(lower))) for lower in (0.5, 0.95, q) if lower <= q]
    return max(found, key=lambda of: of.factor)


def quantile_interval(
    histogram: Histogram, q: float, exact: Precision, confidence: float = 0.95
) -> tuple[float, float] | None:
    """Return the two-sided interval of quantile *q*, None where a single window shows nothing of its precision."""
    if not exact.degrees or not 0 < q < 1:
        return None
    low, high = interval_ranks(histogram.count, q, exact, confidence)
    return histogram.values_at(max(1, low), min(high, histogram.count))


def interval_ranks(samples: int, q: float, exact: Precision, confidence: float = 0.95) -> tuple[int, int]:
    """Return the ranks of the interval's ends: below 1, or above *samples*, where that end does not exist."""
    spread = t_quantile((1 + confidence) / 2, exact.degrees) * math.sqrt(samples * q * (1 - q) * exact.factor)
    return math.floor(samples * q - spread), math.ceil(samples * q + spread) + 1


def _strata(phases: Sequence[PhaseWindows], edge: float) -> list[Stratum]:
    return [
        Stratum(tuple(Cluster(window.count, window.count_above(edge)) for window in phase.windows), phase.ramp)
        for phase in phases
    ]


def _variance(stratum: Stratum) -> tuple[float, float] | None:
    """Return the variance of the number of samples above in *stratum*, the largest of all joinings, and its degrees."""
    samples, above = _join(stratum.clusters)
    if not samples:
        return None
    of = _variance_around_ramp if stratum.ramp else _variance_around_mean
    found = [v for clusters in _joinings(stratum.clusters) if (v := of(clusters, above / samples)) is not None]
    return max(found, default=None)


def _joinings(clusters: Sequence[Cluster]) -> Iterator[Sequence[Cluster]]:
    yield clusters
    while len(clusters) >= 2 * FEWEST_CLUSTERS:
        clusters = [_join(clusters[at : at + 2]) for at in range(0, len(clusters), 2)]
        yield clusters


def _join(clusters: Sequence[Cluster]) -> Cluster:
    return Cluster(sum(cluster.samples for cluster in clusters), sum(cluster.above for cluster in clusters))


def _variance_around_mean(clusters: Sequence[Cluster], share: float) -> tuple[float, float] | None:
    count = len(clusters)
    if count < 2:
        return None
    squares = math.fsum((cluster.above - cluster.samples * share) ** 2 for cluster in clusters)
    return squares * count / (count - 1), count - 1.0


def _variance_around_ramp(clusters: Sequence[Cluster], share: float) -> tuple[float, float] | None:
    count = len(clusters)
    if count < 3:
        return None
    off = [cluster.above - cluster.samples * share for cluster in clusters]
    squares = math.fsum((off[at] - 2 * off[at + 1] + off[at + 2]) ** 2 for at in range(count - 2)) / 6.0
    # Neighbouring differences share values: 35/18 of them tell as much as one (the fourth moments of 1, -2, 1).
    return squares * count / (count - 2), max(1.0, (count - 2) * 18.0 / 35.0)
