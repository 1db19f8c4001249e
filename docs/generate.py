"""Draw the pictures of the executors, and write the reference and the page on results: ``python docs/generate.py``.

Tests hold that the pictures and the page in the repository are what this makes.
"""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from itertools import pairwise
from pathlib import Path

from pytest_cdcperf import (
    ConstantArrivalRate,
    ConstantVUs,
    PerVUIterations,
    RampingArrivalRate,
    RampingVUs,
    SharedIterations,
)
from pytest_cdcperf.load.base import Load
from pytest_cdcperf.load.closed import ClosedLoad
from pytest_cdcperf.load.open import OpenLoad
from pytest_cdcperf.load.share import WHOLE

PICTURES = Path(__file__).parent / "pictures"
WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 560, 150, 40, 22, 24
ITERATION_S = 0.7  # of the body that the pictures imagine

EXAMPLES: dict[str, Load] = {
    "constant-vus": ConstantVUs(vus=4, duration="10s"),
    "ramping-vus": RampingVUs(stages=[("4s", 6), ("3s", 6), ("3s", 0)]),
    "per-vu-iterations": PerVUIterations(vus=4, iterations=5, max_duration="10s"),
    "shared-iterations": SharedIterations(vus=4, iterations=18, max_duration="10s"),
    "constant-arrival-rate": ConstantArrivalRate(rate=3, duration="10s", vus=4),
    "constant-arrival-rate-poisson": ConstantArrivalRate(rate=3, duration="10s", vus=4, arrivals="poisson", seed=7),
    "ramping-arrival-rate": RampingArrivalRate(start_rate=1, stages=[("5s", 8), ("5s", 1)], vus=4),
}


def closed_bars(load: ClosedLoad) -> list[tuple[int, float, float]]:
    """Return (VU, begin, end) of each iteration of a body that takes :data:`ITERATION_S`."""
    by_vu = load.pacing(WHOLE)
    paces = [by_vu(number) for number in range(load.most_vus)]
    clocks = [0.0] * load.most_vus
    counts = [0] * load.most_vus
    bars = []
    running = set(range(load.most_vus))
    while running:
        vu = min(running, key=lambda number: (clocks[number], number))
        wait = paces[vu](clocks[vu], counts[vu])
        if wait is None:
            running.discard(vu)
        elif wait > 0:
            clocks[vu] += wait
        else:
            length = ITERATION_S * (1 + 0.1 * ((vu + counts[vu]) % 3))
            bars.append((vu, clocks[vu], clocks[vu] + length))
            clocks[vu] += length
            counts[vu] += 1
    return bars


def picture(name: str, load: Load) -> str:
    """Return the SVG picture of *load*."""
    length_s = 12.0

    def x(seconds: float) -> float:
        return LEFT + (WIDTH - LEFT - 10) * seconds / length_s

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" '
        f'font-size="11"><rect width="100%" height="100%" fill="#fff"/>'
        f'<text x="{LEFT}" y="14" font-weight="bold">{escape(name)}: {escape(load.describe())}</text>'
    ]
    parts += _open(load, x) if isinstance(load, OpenLoad) else _closed(load, x)
    for second in range(0, 13, 2):
        parts.append(f'<text x="{x(second):.1f}" y="{HEIGHT - 6}" text-anchor="middle">{second} s</text>')
    return "".join([*parts, "</svg>\n"])


def _closed(load: Load, x: Callable[[float], float]) -> list[str]:
    if not isinstance(load, ClosedLoad):
        return []
    row = (HEIGHT - TOP - BOTTOM) / load.most_vus
    parts = []
    for vu in range(load.most_vus):
        y = TOP + row * vu
        parts.append(f'<text x="{LEFT - 6}" y="{y + row / 2 + 4:.1f}" text-anchor="end">VU {vu + 1}</text>')
        for begin, end in load.spans(vu):
            parts.append(
                f'<rect x="{x(begin):.1f}" y="{y + 1:.1f}" width="{x(end) - x(begin):.1f}" height="{row - 2:.1f}" '
                'fill="#eef3f9"/>'
            )
    for vu, begin, end in closed_bars(load):
        parts.append(
            f'<rect x="{x(begin):.1f}" y="{TOP + row * vu + 3:.1f}" width="{x(end) - x(begin) - 1:.1f}" '
            f'height="{row - 6:.1f}" fill="#2563a8"/>'
        )
    return parts


def _open(load: OpenLoad, x: Callable[[float], float]) -> list[str]:
    base = HEIGHT - BOTTOM
    top = load.peak_rate
    ticks = [
        f'<rect x="{x(start) - 1:.1f}" y="{base - 20}" width="2" height="20" fill="#2563a8"/>'
        for start in load.starts()
    ]
    times = [segment.start_s for segment in load.ramp.segments] + [load.ramp.length_s]
    values = [segment.start_value for segment in load.ramp.segments] + [load.ramp.segments[-1].end_value]
    height = base - 30 - TOP
    points = [(x(at), base - 26 - height * value / top) for at, value in zip(times, values, strict=True)]
    lines = [
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="#c2620c" stroke-width="1.5"/>'
        for (x1, y1), (x2, y2) in pairwise(points)
    ]
    label = f'<text x="{LEFT - 6}" y="{points[0][1]:.1f}" text-anchor="end" fill="#c2620c">{values[0]:g}/s</text>'
    return [*ticks, *lines, label]


def main() -> None:
    """Write all pictures and pages."""
    import reference  # noqa: PLC0415  # beside this script
    import result_schema  # noqa: PLC0415

    for page in (reference, result_schema):
        page.PAGE.write_text(page.page(), encoding="utf-8")
    PICTURES.mkdir(exist_ok=True)
    for name, load in EXAMPLES.items():
        (PICTURES / f"{name}.svg").write_text(picture(name, load), encoding="utf-8")


if __name__ == "__main__":
    main()
