"""The tables of a run: by operation, group, tag and check, the errors of calls, and every metric."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence

from pytest_cdcperf.metrics.groups import in_order
from pytest_cdcperf.metrics.metric import group_of, unit_of
from pytest_cdcperf.metrics.snapshot import CounterState, GaugeState, RateState, State
from pytest_cdcperf.printable import short_name
from pytest_cdcperf.reporting.html.markup import Child, Html, element, joined
from pytest_cdcperf.reporting.table_views import OperationView
from pytest_cdcperf.reporting.view import RunView
from pytest_cdcperf.results.figures import figures_of
from pytest_cdcperf.results.result import RunResult
from pytest_cdcperf.units import figure

MOST_ROWS = 200  # of one table

Row = Iterable[Child]


def table(caption: str, heads: Sequence[str], rows: Iterable[Row], *, texts: int = 1) -> Html:
    """Return a table that the script lets readers sort.

    :param caption: what it is of, for those who do not see it
    :param texts: how many of its columns, from the left, hold text; those after them hold figures
    """
    rows = list(rows)
    shown = [_row(row, texts) for row in rows[:MOST_ROWS]]
    if len(rows) > MOST_ROWS:
        more = f"{len(rows) - MOST_ROWS:,} more rows are in the JSON file of the result"
        shown.append(element("tr", element("td", more, colspan=len(heads), class_="dim")))
    return framed(caption, heads, shown, range(texts, len(heads)), "sortable")


def framed(caption: str, heads: Sequence[str], rows: Iterable[Html], figures: Container[int], class_: str) -> Html:
    """Return a table that scrolls within the page. *figures* are the places of the columns that hold some."""
    titles = (element("th", head, scope="col", class_="n" if at in figures else None) for at, head in enumerate(heads))
    return element(
        "div",
        element(
            "table",
            element("caption", caption),
            element("thead", element("tr", *titles)),
            element("tbody", *rows),
            class_=class_,
        ),
        class_="wide",
        tabindex=0,
        role="region",
        aria_label=caption,
    )


def _row(row: Row, texts: int) -> Html:
    first, *others = row
    cells = (element("td", cell, class_="n" if at >= texts else None) for at, cell in enumerate(others, 1))
    return element("tr", element("th", first, scope="row"), *cells)


def tabs(result: RunResult, view: RunView) -> list[tuple[str, Html]]:
    """Return the tables that have a row, each with the title of its tab."""
    tables = view.tables
    found = [
        ("Operations", _operations("Operations", "operation", tables.operations)),
        ("Groups", _operations("Groups", "group", tables.groups)),
        ("Tags", _operations("Tags", "tag", tables.tags, metric=True)),
        ("Checks", _checks(view)),
        ("Errors of calls", _errors(view)),
        ("All metrics", _metrics(result)),
    ]
    return [(title, shown) for title, shown in found if shown is not None]


def _operations(title: str, head: str, rows: Sequence[OperationView], *, metric: bool = False) -> Html | None:
    if not rows:
        return None
    heads = [head, *(["metric"] if metric else []), "calls", "per s", "failed", "p50 ms", "p95 ms", "p99 ms", "max ms"]
    return table(title, heads, (_operation(row, metric=metric) for row in rows), texts=1 + metric)


def _operation(row: OperationView, *, metric: bool) -> Iterator[Child]:
    yield row.name
    if metric:
        yield row.metric
    yield from (row.calls, row.per_s, row.failed, row.p50, row.p95, row.p99, row.max)


def _checks(view: RunView) -> Html | None:
    rows = view.tables.checks
    if not rows:
        return None
    heads = ("check", "true", "false", "share true")
    shares = (figure(row.passed / (row.passed + row.failed), "%") if row.passed + row.failed else "-" for row in rows)
    cells = (
        (row.name, f"{row.passed:,}", _count_of_faults(row.failed), share)
        for row, share in zip(rows, shares, strict=True)
    )
    return table("Checks", heads, cells)


def _count_of_faults(count: int) -> Child:
    return element("span", f"{count:,}", class_="wrong") if count else "0"


def _errors(view: RunView) -> Html | None:
    rows = view.tables.errors
    if not rows:
        return None
    cells = ((row.operation, row.group, row.error, f"{row.count:,}") for row in rows)
    return table("Errors of calls", ("operation", "protocol", "status or error", "count"), cells, texts=3)


def _metrics(result: RunResult) -> Html | None:
    by_group: dict[str, list[Row]] = {}
    for label, name, state in result.shown_metrics():
        shown = short_name(label)
        by_group.setdefault(group_of(name), []).append(
            (shown, group_of(name), *_figures(name, state, result.elapsed_s))
        )
    if not by_group:
        return None
    heads = ("metric", "group", "unit", "count", "per s", "value", "avg", "min", "p50", "p95", "p99", "max")
    return table("All metrics", heads, (row for group in in_order(by_group) for row in by_group[group]), texts=3)


def _figures(name: str, state: State, elapsed_s: float) -> Sequence[Child]:
    """Return the unit and what the heads of the columns say; "" where a kind of metric has none such."""
    unit = unit_of(name)
    match state:
        case RateState():
            return ("", f"{state.total:,}", "", figure(state.rate, "%"), "", "", "", "", "", "")
        case CounterState():
            figures = figures_of(state, elapsed_s)
            return (unit, figure(figures["count"]), figure(figures["rate"]), "", "", "", "", "", "", "")
        case GaugeState():
            return (unit, "", "", figure(state.value), "", figure(state.min), "", "", "", figure(state.max))
        case _:
            spread = [state.quantile(q) for q in (0.5, 0.95, 0.99)]
            rest = map(figure, (state.mean, state.min, *spread, state.max))
            return (unit, f"{state.count:,}", figure(state.count / elapsed_s) if elapsed_s > 0 else "", "", *rest)


def stacked(found: Sequence[tuple[str, Html]]) -> Html:
    """Return tables one below the other; the script makes tabs of them."""
    return element(
        "div",
        *(element("section", element("h4", title), shown) for title, shown in found),
        class_="tabs",
    )


def facts(pairs: Iterable[tuple[str, Child]]) -> Html:
    """Return names and what they are, one a line."""
    lines = (joined(element("dt", name), element("dd", value)) for name, value in pairs if value)
    return element("dl", *lines)
