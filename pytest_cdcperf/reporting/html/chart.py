"""A chart over the time of a run, as plain values: the static picture and the script's are drawn from the same."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pytest_cdcperf.metrics.metric import Tags
from pytest_cdcperf.reporting.html.scales import ticks
from pytest_cdcperf.results.over_time import Crossing

Values = tuple[float | None, ...]

_MOST_TICKS, _MOST_TICKS_OF_SHARES = 6, 3
_HIGH_SHARE = 50  # shares that all lie above it are drawn between there and 100 %: 99 % must not look like 100 %
_FAR = 2.5  # a limit that is so many times above all figures would flatten them: it is named at the top


@dataclass(frozen=True)
class Line:
    """A figure, window by window. *style* names its colour and width."""

    name: str
    style: str
    values: Values
    right: bool = False
    """Whether the axis on the right is its."""
    dashed: bool = False
    """Whether it is of the run that another one is compared with."""

    @property
    def classes(self) -> str:
        """Its style as the page names it."""
        return f"{self.style} dashed" if self.dashed else self.style


@dataclass(frozen=True)
class Band:
    """A span that the values of a line lie in, window by window."""

    name: str
    low: Values
    high: Values


@dataclass(frozen=True)
class Bound:
    """A limit, as a line over all the time."""

    value: float
    text: str
    of_samples: bool = True
    """Whether it is on samples themselves, as of a percentile, and not on a mean or a rate of them."""


@dataclass(frozen=True)
class Chart:
    """The lines of a metric."""

    title: str
    unit: str
    lines: tuple[Line, ...]
    bounds: tuple[Bound, ...] = ()
    band: Band | None = None
    crossed: tuple[Crossing, ...] = ()
    metric: str = ""
    """Where it is of one: its name, and the tags that select a part of it."""
    tags: Tags = ()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing that a line could be drawn of."""
        return all(sum(value is not None for value in line.values) < 2 for line in self.lines)

    def axis(self, *, right: bool = False) -> list[float]:
        """Return the round values of an axis: all figures lie between the outer two."""
        found = [value for line in self.lines if line.right is right for value in line.values if value is not None]
        if self.band is not None and not right:
            found += [value for value in self.band.high if value is not None]
        if self.unit == "%" and not right:
            return self._axis_of_shares(found)
        low, high = min([*found, 0.0]), max(found, default=0.0)
        if not right:
            high = max([high, *(bound.value for bound in self.near(high))])
        return ticks(low, high * 1.02 if high > low else low + 1.0, _MOST_TICKS)

    def _axis_of_shares(self, found: list[float]) -> list[float]:
        """Return round per cents around the figures and the limits, from 0 or to 100: the range that matters."""
        found = [*found, *(bound.value for bound in self.bounds if 0 <= bound.value <= 100)]
        low, high = min(found, default=0.0), max(found, default=0.0)
        if low > _HIGH_SHARE:
            return ticks(min(100 - 1.25 * (100 - low), 99.0), 100, _MOST_TICKS_OF_SHARES)
        return ticks(0, min(1.02 * high, 100) or 1.0, _MOST_TICKS_OF_SHARES)

    def near(self, highest: float) -> list[Bound]:
        """Return the limits that can be drawn beside figures of up to *highest*."""
        return [bound for bound in self.bounds if bound.value <= _FAR * highest or not highest]


@dataclass(frozen=True)
class Ramp:
    """A span of the plan, with its name; *shaded* where the load changes."""

    name: str
    start_s: float
    end_s: float
    shaded: bool


@dataclass(frozen=True)
class Mark:
    """Something that happened: a line at its time."""

    at_s: float
    text: str
    style: str = "event"


@dataclass(frozen=True)
class Timeline:
    """The axis that all charts of a run share. *at_s* are the middles of the windows."""

    at_s: tuple[float, ...]
    end_s: float
    ramps: tuple[Ramp, ...] = ()
    marks: tuple[Mark, ...] = ()


def short(value: float | None) -> float | int | None:
    """Return *value* with three digits, as the windows of a result have them; None of what is not finite."""
    if value is None or not math.isfinite(value):
        return None
    rounded = float(f"{value:.3g}")
    return int(rounded) if rounded.is_integer() and abs(rounded) < 1e15 else rounded


def columns(values: Sequence[float | None]) -> list[float | int | None]:
    """Return *values* as the script gets them."""
    return [short(value) for value in values]


def chart_data(chart: Chart) -> dict[str, Any]:
    """Return *chart* as the script reads it."""
    lines = [
        {"name": line.name, "style": line.style, "values": columns(line.values)}
        | ({"right": 1} if line.right else {})
        | ({"dashed": 1} if line.dashed else {})
        for line in chart.lines
    ]
    axis = chart.axis()
    data: dict[str, Any] = {"title": chart.title, "unit": chart.unit, "axis": [axis[0], axis[-1]], "lines": lines}
    if chart.bounds:
        data["bounds"] = [[bound.value, bound.text] for bound in chart.bounds]
    if chart.crossed:
        data["crossed"] = [[span.start_s, span.end_s] for span in chart.crossed]
    return data


def timeline_data(timeline: Timeline) -> dict[str, Any]:
    """Return *timeline* as the script reads it."""
    return {
        "at": [round(at_s, 2) for at_s in timeline.at_s],
        "end": round(timeline.end_s, 2),
        "ramps": [[ramp.name, ramp.start_s, ramp.end_s, int(ramp.shaded)] for ramp in timeline.ramps],
        "marks": [[mark.at_s, mark.text, mark.style] for mark in timeline.marks],
    }
