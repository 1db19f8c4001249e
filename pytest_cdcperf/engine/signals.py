"""Ctrl-C and SIGTERM during a run: end it gracefully, in bounded time, and lose nothing of it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from pytest_cdcperf.engine.run import Run


class Terminated(BaseException):
    """SIGTERM arrived; it takes effect after the results are written."""


@contextmanager
def ending_on_signals(run: Run) -> Iterator[None]:
    """Let SIGINT and SIGTERM end *run* instead of raising in the middle of its accounting.

    Handlers can be set in the main thread only; elsewhere nothing is changed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def on_signal(number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGINT:
            run.interrupt("Ctrl-C", KeyboardInterrupt())
        else:
            run.interrupt("SIGTERM", Terminated())

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
