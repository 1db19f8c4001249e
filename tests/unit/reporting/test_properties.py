from __future__ import annotations

from pytest_cdcperf.reporting.properties import properties


def test_all_names_and_values_are_text(result, empty, unmeasurable):
    for one in (result, empty, unmeasurable):
        assert all(type(part) is str for pair in properties(one) for part in pair)


def test_every_figure_has_one_name(result):
    pairs = properties(result)
    found = dict(pairs)
    assert len(found) == len(pairs)
    assert found["perf.session_id"] == "r1"
    assert found["perf.verdict"] == "FAILED"
    assert found["perf.profile"] == "baseline"
    assert found["perf.duration_s"] == "3.000"
    assert (found["perf.iterations"], found["perf.failed_iterations"]) == ("300", "6")
    assert found["response_time.max"] == "102"
    assert found["iterations.rate"] == "100"
    assert found["checks.rate"] == "0.99"
    assert found["threshold.response_time max<50"] == "failed"
    assert float(found["response_time.p(95)"]) > 90


def test_a_run_without_a_profile_says_nothing_of_one(empty):
    assert dict(properties(empty))["perf.profile"] == ""


def test_each_of_several_workers_has_its_figures(by_three):
    pairs = properties(by_three)
    found = dict(pairs)
    assert len(found) == len(pairs)
    assert {name: value for name, value in found.items() if name.startswith("perf.worker.")} == {
        "perf.worker.gw0.iterations": "1200",
        "perf.worker.gw0.cpu": "0.874",
        "perf.worker.gw0.outcome": "ended its share",
        "perf.worker.gw1.iterations": "98",
        "perf.worker.gw1.cpu": "0.050",
        "perf.worker.gw1.outcome": "ended its share",
        "perf.worker.gw2.iterations": "7",
        "perf.worker.gw2.cpu": "0.000",
        "perf.worker.gw2.outcome": "died",
    }


def test_a_single_worker_is_the_run(by_one):
    assert not any(name.startswith("perf.worker.") for name, _ in properties(by_one))


def test_names_of_one_of_several_runs_begin_with_its_name(result):
    assert dict(properties(result, "warm-up."))["warm-up.perf.verdict"] == "FAILED"
