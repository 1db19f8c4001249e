"""Two results of one test side by side as lines of text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pytest_cdcperf.reporting.comparison import ComparedLimit, ComparedOperation, ComparedRun, ComparisonView
from pytest_cdcperf.reporting.table_views import OperationView
from pytest_cdcperf.reporting.text_table import aligned
from pytest_cdcperf.reporting.view import LimitView

_FIGURES = ("calls", "per_s", "failed", "p50", "p95", "p99", "max")
_HEADS = ("operation", "run", "calls", "per s", "failed", "p50", "p95", "p99", "max ms")
_RATIO = "B/A"


def comparison_lines(view: ComparisonView) -> list[str]:
    """Return both runs: what they were, what differs between them, and their figures, B beside A."""
    return [
        *(line for run in (view.first, view.second) for line in _head(run)),
        *_differences(view),
        *_limits(view),
        *_operations(view),
    ]


def _head(run: ComparedRun) -> list[str]:
    reason = f"  {run.view.reasons[0]}" if run.view.reasons else ""
    when = f"{run.started}, " * bool(run.started)
    return [
        f"{run.letter}  {when}session {run.session}: {run.view.load}",
        f"   {run.view.verdict}{reason}",
    ]


def _differences(view: ComparisonView) -> list[str]:
    rows = [(found.name, found.first, found.second) for found in view.differences]
    return ["", *aligned(("differs", view.first.letter, view.second.letter), rows)] if rows else []


def _limits(view: ComparisonView) -> list[str]:
    rows = [row for limit in view.limits for row in _limit_rows(view, limit)]
    head = ("limit", "run", "", "value", "95 % interval", "bound")
    return ["", *aligned(head, rows, right={3, 4})] if rows else []


def _limit_rows(view: ComparisonView, limit: ComparedLimit) -> Iterator[tuple[str, ...]]:
    subject = limit.subject
    for run, of in ((view.first, limit.first), (view.second, limit.second)):
        yield subject, run.letter, *_limit_cells(of)
        subject = ""
    if limit.ratio:
        yield "", _RATIO, "", limit.ratio, "", ""


def _limit_cells(limit: LimitView | None) -> tuple[str, str, str, str]:
    if limit is None:
        return "", "-", "", ""
    return limit.mark, limit.value or "-", limit.interval, limit.bound


def _operations(view: ComparisonView) -> list[str]:
    rows = [row for operation in view.operations for row in _operation_rows(view, operation)]
    return ["", *aligned(_HEADS, rows, right=range(2, len(_HEADS)))] if rows else []


def _operation_rows(view: ComparisonView, operation: ComparedOperation) -> Iterator[tuple[str, ...]]:
    name = operation.name
    for run, of in ((view.first, operation.first), (view.second, operation.second)):
        yield name, run.letter, *_operation_cells(of)
        name = ""
    if any(operation.ratios.values()):
        yield "", _RATIO, *_ratio_cells(operation.ratios)


def _operation_cells(operation: OperationView | None) -> list[str]:
    return ["-" if operation is None else getattr(operation, name) for name in _FIGURES]


def _ratio_cells(ratios: Mapping[str, str]) -> list[str]:
    return [ratios.get(name, "") for name in _FIGURES]
