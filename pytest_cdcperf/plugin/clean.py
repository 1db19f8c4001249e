"""Remove the rows that a killed session left: ``cdcperf clean SESSION_ID``, ``pytest --perf-clean=SESSION_ID``."""

from __future__ import annotations

import os
from collections.abc import Sequence

import pytest

from pytest_cdcperf.clients.postgres import Postgres
from pytest_cdcperf.errors import CdcperfError, shown
from pytest_cdcperf.plugin import settings as configuration
from pytest_cdcperf.plugin.results import is_session_id
from pytest_cdcperf.printable import one_line, printable
from pytest_cdcperf.servers import services_from_environment


def clean_session(session_id: str, paths: Sequence[str]) -> int:
    """Run the hooks ``pytest_cdcperf_clean`` of the tests at *paths*; return pytest's exit code."""
    return int(pytest.main([*paths, "--perf-stack=external", f"--perf-clean={session_id}"]))


def clean(config: pytest.Config) -> int:
    """Ask every ``pytest_cdcperf_clean`` hook to remove its rows of the session; return pytest's exit code."""
    session_id = str(config.getoption("perf_clean"))
    if not is_session_id(session_id):  # hooks may put it into a pattern
        raise pytest.UsageError(
            f"--perf-clean={shown(session_id)} is not a valid session id; allowed: eight hexadecimal digits"
        )
    settings = configuration.resolve(config)
    if not settings.external:
        raise pytest.UsageError(
            "--perf-clean needs --perf-stack=external: the embedded servers and their data are gone with their session"
        )
    try:
        pg = Postgres(services_from_environment(os.environ).postgres, options=settings.postgres)
        pg.ping()
        try:
            removed = config.hook.pytest_cdcperf_clean(session_id=session_id, pg=pg)
        finally:
            pg.close()
    except CdcperfError as error:
        raise pytest.UsageError(printable(str(error))) from None
    if not removed:
        raise pytest.UsageError(
            "--perf-clean: no conftest.py implements pytest_cdcperf_clean; name the tests' directory, or "
            "write that hook: docs/external-servers.md"
        )
    count = sum(count or 0 for count in removed)
    print(one_line(f"cdcperf: removed {count} rows of session {session_id} at {pg.address}"))  # noqa: T201
    return int(pytest.ExitCode.OK)
