from __future__ import annotations

from pytest_cdcperf.reporting.properties import properties


def test_all_names_and_values_are_text(result, empty, unmeasurable):
    for one in (result, empty, unmeasurable):
        assert all(type(part) is str for pair in properties(one) for part in pair)


def test_every_figure_has_one_name(result):
    pairs = properties(result)
    found = dict(pairs)
    assert len(found) == len(pairs)
    assert found["perf.run_id"] == "r1"
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
