"""Lays out results as lines of a terminal: the summary of a run, and the table of a session."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from pytest_cdcperf.judging.threshold import Outcome
from pytest_cdcperf.judging.verdict import Verdict
from pytest_cdcperf.reporting.all_figures import metric_lines, sample_lines, worker_lines
from pytest_cdcperf.reporting.columns import Column, table
from pytest_cdcperf.reporting.lines import (
    BOLD,
    GREEN,
    RED,
    YELLOW,
    Line,
    Span,
    columns_of,
    shortened,
    wrapped,
)
from pytest_cdcperf.reporting.view import LimitView, RunView
from pytest_cdcperf.results.result import RunResult

_COLOURS = {Verdict.PASSED: GREEN, Verdict.FAILED: RED, Verdict.INVALID: YELLOW}
_MOST_ROWS, _MOST_LINES = 10, 5  # without -v
_LABEL = 10  # columns that the names of facts take, the blank behind them included

_LIMITS = (
    Column("", right=False, gap=1),
    Column("limit", right=False, least=16),
    Column("", right=False),
    Column("value"),
    Column("margin", rank=1),
    Column("95% interval", rank=2),
)
_OPERATIONS = (
    Column("operation", right=False, least=16),
    Column("calls"),
    Column("per s", rank=1),
    Column("failed"),
    Column("p50", rank=3),
    Column("p95"),
    Column("p99", rank=2),
    Column("max ms"),
)
_SESSION = (
    Column("", right=False, gap=1),
    Column("test", right=False, least=16),
    Column("rate", rank=2),
    Column("response p95", rank=1),
    Column("failed"),
    Column("verdict", right=False),
)


def run_lines(result: RunResult, width: int, *, verbose: bool = False, short: bool = False) -> list[Line]:
    """Return the summary of a run, the most important first, at most *width* columns wide.

    :param verbose: with all its figures
    :param short: its verdict, limits, false checks and notes only, where it passed: several runs follow one another
    """
    view = RunView.of(result)
    lines = [*_heading(view, width), *_verdict(view, width)]
    if view.limits:
        lines += [Line(), *_limits(view, width)]
    if short and view.verdict is Verdict.PASSED and not verbose and not view.warnings:
        kept = (*_false_checks(view, verbose), *_notes(view, verbose))
        return [*lines, *(line for label, text in kept for line in _fact(label, text, width))]
    lines += _operations(view, width, verbose)
    facts = [line for label, text in _facts(view, verbose) for line in _fact(label, text, width)]
    facts += [_unbroken("again", kind.again) for kind in view.failures if kind.again][:1]
    if facts:
        lines += [Line(), *facts]
    if verbose:
        more = [*metric_lines(result, width), *worker_lines(result, width), *sample_lines(view.failures)]
        lines += map(Line.of, more)
    return lines


def session_lines(results: Sequence[RunResult], width: int) -> list[Line]:
    """Return the table of a session's runs, with why each that did not pass did not."""
    views = list(map(RunView.of, results))
    rows = [(view.mark, view.test, view.rate, view.p95, view.errors, _verdict_of(view)) for view in views]
    head, *lines = table(_SESSION, rows, width)
    made = [Line.of(Span(head, BOLD))]
    for view, line in zip(views, lines, strict=True):
        style = _COLOURS[view.verdict]
        if view.verdict is Verdict.PASSED:
            made.append(Line.of(Span(line[:1], style), line[1:]))
        else:
            made.append(Line.of(Span(line, style)))
            made += [Line.of(text) for reason in view.reasons for text in wrapped(reason, width, "    ", 6)]
    return made


def file_lines(directory: str, page: str) -> list[Line]:
    """Return where the results of a session are: the page that shows them is the last line."""
    shown = (("results", directory), ("report", page))
    return [_unbroken(label, path) for label, path in shown if path]


def _verdict_of(view: RunView) -> str:
    return f"{view.verdict}{', generator unfit' if view.warnings else ''}"


def _heading(view: RunView, width: int) -> list[Line]:
    """Return the test and its load: on one line where there is room."""
    between = width - columns_of(view.test) - columns_of(view.load)
    if between >= 2:
        return [Line.of(Span(view.test, BOLD), " " * between + view.load)]
    return [Line.of(Span(shortened(view.test, width), BOLD)), *map(Line.of, wrapped(view.load, width, "  ", 4))]


