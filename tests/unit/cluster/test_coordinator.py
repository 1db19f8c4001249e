from __future__ import annotations

import math

import pytest

from pytest_cdcperf.cluster.coordinator import Coordinator
from pytest_cdcperf.cluster.messages import ShareDone, WindowDone
from pytest_cdcperf.engine.failures import FailureKind
from pytest_cdcperf.metrics.course import Recovery
from pytest_cdcperf.metrics.histogram import Histogram
from pytest_cdcperf.metrics.series import Window
from pytest_cdcperf.metrics.snapshot import CounterState, GaugeState, Kind, RateState, SeriesKey, Snapshot
from pytest_cdcperf.metrics.threshold import Limit, parse_thresholds
from pytest_cdcperf.metrics.verdict import Verdict
from pytest_cdcperf.model.load import Phase
from pytest_cdcperf.reporting.result import RunFacts

FACTS = RunFacts(run_id="r1", test="t.py::test", load="1 VU for 20s", planned_s=20.0, error_rate=0.1)


def window(start_s, iterations, *, failed=0, response_ms=10.0, vus=1):
    histogram = Histogram()
    histogram.record([response_ms] * iterations)
    series = {
        SeriesKey("iterations", Kind.COUNTER): CounterState(iterations),
        SeriesKey("iteration_failed", Kind.RATE): RateState(failed, iterations),
        SeriesKey("response_time", Kind.TREND): histogram,
        SeriesKey("vus", Kind.GAUGE): GaugeState(value=vus, min=vus, max=vus),
    }
    return WindowDone("main", Window(start_s, start_s + 1, Snapshot(series)))


def coordinated(*messages, thresholds=None, on_live=None):
    coordinator = Coordinator(FACTS, parse_thresholds(thresholds or {}), on_live=on_live)
    for message in messages:
        coordinator.receive(message)
    return coordinator


def test_the_result_holds_all_windows():
    result = coordinated(window(0, 50, vus=3), window(1, 70, failed=2), ShareDone("main", 2.0, notes=("n",))).result()
    assert (result.verdict, result.reasons) == (Verdict.PASSED, ())
    assert (result.iterations, result.failed_iterations, result.elapsed_s, result.peak_vus) == (120, 2, 2, 3)
    assert [part.start_s for part in result.history] == [0, 1]
    assert (result.notes, result.facts) == (("n",), FACTS)


def test_thresholds_and_faults_are_judged():
    result = coordinated(
        window(0, 100), ShareDone("main", 1.0, faults=("a server died",)), thresholds={"response_time": "p(95)<5"}
    ).result()
    assert result.verdict is Verdict.FAILED
    assert result.reasons[0] == "a server died"
    assert result.reasons[1].startswith("response_time p(95)<5: observed 10")
    assert [str(crossed.threshold) for crossed in result.crossed] == ["response_time p(95)<5"]


def test_without_a_word_from_anybody_the_run_failed():
    assert coordinated().result().reasons == ("no iteration was completed",)


def test_failures_of_several_workers_are_joined_by_kind():
    kinds = (FailureKind("ValueError", "t.py:1", 2, "one"), FailureKind("OSError", "t.py:2", 4, ""))
    first = ShareDone("a", 1.0, failures=kinds)
    second = ShareDone("b", 1.0, failures=(FailureKind("ValueError", "t.py:1", 3, "two"),))
    result = coordinated(first, second).result()
    assert [(kind.type, kind.count, kind.sample) for kind in result.failures] == [
        ("ValueError", 5, "one"),
        ("OSError", 4, ""),
    ]
    assert first.failures[0].count == 2


def test_the_live_view_shows_all_counts_and_the_last_ten_seconds():
    seen = []
    windows = [window(second, 100, response_ms=1000.0, failed=1, vus=9) for second in range(5)]
    windows += [window(second, 20, vus=4) for second in range(5, 15)]
    coordinated(*windows, on_live=seen.append)
    assert len(seen) == 15
    live = seen[-1]
    assert (live.elapsed_s, live.planned_s, live.vus, live.iterations, live.failed) == (15, 20, 4, 700, 5)
    assert live.iterations_per_s == pytest.approx(20)
    assert live.p95_ms == 10.0


def test_the_live_view_of_nothing_is_no_error():
    seen = []
    coordinated(WindowDone("main", Window(0.0, 0.0, Snapshot())), on_live=seen.append)
    assert (seen[0].vus, seen[0].iterations, seen[0].iterations_per_s) == (0, 0, 0.0)
    assert math.isnan(seen[0].p95_ms)


def test_a_threshold_that_wants_to_ends_the_run_once_and_says_so():
    coordinator = coordinated(
        thresholds={"response_time": Limit("avg<15", abort_on_fail=True, delay="2s")},
    )
    answers = [coordinator.receive(window(second, 10, response_ms=20.0)) for second in range(3)]
    assert answers == [None, "response_time avg<15 failed", "response_time avg<15 failed"]
    assert coordinator.receive(ShareDone("main", 3.0, notes=("n",))) == "response_time avg<15 failed"
    result = coordinator.result()
    assert result.notes == ("ended before its time: response_time avg<15 failed", "n")
    assert result.verdict is Verdict.FAILED


def test_a_weak_generator_makes_the_result_invalid():
    result = coordinated(window(0, 100), ShareDone("main", 1.0, weaknesses=("weak",))).result()
    assert (result.verdict, result.reasons) == (Verdict.INVALID, ("weak",))


def test_phases_course_and_breaking_point_are_judged():
    phases = (Phase("hold", 0, 5), Phase("ramp-up", 5, 10))
    coordinator = Coordinator(
        FACTS,
        parse_thresholds({"response_time": ["p(95)<50", Limit("avg<15", phase="hold")]}),
        course=[Recovery()],
        phases=phases,
    )
    for second in range(10):
        coordinator.receive(window(second, 20, response_ms=10.0 if second < 5 else 90.0, vus=second))
    result = coordinator.result()
    assert [str(r.outcome) for r in result.thresholds] == ["failed", "passed", "not judged"]
    assert result.breaking_point == (
        "breaking point at 5 s, 5 VUs, 20 iterations/s: response_time p(95)<50 (observed 90); it did not recover"
    )
