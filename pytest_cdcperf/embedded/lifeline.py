"""A child ends with its standard input, which the kernel closes when the parent ends."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

_STDIN = 0


def read_line() -> bytes:
    """Return the next line of standard input without its newline, or what came before its end.

    Reads byte by byte, so that nothing of what follows is lost in a buffer.
    """
    line = bytearray()
    while (byte := os.read(_STDIN, 1)) not in (b"", b"\n"):
        line += byte
    return bytes(line)


def when_input_ends(call: Callable[[], None]) -> None:
    """Have a thread of its own run *call* once standard input ends."""

    def watch() -> None:
        while os.read(_STDIN, 4096):
            pass
        call()

    threading.Thread(target=watch, name="lifeline", daemon=True).start()
