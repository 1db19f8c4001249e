"""The base of the closed and the open loop: the VUs that iterate, and the time at which they end."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pytest_cdcperf.engine.context import RunContext
from pytest_cdcperf.engine.iterations import IterationRecorder
from pytest_cdcperf.engine.vu import VU
from pytest_cdcperf.load.base import Deadline, Load
from pytest_cdcperf.load.share import Share

NewVU = Callable[[int], VU]  # makes the VU of a number, from 0, of the load


class Loop:
    """This worker's part of one load: *recorders* are those of its VUs, in the order in which they came.

    A loop decides and counts; it never waits. Waiting for a start, and calling the body, is what the runtimes do
    (``threads.py``, ``tasks.py``).
    """

    def __init__(self, load: Load, share: Share, context: RunContext) -> None:
        self.load = load
        self.recorders: list[IterationRecorder] = []
        self._share = share
        self._context = context
        self._stop_deadline = load.deadline()

    @property
    def vus_there(self) -> int:
        """The number of VUs whose thread or task was started."""
        return sum(recorder.is_there for recorder in self.recorders)

    def active(self, _elapsed_s: float) -> int:
        """The number of VUs that are running of those that the plan has at this time."""
        return self.vus_there

    def under_way(self, _elapsed_s: float) -> Iterator[tuple[IterationRecorder, Deadline]]:
        """Yield the recorders that are in an iteration, each with its deadline."""
        return ((recorder, self._stop_deadline) for recorder in self.recorders if recorder.running)

    def next_deadline_s(self, _elapsed_s: float) -> float:
        """Return when the next of the iterations that are under way by now reaches its deadline."""
        return self.deadline_s

    @property
    def deadline_s(self) -> float:
        """The time at which all of its iterations must have ended."""
        return self._stop_deadline.at_s

    def end_early(self, elapsed_s: float) -> None:
        """Let the graceful stop begin at once, where it has not begun."""
        self._stop_deadline = self.load.deadline(elapsed_s)

    def missing(self) -> int:
        """The number of iterations that were never started, of a load that counts iterations."""
        return 0

    def take_dropped(self) -> int:
        """Return the starts since the last call that were dropped because every VU was busy."""
        return 0

    def take_unstarted(self) -> int:
        """Return the starts since the last call that came to nothing because the run ended."""
        return 0

    def drop_unaccounted(self) -> None:
        """Count the starts that are due and came to nothing, where what hands them out is blocked for good."""
