"""CPU time of one upsert through ``pg`` beside the bare driver: autocommit, a pinned connection each.

The server has the first core and we the last one; both take turns, so that a busy machine is so for both.
"""

from __future__ import annotations

import os
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import psutil

from benchmarks.turns import compare, last_core
from pytest_cdcperf.clients.postgres import Postgres
from pytest_cdcperf.embedded.postgres import connect
from pytest_cdcperf.embedded.stack import EmbeddedStack, StackConfig
from pytest_cdcperf.engine.current_vu import acting_as
from pytest_cdcperf.engine.vu import VU
from pytest_cdcperf.metrics.recorder import Recorder
from pytest_cdcperf.metrics.scope import Scope

ROUNDS, CALLS = 15, 1_000
SCHEMA = "CREATE TABLE row (id uuid PRIMARY KEY, email text, status text)"
BARE = (
    'INSERT INTO "row" ("id", "email", "status") VALUES (%s, %s, %s) ON CONFLICT ("id") DO UPDATE SET '
    '"email" = EXCLUDED."email", "status" = EXCLUDED."status"'
)


def cost_us(call: Callable[[str], object]) -> float:
    """Return the microseconds of CPU in this process that one *call* takes."""
    keys = [str(uuid.uuid4()) for _ in range(CALLS)]
    begin = time.process_time()
    for key in keys:
        call(key)
    return (time.process_time() - begin) / CALLS * 1e6


def main() -> None:
    """Print what both cost."""
    with tempfile.TemporaryDirectory() as logs, EmbeddedStack.start(StackConfig(Path(logs), SCHEMA)) as stack:
        if hasattr(os, "sched_setaffinity"):
            cores, server = sorted(os.sched_getaffinity(0)), psutil.Process(stack.pids["postgres"])
            for process in (server, *server.children()):
                os.sched_setaffinity(process.pid, cores[:1])
        last_core()
        address = stack.services.postgres
        pg, recorder = Postgres(address), Recorder()
        bare = connect(address)
        with bare, acting_as(VU(1, session_id="benchmark", scope=Scope(recorder))):

            def ours() -> float:
                cost = cost_us(lambda key: pg.upsert("row", {"id": key, "email": "a@b.example", "status": "active"}))
                recorder.drain()
                return cost

            def theirs() -> float:
                return cost_us(lambda key: bare.execute(BARE, (key, "a@b.example", "active")))

            compare("one upsert", {"pg": ours, "the bare driver": theirs}, beside="the bare driver", rounds=ROUNDS)
        pg.close()
