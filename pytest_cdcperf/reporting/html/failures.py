"""The failures of a run by kind, folded, each with a traceback and the command that repeats it."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_cdcperf.reporting.html.markup import Html, element
from pytest_cdcperf.reporting.view import FailureView, RunView


def failures(view: RunView) -> Html | None:
    """Return the kinds of failures, the most frequent first and open, None without any."""
    if not view.failures:
        return None
    return element("div", *(_kind(kind, at == 0) for at, kind in enumerate(view.failures)))


def _kind(kind: FailureView, opened: bool) -> Html:
    where = " · ".join(part for part in (kind.where, kind.span) if part)
    head = element("summary", element("b", f"{kind.count:,} x"), " ", kind.error, " ", element("small", where))
    return element("details", head, *_inside(kind), open=opened)


def _inside(kind: FailureView) -> Iterator[Html]:
    if any(kind.sample):
        yield element("pre", "\n".join(kind.sample), tabindex=0)
    if kind.again:
        yield element("p", "again, in the debugger: ", element("code", kind.again))
