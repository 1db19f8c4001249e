"""Joins the windows of several workers that cover the same second."""

from __future__ import annotations

from collections.abc import Iterable

from pytest_cdcperf.metrics.snapshot import Snapshot
from pytest_cdcperf.metrics.timeline import Window, join

LAG_ALLOWED_S = 5.0  # then the live view goes on without a worker that is behind


class Alignment:
    """Takes each worker's windows in its order; gives out joined ones in the order of time.

    A window belongs to the second that it begins next to, counted from the common start. A second is given
    out once every worker has sent it, or has left, or is :data:`LAG_ALLOWED_S` behind: what such a one
    sends later is counted in a later second, so that nothing is lost.
    """

    def __init__(self, workers: Iterable[str]) -> None:
        self._reached = dict.fromkeys(workers, 0.0)
        self._alone = len(self._reached) == 1
        self._seconds: dict[int, dict[str, Window]] = {}
        self._given_out = 0

    def add(self, worker: str, window: Window) -> list[Window]:
        """Take the next *window* of *worker*; return those that are complete now."""
        if self._alone:
            return [window]
        if worker in self._reached:
            self._reached[worker] = window.end_s
        if int(window.start_s + 0.5) < self._given_out:  # the worker was too far behind: its second is gone already
            start_s = float(self._given_out)
            window = Window(start_s, max(start_s, window.end_s), window.snapshot)
        second = self._seconds.setdefault(int(window.start_s + 0.5), {})
        second[worker] = join(second[worker], window) if worker in second else window
        return self._complete()

    def leave(self, worker: str) -> list[Window]:
        """*worker* sends nothing more; return the windows that are complete now."""
        self._reached.pop(worker, None)
        return self._complete()

    def _complete(self) -> list[Window]:
        if self._reached:
            end_s = max((window.end_s for second in self._seconds.values() for window in second.values()), default=0.0)
            # As far as the slowest worker, but never farther behind the fastest than is allowed.
            end = int(max(min(self._reached.values()), end_s - LAG_ALLOWED_S) + 0.5)
        else:
            end = max(self._seconds, default=0) + 1
        complete = sorted(second for second in self._seconds if second < end)
        self._given_out = max(self._given_out, end)
        return [_joined(self._seconds.pop(second).values()) for second in complete]


def _joined(windows: Iterable[Window]) -> Window:
    together = list(windows)
    snapshot = Snapshot()
    for window in together:
        snapshot.merge(window.snapshot)
    return Window(min(w.start_s for w in together), max(w.end_s for w in together), snapshot)
