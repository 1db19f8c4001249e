"""Disturbances of a generator: other processes that use the CPU, or a stop of the generator itself."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

GoingOn = Callable[[Sequence[int]], AbstractContextManager[None]]

_BUSY = "while True: pass"
_IMPORTING = """
import subprocess, sys
while True:
    subprocess.run([sys.executable, "-c", "import asyncio, email.mime.text, ssl, sqlite3, unittest, xml.dom.minidom"])
"""


@contextmanager
def nothing(_generators: Sequence[int]) -> Iterator[None]:
    """Nothing."""
    yield


def busy(count: int, *, nice: int = 0, from_s: float = 0.0, to_s: float = 3600.0) -> GoingOn:
    """*count* processes that do nothing but compute, for a part of the run."""

    @contextmanager
    def going_on(_generators: Sequence[int]) -> Iterator[None]:
        over = threading.Event()

        def compute() -> None:
            if over.wait(from_s):
                return
            command = [sys.executable, "-c", f"import os; os.nice({nice})\n{_BUSY}"]
            processes = [subprocess.Popen(command) for _ in range(count)]
            try:
                over.wait(to_s - from_s)
            finally:
                _end(processes)

        yield from _beside(compute, over)

    return going_on


@contextmanager
def importing(_generators: Sequence[int]) -> Iterator[None]:
    """Short-lived processes, one after the other, as of an installation."""
    process = subprocess.Popen([sys.executable, "-c", _IMPORTING], start_new_session=True)
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def stopping(for_s: float, *, every_s: float) -> GoingOn:
    """Stop the generator's processes after half a second, and again every *every_s*."""

    @contextmanager
    def going_on(generators: Sequence[int]) -> Iterator[None]:
        over = threading.Event()

        def stop() -> None:
            wait_s = 0.5
            while not over.wait(wait_s):
                _signal(generators, signal.SIGSTOP)
                over.wait(for_s)
                _signal(generators, signal.SIGCONT)
                wait_s = every_s - for_s

        yield from _beside(stop, over)

    return going_on


def _beside(what: Callable[[], None], over: threading.Event) -> Iterator[None]:
    thread = threading.Thread(target=what)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _signal(processes: Sequence[int], number: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, number)


def _end(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.kill()
    for process in processes:
        process.wait()
