"""The figure of a limit over time, and when it was crossed."""

import pytest

from pytest_cdcperf.judging.parser import Limit, parse_thresholds
from pytest_cdcperf.judging.verdict import Verdict
from pytest_cdcperf.metrics.metric import Counter, Kind, Rate, Trend
from pytest_cdcperf.metrics.phases import Phase
from pytest_cdcperf.metrics.recorder import Recorder
from pytest_cdcperf.metrics.scope import Scope, recording
from pytest_cdcperf.metrics.snapshot import SeriesKey, Snapshot
from pytest_cdcperf.metrics.timeline import Window
from pytest_cdcperf.results.over_time import Crossing, crossings, readings
from pytest_cdcperf.results.result import RunFacts, RunResult
from pytest_cdcperf.results.windows import windows_of

LATENCY, OK, DONE = Trend("t_over_time", unit="ms"), Rate("t_over_time_ok"), Counter("t_over_time_done")


def run(*seconds):
    """A run with a list of latencies for each second."""
    history = []
    for number, latencies in enumerate(seconds):
        recorder = Recorder()
        with recording(Scope(recorder)):
            for latency in latencies:
                LATENCY.add(latency, {"table": "orders"})
                OK.add(latency < 100)
                DONE.add()
        history.append(Window(float(number), number + 1.0, recorder.drain()))
    facts = RunFacts("r1", "t", "1 VU for 10s", 10.0)
    return RunResult(facts, 10.0, Verdict.PASSED, windows=windows_of(history, {m.name for m in (LATENCY, OK, DONE)}))


def limit(metric, expression):
    return parse_thresholds({metric: expression})[0]


def test_readings_are_the_figures_of_the_windows_with_a_sample():
    found = readings(run([10], [], [30]), limit("t_over_time{table:orders}", "max<20"))
    assert [(at.start_s, at.end_s, at.value) for at in found] == [(0.0, 1.0, 10.0), (2.0, 3.0, 30.0)]


def test_readings_of_other_tags_there_are_none():
    assert readings(run([10]), limit("t_over_time{table:customers}", "max<20")) == []


@pytest.mark.parametrize(("metric", "expression"), [("t_over_time", "p(95)<100"), ("t_over_time_ok", "rate>0.9")])
def test_neighbouring_windows_beyond_the_limit_are_one_crossing(metric, expression):
    result = run([10], [500], [], [600], [20], [700])
    assert crossings(result, limit(metric, expression)) == [Crossing(1.0, 4.0, 2), Crossing(5.0, 6.0, 1)]


def test_a_counter_has_a_rate_over_time_but_no_count():
    result = run([10, 10], [10])
    assert crossings(result, limit("t_over_time_done", "rate>=2")) == [Crossing(1.0, 2.0, 1)]
    assert crossings(result, limit("t_over_time_done", "count>=5")) == []


def test_a_limit_on_a_phase_is_judged_by_what_began_in_it():
    key = SeriesKey(LATENCY.name, Kind.TREND)
    recorder = Recorder()
    with recording(Scope(recorder)):
        LATENCY.add(5)
    state = recorder.drain().series[key]
    snapshots = [Snapshot({key.in_phase(0): state}), Snapshot({key.in_phase(1): state})]
    windows = windows_of([Window(float(n), n + 1.0, s) for n, s in enumerate(snapshots)], {LATENCY.name})
    phases = (Phase("ramp-up", 0.0, 1.0), Phase("hold", 1.0, 2.0))
    facts = RunFacts("r1", "t", "1 VU for 2s", 2.0)
    result = RunResult(facts, 2.0, Verdict.PASSED, windows=windows, phases=phases)
    found = readings(result, limit("t_over_time", Limit("p(95)<10", phase="hold")))
    assert [at.start_s for at in found] == [1.0]
