"""Any number of workers, and every way of pytest-xdist to spread ordinary tests over them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.distributed.harness import PLUGINS, Project

COUNTS = """
@perf(load=SharedIterations(vus=2, iterations=31))
def test_shared(vu):
    note("shared.txt", vu.id)
    time.sleep(0.001)

@perf(load=PerVUIterations(vus=2, iterations=8))
def test_per_vu(vu):
    note("per_vu.txt", vu.id)

@perf(load=ConstantArrivalRate(rate=50, duration="1s", vus=2, max_vus=2))
def test_arrivals(vu):
    note("arrivals.txt", vu.id)
"""
ORDINARY = """
from notes import note
import pytest

@pytest.mark.parametrize("n", range(5))
@pytest.mark.xdist_group("odd")
def test_plain(n, request):
    note("ran.txt", request.node.nodeid.partition("@")[0])
    assert n != 3

class TestClass:
    @pytest.mark.parametrize("n", range(4))
    def test_method(self, n, request):
        note("ran.txt", request.node.nodeid)

@pytest.mark.skip
def test_skipped():
    pass
"""

# By mode: what of a test's id it has in common with those that must run on the same worker.
TOGETHER: dict[str, Callable[[str], str]] = {
    "load": str,
    "worksteal": str,
    "each": str,
    "loadfile": lambda nodeid: nodeid.partition("::")[0],
    "loadscope": lambda nodeid: nodeid.rpartition("::")[0],
    "loadgroup": str,  # with pytest 9.2 xdist 3.8 forms no groups
}


def test_what_will_have_no_effect_is_said_once_over_several_workers(project):
    project.tests("""
@perf(load=PerVUIterations(vus=2), thresholds={"respons_time": "avg<5"})
def test_it():
    pass

def test_by_hand(load):
    load.run(lambda: None, PerVUIterations(vus=2))
""")
    session = project.run("-n", "2", "--perf-run", "--perf-rate=5")
    words = (
        "cdcperf: --perf-rate=5 changes nothing where a load counts its iterations; change vus and iterations in the "
        "test: test_it",
        "cdcperf: metric 'respons_time' is not known (did you mean response_time?); unless the test records it, its "
        "limit has no samples: test_it",
        "note      --perf-rate=5: load.run changes profiles only, not executors; give it the name of a profile",
    )
    assert [session.output.count(f"\n{line}\n") for line in words] == [1, 1, 1]
    absent = "avg of respons_time: no samples, limit 5 (avg<5): the run recorded no respons_time; it has response_time"
    assert f"{absent}, " in session.output


@pytest.mark.parametrize("workers", [1, 3])
def test_totals_are_exact_over_any_number_of_workers_also_where_there_are_fewer_vus(project, workers):
    project.tests(COUNTS)
    session = project.run("-n", str(workers), "--perf-run")
    assert session.code == 0
    taking_part = {f"gw{n}" for n in range(min(workers, 2))}
    for name, total in (("shared", 31), ("per_vu", 16), ("arrivals", 50)):
        result = session.results[f"test_{name}"]
        assert len(session.notes(f"{name}.txt")) == result["iterations"] == total
        assert {part["name"] for part in result["workers"]} == taking_part
        assert {worker for worker, _ in session.notes(f"{name}.txt")} == taking_part
        assert result["peak_vus"] <= 2


@pytest.mark.parametrize("dist", TOGETHER)
def test_without_a_perf_test_every_mode_of_xdist_is_as_without_the_plugin(tmp_path: Path, dist: str):
    seen = []
    for name, plugins in (("with", PLUGINS), ("without", "xdist.plugin")):
        project = Project(tmp_path / name)
        project.write("test_one.py", ORDINARY)
        project.write("test_two.py", ORDINARY)
        seen.append((project, project.start("-n", "2", f"--dist={dist}", "-v", plugins=plugins)))
    having, lacking = (project.end(process) for project, process in seen)
    assert having.code == lacking.code == 1
    assert having.counts == lacking.counts
    ran = [sorted(nodeid for _, nodeid in session.notes("ran.txt")) for session in (having, lacking)]
    assert ran[0] == ran[1]
    assert len(ran[0]) == 18 * (2 if dist == "each" else 1)
    for ran in (having.notes("ran.txt"), lacking.notes("ran.txt")):
        whose: dict[str, set[str]] = {}
        for worker, nodeid in ran:
            whose.setdefault(TOGETHER[dist](nodeid), set()).add(worker)
        assert all(len(workers) == 1 for workers in whose.values()) or dist == "each"
    assert "cdcperf:" not in having.output
    (said,) = {line for session in (having, lacking) for line in session.lines if line.startswith("scheduling tests")}
    assert said.endswith("Scheduling")


RERUNNING = ("-p", "xdist", "-p", "rerunfailures")  # by the names under which they look for each other


@pytest.mark.parametrize(
    "load", ["", "@perf(iterations=1)\ndef test_load(): note('load.txt')\n"], ids=["plain", "load"]
)
def test_a_plain_test_that_crashes_its_worker_is_run_again_where_a_plugin_asks_for_that(project: Project, load: str):
    pytest.importorskip("pytest_rerunfailures")
    project.tests(f"""
@pytest.mark.flaky(reruns=1)
def test_crashes():
    if not note("ran.txt") and sum(1 for _ in open("ran.txt")) == 1:
        os.kill(os.getpid(), signal.SIGKILL)

def test_plain():
    pass

{load}""")
    session = project.run(*RERUNNING, "-n", "2", "-v", "--perf-run", plugins="pytest_cdcperf.plugin")
    assert session.counts == {"passed": 2 + bool(load), "rerun": 1}
    assert session.code == 0
    assert "scheduling tests via LoadScheduling" in session.lines
    assert bool(session.notes("load.txt")) is bool(load)


@pytest.mark.parametrize("workers", ["0", "1"])
def test_load_that_fails_or_crashes_is_not_run_again_however_it_is_asked_for(project: Project, workers: str):
    pytest.importorskip("pytest_rerunfailures")
    project.tests("""
    @pytest.mark.flaky(reruns=2)
    @perf(iterations=1)
    def test_fails():
        note("fails.txt")
        assert False

    @pytest.mark.flaky(reruns=2)
    @perf(iterations=1)
    def test_crashes():
        note("crashes.txt")
        if WORKER != "main":
            os.kill(os.getpid(), signal.SIGKILL)
        assert False
    """)
    options = (*RERUNNING, "-n", workers, "--perf-run", "--reruns=2", "--force-reruns=2")
    session = project.run(*options, plugins="pytest_cdcperf.plugin")
    assert session.counts == {"failed": 2}
    assert len(session.notes("fails.txt")) == len(session.notes("crashes.txt")) == 1


def test_load_that_a_plugin_runs_again_inside_of_its_report_runs_once(project: Project):
    project.conftest("""
    import pytest

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(item, call):
        report = yield
        if call.when != "call":
            return report
        item.ihook.pytest_runtest_teardown(item=item, nextitem=None)
        item._initrequest()
        item.ihook.pytest_runtest_setup(item=item)
        again = pytest.CallInfo.from_call(lambda: item.ihook.pytest_runtest_call(item=item), when="call")
        return pytest.TestReport.from_item_and_call(item, again)
    """)
    project.tests("""
    @perf(vus=2, iterations=2)
    def test_fails():
        note("ran.txt")
        assert sum(1 for _ in open("ran.txt")) > 4
    """)
    session = project.run("-n", "2", "--perf-run")
    assert session.counts == {"failed": 1}
    assert len(session.notes("ran.txt")) == 4
