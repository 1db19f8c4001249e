"""One session over two workers: what they run together, what is told of it, and what runs beside it (nothing)."""

from __future__ import annotations

import html
import itertools
import json
import math
import re

import pytest

from tests.distributed.harness import HTML, Project, Session, overlaps

TESTS = """
pytestmark = pytest.mark.usefixtures("marked")

@pytest.fixture
def marked(request):
    note("marks.txt", "begin", request.node.name)
    yield
    note("marks.txt", "end", request.node.name)

@pytest.mark.parametrize("n", range(6))
def test_plain(n):
    time.sleep(0.05)

@perf(load=SharedIterations(vus=4, iterations=101))
def test_shared_iterations(vu):
    note("shared_iterations.txt", vu.id)
    time.sleep(0.001)

@perf(load=PerVUIterations(vus=5, iterations=7))
def test_iterations_per_vu(vu):
    note("iterations_per_vu.txt", vu.id, vu.iteration)

@perf(load=ConstantArrivalRate(rate=25, duration="2s", vus=4), thresholds={"iterations": Limit("count<40", over="2s")})
def test_arrivals(vu):
    note("arrivals.txt", time.monotonic_ns())

@perf(load=SharedIterations(vus=4, iterations=41))
async def test_tasks(vu):
    note("tasks.txt", vu.id)
    await think.aio(0.001)

@perf(load=PerVUIterations(vus=1, iterations=3))
def test_fewer_vus_than_workers(vu):
    note("fewer_vus.txt", vu.id)

own = Trend("own")

@perf(load=SharedIterations(vus=4, iterations=600), p95="1h", tags={"kind": "pooled"})
def test_pooled(vu):
    value = vu.random.lognormvariate(3, 2)
    own.add(value)
    note("pooled.txt", value.hex())

aborting = Limit("count<62", abort_on_fail=True)

@perf(load=ConstantArrivalRate(rate=40, duration="5s", vus=4), thresholds={"iterations": aborting})
def test_aborted():
    pass

@pytest.mark.parametrize("n", range(6))
def test_late(n):
    time.sleep(0.05)

def test_driven(load):
    first = load.run(lambda: time.sleep(0.001), SharedIterations(vus=2, iterations=11))
    second = load.run(lambda: time.sleep(0.001), SharedIterations(vus=3, iterations=first.iterations + 1), name="more")
    note("driven.txt", first.iterations, second.iterations, len(second.workers))
    assert second.passed

def the_table():
    note("once.txt", "made")
    yield {"by": WORKER}
    note("once.txt", "removed")

@pytest.fixture
def table(shared):
    with shared.once("table", the_table) as made:
        yield made
        time.sleep(0 if made["by"] == WORKER else 0.3)
        note("once.txt", "left")

@pytest.fixture
def customers(shared):
    def filled():
        for number in range(4):
            shared.pool("customers").put({"number": number})
        yield
    with shared.once("customers", filled):
        yield shared.pool("customers")

@perf(load=SharedIterations(vus=4, iterations=60))
def test_sharing(table, customers):
    with customers.lease() as customer:
        note("leases.txt", "begin", customer["number"])
        time.sleep(0.002)
        note("leases.txt", "end", customer["number"])
    note("tables.txt", table["by"])
"""


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    project = Project(tmp_path_factory.mktemp("together"))
    project.tests(TESTS)
    return project.run(
        *("-n", "2", "--perf-run", "--junitxml=junit.xml", "--html=report.html", "--self-contained-html"), plugins=HTML
    )


def test_each_test_passes_once_but_for_those_whose_limits_are_crossed(session):
    assert session.code == 1
    assert session.counts == {"passed": 19, "failed": 2}


def test_the_iterations_of_all_workers_are_those_of_the_load(session):
    shared, per_vu = session.notes("shared_iterations.txt"), session.notes("iterations_per_vu.txt")
    assert len(shared) == session.results["test_shared_iterations"]["iterations"] == 101
    assert {worker for worker, _ in shared} == {"gw0", "gw1"}
    assert len(session.notes("tasks.txt")) == session.results["test_tasks"]["iterations"] == 41
    assert {worker for worker, _ in session.notes("tasks.txt")} == {"gw0", "gw1"}
    assert len(per_vu) == session.results["test_iterations_per_vu"]["iterations"] == 35
    assert {(int(vu), int(n)) for _, vu, n in per_vu} == set(itertools.product(range(1, 6), range(7)))
    whose = {vu: {worker for worker, other, _ in per_vu if other == vu} for _, vu, _ in per_vu}
    assert all(len(workers) == 1 for workers in whose.values())