def _verdict(view: RunView, width: int) -> list[Line]:
    style = _COLOURS[view.verdict]
    first, *others = view.reasons or (view.kept,)
    head = f"{view.verdict}  "
    texts = wrapped(first, width, head, len(head))
    texts += [text for reason in others for text in wrapped(reason, width, " " * len(head), len(head) + 2)]
    verdict, rest = texts[0][: len(head)], texts[0][len(head) :]
    plain = view.verdict is Verdict.PASSED
    lines = [Line.of(Span(verdict, (*style, *BOLD)), rest if plain else Span(rest, style))]
    lines += [Line.of(Span(text, style)) for text in texts[1:]]
    for warning in view.warnings:
        said = wrapped(warning, width, "WARNING ", 8)
        lines += [Line.of(Span(text, YELLOW)) for text in said]
    return lines


def _limits(view: RunView, width: int) -> list[Line]:
    limits = view.limits
    rows = [(limit.mark, limit.subject, limit.bound, limit.value, limit.margin, limit.interval) for limit in limits]
    head, *texts = table(_LIMITS, rows, width)
    lines = [Line.of(Span(head, BOLD))]
    for limit, text in zip(limits, texts, strict=True):
        if limit.is_crossed:
            lines.append(Line.of(Span(text, RED)))
        else:
            style = GREEN if limit.outcome is Outcome.PASSED else YELLOW
            lines.append(Line.of(Span(text[:1], style), text[1:]))
        lines += [Line.of(said) for said in _said_of(limit, view.reasons, width)]
    return lines


def _said_of(limit: LimitView, reasons: Iterable[str], width: int) -> list[str]:
    """Return why *limit* was not judged, and what else is to be known, where no reason says so already."""
    outcome = "" if limit.outcome in {Outcome.PASSED, Outcome.FAILED} else str(limit.outcome)
    note = "" if any(limit.note in reason for reason in reasons) else limit.note
    said = ": ".join(part for part in (outcome, note) if part)
    return wrapped(said, width, "  ", 2) if said else []


def _operations(view: RunView, width: int, verbose: bool) -> list[Line]:
    rows = view.tables.operations
    shown = rows if verbose else rows[:_MOST_ROWS]
    if not shown:
        return []
    cells = [(row.name, row.calls, row.per_s, row.failed, row.p50, row.p95, row.p99, row.max) for row in shown]
    head, *texts = table(_OPERATIONS, cells, width, indent=2)
    lines = [Line(), Line.of(Span(head, BOLD)), *map(Line.of, texts)]
    return [*lines, *map(Line.of, _more(len(rows) - len(shown), "operation", "  "))]


def _facts(view: RunView, verbose: bool) -> Iterator[tuple[str, str]]:
    """Yield (label, text) of what else decides: the label of a line that goes on with the one before is empty."""
    if view.failed:
        yield "failed", view.failed
        width = max((len(f"{kind.count:,}") for kind in view.failures), default=0)
        kinds = [f"{kind.count:>{width},} × {kind.error} at {kind.where}" for kind in view.failures]
        yield from (("", text) for text in _few(kinds, "kind", verbose))
    errors = [f"{row.count:,} × {row.operation}: {row.group} {row.error}" for row in view.tables.errors]
    yield from _labelled("errors", _few(errors, "kind", verbose))
    yield from _false_checks(view, verbose)
    if view.rows:
        yield "rows", view.rows
    if view.breaking_point:
        yield "break", view.breaking_point
    if view.generator:
        yield "generator", view.generator
    yield from _notes(view, verbose)


def _false_checks(view: RunView, verbose: bool) -> Iterator[tuple[str, str]]:
    """Yield what a run may pass with."""
    false = [row for row in view.tables.checks if row.failed]
    checks = [f"{row.failed:,} of {row.passed + row.failed:,} false: {row.name}" for row in false]
    yield from _labelled("checks", _few(checks, "check", verbose))


def _notes(view: RunView, verbose: bool) -> Iterator[tuple[str, str]]:
    yield from _labelled("note", _few([*view.notes, *(view.tables.notes if verbose else ())], "note", verbose))


def _labelled(label: str, texts: Iterable[str]) -> Iterator[tuple[str, str]]:
    for number, text in enumerate(texts):
        yield ("" if number else label), text


def _few(texts: Sequence[str], name: str, verbose: bool) -> list[str]:
    shown = texts if verbose else texts[:_MOST_LINES]
    return [*shown, *_more(len(texts) - len(shown), name)]


def _more(count: int, name: str, indent: str = "") -> list[str]:
    return [f"{indent}and {count:,} more {name}{'s' * (count > 1)}: -v shows all"] if count > 0 else []


def _fact(label: str, text: str, width: int) -> list[Line]:
    head, *others = wrapped(text, width, f"{label:<{_LABEL}}", _LABEL + 2)
    return [Line.of(Span(head[:_LABEL], BOLD), head[_LABEL:]), *map(Line.of, others)]


def _unbroken(label: str, text: str) -> Line:
    """Return a line of any width: of what is to be copied."""
    return Line.of(Span(f"{label:<{_LABEL}}", BOLD), text)
