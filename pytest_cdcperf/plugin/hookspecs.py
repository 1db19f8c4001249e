"""Hooks that a project may implement in its conftest.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_cdcperf.clients.postgres import Postgres


def pytest_cdcperf_clean(session_id: str, pg: Postgres) -> int | None:
    """Remove the rows that the session *session_id* left behind; return how many.

    Called for ``cdcperf clean SESSION_ID`` and ``pytest --perf-clean=SESSION_ID``, with the external servers.
    """
