"""Early ends of a session over two workers: everything stops, and what was measured is written."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

import pytest

from tests.distributed.harness import Project
from tests.services.harness import until

LONG = """
@perf(vus=4, duration="60s")
def test_long():
    note("began.txt")
    time.sleep(0.01)

@perf(vus=4, duration="60s")
def test_next():
    note("next.txt")
    time.sleep(0.01)
"""


def began(project: Project) -> bool:
    """Whether both workers are well under way."""
    lines = project.directory / "began.txt"
    return lines.exists() and all(lines.read_text().count(worker) > 20 for worker in ("gw0", "gw1"))


def signal_controller(pid: int, number: int) -> None:
    os.kill(pid, number)


def signal_group(pid: int, number: int) -> None:
    os.killpg(pid, number)


@pytest.mark.parametrize(
    ("send", "number", "code"),
    [
        (signal_controller, signal.SIGINT, 2),
        (signal_group, signal.SIGINT, 2),  # as a terminal does
        (signal_controller, signal.SIGTERM, 143),
        (signal_group, signal.SIGTERM, 143),
    ],
)
def test_a_signal_ends_all_workers_and_the_results_are_written(
    project: Project, send: Callable[[int, int], None], number: int, code: int
):
    project.tests(LONG)
    process = project.start("-n", "2", "--perf-run")
    assert until(lambda: began(project))
    send(process.pid, number)
    session = project.end(process, timeout_s=15)
    assert session.code == code
    result = session.results["test_long"]
    assert result["verdict"] == "FAILED"
    assert any(reason.startswith("stopped early: ") for reason in result["reasons"])
    assert result["iterations"] == sum(part["iterations"] for part in result["workers"]) > 40
    assert {part["outcome"] for part in result["workers"]} == {""}
    assert session.notes("next.txt") == []
    assert len(session.notes("processes.txt")) == 2
    assert until(lambda: session.left() == [], 5)
    assert not [line for line in session.lines if "INTERNALERROR" in line or "Traceback" in line]


PARTS = """
@pytest.fixture(scope="session")
def rows():
    open(f"rows-{WORKER}", "w").close()
    yield
    time.sleep(0.3)
    os.remove(f"rows-{WORKER}")

@pytest.fixture
def row(rows):
    note("set-up.txt")
    time.sleep(60 if os.environ["PART"] == "set-up" else 0)
    yield
    note("tear-down.txt")
    time.sleep(0.5)

@perf(vus=4, duration="60s" if os.environ["PART"] == "load" else "1s")
def test_it(row):
    note("load.txt")
    time.sleep(0.02)

@perf(vus=4, duration="1s")
def test_next():
    note("next.txt")
"""


@pytest.mark.parametrize(
    ("part", "send", "number", "code", "times"),
    [
        ("set-up", signal_controller, signal.SIGTERM, 143, 1),
        ("load", signal_controller, signal.SIGINT, 2, 5),
        ("load", signal_group, signal.SIGHUP, 129, 3),
        ("tear-down", signal_group, signal.SIGINT, 2, 5),
    ],
)
def test_pressing_again_loses_nothing_in_any_part_of_a_test(
    project: Project, part: str, send: Callable[[int, int], None], number: int, code: int, times: int
):
    project.tests(PARTS)
    process = project.start("-n", "2", "--perf-run", "--junitxml=junit.xml", PART=part)
    assert until(lambda: len({words[0] for words in project.notes(f"{part}.txt")}) == 2)
    for _ in range(times):
        send(process.pid, number)
        time.sleep(0.15)
    session = project.end(process, timeout_s=30)
    assert session.code == code
    if part != "set-up":
        assert session.results["test_it"]["iterations"] > 0
        assert {"perf.verdict", "perf.iterations"} <= session.figures["test_it"].keys()
        assert any(line.startswith("  response time  ") for line in session.lines)
    assert session.cases.keys() == {"test_it"}
    assert not list(project.directory.glob("rows-*"))
    assert session.notes("next.txt") == []
    assert session.left() == []
    assert not [line for line in session.lines if "INTERNALERROR" in line or "Traceback" in line]


def test_a_controller_that_was_stopped_does_not_blame_its_workers(project: Project):
    project.tests(LONG.replace("60s", "5s"))
    project.conftest("""
    from pytest_cdcperf.cluster import coordinator
    coordinator.SILENCE_S = 2.0
    """)
    process = project.start("-n", "2", "--perf-run", "-k", "long")
    assert until(lambda: began(project))
    os.kill(process.pid, signal.SIGSTOP)
    time.sleep(3.5)
    os.kill(process.pid, signal.SIGCONT)
    session = project.end(process)
    assert {part["outcome"] for part in session.results["test_long"]["workers"]} == {""}
    assert "replacing crashed worker" not in session.output


def test_a_worker_that_hangs_is_killed_and_named(project: Project):
    project.tests("""
    begun = []

    @perf(vus=4, duration="3s")
    def test_hangs():
        begun.append(time.monotonic())
        time.sleep(0.01)
        if WORKER == "gw1" and time.monotonic() > begun[0] + 1.3:
            os.kill(os.getpid(), signal.SIGSTOP)

    @perf(vus=2, iterations=1)
    def test_after():
        pass
    """)
    project.conftest("""
    from pytest_cdcperf.cluster import coordinator
    coordinator.SILENCE_S = 3.0
    """)
    session = project.run("-n", "2", "--perf-run")
    assert session.code == 1
    assert session.counts == {"failed": 1, "passed": 1}
    result = session.results["test_hangs"]
    (reason,) = result["reasons"]
    hanging = result["workers"][1]
    assert hanging["outcome"] == "hangs: it sent nothing for 3 s, and was killed"
    assert reason.startswith(f"worker gw1 {hanging['outcome']} after ")
    assert result["iterations"] == sum(part["iterations"] for part in result["workers"])
    assert session.left() == []


MIXED = """
@pytest.mark.parametrize("n", range(4))
def test_plain(n):
    note("ran.txt", n)
    assert os.environ["BAD"] != str(n)

