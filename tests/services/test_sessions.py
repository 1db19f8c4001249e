"""Whole sessions of pytest, each a process of its own, on real servers."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from pytest_cdcperf.clients.mongo import Mongo
from pytest_cdcperf.clients.postgres import Postgres
from pytest_cdcperf.embedded.stack import EmbeddedStack
from tests.services.conftest import GuardedPostgres
from tests.services.harness import ROOT, gone, until

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no kill -9")

# Imported by the tests inside: notes what runs below the session, and ends parts of the stack.
ACCOMPLICE = """
import os, signal, psutil
from pathlib import Path

def note_processes():
    below = [child.pid for child in psutil.Process().children(recursive=True)]
    Path("processes.txt").write_text(" ".join(map(str, [os.getpid(), *below])))

def kill(part):
    send(part, signal.SIGKILL)

def send(part, number):
    for process in psutil.Process().children(recursive=True):
        command = process.cmdline()
        named = part == "debezium" and "pytest_cdcperf.embedded.debezium" in command
        if named or (part == "postgres" and "-D" in command and Path(command[0]).name.startswith("postgres")):
            os.kill(process.pid, number)
            return
    raise LookupError(part)
"""

HEAD = """
import signal, threading
from accomplice import kill, note_processes, send
import pytest
from pytest_cdcperf import PerVUIterations, perf

@pytest.fixture(scope="session", autouse=True)
def noted(cdc):
    yield
    note_processes()

@pytest.fixture(scope="session")
def notes(pg):
    pg.execute("CREATE TABLE IF NOT EXISTS note (id text PRIMARY KEY, text text)")
    note_processes()
