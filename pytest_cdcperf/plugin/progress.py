"""The live line of a run: redrawn on a terminal, one line every half a minute where there is none.

And what keeps a session from dying of a terminal that was closed.
"""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import suppress
from typing import Any, TextIO

from _pytest._io import TerminalWriter

from pytest_cdcperf.events import Event, Live, Notice, RunFinished, RunStarted, WindowMerged
from pytest_cdcperf.printable import one_line
from pytest_cdcperf.reporting.lines import in_encoding
from pytest_cdcperf.reporting.live_line import live_line, plain_line

_PLAIN_EVERY_S = 30.0
_CLEARED = "\r\x1b[K"


class Progress:
    """A listener that writes to what was the standard output before pytest began to capture it.

    :param color: as ``--color`` has it: "yes", "no" or "auto", which goes by the terminal and by NO_COLOR
    """

    def __init__(self, descriptor: int | None, encoding: str = "utf-8", color: str = "auto") -> None:
        self._out: TextIO | None = None
        if descriptor is not None:
            self._out = os.fdopen(descriptor, "w", encoding=encoding, errors="replace", closefd=False)
        self._encoding = encoding
        self._live = self._out is not None and self._out.isatty()
        self._writer = None if self._out is None else TerminalWriter(self._out)
        if self._writer is not None and color != "auto":
            self._writer.hasmarkup = color == "yes"
        self._drawn = False
        self._next_plain_s = 0.0

    def handle(self, event: Event) -> None:
        """Show what happens in a run."""
        match event:
            case RunStarted(facts):
                self._next_plain_s = _PLAIN_EVERY_S
                self.say(f"{facts.test}: {facts.load}")
            case WindowMerged(facts, live=live):
                self._show(facts.test.rpartition("::")[2], live)
            case RunFinished():
                self._clear()
            case Notice(line):
                self.say(line)

    def say(self, text: str) -> None:
        """Write *text* on a line of its own."""
        self._clear()
        self._write(f"\n{one_line(text)}\n")

    def _show(self, name: str, live: Live) -> None:
        if self._live and self._out is not None and self._writer is not None:
            mark_up = self._writer.markup
            spans = live_line(name, live, _columns(self._out) - 1).spans
            self._write(_CLEARED + "".join(mark_up(span.text, **dict.fromkeys(span.style, True)) for span in spans))
            self._drawn = True
        elif live.elapsed_s >= self._next_plain_s:
            self._next_plain_s += _PLAIN_EVERY_S
            self._write(f"{plain_line(name, live)}\n")

    def _clear(self) -> None:
        if self._drawn:
            self._write(_CLEARED)
            self._drawn = False

    def _write(self, text: str) -> None:
        if self._out is not None:
            try:
                self._out.write(in_encoding(text, self._encoding))
                self._out.flush()
            except OSError:  # the reader is gone
                self._out = None


def _columns(out: TextIO) -> int:
    try:
        return os.get_terminal_size(out.fileno()).columns or shutil.get_terminal_size().columns
    except OSError:  # the terminal was closed
        return 80


class LastingStream:
    """A text stream that goes on when its reader is gone, or its disk is full: what it cannot write is lost.

    pytest ends a session whose output fails in the middle of a line, with all that is not written by then.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write *text*, if that is possible."""
        try:
            self._stream.write(text)
        except OSError as error:
            self._redirect_to_nowhere(error)
        return len(text)

    def flush(self) -> None:
        """Flush, if that is possible."""
        try:
            self._stream.flush()
        except OSError as error:
            self._redirect_to_nowhere(error)

    def _redirect_to_nowhere(self, error: OSError) -> None:
        if error.errno not in {errno.EIO, errno.EPIPE}:
            return
        # Other writers, at the latest the interpreter at its end, must not fail either.
        with suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)
