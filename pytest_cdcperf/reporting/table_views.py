"""The tables of a run as they are shown: by operation, group, tag, check and error of calls."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from pytest_cdcperf.metrics.histogram import Histogram
from pytest_cdcperf.printable import one_line, short_name
from pytest_cdcperf.results.result import RunResult
from pytest_cdcperf.results.tables import (
    CallError,
    CheckRow,
    Operation,
    call_errors,
    checks,
    groups,
    operations,
    tagged,
)
from pytest_cdcperf.units import figure

_EXACT = Histogram().relative_error
_SEEN = 0.01  # the share that a figure of two digits may be off unseen
_MOST_NAMES = 3


@dataclass(frozen=True)
class OperationView:
    """A row of figures. Those of time are milliseconds, as the heads of their columns say; "-" where there is none."""

    name: str
    """Such as "GET /items/{id}", of a tag "scenario:browse"."""
    calls: str
    per_s: str
    failed: str
    """The share that failed: "0.38%"."""
    p50: str
    p95: str
    p99: str
    max: str
    metric: str
    """What was measured, as limits name it."""
    selector: str
    """These calls in a limit: "http_req_duration{method:GET,name:/items/{id}}"."""
    measured: Operation
    """The figures as numbers, to sort by."""


@dataclass(frozen=True)
class TablesView:
    """The tables of a run, each sorted: what took the most time, failed the most or came the most often first."""

    operations: tuple[OperationView, ...] = ()
    """Response time, then the calls by what they do."""
    groups: tuple[OperationView, ...] = ()
    tags: tuple[OperationView, ...] = ()
    checks: tuple[CheckRow, ...] = ()
    errors: tuple[CallError, ...] = ()
    """The calls that failed, by operation and HTTP status, gRPC status or kind of error."""
    notes: tuple[str, ...] = ()
    """What is to be known of the figures in them."""

    @classmethod
    def of(cls, result: RunResult) -> TablesView:
        """Return the tables of *result*: every text in them is on one line and harmless."""
        by_operation, by_group, by_tag = operations(result), groups(result), tagged(result)
        return cls(
            operations=tuple(map(operation_view, by_operation)),
            groups=tuple(map(operation_view, by_group)),
            tags=tuple(map(operation_view, by_tag)),
            checks=tuple(replace(row, name=short_name(row.name)) for row in checks(result)),
            errors=tuple(
                replace(row, error=one_line(row.error), operation=short_name(row.operation))
                for row in call_errors(result)
            ),
            notes=(*_notes((*by_operation, *by_group, *by_tag)), *_of_several_hosts(by_operation)),
        )


def operation_view(row: Operation) -> OperationView:
    """Return *row* as it is shown."""
    return OperationView(
        name=short_name(row.name),
        calls=f"{row.calls:,}",
        per_s=figure(row.per_s, digits=3),
        failed="-" if row.failed is None else figure(row.failed, "%", 2),
        p50=_ms(row.p50_ms),
        p95=_ms(row.p95_ms),
        p99=_ms(row.p99_ms),
        max=_ms(row.max_ms),
        metric=short_name(row.metric),
        selector=short_name(row.selector),
        measured=row,
    )


def _ms(value: float | None) -> str:
    return "-" if value is None else figure(value, digits=2)


def _notes(rows: Sequence[Operation]) -> Iterable[str]:
    worst = max((row.relative_error for row in rows if row.calls), default=0.0)
    if worst > _SEEN:
        off, of_limits = figure(worst, "%", 2), figure(_EXACT, "%", 2)
        yield f"percentiles in these tables may be off by up to {off}; those of limits are exact to {of_limits}"
    if lumped := [short_name(row.name) for row in rows if row.lumped]:
        yield f"too many to keep apart, so lumped together: {', '.join(dict.fromkeys(lumped))}"


def _of_several_hosts(rows: Sequence[Operation]) -> Iterable[str]:
    if names := [short_name(row.name) for row in rows if row.urls > 1 and not row.lumped]:
        listed = ", ".join(names[:_MOST_NAMES]) + (f" and {len(names) - _MOST_NAMES} more" * (len(names) > _MOST_NAMES))
        yield f"{listed}: of several hosts; the table of tags has each apart, by its url"
