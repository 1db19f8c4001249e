"""The heat map of a trend: how many samples of which value came when."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from pytest_cdcperf.metrics.histogram import Histogram
from pytest_cdcperf.metrics.timeline import Window
from pytest_cdcperf.reporting.html.chart import Bound, Chart, Timeline
from pytest_cdcperf.reporting.html.markup import Html, element
from pytest_cdcperf.reporting.html.scales import log_ticks
from pytest_cdcperf.reporting.html.svg import (
    TOP,
    Frame,
    background,
    bound_lines,
    marks,
    picture,
    x_axis,
    y_tick,
)

_FINEST = 2  # the schema of its rows: 19 % each
_MOST_ROWS, _MOST_COLUMNS, _LEVELS = 32, 150, 6
_HEIGHT = 170


@dataclass(frozen=True)
class HeatMap:
    """Samples a second by time and by bucket; *schema* is that of the buckets, as a histogram's."""

    title: str
    unit: str
    schema: int
    columns: tuple[tuple[float, float, Counter[int]], ...]
    bounds: tuple[Bound, ...] = ()

    @property
    def rows(self) -> tuple[int, int]:
        """The lowest and the highest bucket."""
        every = [index for _, _, counts in self.columns for index in counts]
        return min(every), max(every)

    @property
    def frame_of_rows(self) -> tuple[float, float]:
        """The lower edge of the lowest and the upper edge of the highest bucket, as powers of two."""
        low, high = self.rows
        return (low - 1) / 2**self.schema, high / 2**self.schema


def heat_map(chart: Chart, windows: Sequence[Window], histograms: Sequence[Histogram | None]) -> HeatMap | None:
    """Return the heat map of *histograms*, one a window; None where there are fewer than two with values above 0."""
    width = math.ceil(len(windows) / _MOST_COLUMNS) if windows else 1
    schema = _FINEST
    while True:
        columns = tuple(
            _column(windows[at : at + width], histograms[at : at + width], schema)
            for at in range(0, len(windows), width)
        )
        filled = tuple(column for column in columns if column[2])
        if len(filled) < 2:
            return None
        bounds = tuple(bound for bound in chart.bounds if bound.of_samples and bound.value > 0)
        found = HeatMap(chart.title, chart.unit, schema, filled, bounds)
        low, high = found.rows
        if high - low < _MOST_ROWS or schema <= -4:
            return found
        schema -= 1


def _column(
    windows: Sequence[Window], histograms: Sequence[Histogram | None], schema: int
) -> tuple[float, float, Counter[int]]:
    counts: Counter[int] = Counter()
    for histogram in histograms:
        if histogram is not None:
            counts.update({**histogram.coarse(schema).positive})
    return windows[0].start_s, windows[-1].end_s, counts


def heat_svg(heat: HeatMap, timeline: Timeline) -> Html:
    """Return the picture of *heat*: the stronger the colour, the more samples a second."""
    low, high = heat.frame_of_rows
    frame = Frame(timeline.end_s, low, high, _HEIGHT)
    limits = [bound for bound in heat.bounds if low <= math.log2(bound.value) <= high]
    return picture(
        f"{heat.title}: samples by time and value, {heat.unit}, logarithmic",
        _HEIGHT,
        *background(timeline, frame),
        *(
            element(
                "path",
                d=path,
                class_="heat",
                fill="none",
                stroke="currentColor",
                stroke_width=_row_height(heat, frame),
                opacity=round(level / _LEVELS, 2),
            )
            for level, path in _paths(heat, frame)
        ),
        *(y_tick(frame, math.log2(value), f"{value:,g}") for value in log_ticks(2**low, 2**high, 7)),
        *bound_lines([(frame.y(math.log2(bound.value)), bound.text) for bound in limits]),
        *marks(timeline, frame),
        *x_axis(frame),
    )


def heat_data(heat: HeatMap) -> dict[str, Any]:
    """Return *heat* as the script reads it: it takes the cells from the static picture."""
    low, high = heat.frame_of_rows
    return {
        "title": heat.title,
        "unit": heat.unit,
        "axis": [round(low, 4), round(high, 4)],
        "heat": log_ticks(2**low, 2**high, 7),
        "bounds": [[math.log2(bound.value), bound.text] for bound in heat.bounds],
        "lines": [],
    }


def _row_height(heat: HeatMap, frame: Frame) -> float:
    low, high = heat.rows
    return round((frame.bottom - TOP) / (high - low + 1) + 0.05, 1)


def _paths(heat: HeatMap, frame: Frame) -> list[tuple[int, str]]:
    """Return a path for each level of colour, whose strokes are cells: neighbours of one level are one."""
    low, high = heat.rows
    rates = [
        {row: n / max(end_s - start_s, 1e-9) for row, n in counts.items()} for start_s, end_s, counts in heat.columns
    ]
    most = max(rate for column in rates for rate in column.values())
    cells: dict[int, list[str]] = {}
    for row in range(low, high + 1):
        levels = [_level(column.get(row, 0.0) / most) for column in rates]
        y = round(frame.y((row - 0.5) / 2**heat.schema), 1)
        for first, after in pairwise([0, *_changes(heat, levels), len(levels)]):
            if levels[first]:
                x, end = frame.x(heat.columns[first][0]), frame.x(heat.columns[after - 1][1])
                cells.setdefault(levels[first], []).append(f"M{round(x, 1):g} {y:g}h{round(end - x + 0.05, 1):g}")
    return [(level, "".join(found)) for level, found in sorted(cells.items())]


def _changes(heat: HeatMap, levels: Sequence[int]) -> list[int]:
    return [
        at
        for at in range(1, len(levels))
        if levels[at] != levels[at - 1] or heat.columns[at][0] > heat.columns[at - 1][1] + 1e-6
    ]


def _level(share: float) -> int:
    return math.ceil(math.sqrt(share) * _LEVELS) if share > 0 else 0
