"""Saved results as text for the terminal: the summary of each, or the results of each test side by side."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from typing import TextIO

from pytest_cdcperf.printable import one_line, short_name
from pytest_cdcperf.reporting.comparison import ComparisonView
from pytest_cdcperf.reporting.comparison_text import comparison_lines
from pytest_cdcperf.reporting.terminal import run_lines
from pytest_cdcperf.results.compare import compare_sessions
from pytest_cdcperf.results.result import RunResult

_CODES = {"bold": "1", "red": "31", "green": "32", "yellow": "33"}


def summaries(results: Sequence[RunResult], *, colours: bool, verbose: bool = False) -> Iterator[str]:
    """Yield the lines of the summary of each of *results*, as wide as the terminal."""
    width = shutil.get_terminal_size().columns
    for number, result in enumerate(results):
        yield from [""] * bool(number)
        yield _styled(short_name(result.facts.test), "bold", on=colours)
        yield one_line(f"session {result.facts.session_id}, {result.facts.started_at}").rstrip(", ")
        for line in run_lines(result, width, verbose=verbose):
            yield "".join(_styled(span.text, *span.style, on=colours and bool(span.style)) for span in line.spans)


def comparisons(
    first: Sequence[RunResult], second: Sequence[RunResult], *, colours: bool, verbose: bool = False
) -> Iterator[str]:
    """Yield the lines of the tests that are in both, then the summaries of those that are in one."""
    width = shutil.get_terminal_size().columns
    both, others = compare_sessions(first, second)
    for number, comparison in enumerate(both):
        yield from [""] * bool(number)
        view = ComparisonView.of(comparison)
        yield _styled(view.test, "bold", on=colours)
        yield from comparison_lines(view, width)
    yield from [""] * bool(both and others)
    yield from summaries(others, colours=colours, verbose=verbose)


def wants_colours(stream: TextIO, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether text for *stream* has colours, as pytest's: NO_COLOR and FORCE_COLOR decide, else it is a terminal."""
    if environment.get("NO_COLOR"):
        return False
    return bool(environment.get("FORCE_COLOR")) or (stream.isatty() and environment.get("TERM") != "dumb")


def _styled(text: str, *styles: str, on: bool) -> str:
    return f"\x1b[{';'.join(_CODES[style] for style in styles)}m{text}\x1b[0m" if on else text