def test_the_starts_of_all_workers_together_are_the_schedule(session):
    starts = sorted((int(at), worker) for worker, at in session.notes("arrivals.txt"))
    assert len(starts) == session.results["test_arrivals"]["iterations"] == 50
    assert [sum(worker == name for _, worker in starts) for name in ("gw0", "gw1")] == [25, 25]
    # Every 40 ms one; if each worker had started at its own pace, half of them would have come in pairs.
    close = sum(later - earlier < 10e6 for (earlier, _), (later, _) in itertools.pairwise(starts))
    assert close < len(starts) / 4


def test_a_threshold_over_windows_sees_all_workers(session):
    (judged,) = session.results["test_arrivals"]["thresholds"]
    assert judged["outcome"] == "failed"
    assert judged["observed"] >= 40  # each alone has 25


def test_a_test_with_fewer_vus_than_there_are_workers_runs_on_that_many(session):
    assert len(session.notes("fewer_vus.txt")) == 3
    (part,) = session.results["test_fewer_vus_than_workers"]["workers"]
    assert part["iterations"] == 3


def test_percentiles_are_those_of_all_samples_pooled(session):
    samples = sorted(float.fromhex(value) for _, value in session.notes("pooled.txt"))
    figures = session.results["test_pooled"]["metrics"]["own"]["values"]
    assert figures["count"] == len(samples) == 600
    assert figures["sum"] == pytest.approx(math.fsum(samples))
    assert (figures["min"], figures["max"]) == (samples[0], samples[-1])
    for percent in (90, 95, 99):
        rank = math.ceil(percent / 100 * len(samples)) - 1
        assert figures[f"p({percent})"] == pytest.approx(samples[rank], rel=0.003)


def test_what_all_have_done_ends_a_run_before_its_time(session):
    result = session.results["test_aborted"]
    assert result["iterations"] in range(62, 124)  # one of them alone gets there when both have 124
    first = result["reasons"][0]
    assert re.fullmatch(r"ended before its time: count of iterations \d+, limit 62 \(count<62\)", first)


def test_runs_that_a_test_drives_itself_give_the_merged_result_to_every_worker(session):
    assert sorted(session.notes("driven.txt")) == [["gw0", "11", "12", "2"], ["gw1", "11", "12", "2"]]
    assert session.results["test_driven::run-1"]["iterations"] == 11
    assert session.results["test_driven::more"]["iterations"] == 12


def test_an_overlap_would_be_seen():
    steps = ["gw0 begin test_a", "gw1 begin test_a", "gw1 end test_a", "gw1 begin test_b"]
    marks = [step.split() for step in steps]
    assert list(overlaps(marks, "test_a")) == [("test_b", "test_a")]


def test_perf_tests_run_beside_nothing_and_ordinary_ones_are_spread(session):
    marks = session.notes("marks.txt")
    ordinary = ("test_plain", "test_late")
    perf = {name for _, _, name in marks if not name.startswith(ordinary)}
    assert len(perf) == 9
    for name in perf:
        assert list(overlaps(marks, name)) == []
    begun = [(worker, name) for worker, step, name in marks if step == "begin" and name.startswith(ordinary)]
    assert len(begun) == 12
    assert {worker for worker, _ in begun} == {"gw0", "gw1"}


def test_what_happens_once_is_undone_after_all_have_left(session):
    once = [step for _, step in session.notes("once.txt")]
    assert once == ["made", "left", "left", "removed"]
    (maker, remover) = [worker for worker, step in session.notes("once.txt") if step != "left"]
    assert maker == remover
    tables = session.notes("tables.txt")
    assert {worker for worker, _ in tables} == {"gw0", "gw1"}
    assert {by for _, by in tables} == {maker}


def test_a_member_of_a_pool_is_lent_to_one_worker_at_a_time(session):
    leases = session.notes("leases.txt")
    assert len(leases) == 120
    assert {worker for worker, _, _ in leases} == {"gw0", "gw1"}
    held: set[str] = set()
    for _, step, number in leases:
        if step == "begin":
            assert number not in held
            held.add(number)
        else:
            held.remove(number)


