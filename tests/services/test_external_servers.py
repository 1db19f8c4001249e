"""Whole sessions of pytest on servers that are there already."""

from __future__ import annotations

import contextlib
import re
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from pytest_cdcperf.clients.mongo import Mongo
from pytest_cdcperf.clients.postgres import Postgres
from tests.services.conftest import GuardedPostgres
from tests.services.harness import ROOT, Session, until

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no kill -9")


def session_id_of(output: str) -> str:
    found = re.search(r"^cdcperf: (?:.*; )?session ([0-9a-f]{8})$", output, re.MULTILINE)
    return found.group(1) if found else ""


def rows_of(pg: Postgres, session_id: str) -> int:
    found = pg.execute("SELECT count(*) AS n FROM customer WHERE email LIKE %s", (f"%@{session_id}%.loadtest.example",))
    return int(found[0]["n"])


class TestExternalServers:
    def test_health_and_baseline_leave_no_row(
        self, run: Callable[..., Session], external: dict[str, str], source: Postgres, sink_client: Mongo
    ) -> None:
        session = run(
            "tests_perf",
            "--perf-run",
            "-m",
            "health or baseline",
            "--perf-duration=3s",
            "--perf-thresholds=.ci/thresholds.json",  # a busy machine's latencies are not what is tested
            "--perf-stack=external",
            cwd=ROOT,
            **external,
        )
        assert session.code == 0
        assert "2 passed" in session.output
        baseline = session.result("test_baseline-test_new_customer_reaches_mongo")
        assert session.result("test_health-test_pipeline_is_sound")["verdict"] == "PASSED"
        assert baseline["load"] == "10 VUs for 3s"
        assert baseline["failed_iterations"] == 0
        assert baseline["iterations"] > 10
        session_id = session_id_of(session.output)
        assert session_id == baseline["session_id"]
        assert rows_of(source, session_id) == 0
        assert until(lambda: sink_client.count("customers", {"email": {"$regex": session_id}}) == 0)
        written = "".join(path.read_text() for path in tmp_files(session))
        assert external["POSTGRES_PASSWORD"] not in session.output + written

    def test_a_killed_run_leaves_rows_which_perf_clean_removes_and_no_others(
        self,
        run: Callable[..., Session],
        external: dict[str, str],
        environment: dict[str, str],
        source: Postgres,
        tmp_path: Path,
    ) -> None:
        bystander = {"id": str(uuid.uuid4()), "email": "somebody@0123abcd.loadtest.example", "status": "active"}
        source.insert("customer", bystander)
        output = tmp_path / "output.txt"
        with output.open("w") as out:
            killed = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "pytest",
                    "tests_perf",
                    "-m",
                    "baseline",
                    "--perf-stack=external",
                    "-p",
                    "no:cacheprovider",
                ],
                cwd=ROOT,
                env={**environment, **external},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )
        process = psutil.Process(killed.pid)
        try:
            assert until(lambda: session_id_of(output.read_text()), 60)
            session_id = session_id_of(output.read_text())

            def stopped_with_rows() -> bool:
                """Whether rows are there and stay: halted, the run cannot delete them any more."""
                if not rows_of(source, session_id):
                    return False
                process.suspend()
                assert until(lambda: idle(source))
                if rows_of(source, session_id):
                    return True
                process.resume()
                return False

            assert until(stopped_with_rows, 60), output.read_text()
            below = process.children(recursive=True)
        finally:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
            killed.wait()
        assert killed.returncode == -signal.SIGKILL
        assert below == []
        left = rows_of(source, session_id)
        assert left > 0
        session = run("tests_perf", "--perf-stack=external", f"--perf-clean={session_id}", cwd=ROOT, **external)
        assert session.code == 0
        assert f"cdcperf: removed {left} rows of session {session_id} at postgresql://" in session.output
        assert rows_of(source, session_id) == 0
        assert source.delete("customer", where={"id": bystander["id"]}) == 1

    @pytest.mark.parametrize("mode", ["--perf-once", "--perf-run"])
    def test_a_wrong_password_is_one_line(
        self, mode: str, run: Callable[..., Session], external: dict[str, str], guarded: GuardedPostgres
    ) -> None:
        wrong = "wr0ng-p4ssword"
        more = {**external, "POSTGRES_PORT": str(guarded.address.port), "POSTGRES_PASSWORD": wrong}
        session = run("tests_perf/test_health.py", "--perf-stack=external", mode, cwd=ROOT, **more)
        assert session.code == 1
        lines = session.output.splitlines()
        (said,) = [line for line in lines if line.startswith(f"PostgreSQL at {guarded.address} cannot be used: ")]
        assert 'password authentication failed for user "postgres"' in said
        assert not [line for line in lines if "Traceback" in line or "pytest_cdcperf/" in line]
        assert "another exception" not in session.output
        assert wrong not in session.output
        assert wrong not in "".join(path.read_text() for path in tmp_files(session))

    def test_a_source_without_the_tables_is_one_line(
        self, run: Callable[..., Session], external: dict[str, str]
    ) -> None:
        bare = {**external, "POSTGRES_DB": "postgres"}
        session = run("tests_perf/test_health.py", "--perf-stack=external", "-p", "no:cacheprovider", cwd=ROOT, **bare)
        assert session.code == 1
        (said,) = [line for line in session.output.splitlines() if "has no table" in line and line.startswith("post")]
        assert "has no table customer, address, orders: run tests_perf/shop/schema.sql there; " in said
        assert "Traceback" not in session.output

    def test_a_half_named_set_of_servers_is_refused_in_full(
        self, run: Callable[..., Session], external: dict[str, str]
    ) -> None:
        half = {name: value for name, value in external.items() if name not in {"POSTGRES_DB", "MONGODB_URI"}}
        session = run("tests_perf/test_health.py", "--perf-stack=external", cwd=ROOT, **half)
        assert session.code == 1
        assert "--perf-stack=external: not set: POSTGRES_DB, MONGODB_URI; these variables" in session.output


def idle(pg: Postgres) -> bool:
    """Whether the server is done with all that was sent to it, but for this question."""
    busy = "application_name = 'pytest-cdcperf' AND state = 'active' AND pid <> pg_backend_pid()"
    return not pg.execute(f"SELECT 1 FROM pg_stat_activity WHERE {busy}")  # noqa: S608


def tmp_files(session: Session) -> Iterator[Path]:
    return (path for path in session.directory.rglob("*") if path.is_file() and not path.is_symlink())
