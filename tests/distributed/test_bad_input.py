"""Tests, loads and versions that differ among workers: each difference is one line."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

import pytest

from tests.distributed.harness import Project

ONE_TEST = """
@perf(vus=2, iterations=2)
def test_it():
    note("ran.txt")
"""


def test_without_workers_the_load_runs_in_the_process_itself_and_says_so(project: Project):
    project.tests(ONE_TEST)
    session = project.run("-n", "0", "--perf-run")
    assert session.code == 0
    assert session.notes("ran.txt") == [["main"]] * 4
    assert "cdcperf: -n 0: the load runs in this process alone" in session.lines


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            """
            @pytest.mark.parametrize("n", [WORKER])
            @perf(vus=2, iterations=2)
            def test_it(n):
                note("ran.txt")
            """,
            "worker gw0 collected test_it.py::test_it[gw0], worker gw1 did not (and 1 more): "
            "all must see the same tests",
        ),
        (
            """
            if WORKER == "gw1":
                def test_plain():
                    note("ran.txt")
            """,
            "worker gw1 collected test_it.py::test_plain, worker gw0 did not: all must see the same tests",
        ),
        (
            """
            @pytest.mark.parametrize("n", sorted("ab", reverse=WORKER == "gw1"))
            @perf(vus=2, iterations=2)
            def test_it(n):
                note("ran.txt")
            """,
            "worker gw1 collected in another order than gw0: all must see the tests in the same",
        ),
    ],
)
def test_workers_that_see_different_tests_are_told_which_and_run_none(project: Project, body: str, said: str):
    project.tests(textwrap.dedent(ONE_TEST.replace("test_it", "test_same")) + textwrap.dedent(body))
    session = project.run("-n", "2", "--perf-run")
    assert session.code == 1
    assert said in session.lines
    assert session.notes("ran.txt") == []


def test_workers_whose_loads_differ_are_told_what_each_would_run(project: Project):
    project.tests("""
    @perf(vus=2 if WORKER == "gw0" else 3, iterations=2)
    def test_it():
        note("ran.txt")
    """)
    session = project.run("-n", "2", "--perf-run")
    assert session.code == 1
    assert (
        "test_it.py::test_it: worker gw0 would run 2 VUs, 2 iterations each; limits: none; error_rate 0; "
        "worker gw1 3 VUs, 2 iterations each; limits: none; error_rate 0; "
        "all must come to the same: look for what differs between them, such as the environment"
    ) in session.lines
    assert session.notes("ran.txt") == []


def test_workers_of_another_version_are_told_which_to_install(project: Project):
    project.tests(ONE_TEST)
    project.conftest("""
    from pytest_cdcperf.plugin.xdist import protocol

    protocol.version = lambda _: "0.0.9" if "PYTEST_XDIST_WORKER" in os.environ else "0.1.0"
    """)
    session = project.run("-n", "2", "--perf-run")
    assert session.code == 1
    (first, second) = [line for line in session.lines if line.startswith("worker gw")]
    assert first.startswith("worker gw0 on ")
    assert first.endswith(" has pytest-cdcperf 0.0.9, here it is pytest-cdcperf 0.1.0: install the same there")
    assert second.startswith("worker gw1 on ")
    assert session.notes("ran.txt") == []


def test_a_worker_without_the_plugin_ends_the_session_with_a_word(project: Project, tmp_path: Path):
    project.tests(ONE_TEST)
    lacking = f"env PYTHONPATH={tmp_path} PYTEST_PLUGINS=xdist.plugin {sys.executable}"
    session = project.run("--tx", f"popen//python={lacking}", "--tx", "popen", "--dist=load", "--perf-run")
    assert session.code == 4
    (said,) = [line for line in session.lines if "worker gw0" in line]
    assert " ended before it began: -c: error: unrecognized arguments: --perf-run; pytest-cdcperf " in said
    assert " must be installed there" in said
    assert "Traceback" not in session.output
    assert session.notes("ran.txt") == []


def test_what_one_worker_lacks_fails_the_test_in_its_own_words(project: Project):
    project.tests("""
    if WORKER == "gw1":
        sys.modules["grpc_tools"] = None

    @perf(vus=2, iterations=2)
    def test_it(grpc_client):
        note("ran.txt")

    @pytest.fixture
    def adder(grpc_client):
        return grpc_client.service("a.B", proto="a.proto", address="127.0.0.1:1")

    @perf(vus=2, iterations=2)
    def test_service(adder):
        note("service.txt")
    """)
    project.write("a.proto", 'syntax = "proto3"; package a; message M {} service B { rpc C(M) returns (M); }')
    session = project.run("-n", "2", "--perf-run")
    assert session.code == 1
    assert len(session.notes("ran.txt")) == 4
    assert session.notes("service.txt") == []
    assert "MissingExtraError: grpc_client.service(..., proto=...) needs the package 'grpc_tools'" in session.output
    assert "this happened on worker gw1; no load was started on any" in session.output
