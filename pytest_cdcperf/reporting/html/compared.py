"""The section of two runs of one test, side by side and one laid over the other; no word says which is better."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from pytest_cdcperf.reporting.comparison import ComparedLimit, ComparedOperation, ComparedRun, ComparisonView
from pytest_cdcperf.reporting.html.chart import timeline_data
from pytest_cdcperf.reporting.html.markup import Child, Html, element, joined
from pytest_cdcperf.reporting.html.overlay import common_timeline, overlaid_charts
from pytest_cdcperf.reporting.html.pictures import TALL, USUAL, drawn
from pytest_cdcperf.reporting.html.section import Part, Section
from pytest_cdcperf.reporting.html.tables import MOST_ROWS, framed
from pytest_cdcperf.reporting.table_views import OperationView
from pytest_cdcperf.reporting.view import LimitView
from pytest_cdcperf.results.compare import Comparison

_RATIO = "B/A"
_FIGURES = {"calls": "calls", "per_s": "per s", "failed": "failed", "p50": "p50", "p95": "p95", "p99": "p99"} | {
    "max": "max ms"
}

_Row = Iterable[Child]


def compared_section(comparison: Comparison, anchor: str, *, alone: bool = False) -> Section:
    """Return the section of *comparison*, with the id *anchor*.

    :param alone: there is no other one, so that its title is that of the page
    """
    view = ComparisonView.of(comparison)
    time = common_timeline(comparison.first, comparison.second)
    charts = overlaid_charts(comparison.first, comparison.second, time)
    pictures = [*drawn(charts[:1], time, TALL), *drawn(charts[1:], time, USUAL)]
    parts = [
        Part("What differs", "beside the figures", [_differences(view)]),
        Part("Limits", "each run with its own", [_limits(view)]),
        Part("Over time", "by elapsed time; A is dashed", [picture.figure for picture in pictures]),
        Part("Operations", "with the 95 % interval where it is known", [_operations(view)]),
    ]
    shown = [part for part in parts if part.has_content]
    html = element(
        "section",
        element("h1" if alone else "h2", view.test),
        element("p", view.title, class_="sub") if view.title else None,
        _runs(view),
        *(part.html(anchor) for part in shown),
        id=anchor,
        class_="run",
    )
    return Section(html, {"time": timeline_data(time), "charts": [picture.data for picture in pictures]})


def _runs(view: ComparisonView) -> Html | None:
    heads = ("run", "started", "session", "load", "verdict", "rate", "p95", "errors")
    return _table("The two runs", heads, 5, [[_run(view.first)], [_run(view.second)]])


def _run(run: ComparedRun) -> tuple[Child, ...]:
    of = run.view
    verdict = joined(str(of.verdict), element("small", of.reasons[0]) if of.reasons else None)
    return run.letter, element("time", of.started), of.session, of.load, verdict, of.rate, of.p95, of.errors


def _differences(view: ComparisonView) -> Html | None:
    heads = ("", view.first.letter, view.second.letter)
    return _table("What differs", heads, 3, [[(of.name, of.first, of.second)] for of in view.differences])


def _limits(view: ComparisonView) -> Html | None:
    heads = ("limit", "run", "bound", "outcome", "value", "95 % interval", _RATIO)
    return _table("Limits of both runs", heads, 4, [list(_limit_rows(view, limit)) for limit in view.limits])


def _limit_rows(view: ComparisonView, limit: ComparedLimit) -> Iterator[_Row]:
    yield limit.subject, view.first.letter, *_limit_cells(limit.first), ""
    yield "", view.second.letter, *_limit_cells(limit.second), limit.ratio


def _limit_cells(limit: LimitView | None) -> tuple[str, str, str, str]:
    return ("-", "", "", "") if limit is None else (limit.bound, str(limit.outcome), limit.value, limit.interval)


def _operations(view: ComparisonView) -> Html | None:
    heads = ("operation", "run", *_FIGURES.values())
    return _table("Operations of both runs", heads, 2, [list(_operation_rows(view, of)) for of in view.operations])


def _operation_rows(view: ComparisonView, of: ComparedOperation) -> Iterator[_Row]:
    yield of.name, view.first.letter, *_operation_cells(of.first, of.first_intervals)
    yield "", view.second.letter, *_operation_cells(of.second, of.second_intervals)
    if any(of.ratios.values()):
        yield "", _RATIO, *(of.ratios.get(name, "") for name in _FIGURES)


def _operation_cells(operation: OperationView | None, intervals: Mapping[str, str]) -> Iterator[Child]:
    for name in _FIGURES:
        value = "-" if operation is None else getattr(operation, name)
        yield joined(value, element("small", intervals[name]) if name in intervals else None)


def _table(caption: str, heads: Sequence[str], texts: int, groups: Sequence[Sequence[_Row]]) -> Html | None:
    """Return a table with a line below each of *groups*, None without any; figures stand after *texts* columns."""
    if not groups:
        return None
    rows = [
        _row(cells, texts, last=at == len(group) - 1) for group in groups[:MOST_ROWS] for at, cells in enumerate(group)
    ]
    return framed(caption, heads, rows, range(texts, len(heads)), "compared")


def _row(cells: _Row, texts: int, *, last: bool) -> Html:
    first, *others = cells
    figures = (element("td", cell, class_="n" if at >= texts else None) for at, cell in enumerate(others, 1))
    head = element("th", first, scope="row") if first else element("td")
    return element("tr", head, *figures, class_="last" if last else None)
