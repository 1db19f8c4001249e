"""Compares two results of one test: their figures side by side, and what else differs between them.

It says nothing of better or worse. Two runs on one machine differ as well: each percentile has its own 95 % interval
where its samples are known window by window, and a ratio is a plain quotient.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeVar

from pytest_cdcperf.judging.intervals import needed_samples, quantile_interval, quantile_precision
from pytest_cdcperf.judging.phase_windows import phase_windows
from pytest_cdcperf.judging.threshold import Threshold, ThresholdResult
from pytest_cdcperf.metrics.timeline import Window
from pytest_cdcperf.results.result import RunResult
from pytest_cdcperf.results.tables import Operation, operations
from pytest_cdcperf.units import figure

Interval = tuple[float, float]
QUANTILES: Mapping[str, float] = {"p50_ms": 0.50, "p95_ms": 0.95, "p99_ms": 0.99}
"""The percentiles of an operation, by their field."""
_UNKNOWN = "unknown"
_COMMIT_DIGITS = 12
# Embedded servers have another port in every session, from those that systems give by themselves: 32768 and more.
_FREE_PORT = re.compile(r"(127\.0\.0\.1|localhost):(?:3276[89]|327[7-9]\d|32[89]\d\d|3[3-9]\d{3}|[4-6]\d{4})\b")
_K = TypeVar("_K")
_V = TypeVar("_V")


@dataclass(frozen=True)
class Difference:
    """What differs between two runs beside their figures, such as the commit; "" is nothing."""

    name: str
    first: str
    second: str


@dataclass(frozen=True)
class LimitPair:
    """A limit of both runs, or of one of them."""

    first: ThresholdResult | None
    second: ThresholdResult | None

    @property
    def ratio(self) -> float | None:
        """What was observed in the second run as a multiple of the first; None where one has none."""
        if self.first is None or self.second is None:
            return None
        return _ratio(self.first.observed, self.second.observed)


@dataclass(frozen=True)
class MeasuredOperation:
    """The calls of one operation in one run, with the 95 % intervals of percentiles by their field of it."""

    figures: Operation
    intervals: Mapping[str, Interval] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "intervals", MappingProxyType({**self.intervals}))


@dataclass(frozen=True)
class OperationPair:
    """An operation of both runs, or of one of them."""

    first: MeasuredOperation | None
    second: MeasuredOperation | None

    def ratio(self, figure: str) -> float | None:
        """Return a field of :class:`Operation` in the second run as a multiple of the first; None where one has none.

        >>> from pytest_cdcperf.results.tables import Operation
        >>> row = Operation("GET /", "HTTP", "http_req_duration", (), 10, 1.0, 0.0, 90.0, 9.0, 9.0, 9.0, 9.0, None, 0.0)
        >>> OperationPair(MeasuredOperation(row), MeasuredOperation(row)).ratio("p95_ms")
        1.0
        """
        if self.first is None or self.second is None:
            return None
        return _ratio(getattr(self.first.figures, figure), getattr(self.second.figures, figure))


@dataclass(frozen=True)
class Comparison:
    """Two results of one test."""

    first: RunResult
    second: RunResult
    differences: tuple[Difference, ...]
    limits: tuple[LimitPair, ...]
    operations: tuple[OperationPair, ...]


def compare(first: RunResult, second: RunResult) -> Comparison:
    """Return the figures of both results side by side: in the order of *second*, then what only *first* has."""
    limits = _pairs(_by_name(first), _by_name(second))
    measured = (_measured(result) for result in (first, second))
    return Comparison(
        first,
        second,
        tuple(_differences(first, second)),
        tuple(LimitPair(*pair) for pair in limits),
        tuple(OperationPair(*pair) for pair in _pairs(*measured)),
    )


def compare_sessions(
    first: Sequence[RunResult], second: Sequence[RunResult]
) -> tuple[list[Comparison], list[RunResult]]:
    """Compare the results of each test that is in both; return these, and the results of tests in one of them.

    Of a test that ran several times in a session the last run counts.
    """
    before, after = ({result.facts.test: result for result in results} for results in (first, second))
    both = [compare(before[test], after[test]) for test in after if test in before]
    return both, [
        result for result in (*first, *second) if not (result.facts.test in before and result.facts.test in after)
    ]


def _ratio(first: float | None, second: float | None) -> float | None:
    if first is None or second is None or not first:
        return None
    ratio = second / first
    return ratio if math.isfinite(ratio) and ratio >= 0 else None


def _pairs(first: Mapping[_K, _V], second: Mapping[_K, _V]) -> Iterator[tuple[_V | None, _V | None]]:
    for name in dict.fromkeys((*second, *first)):
        yield first.get(name), second.get(name)


def _by_name(result: RunResult) -> dict[tuple[str, int], ThresholdResult]:
    """Return the limits by what they are on, whatever the bound; those that are alike by their number."""
    found: dict[tuple[str, int], ThresholdResult] = {}
    for judged in result.thresholds:
        name = limit_name(judged)
        found[name, sum(known == name for known, _ in found)] = judged
    return found


def limit_name(judged: ThresholdResult) -> str:
    """Return what a limit is on: "response_time p(95) in hold"."""
    rule = judged.threshold
    if isinstance(rule, Threshold):
        return rule.subject
    return f"{rule.selector} {type(rule).__name__.lower()}"


def _measured(result: RunResult) -> dict[tuple[str, str], MeasuredOperation]:
    windows: dict[str, list[Window]] = {}
    found = {}
    for row in operations(result):
        if row.metric not in windows:
            windows[row.metric] = result.windows.judged(row.metric)
        found[row.name, row.selector] = MeasuredOperation(row, dict(_intervals(result, row, windows[row.metric])))
    return found


def _intervals(result: RunResult, row: Operation, windows: Sequence[Window]) -> Iterator[tuple[str, Interval]]:
    samples = result.total.trend(row.metric, dict(row.tags))
    for name, q in QUANTILES.items():
        of = Threshold(row.metric, f"p({q * 100:g})", "<", 0.0, row.tags)
        exact = quantile_precision(phase_windows(windows, result.phases, of), q)
        if not samples.count or exact.effective < needed_samples(q):
            continue
        interval = quantile_interval(samples, q, exact)
        if interval is not None and all(map(math.isfinite, interval)):
            yield name, interval


def _differences(first: RunResult, second: RunResult) -> Iterator[Difference]:
    mine, theirs = (dict(_circumstances(result)) for result in (first, second))
    for name in dict.fromkeys((*mine, *theirs)):
        before, after = (of.get(name, "") for of in (mine, theirs))
        if before != after:
            yield Difference(name, before, after)


def _circumstances(result: RunResult) -> Iterator[tuple[str, str]]:
    """Yield the name of each circumstance that figures may depend on, and what it was."""
    facts, where = result.facts, result.environment
    yield "load", facts.load
    yield "profile", facts.profile or ""
    yield "shortened", "yes" if facts.shortened else "no"
    yield "tolerated failures", figure(facts.error_rate, "%")
    yield "workers", str(max(1, len(result.workers)))
    yield "seed", facts.seed
    yield "generator", "fit" if result.generator_fit else "unfit"
    for name in dict.fromkeys(map(limit_name, result.thresholds)):
        bounds = [judged.threshold.expression for judged in result.thresholds if limit_name(judged) == name]
        yield f"limit on {name}", " and ".join(bounds)
    yield from facts.tags.items()
    for name, said in facts.services.items():
        yield name, _FREE_PORT.sub(r"\1", said)
    if where is None:
        return
    yield "commit", where.commit[:_COMMIT_DIGITS] if where.commit else _UNKNOWN
    yield "branch", where.branch or ""
    yield "files changed since", {True: "yes", False: "no", None: _UNKNOWN}[where.dirty]
    yield "CPU", where.cpu
    yield "CPUs", str(where.cpus)
    yield "memory", f"{where.memory_mb} MB" if where.memory_mb else ""
    yield "operating system", where.os
    yield "Python", where.python
    yield from where.versions.items()
