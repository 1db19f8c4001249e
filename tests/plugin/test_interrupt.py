"""Ctrl-C, SIGTERM, SIGHUP and a terminal that is closed: the session ends in order, and nothing measured is lost."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from tests.junit import figures_by_test

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")


@pytest.fixture(autouse=True)
def few_plugins(monkeypatch):
    """A session of its own costs a second less without what pytest finds installed."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTEST_PLUGINS", "pytest_cdcperf.plugin")


PARTS = """
import os, signal, threading
from pytest_cdcperf.cdc.audit import AuditResult

def press(part):
    "Send the signals that this part of the session is to be hit by."
    def send():
        for _ in range(int(os.environ["TIMES"])):
            os.kill(os.getpid(), int(os.environ["NUMBER"]))
            time.sleep(0.15)
    if os.environ["PART"] == part:
        threading.Thread(target=send, daemon=True).start()
        return True

@pytest.fixture(scope="session")
def rows():
    open("rows", "w").close()
    yield
    time.sleep(0.3)
    os.remove("rows")

class LateArrivals:
    "Stands for a pipeline that is behind: what it looks for never comes."
    def begin_run(self):
        self.audit = self

    def notes(self):
        return []

    def verify(self, drain_s, given_up):
        if press("drain"):
            while not given_up():
                time.sleep(0.05)
        return AuditResult()

@pytest.fixture
def row(rows, request):
    request.node.perf_session.cdc = LateArrivals()
    if press("set-up"):
        time.sleep(60)
    yield
    press("tear-down")
    time.sleep(0.3)

@perf(vus=2, duration="1s")
def test_measured():
    time.sleep(0.02)

def test_plain(rows):
    if press("plain"):
        time.sleep(60)

@perf(vus=2, duration=os.environ["DURATION"], drain="30s")
BODY

@perf(vus=2, duration="1s")
def test_next():
    open("next", "w").close()
"""
BODY = """def test_it(row, vu):
    if (vu.id, vu.iteration) == (1, 5):
        press("load")
    time.sleep(0.02)
"""
RUN = """def test_it(row, vu, load):
    def body():
        if (vu.id, vu.iteration) == (1, 5):
            press("load")
        time.sleep(0.02)
    load.run(body, ConstantVUs(vus=2, duration=os.environ["DURATION"]))
    load.run(lambda: open("next", "w").close(), "baseline")
"""
ASYNC = BODY.replace("def ", "async def ").replace("time.sleep", "await asyncio.sleep")


@pytest.mark.parametrize(
    ("part", "number", "times", "body"),
    [
        ("set-up", signal.SIGTERM, 3, BODY),
        ("load", signal.SIGINT, 5, BODY),
        ("load", signal.SIGTERM, 1, ASYNC),
        ("load", signal.SIGHUP, 1, RUN),
        ("drain", signal.SIGTERM, 2, BODY),
        ("tear-down", signal.SIGINT, 5, BODY),
        ("plain", signal.SIGINT, 3, BODY),
    ],
)
def test_a_signal_ends_the_session_in_order_whatever_it_hits(pytester, write, monkeypatch, part, number, times, body):
    write(PARTS.replace("BODY", body))
    duration = "60s" if part == "load" else "1s"
    for name, value in {"PART": part, "NUMBER": int(number), "TIMES": times, "DURATION": duration}.items():
        monkeypatch.setenv(name, str(value))
    result = pytester.runpytest_subprocess("--perf-run", "--junitxml=junit.xml", timeout=50)
    assert result.ret == {signal.SIGINT: 2, signal.SIGTERM: 143, signal.SIGHUP: 129}[number]
    measured = {"test_measured"} | ({"test_it"} if part in {"load", "drain", "tear-down"} else set())
    documents = [json.loads(path.read_text()) for path in (pytester.path / "perf-results").glob("*-*/*.json")]
    assert {document["test"].split("::")[1] for document in documents} == measured
    assert all(document["iterations"] > 0 for document in documents)
    figures = figures_by_test(pytester.path / "junit.xml")
    assert {name.partition("::")[0] for name, known in figures.items() if "perf.verdict" in known} == measured
    summaries = [line for line in result.outlines if re.match("(PASSED|FAILED|INVALID)  ", line)]
    assert len(summaries) == len(measured)
    assert not (pytester.path / "rows").exists()
    assert not (pytester.path / "next").exists()
    result.stdout.no_fnmatch_line("*INTERNALERROR*")
    if part == "load":
        name = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM", signal.SIGHUP: "SIGHUP"}[number]
        result.stdout.fnmatch_lines([f"FAILED test_it.py::test_it - stopped early: {name}"])
    if part == "set-up":
        result.stdout.fnmatch_lines(["ERROR test_it.py::test_it - Failed: interrupted by *"])


