"""Results as lines of text: the live line, the summary of a test, the table of a session."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pytest_cdcperf.events import Live
from pytest_cdcperf.judging.own_delay import own_delay_ms
from pytest_cdcperf.judging.rules.breaking_point import Breaking
from pytest_cdcperf.judging.threshold import Outcome, ThresholdResult
from pytest_cdcperf.judging.verdict import Verdict
from pytest_cdcperf.metrics import builtin
from pytest_cdcperf.metrics.groups import in_order
from pytest_cdcperf.metrics.metric import group_of, unit_of
from pytest_cdcperf.metrics.snapshot import CounterState, RateState, State
from pytest_cdcperf.printable import one_line, printable, short_name
from pytest_cdcperf.reporting.view import MARKS
from pytest_cdcperf.results.figures import figures_of
from pytest_cdcperf.results.result import RunResult
from pytest_cdcperf.units import figure, format_duration

_SAMPLE_LINES = 12
_WIDEST = 60  # the widest that a column may be


def progress_line(name: str, live: Live) -> str:
    """Return one line on a run that is under way."""
    return (
        f"{short_name(name)}: {format_duration(round(live.elapsed_s))}/{format_duration(live.planned_s)}"
        f"  {live.vus} VUs  {live.iterations} iterations, {live.iterations_per_s:.1f}/s"
        f"  p95 {figure(live.p95_ms, 'ms')}  {live.failed} failed"
    )


def summary(result: RunResult) -> list[str]:
    """Return the summary of one run: facts, metrics by group, thresholds, failures."""
    facts, broke = result.facts, result.breaking_point
    head = facts.load + (f", profile {facts.profile}" if facts.profile else "")
    count = f"{result.iterations} iteration{'s' * (result.iterations != 1)}"
    return [
        one_line(f"{head}; {count} in {format_duration(result.elapsed_s)}, session {facts.session_id}"),
        *_metric_lines(result),
        *_threshold_lines(result.thresholds),
        *_worker_lines(result),
        *_generator_line(result),
        *_failure_lines(result),
        *([one_line(f"  {broke.words}")] if broke is not None and broke.outcome is Breaking.FOUND else []),
        *(one_line(f"  note: {note}") for note in result.notes),
    ]


def verdict_lines(result: RunResult) -> list[str]:
    """Return the verdict of one run with its reasons."""
    head = f"  {result.verdict}" + (f": {result.reasons[0]}" if result.reasons else "")
    also = [f"    and: {reason}" for reason in result.reasons[1:]]
    also += [f"    WARNING, the generator was unfit: {warning}" for warning in result.warnings]
    return [one_line(line) for line in (head, *also)]


def _metric_lines(result: RunResult) -> list[str]:
    rows: dict[str, list[tuple[str, str]]] = {}
    for label, name, state in result.shown_metrics():
        cells = rows.setdefault(group_of(name), [])
        shown = short_name(label) if label == name else f"  {label.removeprefix(name)}"
        cells.append((shown, _figures(name, state, result.elapsed_s)))
        if name == "checks":
            cells += _check_rows(result)
    width = _width(name for cells in rows.values() for name, _ in cells)
    lines: list[str] = []
    for title in in_order(rows):
        lines.append(one_line(f"  {title}"))
        lines += [f"    {name:<{width}}  {figures}" for name, figures in rows[title]]
    return lines


def _check_rows(result: RunResult) -> list[tuple[str, str]]:
    return [
        (f"  {'✓' if state.hits == state.total else '✗'} {short_name(check)}", f"{state.hits} of {state.total}")
        for check, state in result.series.by_tag("checks", "check")
        if isinstance(state, RateState)
    ]


def _figures(name: str, state: State, elapsed_s: float) -> str:
    figures = figures_of(state, elapsed_s)
    match state:
        case RateState():
            return f"{figure(state.rate, '%')}  {state.hits:,} of {state.total:,}"
        case CounterState():
            return f"{figure(figures['count'])}  {figure(figures['rate'], '/s')}"
        case _:
            unit = unit_of(name)
            return "  ".join(
                f"{aggregate}={figure(value)}" for aggregate, value in figures.items()
            ) + f"  {unit}" * bool(unit)


def _threshold_lines(results: Iterable[ThresholdResult]) -> list[str]:
    lines = [threshold_line(result) for result in results]
    return ["  thresholds", *(f"    {line}" for line in lines)] if lines else []


def threshold_line(result: ThresholdResult) -> str:
    """Return one threshold with its mark, what was observed, and why it was not judged where it was not."""
    seen = "" if result.observed is None else result.threshold.in_words(result.observed, result.interval)
    seen = seen and f"  observed {seen}"
    outcome = f"  {result.outcome}" if result.outcome not in {Outcome.PASSED, Outcome.FAILED} else ""
    note = f" ({result.note})" if result.note else ""
    return one_line(f"{MARKS[result.outcome]} {result.threshold}{seen}{outcome}{note}")


def _worker_lines(result: RunResult) -> list[str]:
    if len(result.workers) < 2:
        return []
    head = ("worker", "share", "iterations", "duration", "CPU", "generator_lag p99", "own delay p95", "lost", "")
    rows = [
        (
            part.name,
            part.share,
            str(part.iterations),
            format_duration(part.elapsed_s),
            f"{part.cpu:.0%}",
            "-" if part.generator_lag_p99_ms is None else figure(part.generator_lag_p99_ms, "ms"),
            "-" if part.own_delay_p95_ms is None else figure(part.own_delay_p95_ms, "ms"),
            f"{part.lost:.1%}",
            part.outcome,
        )
        for part in result.workers
    ]
    return ["  workers", *(f"    {line}" for line in _table((head, *rows)))]


def _width(cells: Iterable[str]) -> int:
    return min(_WIDEST, max(map(len, cells), default=0))


def _generator_line(result: RunResult) -> list[str]:
    if result.total.select(builtin.GENERATOR_DELAY.name) is None:
        return []
    own_ms = [own_delay_ms(result.total, at) for at in ("p(95)", "p(99)", "max")]
    p95, p99, worst = (f"{ms:.2g} ms" if ms < 10 else f"{ms:.0f} ms" for ms in own_ms)
    lost = max((part.lost for part in result.workers), default=0.0)
    cpus = sum(part.cpu for part in result.workers)
    fit = "fit" if result.generator_fit else "UNFIT"
    return [f"  generator {fit}: own delay p95 {p95}, p99 {p99}, worst {worst}; lost {lost:.1%}; {cpus:.2f} CPUs"]


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [_width(row[column] for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _failure_lines(result: RunResult) -> list[str]:
    lines: list[str] = []
    for kind in result.failures:
        lines.append(one_line(f"    {kind.count} x {kind.type} at {kind.where}, for example:"))
        sample = printable(kind.sample.rstrip()).split("\n")
        lines += [f"      {one_line(line)}" for line in sample[-_SAMPLE_LINES:]]
    return ["  failed iterations by kind", *lines] if lines else []


def session_table(results: Sequence[RunResult]) -> list[str]:
    """Return one table of all runs of a session."""
    head = ("scenario", "iterations", "duration", "peak VUs", "failed checks", "verdict")
    rows = [
        (
            short_name(r.facts.test),
            str(r.iterations),
            format_duration(r.elapsed_s),
            str(r.peak_vus),
            str(r.failed_checks),
            f"{r.verdict}" + ", generator unfit" * (not r.generator_fit and r.passed),
        )
        for r in results
    ]
    return _table((head, *rows))


def verdict_colour(verdict: Verdict) -> str:
    """Return the terminal colour of *verdict*."""
    return {Verdict.PASSED: "green", Verdict.FAILED: "red", Verdict.INVALID: "yellow"}[verdict]
