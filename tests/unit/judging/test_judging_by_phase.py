"""Limits on one phase judge the iterations that began in it, by their own load."""

from __future__ import annotations

import pytest

from pytest_cdcperf.judging.live import Judging
from pytest_cdcperf.judging.parser import Limit, parse_thresholds
from pytest_cdcperf.judging.threshold import Outcome
from pytest_cdcperf.metrics.metric import Kind
from pytest_cdcperf.metrics.phases import Phase
from pytest_cdcperf.metrics.snapshot import CounterState, SeriesKey, Snapshot
from pytest_cdcperf.metrics.timeline import Window
from tests.unit.metrics.windows import window

PHASES = (Phase("ramp-up", 0, 10), Phase("hold", 10, 20))
TWO = (
    Phase("ramp-up", 0, 10, "a"),
    Phase("hold", 0, 10, "b"),
    Phase("hold", 10, 20, "a"),
    Phase("hold", 10, 20, "b"),
)


def judged(spec, windows, phases=PHASES):
    judging = Judging(parse_thresholds(spec), phases)
    for part in windows:
        judging.add(part)
    return judging


def only(judging):
    (result,) = judging.results()
    return result


def in_hold(expression):
    return Limit(expression, phase="hold")


def both(first, second):
    together = Snapshot()
    together.merge(first.snapshot)
    together.merge(second.snapshot)
    return Window(first.start_s, first.end_s, together)


def test_what_begins_in_the_hold_and_ends_after_the_plan_is_judged_in_it():
    windows = [window(second, ms=[10] * 12, phase=1) for second in range(10, 20)]
    slow = [window(second, ms=[5000] * 8, phase=1) for second in range(20, 25)]
    result = only(judged({"response_time": in_hold("p(95)<600")}, windows + slow))
    assert (result.outcome, result.precision.samples) == (Outcome.FAILED, 160)
    assert only(judged({"response_time": in_hold("count==160")}, windows + slow)).outcome is Outcome.PASSED


def test_what_began_in_the_ramp_is_not_judged_in_the_hold_in_which_it_ends():
    windows = [
        both(window(second, ms=[9000] * 5, phase=0), window(second, ms=[10] * 10, phase=1)) for second in range(10, 20)
    ]
    hold, ramp = judged({"response_time": [in_hold("max<600"), Limit("min>600", phase="ramp-up")]}, windows).results()
    assert (hold.outcome, ramp.outcome) == (Outcome.PASSED, Outcome.PASSED)


@pytest.mark.parametrize(("elapsed_s", "per_second"), [(15, 10), (20, 10), (40, 10)])
def test_a_rate_is_that_of_the_seconds_of_the_phase(elapsed_s, per_second):
    windows = [window(second, iterations=10 if second < 20 else 0, phase=1) for second in range(10, elapsed_s)]
    assert only(judged({"iterations": in_hold("rate>=10")}, windows)).observed == per_second


def scenario(load, second, phase, count):
    key = SeriesKey("iterations", Kind.COUNTER, (("scenario", load),), phase)
    return Window(second, second + 1.0, Snapshot({key: CounterState(count)}))


def test_each_of_several_loads_has_its_own_phases():
    windows = [
        both(scenario("a", second, 0 if second < 10 else 2, 3), scenario("b", second, 1 if second < 10 else 3, 5))
        for second in range(20)
    ]
    spec = {
        "iterations{scenario:a}": [in_hold("count==30"), in_hold("rate==3")],
        "iterations{scenario:b}": [in_hold("count==100"), in_hold("rate==5")],
        "iterations": [in_hold("count==130"), Limit("count==30", phase="ramp-up"), in_hold("rate==6.5")],
    }
    assert [result.observed for result in judged(spec, windows, TWO).results()] == [30, 3, 100, 5, 130, 30, 6.5]


def test_what_no_iteration_measured_belongs_to_the_phases_of_its_time():
    windows = [window(second, gauges={"vus": second}) for second in range(25)]
    assert only(judged({"vus": in_hold("max<20")}, windows)).observed == 19
    assert only(judged({"vus": in_hold("min>=10")}, windows)).observed == 10
    assert only(judged({"vus": in_hold("min==0")}, windows, TWO)).observed == 0  # b holds from the start on


def test_the_own_delay_counts_where_the_iterations_of_the_phase_ended():
    windows = [window(second, ms=[10] * 12, phase=1) for second in range(10, 20)]
    windows += [window(30, ms=[300] * 100, metric="generator_delay")]
    windows += [both(window(20, ms=[500], phase=1), window(20, ms=[200] * 1000, metric="generator_delay"))]
    judging = judged({"response_time": in_hold("p(95)<600")}, windows)
    (threshold,) = [result.threshold for result in judging.results()]
    delays, seconds = judging.delays(threshold)
    assert (delays.select("generator_delay").count, seconds) == (1000, 11)


def in_bursts(phase):
    """Samples of a load whose seconds are all slow or all fast."""
    return [window(second, ms=[9 if second % 20 < 2 else 1] * 20, phase=phase) for second in range(400)]


def test_loads_that_meet_the_same_slow_seconds_are_no_second_opinion():
    """Two loads in the same seconds tell as much as one of twice the rate."""
    alone = (Phase("hold", 0, 400, "a"),)
    two = (Phase("hold", 0, 400, "a"), Phase("hold", 0, 400, "b"))
    a, b = in_bursts(0), in_bursts(1)
    together = [both(*parts) for parts in zip(a, b, strict=True)]
    spec = {"response_time": "p(95)<50"}
    one, of_two = only(judged(spec, a, alone)).precision, only(judged(spec, together, two)).precision
    assert of_two.samples == 2 * one.samples
    assert of_two.factor == pytest.approx(2 * one.factor)


def test_a_window_with_samples_of_two_phases_is_a_cluster_in_each():
    phases = (Phase("hold", 0, 20.5), Phase("ramp-down", 20.5, 40))
    windows = [window(second, ms=[5] * 19 + [6], phase=second > 20) for second in range(40)]
    windows[20] = both(window(20, ms=[5] * 10, phase=0), window(20, ms=[7] * 10, phase=1))
    assert only(judged({"response_time": "p(95)<50"}, windows, phases)).precision.windows == 41
    assert only(judged({"response_time": in_hold("p(95)<50")}, windows, phases)).precision.windows == 21
