"""What the scenarios share."""

from __future__ import annotations

import math
import re
import secrets
import time
from collections.abc import Iterator

import pytest

from pytest_cdcperf import ConfigError
from pytest_cdcperf.clients.mongo import Mongo
from pytest_cdcperf.clients.postgres import Postgres
from tests_perf.shop.writes import Shop, remove_run


@pytest.fixture
def shop(pg: Postgres, mongo: Mongo, perf_run_id: str) -> Iterator[Shop]:
    """The shop's writes to the source; every row carries the id of the run.

    What is left of them is removed at the end of the test, and has half a minute to go from the sink as well, as
    long as it gets less there: the next test is to find a quiet pipeline.
    """
    part = f"{perf_run_id}-{secrets.token_hex(2)}"  # this worker's: the others may be at work still
    yield Shop(pg, part)
    if remove_run(pg, part):
        deadline, before = time.monotonic() + 30, math.inf
        while 0 < (left := mongo.count("customers", {"email": {"$regex": part}})) < before:
            if time.monotonic() > deadline:
                break
            before = left
            time.sleep(1)


def pytest_cdcperf_clean(run_id: str, pg: Postgres) -> int:
    """Remove what the run *run_id* left: ``pytest --perf-clean=RUN_ID``."""
    if not re.fullmatch(r"[0-9a-f]{8}", run_id):
        raise ConfigError(f"--perf-clean={run_id}: no run id; allowed: the eight hexadecimal digits a run prints")
    return remove_run(pg, run_id)
