"""Tables of a given width: names are shortened, figures never, and columns that have no room are left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pytest_cdcperf.reporting.lines import columns_of, shortened


@dataclass(frozen=True)
class Column:
    """A column of a table.

    :param title: its head
    :param least: to so many columns its cells may be shortened; None: never
    :param rank: where there is no room, the column with the highest is left out first; one of 0 stays
    :param gap: how many blanks stand behind it
    """

    title: str
    right: bool = True
    least: int | None = None
    rank: int = 0
    gap: int = 2


def table(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int, indent: int = 0) -> list[str]:
    """Return the head and the *rows*, a line each, at most *width* columns wide where that can be.

    Columns without a text in any row are left out.

    >>> for line in table([Column("limit", right=False, least=8), Column("value")], [["response_time", "12 ms"]], 18):
    ...     print(line)
    limit        value
    respo…_time  12 ms
    """
    places = [place for place in range(len(columns)) if any(row[place] for row in rows)]
    while True:
        widths = [_width(columns[place], [row[place] for row in rows]) for place in places]
        over = indent + sum(widths) + sum(columns[place].gap for place in places[:-1]) - width
        for number, place in enumerate(places):
            least = columns[place].least
            if over > 0 and least is not None:
                less = min(over, max(0, widths[number] - least))
                widths[number] -= less
                over -= less
        ranked = max(places, key=lambda place: columns[place].rank, default=None)
        if over <= 0 or ranked is None or columns[ranked].rank == 0:
            break
        places.remove(ranked)
    lines = [[columns[place].title for place in places], *([row[place] for place in places] for row in rows)]
    shown = [columns[place] for place in places]
    return [" " * indent + _line(shown, cells, widths) for cells in lines]


def _width(column: Column, cells: Sequence[str]) -> int:
    return max(columns_of(column.title), *map(columns_of, cells), 0)


def _line(columns: Sequence[Column], cells: Sequence[str], widths: Sequence[int]) -> str:
    parts = zip(columns, cells, widths, strict=True)
    return "".join(_cell(column, text, width) + " " * column.gap for column, text, width in parts).rstrip()


def _cell(column: Column, text: str, width: int) -> str:
    if column.least is not None:
        text = shortened(text, width)
    padding = " " * (width - columns_of(text))
    return padding + text if column.right else text + padding
