"""Lines of text with styles, as wide as a terminal: none is broken or shortened in the middle of a number."""

from __future__ import annotations

import re
import textwrap
import unicodedata
from dataclasses import dataclass

from pytest_cdcperf.printable import no_command

GREEN, RED, YELLOW, BOLD = ("green",), ("red",), ("yellow",), ("bold",)

_ELLIPSIS = "…"
_PLAIN = str.maketrans("✓✗×·…━─", "+!x-~#.")
_FIGURE_AND_UNIT = re.compile(r"(?<=\d) (?=[^\W\d])")  # "2,412 ms", "8 of 100", "3 times"
_NO_BREAK = "\u00a0"


@dataclass(frozen=True)
class Span:
    """A part of a line; *style* are names of colours and weights, as pytest's terminal writer takes them."""

    text: str
    style: tuple[str, ...] = ()


@dataclass(frozen=True)
class Line:
    """A line of an output that people read."""

    spans: tuple[Span, ...] = ()

    @classmethod
    def of(cls, *parts: Span | str) -> Line:
        """Return the line of *parts*, in this order.

        >>> Line.of(Span("FAILED", RED), "  too slow").text
        'FAILED  too slow'
        """
        return cls(tuple(part if isinstance(part, Span) else Span(part) for part in parts))

    @property
    def text(self) -> str:
        """The line without its styles."""
        return "".join(span.text for span in self.spans)


def columns_of(text: str) -> int:
    """Return how many columns of a terminal *text* takes.

    >>> columns_of("größe"), columns_of("寸法")
    (5, 4)
    """
    if text.isascii():
        return len(text)
    return sum(_columns_of_character(character) for character in text)


def _columns_of_character(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def shortened(text: str, width: int) -> str:
    """Return *text* without its middle where it takes more than *width* columns.

    >>> shortened("test_a_customer_reaches_the_sink", 20)
    'test_a_cu…s_the_sink'
    """
    if columns_of(text) <= width:
        return text
    head = _first(text, (width - 1) // 2)
    tail = _first(text[::-1], width - 1 - columns_of(head))[::-1]
    return f"{head}{_ELLIPSIS}{tail}"


def _first(text: str, width: int) -> str:
    taken = 0
    for place, character in enumerate(text):
        taken += _columns_of_character(character)
        if taken > width:
            return text[:place]
    return text


def wrapped(text: str, width: int, first: str = "", indent: int = 0) -> list[str]:
    """Return *text* on as many lines as it needs: after *first*, further ones *indent* columns further right.

    >>> wrapped("p(95) of response_time 2,412 ms, limit 2,000 ms", 32, "FAILED  ", 8)
    ['FAILED  p(95) of response_time', '        2,412 ms, limit 2,000 ms']
    """
    together = _FIGURE_AND_UNIT.sub(_NO_BREAK, text.replace(_NO_BREAK, " "))
    lines = textwrap.wrap(
        together,
        max(width, indent + 20),
        initial_indent=first,
        subsequent_indent=" " * indent,
        break_on_hyphens=False,
    )
    return [no_command(line.replace(_NO_BREAK, " ")) for line in lines] or [first.rstrip()]


def in_encoding(text: str, encoding: str | None) -> str:
    r"""Return *text* with what *encoding* cannot show replaced: marks by plain ones as wide, all else by escapes.

    >>> in_encoding("✓ 48 × Größe", "ascii")
    '+ 48 x Gr\\xf6\\xdfe'
    """
    name = encoding or "ascii"
    try:
        text.encode(name)
    except UnicodeEncodeError:
        return "".join(_shown(character, name) for character in text)
    except LookupError:
        return in_encoding(text, "ascii")
    return text


def _shown(character: str, encoding: str) -> str:
    try:
        character.encode(encoding)
    except UnicodeEncodeError:
        plain = character.translate(_PLAIN)
        return plain if plain.isascii() else plain.encode("ascii", "backslashreplace").decode("ascii")
    return character
