"""The hooks of a project that take the results and the events of runs."""

from __future__ import annotations

import threading

import pytest

from pytest_cdcperf.cluster import listeners as listeners_module

PASSING = """
@perf(vus=1, iterations=9)
def test_loaded():
    pass
"""


@pytest.fixture
def project(pytester, write):
    """A project with one test under load and a conftest.py; run() returns how its session went."""

    class Project:
        released = threading.Event()

        def run(self, conftest, *options, test=PASSING):
            pytester.makeconftest("import threading, pytest\n" + conftest)
            write(test)
            return pytester.runpytest(*(options or ["--perf-run"]))

    yield Project()
    Project.released.set()


@pytest.fixture
def heard():
    """What listeners of the inner session keep: they are told its number, as they are read from a file."""
    kept = []
    pytest.heard_by_listeners = kept
    yield kept
    del pytest.heard_by_listeners


KEEPING = """
class Listener:
    def handle(self, event):
        pytest.heard_by_listeners.append(type(event).__name__)
    def close(self):
        pytest.heard_by_listeners.append("closed")

def pytest_cdcperf_listeners(config):
    pytest.heard_by_listeners.append("asked")
    return [Listener()]

def pytest_cdcperf_run_finished(result):
    pytest.heard_by_listeners.append(str(result.verdict))
"""


def test_a_session_with_load_asks_once_and_tells_all(project, heard):
    outcome = project.run(KEEPING, test=PASSING + PASSING.replace("loaded", "again"))
    outcome.assert_outcomes(passed=2)
    events = [word for word in heard if word not in {"WindowMerged", "PASSED"}]
    assert events == ["asked", *["RunStarted", "RunFinished"] * 2, "closed"]
    assert heard.count("PASSED") == 2
    assert heard.count("WindowMerged") >= 2


def test_where_no_load_runs_nobody_is_asked(project, heard):
    project.run(KEEPING, "-q").assert_outcomes(passed=1)
    assert heard == []


def test_a_start_is_told_by_the_wall_clock_and_is_that_of_the_result(project, heard, result_of):
    project.run("""
class Listener:
    def handle(self, event):
        if type(event).__name__ == "RunStarted":
            pytest.heard_by_listeners += [event.started_at.isoformat(timespec="milliseconds"), event.workers]

def pytest_cdcperf_listeners(config):
    return [Listener()]
""")
    assert heard == [result_of("test_it-test_loaded")["started_at"], ("main",)]


def test_who_raises_is_named_and_costs_neither_the_test_nor_the_other(project, heard):
    conftest = """
class Broken:
    def handle(self, event):
        raise ValueError("no disk")

class Plugin:
    def pytest_cdcperf_run_finished(self, result):
        pytest.heard_by_listeners.append("other")

def pytest_configure(config):
    config.pluginmanager.register(Plugin(), "other")

def pytest_cdcperf_listeners(config):
    return [Broken()]

def pytest_cdcperf_run_finished(result):
    raise OSError("no network")
"""
    outcome = project.run(conftest)
    outcome.assert_outcomes(passed=1)
    assert heard == ["other"]
    said = [line for line in outcome.outlines if line.startswith("cdcperf: listener ")]
    assert said[0] == "cdcperf: listener Broken raised ValueError: no disk (at RunStarted)"
    assert said[1].endswith("conftest.py raised OSError: no network (at RunFinished)")
    assert len(said) == 2


def test_who_hangs_is_named_and_costs_neither_the_test_nor_its_result(project, heard, result_of, monkeypatch):
    monkeypatch.setattr(listeners_module, "CLOSE_S", 0.2)
    heard.append(project.released)
    conftest = """
def pytest_cdcperf_run_finished(result):
    pytest.heard_by_listeners[0].wait(60)
"""
    outcome = project.run(conftest)
    outcome.assert_outcomes(passed=1)
    outcome.stdout.fnmatch_lines(["cdcperf: listener *conftest.py does not return from RunFinished; 0 more events*"])
    assert result_of("test_it-test_loaded")["verdict"] == "PASSED"


@pytest.mark.parametrize(
    ("returned", "words"),
    [
        ("[7]", "pytest_cdcperf_listeners: 7 is not a valid listener; allowed: objects with a method handle(event)"),
        ("object", "is not a valid listener"),
    ],
)
def test_what_is_not_a_listener_is_refused_before_any_load(project, returned, words):
    outcome = project.run(f"def pytest_cdcperf_listeners(config): return {returned}")
    assert outcome.ret == pytest.ExitCode.USAGE_ERROR
    outcome.stderr.fnmatch_lines([f"*{words}*"])
