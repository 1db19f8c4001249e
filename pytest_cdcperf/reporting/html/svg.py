"""The static picture of a chart, for readers without scripts and for print."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from pytest_cdcperf.reporting.html.chart import Band, Chart, Line, Timeline, Values
from pytest_cdcperf.reporting.html.markup import Child, Html, element, joined
from pytest_cdcperf.reporting.html.scales import time_ticks
from pytest_cdcperf.units import clock_time, figure

WIDTH, LEFT, RIGHT, TOP, BOTTOM = 1120, 64, 48, 22, 22
_MOST_POINTS = 300  # of a line: the static picture of a long run would make most of the page
_MOST_FINE = 40  # points
_NEAR = 13  # of two lines whose texts would cover each other
_LEAST_LABEL_GAP = 150  # between the texts of two marks, or they would cover each other


_Outer = Callable[[Sequence[float]], float]


@dataclass(frozen=True)
class Frame:
    """The place of figures in a picture: from a time and a value to its pixels."""

    end_s: float
    low: float
    high: float
    height: int

    @property
    def bottom(self) -> int:
        """The lower end of the plot."""
        return self.height - BOTTOM

    def x(self, at_s: float) -> float:
        """Return the place of a time: one before the start or after the end lies there."""
        share = min(max(at_s / self.end_s, 0.0), 1.0) if self.end_s > 0 else 0.0
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        """Return the place of a value."""
        return TOP + (self.high - value) / (self.high - self.low) * (self.bottom - TOP)


def picture(title: str, height: int, *content: Child, **more: str) -> Html:
    """Return an image that scales, with a title for those who do not see it."""
    box = f"0 0 {WIDTH} {height}"
    return element("svg", element("title", title), *content, viewBox=box, role="img", class_="static", **more)


def chart_svg(chart: Chart, timeline: Timeline, height: int = 170) -> Html:
    """Return the picture of *chart*."""
    left, right = chart.axis(), chart.axis(right=True)
    frame = Frame(timeline.end_s, left[0], left[-1], height)
    beside = Frame(timeline.end_s, right[0], right[-1], height)
    has_right = any(line.right for line in chart.lines)
    return picture(
        f"{chart.title} over time, {chart.unit}",
        height,
        *background(timeline, frame, chart),
        *(y_tick(frame, value) for value in left),
        *((y_tick(beside, value, right=True) for value in right) if has_right else ()),
        *([_band(chart.band, timeline, frame)] if chart.band is not None else []),
        *(_line(line, timeline, beside if line.right else frame) for line in chart.lines),
        *_bounds(chart, frame),
        *marks(timeline, frame),
        *x_axis(frame),
    )


def background(timeline: Timeline, frame: Frame, chart: Chart | None = None) -> Iterator[Html]:
    """Yield the phases of the load, and the spans in which a limit was crossed."""
    for ramp in timeline.ramps:
        if ramp.shaded:
            yield _span(frame, ramp.start_s, ramp.end_s, "ramp")
        if frame.x(ramp.end_s) - frame.x(ramp.start_s) > 60:
            yield element("text", ramp.name, x=round(frame.x(ramp.start_s) + 4), y=TOP - 7, class_="phase")
    for span in chart.crossed if chart is not None else ():
        yield _span(frame, span.start_s, span.end_s, "crossed")


def _span(frame: Frame, start_s: float, end_s: float, name: str) -> Html:
    x = frame.x(start_s)
    width = round(max(frame.x(end_s) - x, 1.0), 1)
    return element("rect", x=round(x, 1), y=TOP, width=width, height=frame.bottom - TOP, class_=name, opacity=0.12)


def y_tick(frame: Frame, value: float, text: str = "", *, right: bool = False) -> Html:
    """Return a value on an axis, with its line across where it is the left one."""
    y = round(frame.y(value), 1)
    label = text or figure(value)
    if right:
        return element("text", label, x=WIDTH - RIGHT + 8, y=round(y + 4, 1), class_="tick")
    across = element("line", x1=LEFT, x2=WIDTH - RIGHT, y1=y, y2=y, class_="grid", stroke="currentColor", opacity=0.15)
    return joined(across, element("text", label, x=LEFT - 8, y=round(y + 4, 1), class_="tick", text_anchor="end"))


def x_axis(frame: Frame) -> Iterator[Html]:
    """Yield the times below a picture."""
    for at_s in time_ticks(frame.end_s):
        yield element(
            "text",
            clock_time(at_s),
            x=round(frame.x(at_s), 1),
            y=frame.height - 6,
            class_="tick",
            text_anchor="middle",
        )


def _line(line: Line, timeline: Timeline, frame: Frame) -> Html:
    path = "".join(_path(points) for points in _runs(line.values, timeline, frame))
    return element("path", d=path, class_=f"line {line.classes}", fill="none", stroke="currentColor")


def _band(band: Band, timeline: Timeline, frame: Frame) -> Html:
    low, high = list(_runs(band.low, timeline, frame, min)), list(_runs(band.high, timeline, frame))
    path = "".join(f"{_path([*up, *reversed(down)])}z" for up, down in zip(high, low, strict=True))
    return element("path", d=path, class_="band", opacity=0.2)


def _thinned(values: Values, timeline: Timeline, outer: _Outer) -> Iterator[tuple[float, float | None]]:
    """Yield times and values: of so many that they would stand within a pixel or two the outer one of each few."""
    width = math.ceil(len(values) / _MOST_POINTS)
    for at in range(0, len(values), width or 1):
        found = [value for value in values[at : at + width] if value is not None]
        times = timeline.at_s[at : at + width]
        yield sum(times) / len(times), outer(found) if found else None


def _runs(values: Values, timeline: Timeline, frame: Frame, outer: _Outer = max) -> Iterator[list[tuple[float, float]]]:
    """Yield the points of *values* that follow each other without a gap."""
    run: list[tuple[float, float]] = []
    for at_s, value in _thinned(values, timeline, outer):
        if value is not None:
            run.append((frame.x(at_s), frame.y(value)))
        elif run:
            yield run
            run = []
    if run:
        yield run


def _path(points: Sequence[tuple[float, float]]) -> str:
    """Return *points* as a path of steps, half as long as places: in tenths of a pixel, or of many in whole ones."""
    part = 10 if len(points) <= _MOST_FINE else 1
    at = [(round(x * part), round(y * part)) for x, y in points]
    text = f"M{at[0][0] / part:g} {at[0][1] / part:g}"
    if len(at) == 1:
        return f"{text}h1"
    steps = ((x - x0, y - y0) for (x0, y0), (x, y) in pairwise(at))
    return text + "l" + "".join(_pair(dx / part, dy / part) for dx, dy in steps).lstrip()


def _pair(dx: float, dy: float) -> str:
    return f" {dx:g}{'' if dy < 0 else ' '}{dy:g}"


def _bounds(chart: Chart, frame: Frame) -> Iterator[Html]:
    near = [bound for bound in chart.bounds if frame.low <= bound.value <= frame.high]
    yield from bound_lines([(frame.y(bound.value), bound.text) for bound in near])
    far = ", ".join(bound.text for bound in chart.bounds if bound not in near)
    if far:
        yield element("text", f"above: {far}", x=WIDTH - RIGHT, y=TOP - 7, class_="limit-text", text_anchor="end")


def bound_lines(bounds: Iterable[tuple[float, str]]) -> Iterator[Html]:
    """Yield limits as lines across, each with its text: beside that of another one that is near."""
    last_y, left = -100.0, 0.0
    for y, text in sorted(bounds):
        text_y = y - 5 if y > TOP + 12 else y + 13  # above its line, or below where there is no room
        right = left - 16 if abs(text_y - last_y) < _NEAR else WIDTH - RIGHT - 4.0
        last_y, left = text_y, right - 6.0 * len(text)
        at = round(y, 1)
        yield element("line", x1=LEFT, x2=WIDTH - RIGHT, y1=at, y2=at, class_="limit", stroke="currentColor")
        yield element("text", text, x=round(right), y=round(text_y, 1), class_="limit-text", text_anchor="end")


def marks(timeline: Timeline, frame: Frame) -> Iterator[Html]:
    """Yield what happened: a line across each, its text where there is room for it."""
    free_from = 0.0
    for mark in timeline.marks:
        x = round(frame.x(mark.at_s), 1)
        line = element(
            "line",
            element("title", mark.text),
            x1=x,
            x2=x,
            y1=TOP,
            y2=frame.bottom,
            class_=f"mark {mark.style}",
            stroke="currentColor",
        )
        yield line
        if x >= free_from:
            anchor, place = ("end", x - 4) if x > WIDTH - 200 else ("start", x + 4)
            yield element("text", mark.text, x=place, y=TOP + 12, class_="mark-text", text_anchor=anchor)
            free_from = x + _LEAST_LABEL_GAP
