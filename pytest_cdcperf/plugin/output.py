"""Bounds what pytest captures of a load's output: the first and the last 4 kB are kept."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper

KEPT_BYTES = 4 * 1024
_MOST_GIVEN = 1000


@contextmanager
def bounded(stream: TextIOWrapper) -> Iterator[None]:
    """Inside the block, hold back what is written to *stream*; at its end write the first and the last 4 kB of it.

    It is the stream's own method that is replaced: handlers of logging hold on to the stream since they were made.
    """
    ends = _Ends(stream)
    stream.write = ends.write  # type: ignore[method-assign]
    try:
        yield
    finally:
        del stream.write
        ends.close()


class _Ends:
    """Both ends of an output of any length.

    Writers do not queue for the lock: where all take it for a microsecond, each hands Python's own lock to the next,
    at 15 us a write. The one that gets the lock takes what all have given; the others wait only once that is too much.
    """

    def __init__(self, stream: TextIOWrapper) -> None:
        self._pass_on = stream.write
        self._given: deque[bytes] = deque()
        self._head, self._tail = bytearray(), bytearray()
        self._beyond_head = 0
        self._taking = threading.RLock()  # a signal handler may print while its thread is here
        self._closed = False

    def write(self, text: str) -> int:
        if self._closed:  # a handler that kept this method writes after the load
            return self._pass_on(text)
        self._given.append(text.encode(errors="replace"))
        if self._taking.acquire(blocking=len(self._given) >= _MOST_GIVEN):
            try:
                self._take()
            finally:
                self._taking.release()
        return len(text)

    def _take(self) -> None:
        try:
            while self._given:
                self._keep(self._given.popleft())
        except IndexError:  # a signal handler took it
            return

    def _keep(self, data: bytes) -> None:
        free = KEPT_BYTES - len(self._head)
        if free:
            self._head += data[:free]
            data = data[free:]
        self._tail += data
        self._beyond_head += len(data)
        if len(self._tail) > 2 * KEPT_BYTES:
            del self._tail[:-KEPT_BYTES]

    def close(self) -> None:
        with self._taking:
            self._take()
            self._closed = True
            tail = self._tail[-KEPT_BYTES:]
            left_out = self._beyond_head - len(tail)
            between = (
                f"\n[cdcperf: {left_out} bytes left out: of what a load prints pytest keeps the first and the last "
                f"{KEPT_BYTES // 1024} kB; -s shows all]\n"
            )
            kept = self._head + (between.encode() if left_out else b"") + tail
            self._pass_on(kept.decode(errors="replace"))
