"""A value over time as bars of characters, with its scale and its times: pure functions of numbers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from pytest_cdcperf.units import figure, format_duration

_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 43200, 86400, 432000, 864000)
_TICK_COLUMNS = 12  # at the least from one time to the next


class Glyphs(NamedTuple):
    """The characters of a chart: *levels* of a cell from empty to full, then its axes."""

    levels: str
    upright: str
    corner: str
    level: str
    tick: str


BLOCKS = Glyphs(" ▁▂▃▄▅▆▇█", "│", "└", "─", "┴")
ASCII = Glyphs(" .:#", "|", "+", "-", "+")


def bars(values: Sequence[float], top: float, unit: str, rows: int, margin: int, glyphs: Glyphs) -> Iterator[str]:
    """Yield *rows* lines with a bar for each value, from 0 to *top*, which stands left of them in *margin* columns.

    A value above 0 shows, however small it is.
    """
    full = len(glyphs.levels) - 1
    heights = [max(1, round(value / top * rows * full)) if value > 0 else 0 for value in values]
    for row in reversed(range(rows)):
        label = figure(top, unit) if row == rows - 1 else ""
        cells = "".join(glyphs.levels[min(full, max(0, height - row * full))] for height in heights)
        yield f"{label:>{margin - 2}} {glyphs.upright}{cells.rstrip()}"


def time_axis(length_s: float, columns: int, margin: int, glyphs: Glyphs) -> Iterator[str]:
    """Yield the line below the bars and the times below that; the last one stands at the right end."""
    ticks = {round(at_s / length_s * columns): _time(at_s) for at_s in time_ticks(length_s, columns // _TICK_COLUMNS)}
    marks = "".join(glyphs.tick if column in ticks else glyphs.level for column in range(columns))
    yield f"{0:>{margin - 2}} {glyphs.corner}{marks}"
    yield " " * margin + _spaced(ticks, format_duration(length_s), columns)


def time_ticks(length_s: float, most: int) -> list[float]:
    """Return round times from 0 to *length_s*, as many as *most* allows.

    >>> time_ticks(960, 6)
    [0, 300, 600, 900]
    """
    least_s = length_s / max(1, most)
    step = next((step for step in _steps_s() if step >= least_s), _STEPS_S[-1])
    return [number * step for number in range(int(length_s / step) + 1)]


def _steps_s() -> Iterable[float]:
    below_a_second = (digit * 10.0**power for power in range(-6, 0) for digit in (1, 2, 5))
    return (*below_a_second, *_STEPS_S)


def _time(at_s: float) -> str:
    return format_duration(at_s) if at_s else "0"


def _spaced(ticks: dict[int, str], last: str, columns: int) -> str:
    """Return the texts of *ticks* at their columns, *last* at the end; one that would touch another is left out."""
    line = ""
    for column, text in ticks.items():
        if len(line) <= column and column + len(text) < columns - len(last):
            line = f"{line:<{column}}{text} "
    return f"{line:<{columns - len(last)}}{last}"
