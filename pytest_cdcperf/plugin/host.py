"""The session as the controller of its runs sees it: what is said, kept and started on the way."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from pytest_cdcperf.cluster.messages import Plan, Serving
from pytest_cdcperf.errors import ConfigError
from pytest_cdcperf.events import Live
from pytest_cdcperf.plugin.junit import add_to_suite
from pytest_cdcperf.plugin.results import REMEDY
from pytest_cdcperf.results.json import write_result
from pytest_cdcperf.results.result import RunResult

if TYPE_CHECKING:
    from pytest_cdcperf.plugin.session import PerfSession


class SessionHost:
    """Answers what :class:`pytest_cdcperf.cluster.host.Host` asks."""

    def __init__(self, session: PerfSession) -> None:
        self._session = session
        self._starting = threading.Lock()
        self.kill_worker: Callable[[str], None] | None = None
        self.far_workers: Sequence[str] = ()

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

    def faults(self) -> Sequence[str]:
        """Which parts of the embedded stack have died."""
        return self._session.services.deaths()

    def serve(self) -> Serving:
        """Start the servers at the first call."""
        if self.far_workers and not self._session.settings.external:
            raise ConfigError(
                f"the embedded stack listens on 127.0.0.1, which {', '.join(self.far_workers)} cannot reach; "
                "name servers that all hosts reach, and use --perf-stack=external"
            )
        with self._starting:
            return self._session.services.serving()

    def kill(self, worker: str) -> None:
        """End a worker that hangs."""
        if self.kill_worker is not None:
            self.kill_worker(worker)
