"""The distribution of a trend over the whole run, with its percentiles and its limits."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

from pytest_cdcperf.metrics.histogram import Histogram
from pytest_cdcperf.reporting.html.chart import Bound
from pytest_cdcperf.reporting.html.markup import Html, element
from pytest_cdcperf.reporting.html.scales import log_ticks
from pytest_cdcperf.units import figure

_WIDTH, _HEIGHT, _SIDE, _TOP, _BOTTOM = 540, 200, 16, 56, 22
_FINEST, _MOST_BARS = 3, 72
_PERCENTILES = (50, 95, 99)


def distribution_svg(title: str, unit: str, histogram: Histogram, bounds: Sequence[Bound]) -> Html | None:
    """Return the picture of *histogram*, None where no value is above 0: the axis is logarithmic."""
    coarse = histogram.coarse(_FINEST)
    while len(coarse.positive) > 1 and max(coarse.positive) - min(coarse.positive) >= _MOST_BARS:
        coarse = coarse.coarse(coarse.schema - 1)
    if not coarse.positive:
        return None
    marked = [
        (histogram.quantile(p / 100), f"p{p} {figure(histogram.quantile(p / 100), digits=3)}") for p in _PERCENTILES
    ]
    steps = 2.0**coarse.schema
    low, high = (min(coarse.positive) - 1) / steps, max(coarse.positive) / steps
    drawn = [bound for bound in bounds if bound.of_samples and bound.value > 0]
    near = [bound for bound in drawn if low - 1 <= math.log2(bound.value) <= high + 1]
    low = min([low, *(math.log2(bound.value) - 0.1 for bound in near)])
    high = max([high, *(math.log2(bound.value) + 0.1 for bound in near)])

    def x(value: float) -> float:
        return round(_SIDE + (value - low) / (high - low) * (_WIDTH - 2 * _SIDE), 1)

    return element(
        "svg",
        element("title", f"distribution of {title}, {unit}, logarithmic: " + ", ".join(text for _, text in marked)),
        *_bars(coarse, x, min((bound.value for bound in near), default=math.inf)),
        element(
            "line",
            x1=_SIDE,
            x2=_WIDTH - _SIDE,
            y1=_HEIGHT - _BOTTOM,
            y2=_HEIGHT - _BOTTOM,
            class_="axis",
            stroke="currentColor",
        ),
        *(
            element("text", f"{value:,g}", x=x(math.log2(value)), y=_HEIGHT - 6, class_="tick", text_anchor="middle")
            for value in log_ticks(2**low, 2**high, 9)
        ),
        *_labels(
            [(x(math.log2(value)), text, "mark") for value, text in marked if value > 0]
            + [(x(math.log2(bound.value)), bound.text, "limit") for bound in near]
        ),
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        role="img",
    )


def _bars(coarse: Histogram, x: Callable[[float], float], beyond: float) -> Iterator[Html]:
    steps = 2.0**coarse.schema
    most = max(coarse.positive.values())
    room = _HEIGHT - _TOP - _BOTTOM
    kept: list[str] = []
    over: list[str] = []
    for index, count in sorted(coarse.positive.items()):
        left, right = x((index - 1) / steps), x(index / steps)
        height = max(round(count / most * room, 1), 1.0)
        path = f"M{left:g} {_HEIGHT - _BOTTOM}v-{height:g}h{max(right - left - 0.8, 0.8):.1f}v{height:g}z"
        (over if 2.0 ** ((index - 0.5) / steps) > beyond else kept).append(path)
    yield element("path", d="".join(kept), class_="bar")
    if over:
        yield element("path", d="".join(over), class_="bar over")


def _labels(lines: list[tuple[float, str, str]]) -> Iterator[Html]:
    """Yield a line with a text for each: texts that would cover each other stand one above the other."""
    free = [0.0, 0.0, 0.0, 0.0]
    for x, text, style in sorted(lines):
        width = 6.2 * len(text) + 8
        at_end = x + width > _WIDTH
        begin = x - width if at_end else x
        row = next((row for row, until in enumerate(free) if begin >= until), len(free) - 1)
        free[row] = begin + width
        y = 12 + 13 * row
        yield element("line", x1=x, x2=x, y1=y - 8, y2=_HEIGHT - _BOTTOM, class_=style, stroke="currentColor")
        anchor = "end" if at_end else "start"
        yield element(
            "text", text, x=round(x - 4 if at_end else x + 4, 1), y=y, class_=f"{style}-text", text_anchor=anchor
        )
