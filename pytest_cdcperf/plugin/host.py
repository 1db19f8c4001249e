"""The session as the controller of its runs sees it: what is said, kept and started on the way."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from pytest_cdcperf.cluster.messages import Plan, Serving
from pytest_cdcperf.errors import ConfigError
from pytest_cdcperf.events import Live
from pytest_cdcperf.plugin.junit import add_to_suite
from pytest_cdcperf.plugin.results import REMEDY
from pytest_cdcperf.results.json import write_result
from pytest_cdcperf.results.result import RunResult

if TYPE_CHECKING:
    from pytest_cdcperf.plugin.session import PerfSession


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
    """Where this process is the only worker."""

    far: Sequence[str] = ()

    def kill(self, worker: str) -> None:
        """Nothing: a process does not end itself."""

    def session_is_over(self) -> bool:
        """Never: pytest itself starts no further test."""
        return False


class SessionHost:
    """Answers what :class:`pytest_cdcperf.cluster.host.Host` asks. *workers* is set where there are others."""

    def __init__(self, session: PerfSession) -> None:
        self._session = session
        self._starting = threading.Lock()
        self.workers: WorkerProcesses = NoOtherProcesses()

    def begin(self, plan: Plan) -> None:
        """Say what begins."""
        self._session.progress.begin(f"{plan.facts.test}: {plan.facts.load}")

    def show(self, plan: Plan, live: Live) -> None:
        """Draw the live line."""
        self._session.progress.show(plan.facts.test.rpartition("::")[2], live)

    def say(self, line: str) -> None:
        """Print *line*."""
        self._session.progress.begin(line)

    def record(self, result: RunResult) -> str:
        """Keep *result* for the summary, and write it."""
        self._session.progress.end()
        self._session.results.append(result)
        add_to_suite(self._session.config, result)
        try:
            write_result(result, self._session.directory.path)
        except ConfigError as error:
            return f"its results could not be written: {error}"
        except OSError as error:
            return f"its results could not be written: {error.filename}: cannot be written: {error.strerror}; {REMEDY}"
        return ""

    def is_over(self) -> bool:
        """Whether pytest-xdist hands out no further test."""
        return self.workers.session_is_over()

    def faults(self) -> Sequence[str]:
        """Which parts of the embedded stack have died."""
        return self._session.services.deaths()

    def serve(self) -> Serving:
        """Start the servers at the first call."""
        if self.workers.far and not self._session.settings.external:
            raise ConfigError(
                f"the embedded stack listens on 127.0.0.1, which {', '.join(self.workers.far)} cannot reach; "
                "name servers that all hosts reach, and use --perf-stack=external"
            )
        with self._starting:
            return self._session.services.serving()

    def kill(self, worker: str) -> None:
        """End a worker that hangs."""
        self.workers.kill(worker)
