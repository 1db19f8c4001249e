"""The pictures of a run, each with its caption and legend, in the order in which they are read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_cdcperf.metrics.histogram import Histogram
from pytest_cdcperf.reporting.html.chart import Chart, Timeline, chart_data
from pytest_cdcperf.reporting.html.distribution import distribution_svg
from pytest_cdcperf.reporting.html.heat import HeatMap, heat_data, heat_map, heat_svg
from pytest_cdcperf.reporting.html.markup import Html, element
from pytest_cdcperf.reporting.html.over_time import load_charts
from pytest_cdcperf.reporting.html.svg import chart_svg
from pytest_cdcperf.results.result import RunResult

TALL, USUAL, _LOW = 230, 160, 110
_MOST_DISTRIBUTIONS = 6


@dataclass(frozen=True)
class Picture:
    """A chart as it stands in the page, and what the script draws it from."""

    figure: Html
    data: dict[str, Any]


def pictures_over_time(result: RunResult, judged: Sequence[Chart], time: Timeline) -> list[Picture]:
    """Return the first of the *judged* charts, the load, what failed, the heat map, then the other charts."""
    first, others = list(judged[:1]), list(judged[1:])
    heat = _heat(result, judged)
    return [
        *drawn(first, time, TALL),
        *drawn(load_charts(result), time, USUAL),
        *([_heat_picture(heat, time)] if heat is not None else []),
        *drawn(others, time, USUAL),
    ]


def drawn(charts: Sequence[Chart], time: Timeline, height: int) -> Iterator[Picture]:
    """Yield the pictures of those *charts* that have a line."""
    for chart in charts:
        if not chart.is_empty:
            legend = [(line.name, line.classes) for line in chart.lines]
            legend += [(chart.band.name, "band")] if chart.band is not None else []
            legend += [("limit crossed", "crossed")] if chart.crossed else []
            picture = chart_svg(chart, time, _LOW if chart.unit == "%" else height)
            yield Picture(captioned(chart.title, chart.unit, legend, picture), chart_data(chart))


def captioned(title: str, unit: str, legend: Sequence[tuple[str, str]], picture: Html) -> Html:
    """Return *picture* with its caption. *legend* names its lines, each with its style."""
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
    """Return the heat map of the first trend that is charted, and whose buckets are known by time."""
    for chart in charts:
        windows = result.windows.judged(chart.metric) if chart.metric else []
        states = [window.snapshot.select(chart.metric, dict(chart.tags)) for window in windows]
        found = heat_map(chart, windows, [state if isinstance(state, Histogram) else None for state in states])
        if found is not None:
            return found
    return None


def _heat_picture(heat: HeatMap, time: Timeline) -> Picture:
    said = f"{heat.unit}, every sample; the stronger the colour, the more"
    return Picture(captioned(heat.title, said, (), heat_svg(heat, time)), heat_data(heat))


def distributions(result: RunResult, charts: Sequence[Chart]) -> Html | None:
    """Return the distributions of the trends that are charted, side by side; None without any."""
    shown = []
    for chart in charts:
        trend = result.total.trend(chart.metric, dict(chart.tags)) if chart.metric else Histogram()
        picture = distribution_svg(chart.title, chart.unit, trend, chart.bounds) if trend.count > 1 else None
        if picture is not None:
            shown.append(captioned(chart.title, f"{chart.unit}, {trend.count:,} samples", (), picture))
    return element("div", *shown[:_MOST_DISTRIBUTIONS], class_="two") if shown else None
