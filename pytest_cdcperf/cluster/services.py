"""The services of the session that the coordinator of its runs calls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from pytest_cdcperf.cluster.messages import Serving


class CoordinatorServices(Protocol):
    """Carries out what only the session can. Called with the coordinator's lock held, but for :meth:`serve`."""

    def is_over(self) -> bool:
        """Whether no further test is to begin, as after ``-x``."""

    def faults(self) -> Sequence[str]:
        """The faults of the servers that the session started, in a line each."""

    def serve(self) -> Serving:
        """Return the servers of the session, started if need be.

        :raises CdcperfError: when they cannot be had
        """

    def kill(self, worker: str) -> None:
        """End the process of a worker that hangs."""
