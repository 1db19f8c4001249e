"""What the scenarios share."""

from __future__ import annotations

import re

import pytest

from pytest_cdcperf import ConfigError
from pytest_cdcperf.clients.postgres import Postgres
from tests_perf.shop.writes import Shop, remove_run


@pytest.fixture(scope="session")
def shop(pg: Postgres, perf_run_id: str) -> Shop:
    """The shop's writes to the source; every row carries the id of the run."""
    return Shop(pg, perf_run_id)


def pytest_cdcperf_clean(run_id: str, pg: Postgres) -> int:
    """Remove what the run *run_id* left: ``pytest --perf-clean=RUN_ID``."""
    if not re.fullmatch(r"[0-9a-f]{8}", run_id):
        raise ConfigError(f"--perf-clean={run_id}: no run id; allowed: the eight hexadecimal digits a run prints")
    return remove_run(pg, run_id)
