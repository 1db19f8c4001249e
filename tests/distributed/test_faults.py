"""Faults of one of several workers: how they are reported, and what is kept of the others."""

from __future__ import annotations

import pytest

from tests.distributed.harness import Project, Session

FAULTS = """
@perf(vus=4, duration="1s")
def test_raises_on_one():
    time.sleep(0.01)
    assert WORKER != "gw1", "bad luck"

@pytest.fixture
def one_sided():
    if WORKER == "gw1":
        raise RuntimeError("not to be had here")

@perf(vus=4, duration="5s")
def test_setup_fails_on_one(one_sided):
    time.sleep(0.01)

@pytest.fixture
def skipping():
    if WORKER == "gw0":
        pytest.skip("not here")

@perf(vus=4, duration="5s")
def test_setup_skips_on_one(skipping):
    time.sleep(0.01)

@pytest.fixture
def unclean():
    yield
    assert WORKER != "gw1", "cannot be removed"

@perf(vus=2, iterations=1)
def test_teardown_fails_on_one(unclean):
    pass

quick = PerVUIterations(vus=2)

def test_one_more_run_on_one(load):
    load.run(lambda: None, quick)
    if WORKER == "gw0":
        load.run(lambda: None, quick)

def test_assertion_on_one_worker(load):
    load.run(lambda: None, quick)
    assert WORKER != "gw1", "seen here only"

def test_another_load_on_one(load):
    load.run(lambda: None, PerVUIterations(vus=2 + (WORKER == "gw0")))

begun = []

@perf(vus=4, duration="2500ms")
def test_killed():
    note("killed.txt")
    begun.append(time.monotonic())
    time.sleep(0.01)
    if WORKER == "gw1" and time.monotonic() > begun[0] + 1.5:
        os.kill(os.getpid(), signal.SIGKILL)

@perf(vus=2, iterations=1)
def test_after():
    note("after.txt")
"""


def message(session: Session, name: str) -> str:
    """Return what the JUnit file says of why a test failed."""
    parts = [part for part in session.cases[name] if part.tag in {"failure", "error", "skipped"}]
    return "\n".join(f"{part.attrib['message']}\n{part.text}" for part in parts)


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    project = Project(tmp_path_factory.mktemp("faults"))
    project.tests(FAULTS)
    return project.run("-n", "2", "--perf-run", "--junitxml=junit.xml")


def test_each_test_is_reported_once(session):
    assert session.code == 1
    assert set(session.cases) == {
        "test_raises_on_one",
        "test_setup_fails_on_one",
        "test_setup_skips_on_one",
        "test_teardown_fails_on_one",
        "test_teardown_fails_on_one teardown",
        "test_one_more_run_on_one",
        "test_assertion_on_one_worker",
        "test_another_load_on_one",
        "test_killed",
        "test_after",
    }
    assert session.left() == []


def test_what_a_body_raises_on_one_worker_is_counted_of_all(session):
    result = session.results["test_raises_on_one"]
    here, there = (part["iterations"] for part in result["workers"])
    assert (result["iterations"], result["failed_iterations"]) == (here + there, there)
    (kind,) = result["failures"]
    assert (kind["count"], "bad luck" in kind["sample"]) == (there, True)


def test_a_setup_that_fails_on_one_worker_starts_no_load_on_any(session):
    words = message(session, "test_setup_fails_on_one")
    assert "RuntimeError: not to be had here" in words
    assert "this happened on worker gw1; no load was started on any" in session.output
    assert "test_setup_fails_on_one" not in session.results


def test_a_setup_that_skips_on_one_worker_skips_the_test(session):
    assert "not here" in message(session, "test_setup_skips_on_one")
    assert "test_setup_skips_on_one" not in session.results


def test_a_teardown_that_fails_on_one_worker_is_an_error_beside_the_verdict(session):
    assert "cannot be removed" in message(session, "test_teardown_fails_on_one teardown")
    assert session.results["test_teardown_fails_on_one"]["verdict"] == "PASSED"
    assert "test_teardown_fails_on_one" in session.cases


def test_workers_that_diverge_are_told_where(session):
    assert (
        "the workers diverged: gw1 has ended the test, gw0 begins another run; let a test decide by merged results only"
    ) in message(session, "test_one_more_run_on_one")
    assert "seen here only" in message(session, "test_assertion_on_one_worker")
    words = message(session, "test_another_load_on_one")
    assert "the workers diverged: " in words
    assert "gw0 begins run 1 (3 VUs, 1 iteration each)" in words or "gw0 run 1 (3 VUs, 1 iteration each)" in words


def test_a_killed_worker_fails_the_test_and_what_it_did_until_then_is_kept(session):
    result = session.results["test_killed"]
    here, there = result["workers"]
    assert (here["outcome"], there["outcome"]) == ("", "died")
    assert result["reasons"] == [
        f"worker gw1 died after {there['elapsed_s']:.0f} s; its {there['iterations']} iterations until then are counted"
    ]
    assert result["reasons"][0] in message(session, "test_killed")
    assert result["iterations"] == here["iterations"] + there["iterations"]
    done = [sum(worker == name for (worker,) in session.notes("killed.txt")) for name in ("gw0", "gw1")]
    assert here["iterations"] == done[0]
    assert 0 < there["iterations"] <= done[1]
    assert here["elapsed_s"] >= 2.5


def test_the_workers_that_are_left_go_on(session):
    assert session.notes("after.txt") == [["gw0"], ["gw0"]]
    assert session.results["test_after"]["verdict"] == "PASSED"
    assert "replacing crashed worker gw1" in session.output
