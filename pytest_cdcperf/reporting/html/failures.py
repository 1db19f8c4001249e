"""The failures of a run by kind, folded, each with a traceback and the command that repeats it."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_cdcperf.printable import one_line
from pytest_cdcperf.reporting.html.markup import Html, element
from pytest_cdcperf.reporting.view import FailureView, RunView
from pytest_cdcperf.results.result import RunResult


def failures(result: RunResult, view: RunView) -> Html | None:
    """Return the kinds of failures, the most frequent first and open, None without any."""
    if not view.failures:
        return None
    return element("div", *(_kind(result, kind, at == 0) for at, kind in enumerate(view.failures)))


def _kind(result: RunResult, kind: FailureView, opened: bool) -> Html:
    where = " · ".join(part for part in (kind.where, kind.span) if part)
    head = element("summary", element("b", f"{kind.count:,} x"), " ", kind.error, " ", element("small", where))
    return element("details", head, *_inside(result, kind), open=opened)


def _inside(result: RunResult, kind: FailureView) -> Iterator[Html]:
    if any(kind.sample):
        yield element("pre", "\n".join(kind.sample), tabindex=0)
    if kind.iteration:
        command = one_line(f"pytest '{result.facts.test}' --pdb --perf-replay={kind.iteration}")
        yield element("p", "again, in the debugger: ", element("code", command))
