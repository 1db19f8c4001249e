"""The embedded stack under two workers: one stack, started and stopped by the process that hands out the tests."""

from __future__ import annotations

import pytest

from tests.distributed.harness import Project, Session
from tests.services.harness import gone, until

TESTS = """
import psutil

@pytest.fixture(scope="session")
def notes(pg, shared):
    def table():
        pg.execute("CREATE TABLE note (id text PRIMARY KEY, text text)")
        yield
        note("rows.txt", pg.execute("SELECT count(*) AS n FROM note")[0]["n"])

    with shared.once("table", table):
        yield

@perf(load=SharedIterations(vus=4, iterations=80), p95="10s")
def test_a_note_arrives(notes, pg, cdc, vu):
    key = f"{vu.id}-{vu.iteration}"
    with cdc.expect("note", key, text="hello"):
        pg.insert("note", {"id": key, "text": "hello"})

@pytest.mark.parametrize("n", range(4))
def test_ordinary(notes, pg, n):
    assert pg.execute("SELECT 1 AS one") == [{"one": 1}]

def test_last(load):
    for process in psutil.Process(os.getppid()).children(recursive=True):
        note("below.txt", process.pid, "pytest_cdcperf.embedded.debezium" in process.cmdline())
    load.run(lambda: None, PerVUIterations(vus=2))
"""


DYING = """
import psutil

def kill_debezium():
    for process in psutil.Process(os.getppid()).children(recursive=True):
        if "pytest_cdcperf.embedded.debezium" in process.cmdline():
            return process.kill()

@pytest.fixture(scope="session")
def notes(pg, shared):
    def table():
        yield pg.execute("CREATE TABLE note (id text PRIMARY KEY)")

    with shared.once("table", table):
        yield

@pytest.fixture
def late():
    yield
    raise LookupError("in the tear-down")

@perf(vus=4, duration="10m", error_rate=1)
def test_load(notes, late, pg, vu):
    if (vu.id, vu.iteration) == (1, 20):
        kill_debezium()
    time.sleep(0.01)
    pg.insert("note", {"id": f"{vu.id}-{vu.iteration}"})
"""


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    project = Project(tmp_path_factory.mktemp("stack"))
    project.tests(TESTS)
    return project.run("-n", "2", "--perf-run")


def test_what_all_workers_write_arrives_over_one_pipeline(session):
    assert session.code == 0
    result = session.results["test_a_note_arrives"]
    assert result["iterations"] == 80
    assert all(part["iterations"] for part in result["workers"])
    assert result["metrics"]["cdc_creates"]["values"]["count"] == 80
    assert [rows for _, rows in session.notes("rows.txt")] == ["80"]
    assert result["services"]["PostgreSQL"].startswith("18.")


def test_the_stack_is_started_once_and_nothing_of_it_is_left(session):
    assert sum(line.startswith("cdcperf: embedded PostgreSQL ") for line in session.lines) == 1
    below = [(worker, int(pid), debezium) for worker, pid, debezium in session.notes("below.txt")]
    assert [sum(w == worker and debezium == "True" for w, _, debezium in below) for worker in ("gw0", "gw1")] == [1, 1]
    assert len({pid for _, pid, debezium in below if debezium == "True"}) == 1
    assert until(lambda: all(gone(pid) for _, pid, _ in below), 10)
    assert session.left() == []


def test_a_part_that_dies_ends_the_run_on_all_workers_and_is_named_in_failures_after_it(tmp_path):
    project = Project(tmp_path)
    project.tests(DYING)
    session = project.run("-n", "2", "--perf-run")
    assert session.code == 1
    result = session.results["test_load"]
    death = "the embedded stack: debezium was killed by signal 9 (SIGKILL, which is"
    assert result["verdict"] == "FAILED"
    assert result["reasons"][0].startswith(death)
    assert result["failed_iterations"] == 0
    assert result["elapsed_s"] < 60
    assert all(part["iterations"] for part in result["workers"])
    failures = session.output.partition("LookupError: in the tear-down")[2]
    assert death in failures.partition("short test summary info")[0]
