"""What the controller of a session's runs asks of the session."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from pytest_cdcperf.cluster.messages import Plan, Serving
from pytest_cdcperf.events import Live
from pytest_cdcperf.results.result import RunResult


class Host(Protocol):
    """Carries out what only the session can. Called with the controller's lock held, :meth:`serve` without."""

    def begin(self, plan: Plan) -> None:
        """A run begins."""

    def show(self, plan: Plan, live: Live) -> None:
        """This is how a run stands."""

    def say(self, line: str) -> None:
        """Tell the user *line*."""

    def record(self, result: RunResult) -> str:
        """Keep *result* and write it; return what kept it from being written, "" without anything."""

    def is_over(self) -> bool:
        """Whether no further test is to begin, as after ``-x``."""

    def faults(self) -> Sequence[str]:
        """What is wrong with the servers that the session started."""

    def serve(self) -> Serving:
        """Return the servers of the session, started if need be.

        :raises CdcperfError: when they cannot be had
        """

    def kill(self, worker: str) -> None:
        """End a worker that hangs."""
