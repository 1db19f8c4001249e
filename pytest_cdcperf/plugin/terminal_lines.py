"""Writes lines with styles to pytest's terminal."""

from __future__ import annotations

from collections.abc import Iterable

from _pytest._io import TerminalWriter

from pytest_cdcperf.reporting.lines import Line, in_encoding


def write_lines(writer: TerminalWriter, lines: Iterable[Line]) -> None:
    """Write *lines* in colours where the terminal has some, and in what its encoding can show."""
    encoding = encoding_of(writer)
    for line in lines:
        for span in line.spans:
            writer.write(in_encoding(span.text, encoding), **dict.fromkeys(span.style, True))
        writer.line()


def encoding_of(writer: TerminalWriter) -> str | None:
    """Return the encoding of what *writer* writes to, None where it is not known."""
    return getattr(writer._file, "encoding", None)  # noqa: SLF001