@perf(vus=2, duration="1s", max=0.001)
def test_crossing():
    time.sleep(0.01)

@perf(vus=2, duration="1s")
def test_next():
    note("next.txt")
    time.sleep(0.01)
"""


@pytest.mark.parametrize(("option", "bad", "runs"), [("-x", "none", {"test_crossing"}), ("--maxfail=1", "1", set())])
def test_after_the_last_failure_allowed_no_load_begins(project: Project, option: str, bad: str, runs: set[str]):
    project.tests(MIXED)
    session = project.run("-n", "2", "--perf-run", option, BAD=bad)
    assert session.code == 2
    assert session.counts["failed"] == 1
    assert session.results.keys() == runs
    assert session.notes("next.txt") == []
    assert "stopping after 1 failures" in session.output
    assert session.left() == []


def test_an_exit_on_one_worker_ends_the_session_with_its_code(project: Project):
    project.tests("""
    @perf(vus=4, duration="30s")
    def test_exit(vu):
        time.sleep(0.01)
        if WORKER == "gw1" and vu.iteration == 50:
            pytest.exit("enough", returncode=7)

    @perf(vus=2, duration="1s")
    def test_next():
        note("next.txt")
    """)
    session = project.run("-n", "2", "--perf-run", "--junitxml=junit.xml")
    assert session.code == 7
    assert "perf.verdict" in session.figures["test_exit"]
    result = session.results["test_exit"]
    assert result["reasons"] == ["stopped early: Exit: enough on worker gw1"]
    assert result["elapsed_s"] < 30
    assert session.notes("next.txt") == []
    assert session.left() == []


def test_without_restarts_the_others_end_their_run(project: Project):
    project.tests("""
    @perf(vus=4, duration="2s")
    def test_killed(vu):
        time.sleep(0.01)
        if WORKER == "gw1" and vu.iteration == 20:
            os.kill(os.getpid(), signal.SIGKILL)

    @perf(vus=2, iterations=2)
    def test_after():
        pass
    """)
    session = project.run("-n", "2", "--perf-run", "--max-worker-restart=0", "--perf-stack=external", "test_it.py")
    assert session.code == 1
    assert "worker gw1 crashed and worker restarting disabled" in session.output
    result = session.results["test_killed"]
    assert result["workers"][0]["elapsed_s"] >= 2
    assert result["workers"][1]["outcome"] == "died"
    left = f"rows of session {result['session_id']} may be left on the servers; remove them: "
    command = f"pytest test_it.py --perf-stack=external --perf-clean={result['session_id']}"
    assert [line.strip() for line in session.lines].count(left + command) == 1  # in the failure of the test
    assert f"cdcperf: {left}{command}" in session.lines
    assert session.left() == []
