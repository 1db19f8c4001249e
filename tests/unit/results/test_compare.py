"""Two results of one test: the same figures of both, their intervals and quotients, and what else differs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_cdcperf.judging.live import Judging
from pytest_cdcperf.judging.parser import parse_thresholds
from pytest_cdcperf.judging.verdict import Verdict
from pytest_cdcperf.metrics.histogram import Histogram
from pytest_cdcperf.metrics.metric import Kind
from pytest_cdcperf.metrics.phases import Phase
from pytest_cdcperf.metrics.snapshot import CounterState, SeriesKey, Snapshot
from pytest_cdcperf.metrics.timeline import Window
from pytest_cdcperf.results.compare import LimitPair, OperationPair, compare, compare_sessions
from pytest_cdcperf.results.environment import Environment
from pytest_cdcperf.results.result import RunFacts, RunResult, WorkerPart
from pytest_cdcperf.results.windows import windows_of

PHASES = (Phase("ramp-up", 0.0, 10.0), Phase("hold", 10.0, 40.0))
FACTS = RunFacts("0a1b2c3d", "test_shop.py::test_order", "2 VUs for 40s", 40.0)


def run(factor=1.0, thresholds=("p(95)<200",), **facts):
    """Return a run of 40 s in which a request takes up to 100 ms times *factor*, slower every fifth second."""
    judging = Judging(parse_thresholds({"response_time": list(thresholds)}), PHASES)
    for second in range(40):
        times, count = Histogram(), CounterState(100)
        times.record([factor * (n + 20 * (second % 5 == 0)) for n in range(1, 101)])
        phase = 0 if second < 10 else 1
        snapshot = Snapshot(
            {
                SeriesKey("response_time", Kind.TREND, (), phase): times,
                SeriesKey("iterations", Kind.COUNTER, (), phase): count,
            }
        )
        judging.add(Window(float(second), second + 1.0, snapshot))
    line = judging.timeline
    return RunResult(
        replace(FACTS, **facts),
        40.0,
        Verdict.PASSED,
        thresholds=tuple(judging.results()),
        total=line.total,
        series=line.series,
        windows=windows_of(line.history, judging.metrics),
        phases=PHASES,
    )


def named(differences):
    return {found.name: (found.first, found.second) for found in differences}


def test_a_limit_is_beside_itself_with_the_quotient_of_what_was_observed():
    (pair,) = compare(run(), run(2.0)).limits
    assert pair.ratio == pytest.approx(2.0, rel=0.01)
    assert (str(pair.first.threshold), str(pair.second.threshold)) == ("response_time p(95)<200",) * 2


def test_percentiles_have_the_interval_that_a_limit_on_them_has():
    first = run(thresholds=("p(50)<1000", "p(95)<200", "p(99)<1000"))
    (operation,) = compare(first, run(2.0)).operations
    judged = {f"p{judged.threshold.quantile * 100:.0f}_ms": judged.interval for judged in first.thresholds}
    assert judged.pop("p99_ms") is None  # too few samples: those of a second resemble each other
    assert dict(operation.first.intervals) == judged
    assert operation.second.intervals["p95_ms"][0] > operation.first.intervals["p95_ms"][1]


def test_percentiles_that_no_limit_is_on_have_an_interval_as_well():
    (operation,) = compare(run(), run()).operations
    assert list(operation.first.intervals) == ["p50_ms", "p95_ms"]


def test_without_samples_by_window_there_is_no_interval():
    (operation,) = compare(replace(run(), windows=windows_of(())), run()).operations
    assert dict(operation.first.intervals) == {}
    assert operation.ratio("p95_ms") == pytest.approx(1.0)


def test_limits_are_paired_by_what_they_are_on_and_alike_ones_by_their_number():
    first, second = run(thresholds=("p(95)<200", "p(95)>1", "max<900")), run(thresholds=("p(95)<300", "p(95)>2"))
    pairs = [
        tuple(of and of.threshold.expression for of in (pair.first, pair.second))
        for pair in compare(first, second).limits
    ]
    assert pairs == [("p(95)<200", "p(95)<300"), ("p(95)>1", "p(95)>2"), ("max<900", None)]


def test_what_only_one_run_has_has_no_quotient():
    judged = run().thresholds[0]
    assert LimitPair(None, judged).ratio is None
    assert LimitPair(replace(judged, observed=0.0), judged).ratio is None
    assert LimitPair(replace(judged, observed=-1.0), judged).ratio is None
    assert OperationPair(None, None).ratio("p95_ms") is None


def test_an_operation_of_one_run_stands_alone():
    empty = RunResult(FACTS, 0.0, Verdict.INVALID)
    (pair,) = compare(empty, run()).operations
    assert (pair.first, pair.second.figures.name) == (None, "response time")
    assert [pair.second for pair in compare(run(), empty).operations] == [None]


def test_what_differs_beside_the_figures_is_named():
    first = replace(
        run(seed="1", services={"postgres": "h:1"}), environment=Environment("Xeon", 2, versions={"pytest": "9"})
    )
    second = replace(
        run(thresholds=("p(95)<300", "p(95)>1"), seed="2", profile="soak", services={"mongo": "h:2"}),
        environment=Environment("Xeon", 4, versions={"pytest": "9.1"}, commit="1f2e", dirty=True),
        workers=(WorkerPart("gw0", "1 of 2", 1, 1.0, 0.1), WorkerPart("gw1", "2 of 2", 1, 1.0, 0.1)),
    )
    assert named(compare(first, second).differences) == {
        "profile": ("", "soak"),
        "workers": ("1", "2"),
        "seed": ("1", "2"),
        "limit on response_time p(95)": ("p(95)<200", "p(95)<300 and p(95)>1"),
        "postgres": ("h:1", ""),
        "mongo": ("", "h:2"),
        "commit": ("unknown", "1f2e"),
        "files changed since": ("unknown", "yes"),
        "CPUs": ("2", "4"),
        "pytest": ("9", "9.1"),
    }


def test_runs_that_are_alike_do_not_differ():
    assert compare(run(), run(2.0)).differences == ()


@pytest.mark.parametrize(
    ("first", "second", "differ"),
    [
        ("h://127.0.0.1:32768/d", "h://127.0.0.1:65535/d", False),
        ("h://localhost:32799/d", "h://localhost:40000/d", False),
        ("h://127.0.0.1:5432/d", "h://127.0.0.1:5433/d", True),
        ("h://127.0.0.1:32767/d", "h://127.0.0.1:9999/d", True),
        ("h://db:40000/d", "h://db:40001/d", True),
    ],
)
def test_the_free_ports_of_embedded_servers_are_no_difference(first, second, differ):
    pair = (run(services={"postgres": address}) for address in (first, second))
    assert bool(compare(*pair).differences) is differ


def test_an_environment_that_one_run_does_not_have_is_named():
    differences = named(compare(run(), replace(run(), environment=Environment("Xeon", 2))).differences)
    assert differences["CPU"] == ("", "Xeon")


def test_sessions_are_compared_by_test_and_the_last_run_of_it_counts():
    other = replace(run(test="test_shop.py::test_browse"), elapsed_s=1.0)
    first, again, second = run(session_id="a"), run(session_id="b"), run(session_id="c")
    both, others = compare_sessions([first, again, other], [second])
    assert [(found.first, found.second) for found in both] == [(again, second)]
    assert others == [other]
