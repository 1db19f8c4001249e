"""Two results of one test side by side as lines of text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pytest_cdcperf.reporting.columns import Column, table
from pytest_cdcperf.reporting.comparison import ComparedLimit, ComparedOperation, ComparedRun, ComparisonView
from pytest_cdcperf.reporting.lines import wrapped
from pytest_cdcperf.reporting.table_views import OperationView
from pytest_cdcperf.reporting.view import LimitView

_FIGURES = ("calls", "per_s", "failed", "p50", "p95", "p99", "max")
_LIMITS = (
    *(Column("limit", right=False, least=16), Column("run", right=False), Column("", right=False)),
    *(Column("value"), Column("95 % interval", rank=1), Column("bound", right=False)),
)
_OPERATIONS = (
    *(Column("operation", right=False, least=16), Column("run", right=False), Column("calls", rank=1), Column("per s")),
    *(Column("failed"), Column("p50", rank=2), Column("p95"), Column("p99"), Column("max ms", rank=3)),
)
_RATIO = "B/A"


def comparison_lines(view: ComparisonView, width: int) -> list[str]:
    """Return both runs: what they were, what differs between them, and their figures, B below A."""
    tables = (_differences(view, width), _limits(view, width), _operations(view, width))
    heads = [line for run in (view.first, view.second) for line in _head(run, width)]
    return [*heads, *(line for shown in tables if shown for line in ("", *shown))]


def _head(run: ComparedRun, width: int) -> list[str]:
    of = run.view
    when = f"{of.started}, " if of.started else ""
    return [
        *wrapped(f"{when}session {of.session}: {of.load}", width, f"{run.letter}  ", 3),
        *wrapped("".join(of.reasons[:1]), width, f"   {of.verdict}  ", 3),
    ]


def _differences(view: ComparisonView, width: int) -> list[str]:
    letters = (view.first.letter, view.second.letter)
    columns = (Column("differs", right=False), *(Column(letter, right=False, least=12) for letter in letters))
    rows = [(found.name, found.first, found.second) for found in view.differences]
    return table(columns, rows, width) if rows else []


def _limits(view: ComparisonView, width: int) -> list[str]:
    rows = [row for limit in view.limits for row in _limit_rows(view, limit)]
    return table(_LIMITS, rows, width) if rows else []


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


def _operations(view: ComparisonView, width: int) -> list[str]:
    rows = [row for operation in view.operations for row in _operation_rows(view, operation)]
    return table(_OPERATIONS, rows, width) if rows else []


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
