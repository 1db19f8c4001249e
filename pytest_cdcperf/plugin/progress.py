"""The live line of a run: redrawn on a terminal, one line every ten seconds where there is none."""

from __future__ import annotations

import os
from typing import TextIO

from pytest_cdcperf.reporting.result import Live
from pytest_cdcperf.reporting.terminal import progress_line

_PLAIN_EVERY_S = 10.0


class Progress:
    """Writes to what was the standard output before pytest began to capture it."""

    def __init__(self, descriptor: int | None) -> None:
        self._out: TextIO | None = None
        if descriptor is not None:
            self._out = os.fdopen(descriptor, "w", encoding="utf-8", errors="replace", closefd=False)
        self._live = self._out is not None and self._out.isatty()
        self._drawn = False
        self._next_plain_s = 0.0

    def begin(self, text: str) -> None:
        """Start on a line of its own and say what runs."""
        self._next_plain_s = _PLAIN_EVERY_S
        self._write(f"\n{text}\n")

    def show(self, name: str, live: Live) -> None:
        """Show the state of a run."""
        line = progress_line(name, live)
        if self._live and self._out is not None:
            columns = os.get_terminal_size(self._out.fileno()).columns
            self._write(f"\r\x1b[K{line[: columns - 1]}")
            self._drawn = True
        elif live.elapsed_s >= self._next_plain_s:
            self._next_plain_s += _PLAIN_EVERY_S
            self._write(f"{line}\n")

    def end(self) -> None:
        """Clear the live line."""
        if self._drawn:
            self._write("\r\x1b[K")
            self._drawn = False

    def _write(self, text: str) -> None:
        if self._out is not None:
            try:
                self._out.write(text)
                self._out.flush()
            except OSError:  # the reader is gone: nobody watches any more
                self._out = None
