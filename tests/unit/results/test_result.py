from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_cdcperf.judging.verdict import Verdict
from pytest_cdcperf.metrics.metric import unit_of


def test_a_metric_is_asked_for_its_figures(result):
    view = result["response_time"]
    assert (view.min, view.max, view.count) == (1, 102, 300)
    assert view.avg == pytest.approx(51.5)
    assert view.p95 == view.quantile(0.95) == pytest.approx(96, rel=0.0028)
    assert view.p50 == view.med == pytest.approx(52, rel=0.02)
    assert (view.p90, view.p99) == (view.aggregate("p(90)"), view.aggregate("p(99)"))
    assert view.quantile(0.999) == view.aggregate("p(99.9)")
    assert (result["iterations"].count, result["iterations"].rate) == (300, 100)
    assert result["iteration_failed"].rate == 0.02
    assert (result["vus"].value, result["vus"].min, result["vus"].max) == (4, 2, 4)


def test_a_metric_nobody_recorded_names_those_that_were(result):
    with pytest.raises(KeyError, match="'nothing' has no samples; recorded were: cdc_creates, checks, "):
        _ = result["nothing"]


@pytest.mark.parametrize(("metric", "aggregate"), [("iterations", "p95"), ("checks", "count"), ("vus", "avg")])
def test_an_aggregate_that_the_kind_lacks_is_refused(result, metric, aggregate):
    with pytest.raises(AttributeError):
        getattr(result[metric], aggregate)


def test_the_figures_of_a_run(result, empty):
    assert (result.iterations, result.failed_iterations, result.failed_checks, result.peak_vus) == (300, 6, 3, 4)
    assert (empty.iterations, empty.failed_iterations, empty.failed_checks, empty.peak_vus) == (0, 0, 0, 0)
    assert [str(crossed.threshold) for crossed in result.crossed] == [
        "response_time max<50",
        "t_reporting_nobody avg<1",
    ]


@pytest.mark.parametrize("verdict", Verdict)
def test_only_passed_has_passed(result, verdict):
    object.__setattr__(result, "verdict", verdict)
    assert result.passed is (verdict is Verdict.PASSED)


def test_units_are_the_definitions():
    assert unit_of("response_time") == "ms"
    assert unit_of("iterations") == unit_of("t_reporting_nobody") == ""


def test_a_failure_has_the_command_that_runs_its_iteration_again(result):
    facts = replace(result.facts, replay="pytest 'test_it.py::test_it[a b]' --pdb --perf-replay=")
    result, kind = replace(result, facts=facts), result.failures[0]
    assert result.replay_command(kind) == ""
    assert result.replay_command(replace(kind, iteration="8c41f0aa:two loads:17:203")) == (
        "pytest 'test_it.py::test_it[a b]' --pdb --perf-replay='8c41f0aa:two loads:17:203'"
    )
    unknown = replace(result, facts=replace(facts, replay=""))
    assert unknown.replay_command(replace(kind, iteration="8c41f0aa::17:203")) == ""