def test_each_report_shows_one_test_with_its_workers(session):
    results, cases = session.results, session.cases
    assert len(cases) == 21
    for name in ("test_shared_iterations", "test_arrivals", "test_sharing"):
        workers = results[name]["workers"]
        assert [(part["name"], part["share"]) for part in workers] == [("gw0", "1 of 2"), ("gw1", "2 of 2")]
        assert sum(part["iterations"] for part in workers) == results[name]["iterations"]
        assert session.figures[name]["perf.iterations"] == str(results[name]["iterations"])
    page = (session.directory / "report.html").read_text()
    start = page.index('data-jsonblob="') + len('data-jsonblob="')
    rows = json.loads(html.unescape(page[start : page.index('"', start)]))["tests"]
    assert len(rows) == 21
    assert all(len(row) == 1 for row in rows.values())
    (link,) = [extra for extra in rows["test_it.py::test_pooled"][0]["extras"] if extra["format_type"] == "url"]
    assert link["name"].startswith("PASSED: ")
    page, _, anchor = link["content"].partition("#")
    section = (session.directory / page).read_text(encoding="utf-8").partition(f'id="{anchor}" class="run"')[2]
    assert "gw1" in section.partition('class="run"')[0]


def test_the_terminal_says_it_once_and_how_many_workers_there_were(session):
    assert session.lines.count("cdcperf: 9 perf tests, mode load (--perf-run)") == 1
    (heading,) = [line for line in session.lines if line.startswith("test_pooled ") and " · ran " in line]
    assert heading.endswith(" · 2 workers")


def test_no_process_is_left(session):
    assert len(session.notes("processes.txt")) == 2
    assert session.left() == []


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_lone_surrogate_in_a_name_spoils_no_output(project: Project, workers: str):
    project.tests(r"""
    LONE = "x\ud800y"
    OWN = Trend("own_" + LONE)

    @perf(vus=2, iterations=2, tags={"team": LONE}, thresholds={"checks{check:%s}" % LONE: "rate<0.1"})
    def test_it():
        OWN.add(1, {"table": LONE})
        check(LONE, True)
        raise ValueError(LONE)

    @perf(vus=2, iterations=2)
    def test_skipped():
        pytest.skip(LONE)

    def test_by_hand(load):
        load.run(lambda: check(LONE, True), PerVUIterations(vus=2, iterations=2), name=LONE)
    """)
    outputs = ("--junitxml=junit.xml", "--html=report.html", "--self-contained-html")
    session = project.run("-n", workers, "--perf-run", *outputs, plugins=HTML)
    assert session.counts == {"passed": 1, "failed": 1, "skipped": 1}
    assert r"ValueError: x\ud800y" in session.output
    figures = session.figures["test_it"]
    assert figures[r"own_x\ud800y.max"] == "1"
    assert session.results["test_it"]["tags"] == {"team": r"x\ud800y"}
    assert "ud800" in (project.directory / "report.html").read_text(encoding="utf-8")


def test_a_lone_surrogate_in_a_false_check_is_told_in_once_mode(project: Project):
    project.tests(r"""
    @perf(vus=2, iterations=2)
    def test_it():
        check("x\ud800y", False)
    """)
    assert r"false checks: x\ud800y" in project.run("-n", "2").lines


def test_the_hooks_of_a_project_are_called_where_runs_are_judged_and_not_on_workers(project: Project):
    project.tests("""
    @perf(vus=4, iterations=5)
    def test_one():
        pass
    """)
    project.conftest("""
    import os
    from pathlib import Path

    def keep(word):
        with Path("heard.txt").open("a") as file:
            print(os.environ.get("PYTEST_XDIST_WORKER", "controller"), word, file=file)

    class Listener:
        def handle(self, event):
            if type(event).__name__ == "RunStarted":
                keep(" ".join(event.workers))
        def close(self):
            keep("closed")

    def pytest_cdcperf_listeners(config):
        return [Listener()]

    def pytest_cdcperf_run_finished(result):
        keep(result.verdict)
    """)
    session = project.run("-n", "2", "--perf-run")
    assert session.counts == {"passed": 1}
    heard = (project.directory / "heard.txt").read_text().splitlines()
    assert sorted(heard) == ["controller PASSED", "controller closed", "controller gw0 gw1"]
