"""The replication slots show how far the pipeline is behind, and that it cannot go on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pytest_cdcperf.cdc.lag import SlotReader
from pytest_cdcperf.clients.postgres import Postgres
from pytest_cdcperf.embedded.postgres import PostgresServer, connect
from pytest_cdcperf.embedded.stack import EmbeddedStack
from pytest_cdcperf.metrics.recorder import Recorder
from pytest_cdcperf.metrics.scope import Scope, recording
from pytest_cdcperf.servers import Services
from tests.services.harness import Measured, Session, lone_postgres, named, until

LOSING = """
import json, os, time, psycopg
from pytest_cdcperf import perf, think
from pytest_cdcperf.embedded.postgres import connect
from pytest_cdcperf.servers import PostgresAddress

def drop():
    with connect(PostgresAddress(**json.loads(os.environ["ADMIN"]))) as admin:
        admin.execute("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active")
        while True:
            try:
                return admin.execute("SELECT pg_drop_replication_slot('in_load')")
            except psycopg.errors.ObjectInUse:
                time.sleep(0.01)

@perf(vus=1, duration="10m")
def test_it(cdc, vu):
    think(0.1)
    if vu.iteration == 25:  # once it was seen that it is being read
        drop()
"""


class Samples:
    """A reader of slots, and what it says."""

    def __init__(self, pg: Postgres) -> None:
        self.recorder = Recorder()
        self._lost: list[str] = []
        self._reader = SlotReader(pg, self._lost.append)

    def take(self) -> list[str]:
        self._lost.clear()
        with recording(Scope(self.recorder)):
            self._reader.sample()
        return list(self._lost)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    log: Path = tmp_path_factory.mktemp("slots") / "postgres.log"
    with lone_postgres(log) as server:
        with connect(server.admin) as admin:
            admin.execute("CREATE PUBLICATION cdcperf FOR ALL TABLES")
        yield server


def test_the_lag_of_the_pipeline_is_read_from_its_slot(source: Postgres) -> None:
    samples = Samples(source)
    assert samples.take() == []
    measured = Measured(samples.recorder)
    assert measured.of("cdc_pipeline_active").value == 1
    assert measured.of("cdc_consumer_lag_estimate").value >= 0
    assert measured.count("pg_read_duration") == 0


def test_a_database_without_a_slot_has_no_lag(shared_stack: EmbeddedStack) -> None:
    pg = Postgres(replace(shared_stack.services.postgres, dbname="postgres"))
    samples = Samples(pg)
    assert samples.take() == []
    pg.close()
    assert samples.recorder.drain().series == {}


class TestLostSlots:
    @pytest.fixture
    def admin(self, server: PostgresServer) -> Iterator[psycopg.Connection[Any]]:
        with connect(server.admin) as connection:
            yield connection

    @pytest.fixture
    def samples(self, server: PostgresServer) -> Iterator[Samples]:
        pg = Postgres(server.address)
        yield Samples(pg)
        pg.close()

    def reading(self, server: PostgresServer, admin: psycopg.Connection[Any], slot: str) -> psycopg.Connection[Any]:
        """Make *slot* and return a connection that reads it, as a connector does."""
        admin.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", (slot,))
        address = server.debezium
        reader = psycopg.connect(
            host=address.host,
            port=address.port,
            user=address.user,
            password=address.password,
            dbname=address.dbname,
            replication="database",
            autocommit=True,
        )
        start = f"START_REPLICATION SLOT {slot} LOGICAL 0/0 (proto_version '1', publication_names 'cdcperf')"
        reader.pgconn.send_query(start.encode())
        assert until(lambda: self.is_active(admin, slot))
        return reader

    @staticmethod
    def is_active(admin: psycopg.Connection[Any], slot: str) -> bool:
        found = admin.execute("SELECT active FROM pg_replication_slots WHERE slot_name = %s", (slot,)).fetchone()
        return bool(found and found[0])

    def test_one_that_was_being_read_and_is_dropped_is_gone(
        self, server: PostgresServer, admin: psycopg.Connection[Any], samples: Samples
    ) -> None:
        reader = self.reading(server, admin, "connector")
        assert samples.take() == []
        reader.close()
        assert until(lambda: not self.is_active(admin, "connector"))
        assert samples.take() == []
        admin.execute("SELECT pg_drop_replication_slot('connector')")
        said = f"PostgreSQL at {server.address}: the replication slot connector is gone"
        assert samples.take() == [said]
        assert samples.take() == [said]  # at every sample: the next run cannot do without it either

    def test_one_whose_wal_was_removed_is_lost(
        self, server: PostgresServer, admin: psycopg.Connection[Any], samples: Samples
    ) -> None:
        reader = self.reading(server, admin, "slow")
        assert samples.take() == []
        reader.close()
        admin.execute("ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'")
        admin.execute("SELECT pg_reload_conf()")
        admin.execute("CREATE TABLE filler AS SELECT repeat('x', 100) FROM generate_series(1, 1000)")
        for _ in range(4):
            admin.execute("INSERT INTO filler SELECT repeat('x', 100)")
            admin.execute("SELECT pg_switch_wal()")
        admin.execute("CHECKPOINT")
        (said,) = samples.take()
        assert said.startswith(f"PostgreSQL at {server.address}: the replication slot slow is lost: the WAL that")
        admin.execute("SELECT pg_drop_replication_slot('slow')")

    def test_one_that_was_never_seen_being_read_is_not_reported_as_lost(
        self, server: PostgresServer, admin: psycopg.Connection[Any], samples: Samples
    ) -> None:
        admin.execute("SELECT pg_create_logical_replication_slot('old', 'pgoutput')")
        assert samples.take() == []
        admin.execute("SELECT pg_drop_replication_slot('old')")
        copying = self.reading(server, admin, "pg_1234_sync_5678_9")  # as a subscription copies a table
        assert samples.take() == []
        copying.close()
        assert until(lambda: not self.is_active(admin, "pg_1234_sync_5678_9"))
        admin.execute("SELECT pg_drop_replication_slot('pg_1234_sync_5678_9')")
        assert samples.take() == []

    def test_it_ends_the_run_and_fails_it(
        self,
        server: PostgresServer,
        admin: psycopg.Connection[Any],
        shared_stack: EmbeddedStack,
        run: Callable[..., Session],
        tmp_path: Path,
    ) -> None:
        (tmp_path / "test_it.py").write_text(LOSING)
        reader = self.reading(server, admin, "in_load")
        servers = Services(server.address, shared_stack.services.mongo)
        told = json.dumps(asdict(server.admin))
        session = run("--perf-run", "--perf-stack=external", **named(servers), ADMIN=told)
        reader.close()
        assert session.code == 1
        result = session.result("test_it-test_it")
        assert result["verdict"] == "FAILED"
        assert result["reasons"] == [f"PostgreSQL at {server.address}: the replication slot in_load is gone"]
        assert result["failed_iterations"] == 0
        assert result["elapsed_s"] < 60