"""


@dataclass
class Session:
    """A session that is over."""

    code: int
    output: str
    directory: Path

    def result(self, stem: str) -> dict[str, Any]:
        """Return what was written of the one test *stem*, "module-function", whatever its file is called."""
        files = (self.directory / "perf-results" / "latest").glob("*.json")
        documents: list[dict[str, Any]] = [json.loads(path.read_text()) for path in files]
        (found,) = [one for one in documents if one.get("test", "").endswith(stem.replace("-", ".py::"))]
        return found

    @property
    def processes(self) -> list[int]:
        """What ran in it and below it, as it said."""
        return [int(pid) for pid in (self.directory / "processes.txt").read_text().split()]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The environment of a session: nothing in it names servers."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("POSTGRES_", "MONGODB_", "CDCPERF_", "PYTEST_ADDOPTS", "PYTEST_CURRENT", "RESULTS_"))
    }
    return {**kept, "RESULTS_DIR": str(tmp_path / "perf-results"), "PYTHONUNBUFFERED": "1", "COLUMNS": "200"}


@pytest.fixture
def run(tmp_path: Path, environment: dict[str, str]) -> Callable[..., Session]:
    """Run pytest in *cwd* to its end."""

    def run(*arguments: str, cwd: Path = tmp_path, **more: str) -> Session:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments],
            cwd=cwd,
            env={**environment, **more},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )
        print(done.stdout)  # noqa: T201 - for whoever has to find out why a session ended otherwise
        return Session(done.returncode, done.stdout, tmp_path)

    return run


@pytest.fixture
def project(tmp_path: Path) -> Callable[[str], None]:
    """Write a project of one test file."""

    def write(source: str) -> None:
        (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --strict-markers\n")
        (tmp_path / "accomplice.py").write_text(ACCOMPLICE)
        (tmp_path / "test_it.py").write_text(HEAD + textwrap.dedent(source))

    return write


@pytest.fixture
def external(shared_stack: EmbeddedStack) -> dict[str, str]:
    """The environment that names the stack of these tests."""
    postgres = shared_stack.services.postgres
    return {
        "POSTGRES_HOST": postgres.host,
        "POSTGRES_PORT": str(postgres.port),
        "POSTGRES_USER": postgres.user,
        "POSTGRES_PASSWORD": "unused-but-5ecret",
        "POSTGRES_DB": postgres.dbname,
        "MONGODB_URI": shared_stack.services.mongo.uri,
    }


def run_id_of(output: str) -> str:
    found = re.search(r"; run ([0-9a-f]{8})$", output, re.MULTILINE)
    return found.group(1) if found else ""


def rows_of(pg: Postgres, run_id: str) -> int:
    found = pg.execute("SELECT count(*) AS n FROM customer WHERE email LIKE %s", (f"%@{run_id}%.loadtest.example",))
    return int(found[0]["n"])


class TestTheReadme:
    """The scenario in README.md, word for word."""

    @pytest.fixture(autouse=True)
    def notes(self, tmp_path: Path) -> None:
        readme = (ROOT / "README.md").read_text()
        (source,) = [code for code in re.findall(r"```python\n(.*?)```", readme, re.DOTALL) if "def test_" in code]
        (tmp_path / "test_notes.py").write_text(source)
        (tmp_path / "accomplice.py").write_text(ACCOMPLICE)
        (tmp_path / "conftest.py").write_text(
            "import accomplice, pytest\n"
            "@pytest.fixture(scope='session', autouse=True)\n"
            "def noted(cdc):\n    yield\n    accomplice.note_processes()\n"
        )

    def test_once_it_is_a_plain_test(self, run: Callable[..., Session]) -> None:
        session = run("test_notes.py")
        assert session.code == 0
        assert "1 passed" in session.output
        assert "mode once" in session.output
        assert len(session.processes) > 4
        assert all(gone(pid) for pid in session.processes)

    def test_under_load_it_has_a_verdict_and_a_result(self, run: Callable[..., Session]) -> None:
        session = run("test_notes.py", "--perf-run", "--perf-duration=3s")
        result = session.result("test_notes-test_a_note_arrives")
        assert session.code == 0
        assert "1 passed" in session.output
        assert result["verdict"] == "PASSED"
        assert result["load"] == "5 VUs for 3s"
        assert result["shortened"] is True
        assert result["iterations"] > 5
        assert result["failed_iterations"] == 0
        values = {name: metric["values"] for name, metric in result["metrics"].items()}
        assert values["cdc_creates"]["count"] == values["pg_records_inserted"]["count"] == result["iterations"]
        assert values["cdc_success_rate"]["rate"] == 1
        assert values["cdc_pipeline_active"]["value"] == 1
        assert result["services"]["PostgreSQL"].startswith("18.")
        logs = {path.name for path in (session.directory / "perf-results" / "latest").glob("*.log")}
        assert logs == {"postgres.log", "debezium.log", "mongo.log", "keeper.log"}
        assert all(gone(pid) for pid in session.processes)


class TestPartsThatFail:
    def test_two_tests_share_one_stack_and_a_missing_table_fails_iterations_in_the_drivers_words(
        self, project: Callable[[str], None], run: Callable[..., Session]
    ) -> None:
        project("""
            @perf(load=PerVUIterations(vus=2, iterations=3))
            def test_fine(notes, pg, cdc, vu):
                key = f"{vu.id}-{vu.iteration}"
                with cdc.expect("note", key, timeout="30s"):
                    pg.insert("note", {"id": key, "text": str(pg.address.port)})

            @perf(load=PerVUIterations(vus=2, iterations=3))
            def test_no_table(pg, mongo):
                assert mongo.count("note") == 6
                assert {document["text"] for document in mongo.database["note"].find()} == {str(pg.address.port)}
                pg.insert("nowhere", {"id": 1})
        """)
        session = run("--perf-run")
        assert session.code == 1
        assert "1 failed, 1 passed" in session.output
        assert session.result("test_it-test_fine")["verdict"] == "PASSED"
        result = session.result("test_it-test_no_table")
        assert result["verdict"] == "FAILED"
        (kind,) = result["failures"]
        assert (kind["type"], kind["count"]) == ("UndefinedTable", 6)
        assert 'relation "nowhere" does not exist' in kind["sample"]
        assert 'relation "nowhere" does not exist' in session.output
        assert kind["where"].startswith("test_it.py:")
        assert result["metrics"]["pg_write_errors"]["values"]["count"] == 6
        assert all(gone(pid) for pid in session.processes)

    def test_debezium_killed_under_load_fails_the_test_by_name(
        self, project: Callable[[str], None], run: Callable[..., Session]
    ) -> None:
        project("""
            @perf(vus=2, duration="4s", error_rate=1)
            def test_it(notes, pg, cdc, vu):
                if (vu.id, vu.iteration) == (1, 3):
                    kill("debezium")
                key = f"{vu.id}-{vu.iteration}"
                with cdc.expect("note", key, timeout="1s"):
                    pg.insert("note", {"id": key})
        """)
        session = run("--perf-run")
        assert session.code == 1
        assert "1 failed" in session.output
        result = session.result("test_it-test_it")
        assert result["verdict"] == "FAILED"
        assert [reason for reason in result["reasons"] if "debezium" in reason]
        assert 0 < result["failed_iterations"] < result["iterations"]
        (kind,) = result["failures"]
        assert kind["type"] == "ExpectationError"
        assert kind["count"] == result["failed_iterations"]
        assert "the sink had no document with this _id" in kind["sample"]
        values = {name: metric["values"] for name, metric in result["metrics"].items()}
        assert values["cdc_pipeline_active"]["value"] == 0
        assert values["cdc_consumer_lag_estimate"]["value"] > 0
        assert all(gone(pid) for pid in session.processes)

    def test_postgres_killed_under_load_fails_the_test_by_name(
        self, project: Callable[[str], None], run: Callable[..., Session]
    ) -> None:
        project("""
            from pytest_cdcperf import think

            @perf(vus=2, duration="3s", error_rate=1)
            def test_it(notes, pg, cdc, vu):
                if (vu.id, vu.iteration) == (1, 3):
                    kill("postgres")
                think(0.02)
                pg.insert("note", {"id": f"{vu.id}-{vu.iteration}"})
        """)
        session = run("--perf-run")
        assert session.code == 1
        assert "1 failed" in session.output
        result = session.result("test_it-test_it")
        assert result["verdict"] == "FAILED"
        assert [reason for reason in result["reasons"] if "postgres" in reason]
        assert 0 < result["failed_iterations"] < result["iterations"]
        assert sum(kind["count"] for kind in result["failures"]) == result["failed_iterations"]
        assert "Connection refused" in "".join(kind["sample"] for kind in result["failures"])
        assert result["metrics"]["pg_write_errors"]["values"]["count"] == result["failed_iterations"]
        assert all(gone(pid) for pid in session.processes)


class TestLateRows:
    def test_rows_that_come_after_the_load_are_found_and_those_that_never_do_fail_the_test_by_their_keys(
        self, project: Callable[[str], None], run: Callable[..., Session]
    ) -> None:
        project("""
            @perf(vus=3, duration="2s", error_rate=1, drain="60s")
            async def test_late(notes, pg, cdc, vu):
                if (vu.id, vu.iteration) == (1, 3):
                    send("debezium", signal.SIGSTOP)
                    threading.Timer(5, send, ["debezium", signal.SIGCONT]).start()
                key = f"late-{vu.id}-{vu.iteration}"
                async with cdc.aio.expect("note", key, text="hello", timeout="500ms"):
                    await pg.aio.insert("note", {"id": key, "text": "hello"})

            @perf(vus=3, duration="2s", error_rate=1, drain="1s")
            def test_lost(notes, pg, cdc, vu):
                if (vu.id, vu.iteration) == (1, 3):
                    send("debezium", signal.SIGSTOP)
                key = f"lost-{vu.id}-{vu.iteration}"
                with cdc.expect("note", key, timeout="500ms"):
                    pg.insert("note", {"id": key})
        """)
        session = run("--perf-run")
        assert session.code == 1
        late = session.result("test_it-test_late")
        assert late["verdict"] == "PASSED"
        count = late["failed_iterations"]
        assert count > 0
        assert [note for note in late["notes"] if note.startswith(f"{count} writes were not seen in time; {count} of")]
        lost = session.result("test_it-test_lost")
        assert lost["verdict"] == "FAILED"
        count = lost["failed_iterations"]
        (reason,) = lost["reasons"]
        assert reason.startswith(f"{count} of {count} writes that were not seen in time never arrived, 1.")
        assert "note _id='lost-1-3': the sink had no document with this _id" in reason
        assert reason in session.output
        assert all(gone(pid) for pid in session.processes)


class TestExternalServers:
    def test_health_and_baseline_leave_no_row(
        self, run: Callable[..., Session], external: dict[str, str], source: Postgres, sink_face: Mongo
    ) -> None:
        session = run(
            "tests_perf",
            "--perf-run",
            "-m",
            "health or baseline",
            "--perf-duration=3s",
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
        run_id = run_id_of(session.output)
        assert run_id == baseline["run_id"]
        assert rows_of(source, run_id) == 0
        assert until(lambda: sink_face.count("customers", {"email": {"$regex": run_id}}) == 0)
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
            assert until(lambda: run_id_of(output.read_text()), 60)
            run_id = run_id_of(output.read_text())

            def stopped_with_rows() -> bool:
                """Whether rows are there and stay: halted, the run cannot delete them any more."""
                if not rows_of(source, run_id):
                    return False
                process.suspend()
                assert until(lambda: idle(source))
                if rows_of(source, run_id):
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
        left = rows_of(source, run_id)
        assert left > 0
        session = run("tests_perf", "--perf-stack=external", f"--perf-clean={run_id}", cwd=ROOT, **external)
        assert session.code == 0
        assert f"cdcperf: removed {left} rows of run {run_id} at postgresql://" in session.output
        assert rows_of(source, run_id) == 0
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

    def test_a_half_named_set_of_servers_is_refused_in_full(
        self, run: Callable[..., Session], external: dict[str, str]
    ) -> None:
        half = {name: value for name, value in external.items() if name not in {"POSTGRES_DB", "MONGODB_URI"}}
        session = run("tests_perf/test_health.py", "--perf-stack=external", cwd=ROOT, **half)
        assert session.code == 1
        assert "POSTGRES_DB is not set" in session.output
        assert "MONGODB_URI is not set" in session.output


def idle(pg: Postgres) -> bool:
    """Whether the server is done with all that was sent to it, but for this question."""
    busy = "application_name = 'pytest-cdcperf' AND state = 'active' AND pid <> pg_backend_pid()"
    return not pg.execute(f"SELECT 1 FROM pg_stat_activity WHERE {busy}")  # noqa: S608


def tmp_files(session: Session) -> Iterator[Path]:
    return (path for path in session.directory.rglob("*") if path.is_file() and not path.is_symlink())
