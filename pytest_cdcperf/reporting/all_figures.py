"""All figures of a run as lines, for -v: every metric by group, the part of each worker, tracebacks."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_cdcperf.metrics.groups import in_order
from pytest_cdcperf.metrics.metric import group_of, unit_of
from pytest_cdcperf.metrics.snapshot import CounterState, GaugeState, RateState, State
from pytest_cdcperf.printable import one_line, short_name
from pytest_cdcperf.reporting.columns import Column, table
from pytest_cdcperf.reporting.view import FailureView
from pytest_cdcperf.results.figures import figures_of
from pytest_cdcperf.results.result import RunResult
from pytest_cdcperf.units import figure, format_duration

_SAMPLE_LINES = 12
_AGGREGATES = {"value": "last value"}
_LEAST = 16
_TRENDS = (
    Column("", right=False, least=_LEAST),
    Column("avg"),
    Column("min", rank=3),
    Column("med"),
    Column("max"),
    Column("p90", rank=2),
    Column("p95"),
    Column("p99"),
    Column("", right=False),
)
_OTHERS = (Column("", right=False, least=_LEAST), Column("", right=False))
_WORKERS = (
    Column("worker", right=False, least=6),
    Column("share", rank=3),
    Column("iterations"),
    Column("ran"),
    Column("CPU"),
    Column("lag p99", rank=1),
    Column("delay p95", rank=2),
    Column("lost"),
    Column("", right=False),
)


def metric_lines(result: RunResult, width: int) -> list[str]:
    """Return each metric by group: those of samples in columns, then the others."""
    trends: dict[str, list[tuple[str, ...]]] = {}
    others: dict[str, list[tuple[str, ...]]] = {}
    for label, name, state in result.shown_metrics():
        shown = short_name(label) if label == name else f"  {one_line(label.removeprefix(name))}"
        if isinstance(state, CounterState | RateState | GaugeState):
            others.setdefault(group_of(name), []).append((shown, _in_words(name, state, result.elapsed_s)))
        else:
            figures = (figure(value) for value in figures_of(state, result.elapsed_s).values())
            trends.setdefault(group_of(name), []).append((shown, *figures, unit_of(name)))
        if name == "checks":
            others[group_of(name)] += _checks(result)
    lines: list[str] = []
    for group in in_order([*trends, *others]):
        lines += ["", one_line(group)]
        if group in trends:
            lines += table(_TRENDS, trends[group], width, indent=2)
        if group in others:
            lines += table(_OTHERS, others[group], width, indent=2)[1:]
    return lines


def _checks(result: RunResult) -> list[tuple[str, ...]]:
    return [
        (f"  {'✓' if state.hits == state.total else '✗'} {short_name(check)}", f"{state.hits:,} of {state.total:,}")
        for check, state in result.series.by_tag("checks", "check")
        if isinstance(state, RateState)
    ]


def _in_words(name: str, state: State, elapsed_s: float) -> str:
    figures, unit = figures_of(state, elapsed_s), unit_of(name)
    match state:
        case RateState():
            return f"{figure(state.rate, '%')}, {state.hits:,} of {state.total:,}"
        case CounterState():
            return f"{figure(figures['count'], unit)}, {figure(figures['rate'], f'{unit}/s')}"
        case _:  # of VUs the last value is that after their end
            return ", ".join(f"{_AGGREGATES.get(key, key)} {figure(value, unit)}" for key, value in figures.items())


def worker_lines(result: RunResult, width: int) -> list[str]:
    """Return the part of each worker, where there are several."""
    if len(result.workers) < 2:
        return []
    rows = [
        (
            short_name(part.name),
            one_line(part.share),
            f"{part.iterations:,}",
            format_duration(part.elapsed_s),
            figure(part.cpu, "%", 2),
            "-" if part.generator_lag_p99_ms is None else figure(part.generator_lag_p99_ms, "ms", 3),
            "-" if part.own_delay_p95_ms is None else figure(part.own_delay_p95_ms, "ms", 3),
            figure(part.lost, "%", 2),
            one_line(part.outcome),
        )
        for part in result.workers
    ]
    return ["", *table(_WORKERS, rows, width)]


def sample_lines(failures: Sequence[FailureView]) -> list[str]:
    """Return the traceback of an iteration of each kind of failure."""
    lines: list[str] = []
    for kind in failures:
        span = f", {kind.span}" if kind.span else ""
        lines += ["", f"{kind.count:,} × {kind.error} at {kind.where}{span}, for example:"]
        lines += [f"  {line}" for line in kind.sample[-_SAMPLE_LINES:]]
    return lines
