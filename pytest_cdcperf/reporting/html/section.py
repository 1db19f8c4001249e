"""The section of one run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_cdcperf.metrics.histogram import Histogram
from pytest_cdcperf.reporting.html.chart import Chart, Timeline, chart_data, timeline_data
from pytest_cdcperf.reporting.html.distribution import distribution_svg
from pytest_cdcperf.reporting.html.failures import failures
from pytest_cdcperf.reporting.html.heat import HeatMap, heat_data, heat_map, heat_svg
from pytest_cdcperf.reporting.html.limits import limits_table
from pytest_cdcperf.reporting.html.markup import Child, Html, element, joined
from pytest_cdcperf.reporting.html.over_time import judged_charts, load_charts, timeline
from pytest_cdcperf.reporting.html.surroundings import environment, generator
from pytest_cdcperf.reporting.html.svg import chart_svg
from pytest_cdcperf.reporting.html.tables import stacked, tabs
from pytest_cdcperf.reporting.html.verdict import banner, tiles
from pytest_cdcperf.reporting.view import RunView
from pytest_cdcperf.results.result import RunResult


@dataclass(frozen=True)
class Section:
    """The section of a run, and what the script draws its charts from."""

    html: Html
    data: dict[str, Any]


@dataclass(frozen=True)
class _Picture:
    figure: Html
    data: dict[str, Any]


def section(result: RunResult, view: RunView, anchor: str, *, alone: bool = False) -> Section:
    """Return the section of *result*, with the id *anchor*: what has no data is left out.

    :param alone: there is no other one, so that its title is that of the page
    """
    time = timeline(result)
    charts = judged_charts(result, view)
    shown = [chart for chart in (*charts, *load_charts(result)) if not chart.is_empty]
    pictures = [_chart(chart, time, first=at == 0) for at, chart in enumerate(shown)]
    heat = _heat(result, charts)
    pictures += (
        [
            _Picture(
                _figure(heat.title, f"{heat.unit}, every sample; darker: more", (), heat_svg(heat, time)),
                heat_data(heat),
            )
        ]
        if heat
        else []
    )
    parts = [
        _part("Limits", "value against limit", limits_table(view)),
        _part("Over time", _step(result), *(picture.figure for picture in pictures)),
        _part("Distribution", "logarithmic", *_distributions(result, charts)),
        _part("Figures", "", stacked(found) if (found := tabs(result, view)) else None, *_notes(view.tables.notes)),
        _part("Failures", _kinds(result), failures(result, view)),
        _part("Notes", "", *_notes(view.notes)),
        _part("Generator", "", *generator(result, view)),
        _part("Environment", "", environment(result)),
    ]
    head = [
        element("h1" if alone else "h2", view.test),
        element("p", " · ".join(text for text in (view.title, view.load) if text), class_="sub"),
        banner(view),
        tiles(result, view),
    ]
    html = element("section", *head, *(part for part in parts if part is not None), id=anchor, class_="run")
    return Section(html, {"time": timeline_data(time), "charts": [picture.data for picture in pictures]})


def _part(title: str, said: str, *content: Child) -> Html | None:
    shown = [one for one in content if one]
    if not shown:
        return None
    return joined(element("h3", title, " ", element("small", said) if said else None), *shown)


def _step(result: RunResult) -> str:
    windows = result.windows
    if not windows.start_s:
        return ""
    longest = max(end_s - start_s for start_s, end_s in zip(windows.start_s, windows.end_s, strict=True))
    return "a point a second" if longest < 1.5 else f"a point for {longest:.0f} s"


def _kinds(result: RunResult) -> str:
    kinds = len(result.failures)
    return f"{result.failed_iterations:,} in {kinds} kind{'s' * (kinds != 1)}"


def _notes(notes: Sequence[str]) -> Iterator[Html]:
    if notes:
        yield element("ul", *(element("li", note) for note in notes), class_="notes")


def _chart(chart: Chart, time: Timeline, *, first: bool) -> _Picture:
    legend = [(line.name, line.style) for line in chart.lines]
    legend += [(chart.band.name, "band")] if chart.band is not None else []
    return _Picture(
        _figure(chart.title, chart.unit, legend, chart_svg(chart, time, 230 if first else 150)), chart_data(chart)
    )


def _figure(title: str, unit: str, legend: Sequence[tuple[str, str]], picture: Html) -> Html:
    keys = [element("li", element("i", class_=style), name, class_="key") for name, style in legend]
    caption = element(
        "figcaption",
        element("b", title),
        " ",
        element("span", unit, class_="dim"),
        element("ul", *keys, class_="legend") if keys else None,
    )
    return element("figure", caption, picture, class_="chart")


def _heat(result: RunResult, charts: Sequence[Chart]) -> HeatMap | None:
    """Return the heat map of the first trend that is charted."""
    for chart in charts:
        windows = result.windows.judged(chart.metric) if chart.metric else []
        states = [window.snapshot.select(chart.metric, dict(chart.tags)) for window in windows]
        found = heat_map(chart, windows, [state if isinstance(state, Histogram) else None for state in states])
        if found is not None:
            return found
    return None


def _distributions(result: RunResult, charts: Sequence[Chart]) -> Iterator[Html]:
    shown = []
    for chart in charts:
        trend = result.total.trend(chart.metric, dict(chart.tags)) if chart.metric else Histogram()
        picture = distribution_svg(chart.title, chart.unit, trend, chart.bounds) if trend.count > 1 else None
        if picture is not None:
            shown.append(_figure(chart.title, f"{chart.unit}, {trend.count:,} samples", (), picture))
    if shown:
        yield element("div", *shown[:6], class_="two")