def test_where_a_session_only_uses_servers_it_is_still_torn_down(pytester, write, monkeypatch):
    for name, value in {"HOST": "h", "PORT": "1", "USER": "u", "PASSWORD": "p", "DB": "d"}.items():
        monkeypatch.setenv(f"POSTGRES_{name}", value)
    monkeypatch.setenv("MONGODB_URI", "mongodb://h/d")
    write("""
import os, signal

@pytest.fixture
def rows(_cdcperf_services):
    yield
    open("removed", "w").close()

@perf
def test_it(rows):
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(60)
""")
    result = pytester.runpytest_subprocess("--perf-stack=external", timeout=50)
    assert result.ret == 143
    assert (pytester.path / "removed").exists()


@pytest.mark.parametrize("more", ["", "@perf(vus=1, duration='1s')\ndef test_it():\n    time.sleep(0.02)\n"])
def test_signals_are_taken_where_there_is_load_only_and_processes_that_are_forked_end_by_them(pytester, write, more):
    write(f"""
import multiprocessing, signal

def test_handlers():
    handler = signal.getsignal(signal.SIGTERM)
    assert (handler is signal.SIG_DFL) == {not more}

def sleep(begun):
    begun.set()
    time.sleep(60)

def test_fork():
    fork = multiprocessing.get_context("fork")
    begun = fork.Event()  # Python drops what comes before a fork of its own has begun
    child = fork.Process(target=sleep, args=(begun,))
    child.start()
    assert begun.wait(30)
    child.terminate()
    child.join(10)
    assert child.exitcode == -signal.SIGTERM
{more}
""")
    pytester.runpytest_subprocess("--perf-run").assert_outcomes(passed=2 + bool(more))


class Terminal:
    """Runs a command on a terminal of its own, which can be closed."""

    def __init__(self, command, **more):
        import pty  # POSIX

        self._master, end = pty.openpty()
        self.process = subprocess.Popen(command, stdin=end, stdout=end, stderr=end, start_new_session=True, **more)
        os.close(end)

    def close(self):
        os.close(self._master)


TAKE_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
)


@pytest.mark.parametrize(("hangs_up", "code"), [(True, 129), (False, 0)])
def test_a_terminal_that_is_closed_costs_no_result(pytester, write, hangs_up, code):
    write("""
@perf(vus=2, duration='2s')
def test_it():
    open("started", "w").close()
    time.sleep(0.02)

def test_plain():
    open("plain", "w").close()
""")
    pytest_ = [sys.executable, "-m", "pytest", "--perf-run", "--junitxml=junit.xml"]
    terminal = Terminal([sys.executable, "-c", TAKE_TERMINAL, *pytest_] if hangs_up else pytest_, cwd=pytester.path)
    wait_for(pytester.path / "started")
    terminal.close()
    assert terminal.process.wait(30) == code
    (path,) = (pytester.path / "perf-results").glob("*-*/test_it-test_it.json")
    assert json.loads(path.read_text())["iterations"] >= 1
    assert "perf.verdict" in figures_by_test(pytester.path / "junit.xml")["test_it"]
    assert (pytester.path / "plain").exists() is not hangs_up


def wait_for(path):
    deadline = time.monotonic() + 60
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.02)


@pytest.mark.parametrize("head", ["def", "async def"])
def test_a_timeout_ends_the_run_and_the_results_are_written(pytester, write, result_of, head):
    pytest.importorskip("pytest_timeout")
    pause = "await asyncio.sleep(0.01)" if head == "async def" else "time.sleep(0.01)"
    write(f"""
import threading

@pytest.mark.timeout(0.5, method="signal")
@perf(load=PerVUIterations(vus=2, iterations=100_000))
{head} test_it():
    {pause}

def test_next():
    names = [thread.name for thread in threading.enumerate() if thread.name.startswith("cdcperf-")]
    of_session = ("cdcperf-interruption", "cdcperf-listener-")
    assert [name for name in names if not name.startswith(of_session)] == []
""")
    result = pytester.runpytest_subprocess("--perf-run", "-p", "pytest_timeout")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["FAILED test_it.py::test_it - Failed: Timeout*"])
    assert result_of("test_it-test_it")["reasons"][0].startswith("stopped early: Failed: Timeout")
