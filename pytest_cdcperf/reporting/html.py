"""A result as a piece of HTML without scripts: its summary as text and its figures over time as SVG pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from pytest_cdcperf.metrics import builtin
from pytest_cdcperf.reporting.terminal import summary, verdict_lines
from pytest_cdcperf.results.result import RunResult
from pytest_cdcperf.results.windows import Windows
from pytest_cdcperf.units import figure

_WIDTH, _HEIGHT = 640, 180
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 12, 26, 24
_COLOURS = ("#2563a8", "#c2620c", "#a12828")


@dataclass(frozen=True)
class _Line:
    label: str
    points: Sequence[tuple[float, float]]


def fragment(result: RunResult) -> str:
    """Return the summary and the pictures of *result*, for a row of a report. All text is escaped."""
    text = escape("\n".join([*summary(result), *verdict_lines(result)]))
    return (
        '<div class="cdcperf"><pre style="white-space:pre-wrap;color:#222">'
        f"{text}</pre>{latency_chart(result.windows, result.headline)}{rate_chart(result.windows)}</div>"
    )


def latency_chart(windows: Windows, metric: str) -> str:
    """Return an SVG picture of the p50, p95 and p99 of *metric* over time."""
    return _chart(f"{metric}, ms", [_Line(f"p{p}", windows.points(metric, f"p({p})")) for p in (50, 95, 99)])


def rate_chart(windows: Windows) -> str:
    """Return an SVG picture of the completed iterations a second over time."""
    return _chart("iterations/s", [_Line("iterations/s", windows.rates(builtin.ITERATIONS.name))])


def _chart(title: str, lines: Sequence[_Line]) -> str:
    every = [point for line in lines for point in line.points]
    if len(every) <= len(lines):  # a single window has no curve
        return ""
    last_x = max(x for x, _ in every) or 1.0
    top_y = max(y for _, y in every) * 1.05 or 1.0
    inner_w, inner_h = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM

    def place(point: tuple[float, float]) -> str:
        x, y = point
        return f"{_LEFT + inner_w * x / last_x:.1f},{_TOP + inner_h * (1 - y / top_y):.1f}"

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}" role="img" '
        f'aria-label="{escape(title)}" style="background:#fff;font:11px sans-serif">',
        f'<text x="{_LEFT}" y="14" font-weight="bold">{escape(title)}</text>',
    ]
    for step in range(5):
        y = _TOP + inner_h * step / 4
        label = figure(top_y * (1 - step / 4))
        parts.append(f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{label}</text>')
    parts.append(f'<text x="{_LEFT}" y="{_HEIGHT - 6}">0 s</text>')
    parts.append(f'<text x="{_WIDTH - _RIGHT}" y="{_HEIGHT - 6}" text-anchor="end">{last_x:.0f} s</text>')
    for place_in_key, (line, colour) in enumerate(zip(lines, _COLOURS, strict=False)):
        drawn = " ".join(map(place, line.points))
        key_x = _WIDTH - _RIGHT - 50 * (len(lines) - place_in_key)
        parts.append(f'<polyline fill="none" stroke="{colour}" stroke-width="1.5" points="{drawn}"/>')
        if len(lines) > 1:
            parts.append(f'<text x="{key_x}" y="14" fill="{colour}">{escape(line.label)}</text>')
    return "".join([*parts, "</svg>"])
