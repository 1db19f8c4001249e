"""Hooks that a project may implement in its conftest.py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_cdcperf.clients.postgres import Postgres
    from pytest_cdcperf.events import Listener
    from pytest_cdcperf.results.result import RunResult


def pytest_cdcperf_clean(session_id: str, pg: Postgres) -> int | None:
    """Remove the rows that the session *session_id* left behind; return how many.

    Called for ``cdcperf clean SESSION_ID`` and ``pytest --perf-clean=SESSION_ID``, with the external servers.

    ::

        def pytest_cdcperf_clean(session_id, pg):
            return len(pg.execute("DELETE FROM orders WHERE id LIKE %s RETURNING id", [f"{session_id}-%"]))
    """


def pytest_cdcperf_run_finished(result: RunResult) -> None:
    """Take the *result* of a run, which is judged and written.

    Called once a run under load: in the only process, or in the one that hands out tests to pytest-xdist's workers, not
    on these. Each implementation is called in a thread of its own, which no test waits for: docs/events.md.

    ::

        def pytest_cdcperf_run_finished(result):
            with open("verdicts.txt", "a") as verdicts:
                print(result.verdict, result.facts.test, file=verdicts)
    """


def pytest_cdcperf_listeners(config: pytest.Config) -> Sequence[Listener] | None:
    """Return listeners that take the events of all runs of the session: docs/events.md.

    Called once in a session with load, before its first run, in the main thread: in the only process, or in the one
    that hands out tests to pytest-xdist's workers, not on these. A mistake here ends the session.

    ::

        class Printer:
            def handle(self, event):
                print(event)

        def pytest_cdcperf_listeners(config):
            return [Printer()]
    """
