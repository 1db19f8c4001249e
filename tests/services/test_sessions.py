"""Whole sessions of pytest, each a process of its own, on real servers."""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_cdcperf.clients.postgres import Postgres
from tests.services.harness import ROOT, Session, gone

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no kill -9")

# Imported by the tests inside: notes what runs below the session, and ends servers of the stack.
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


@pytest.fixture
def project(tmp_path: Path) -> Callable[[str], None]:
    """Write a project of one test file."""

    def write(source: str) -> None:
        (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --strict-markers\n")
        (tmp_path / "accomplice.py").write_text(ACCOMPLICE)
        (tmp_path / "test_it.py").write_text(HEAD + textwrap.dedent(source))

    return write


class TestTheReadme:
    """The scenario of the pipeline in README.md, word for word."""

    @pytest.fixture(autouse=True)
    def notes(self, tmp_path: Path) -> None:
        readme = (ROOT / "README.md").read_text()
        (source,) = [code for code in re.findall(r"```python\n(.*?)```", readme, re.DOTALL) if "cdc.expect" in code]
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

    def test_over_four_workers_it_works_again_and_again_on_servers_that_live_on(
        self, run: Callable[..., Session], external: dict[str, str], source: Postgres
    ) -> None:
        source.execute("DROP TABLE IF EXISTS note")
        for _ in range(2):
            options = ("--perf-run", "--perf-duration=2s", "--perf-stack=external", "-n", "4")
            session = run("test_notes.py", *options, **external)
            result = session.result("test_notes-test_a_note_arrives")
            assert result["failed_iterations"] == 0
            assert result["iterations"] > 0
            assert source.execute("SELECT count(*) AS n FROM note") == [{"n": 0}]
        source.execute("DROP TABLE note")

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
        assert logs == {"postgres.log", "debezium.log", "mongo.log", "supervisor.log"}
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

    def test_debezium_killed_under_load_ends_the_run_and_fails_it_by_name(
        self, project: Callable[[str], None], run: Callable[..., Session]
    ) -> None:
        project("""
            @perf(vus=2, duration="10m", error_rate=1)
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
        assert result["reasons"][0].startswith("the embedded stack: debezium was killed by signal 9 (SIGKILL, which is")
        assert result["elapsed_s"] < 60
        assert 0 < result["failed_iterations"] < result["iterations"]
        (kind,) = result["failures"]
        assert kind["type"] == "ExpectationError"
        assert kind["count"] == result["failed_iterations"]
        ways = ("it cannot arrive: the embedded stack: debezium was killed", "the run ended before it was seen")
        assert any(words in kind["sample"] for words in ways)
        assert all(gone(pid) for pid in session.processes)

    def test_postgres_killed_under_load_ends_the_run_and_fails_it_by_name(
        self, project: Callable[[str], None], run: Callable[..., Session]
    ) -> None:
        project("""
            from pytest_cdcperf import think

            @perf(vus=2, duration="10m", error_rate=1)
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
        assert result["reasons"][0].startswith("the embedded stack: postgres was killed by signal 9 (SIGKILL, which is")
        assert result["elapsed_s"] < 60
        assert 0 < result["failed_iterations"] < result["iterations"]
        assert sum(kind["count"] for kind in result["failures"]) == result["failed_iterations"]
        # A kind is a type at a line, with the sample of its first: a call that was under way, or a later one.
        said = "".join(kind["sample"] for kind in result["failures"])
        ways = ("Connection refused", "server closed the connection", "unexpected postmaster exit")
        assert any(words in said for words in ways)  # who asks first is told so, in one way or another
        assert result["metrics"]["pg_write_errors"]["values"]["count"] == result["failed_iterations"]
        assert all(gone(pid) for pid in session.processes)

    def test_once_a_failing_test_names_the_dead_server(
        self, project: Callable[[str], None], run: Callable[..., Session]
    ) -> None:
        project("""
            @pytest.mark.filterwarnings("ignore")
            @perf(vus=2, duration="10m")
            def test_it(notes, pg):
                kill("postgres")
                pg.execute("SELECT 1")

            def test_plain(pg):
                pytest.fail("in one line", pytrace=False)

            def test_fine():
                pass
        """)
        session = run("--junitxml=junit.xml")
        assert session.code == 1
        assert "2 failed, 1 passed" in session.output
        said = "the embedded stack: postgres was killed by signal 9 (SIGKILL, which is what the out-of-memory killer"
        assert session.output.count(said) == 2
        assert (session.directory / "junit.xml").read_text().count(said) == 2
        assert all(gone(pid) for pid in session.processes)


class TestWhatCannotArrive:
    def test_once_it_fails_the_test_that_needed_it_at_once_and_says_why(
        self, project: Callable[[str], None], run: Callable[..., Session]
    ) -> None:
        project("""
            import time

            @pytest.fixture
            def soon():
                begin = time.monotonic()
                yield
                assert time.monotonic() - begin < 30, "it waited for what cannot arrive"

            @perf(vus=2, duration="10m")
            def test_keyless(soon, notes, pg, cdc):
                pg.execute("CREATE TABLE staging (v text)")
                with cdc.expect("staging", "a", timeout="10m"):
                    pg.insert("staging", {"v": "a"})

            @perf(vus=2, duration="10m")
            async def test_dead(soon, pg, cdc):
                kill("debezium")
                async with cdc.aio.expect("order", "a", timeout="10m"):
                    await pg.aio.execute('CREATE TABLE "order" (id text PRIMARY KEY)')
                    await pg.aio.insert("order", {"id": "a"})
        """)
        session = run()
        assert session.code == 1
        assert "2 failed" in session.output
        assert (
            "staging _id='a': it cannot arrive: table 'staging' is set aside: it has no primary key" in session.output
        )
        assert "order _id='a': it cannot arrive: the embedded stack: debezium was killed by signal 9" in session.output
        assert "it waited for" not in session.output


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
