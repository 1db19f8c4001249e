"""Two results of one test as they are shown side by side: the first run is A, the second B.

As :mod:`pytest_cdcperf.reporting.view` it holds text; it says nothing of better or worse.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pytest_cdcperf.judging.threshold import ThresholdResult
from pytest_cdcperf.printable import one_line, short_name
from pytest_cdcperf.reporting.table_views import OperationView, operation_view
from pytest_cdcperf.reporting.view import LimitView, RunView, limit_view
from pytest_cdcperf.results.compare import (
    QUANTILES,
    Comparison,
    Difference,
    LimitPair,
    MeasuredOperation,
    OperationPair,
    limit_name,
)
from pytest_cdcperf.results.result import RunResult
from pytest_cdcperf.units import figure, interval_in_words

_RATIOS = {"per_s": "per_s", "p50": "p50_ms", "p95": "p95_ms", "p99": "p99_ms", "max": "max_ms"}


@dataclass(frozen=True)
class ComparedRun:
    """One of the two runs."""

    letter: str
    """How it is called beside the other: "A", "B"."""
    view: RunView


@dataclass(frozen=True)
class ComparedLimit:
    """A limit in both runs. A run that did not have it has none."""

    subject: str
    first: LimitView | None
    second: LimitView | None
    ratio: str
    """The figure of B as a multiple of that of A: "1.22"; "" where one has none."""


@dataclass(frozen=True)
class ComparedOperation:
    """The calls of one operation in both runs. A run without such calls has none."""

    name: str
    first: OperationView | None
    second: OperationView | None
    ratios: Mapping[str, str]
    """By field of :class:`OperationView`: the figure of B as a multiple of that of A."""
    first_intervals: Mapping[str, str]
    """By field of :class:`OperationView`: the 95 % confidence interval of a percentile, where it has one."""
    second_intervals: Mapping[str, str]


@dataclass(frozen=True)
class ComparisonView:
    """Two runs of one test as they are shown: every text is on one line and harmless."""

    test: str
    title: str
    first: ComparedRun
    second: ComparedRun
    differences: tuple[Difference, ...]
    limits: tuple[ComparedLimit, ...]
    operations: tuple[ComparedOperation, ...]

    @classmethod
    def of(cls, comparison: Comparison) -> ComparisonView:
        """Return the view of *comparison*."""
        first = ComparedRun("A", RunView.of(comparison.first))
        second = ComparedRun("B", RunView.of(comparison.second))
        return cls(
            second.view.test,
            second.view.title,
            first,
            second,
            tuple(
                Difference(short_name(found.name), one_line(found.first) or "-", one_line(found.second) or "-")
                for found in comparison.differences
            ),
            tuple(_limit(comparison, pair) for pair in comparison.limits),
            tuple(map(_operation, comparison.operations)),
        )


def _limit(comparison: Comparison, pair: LimitPair) -> ComparedLimit:
    def view(result: RunResult, judged: ThresholdResult | None) -> LimitView | None:
        return None if judged is None else limit_view(result, judged)

    named = pair.second or pair.first
    return ComparedLimit(
        "" if named is None else short_name(limit_name(named)),
        view(comparison.first, pair.first),
        view(comparison.second, pair.second),
        _ratio(pair.ratio),
    )


def _operation(pair: OperationPair) -> ComparedOperation:
    first, second = (None if of is None else operation_view(of.figures) for of in (pair.first, pair.second))
    named = second or first
    return ComparedOperation(
        "" if named is None else named.name,
        first,
        second,
        {name: _ratio(pair.ratio(field)) for name, field in _RATIOS.items()},
        _intervals(pair.first),
        _intervals(pair.second),
    )


def _intervals(of: MeasuredOperation | None) -> dict[str, str]:
    if of is None:
        return {}
    words = {field: interval_in_words(*interval) for field, interval in of.intervals.items()}
    return {field.removesuffix("_ms"): words[field] for field in QUANTILES if field in words}


def _ratio(value: float | None) -> str:
    return "" if value is None else figure(value, digits=3)
