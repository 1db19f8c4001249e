"""A clock for the silence of workers that stands still while this process is stopped."""

from __future__ import annotations

from collections.abc import Callable

TICK_S = 1.0


class ListeningClock:
    """Seconds in which this process was there to listen.

    A process that is stopped (Ctrl-Z, a frozen host) hears nothing, which is not the workers' fault. It sees that by
    its own ticks: one that comes much too late was not taken in between.

    :param now_s: any monotonic time
    """

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._real_s = now_s
        self._ticked_s = now_s()
        self._away_s = 0.0

    def now_s(self) -> float:
        """The time, less the time in which this process was stopped."""
        return self._real_s() - self._away_s

    def tick(self) -> None:
        """Say that this process is there. To be called every :data:`TICK_S` or more often."""
        now_s = self._real_s()
        if (gap_s := now_s - self._ticked_s) > 2 * TICK_S:
            self._away_s += gap_s - TICK_S
        self._ticked_s = now_s
