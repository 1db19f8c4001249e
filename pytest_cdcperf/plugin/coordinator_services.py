"""The services that the coordinator of a session's runs calls, answered by the parts of the session."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Protocol

from pytest_cdcperf.cluster.messages import Serving
from pytest_cdcperf.errors import ConfigError
from pytest_cdcperf.plugin.services import SessionServices


class WorkerProcesses(Protocol):
    """The worker processes of a session. *far* names those that are not on this host."""

    @property
    def far(self) -> Sequence[str]:
        """Which of them are on other hosts, as they were named on the command line."""

    def kill(self, worker: str) -> None:
        """End *worker* without asking it."""

    def session_is_over(self) -> bool:
        """Whether they are given no further test, as after ``-x``."""


class NoOtherProcesses:
    """The services where this process is the only worker."""

    far: Sequence[str] = ()

    def kill(self, worker: str) -> None:
        """Nothing: a process does not end itself."""

    def session_is_over(self) -> bool:
        """Never: pytest itself starts no further test."""
        return False


class PluginServices:
    """Implements :class:`pytest_cdcperf.cluster.services.CoordinatorServices`."""

    def __init__(self, servers: SessionServices, workers: WorkerProcesses) -> None:
        self._servers = servers
        self._workers = workers
        self._starting = threading.Lock()

    def is_over(self) -> bool:
        """Whether pytest-xdist hands out no further test."""
        return self._workers.session_is_over()

    def faults(self) -> Sequence[str]:
        """Which parts of the embedded stack have died."""
        return self._servers.deaths()

    def serve(self) -> Serving:
        """Start the servers at the first call."""
        if self._workers.far and self._servers.embedded:
            raise ConfigError(
                f"the embedded stack listens on 127.0.0.1, which {', '.join(self._workers.far)} cannot reach; "
                "name servers that all hosts reach, and use --perf-stack=external"
            )
        with self._starting:
            return self._servers.serving()

    def kill(self, worker: str) -> None:
        """End a worker that hangs."""
        self._workers.kill(worker)
