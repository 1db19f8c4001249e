"""Live and at the end it is the same code that judges."""

from __future__ import annotations

import pytest

from pytest_cdcperf.judging.evaluation import evaluate
from pytest_cdcperf.judging.live import Judging, piece_s
from pytest_cdcperf.judging.parser import Limit, parse_thresholds
from pytest_cdcperf.judging.threshold import Outcome
from pytest_cdcperf.metrics.metric import Kind
from pytest_cdcperf.metrics.phases import Phase
from pytest_cdcperf.metrics.snapshot import CounterState, RateState, SeriesKey, Snapshot
from pytest_cdcperf.metrics.timeline import Window
from tests.unit.metrics.windows import window

PHASES = (Phase("ramp-up", 0, 3), Phase("hold", 3, 6), Phase("ramp-down", 6, 9))


def judging_of(spec, windows, phases=()):
    judging = Judging(parse_thresholds(spec), phases)
    for part in windows:
        judging.add(part)
    return judging


def only(judging):
    (result,) = judging.results()
    return result


def levels(*each, samples=10):
    return [window(second, ms=[level] * samples) for second, level in enumerate(each)]


@pytest.mark.parametrize(
    ("over", "each", "expression", "observed", "outcome"),
    [
        ("1s", [1, 9, 1, 1], "avg<5", 9, Outcome.FAILED),
        ("2s", [1, 9, 1, 1], "avg<5.5", 5, Outcome.PASSED),
        ("2s", [9, 1, 1, 9], "avg<4.9", 5, Outcome.FAILED),
        ("2s", [2, 4, 4, 2, 2], "avg<=4", 4, Outcome.PASSED),
        ("4s", [1, 9, 1, 1], "avg<5", 3, Outcome.PASSED),
        ("2s", [5, 1, 1, 5], "avg>1", 1, Outcome.FAILED),
        ("2s", [5, 1, 1, 5], "avg>=1", 1, Outcome.PASSED),
        ("3s", [9, 9], "avg<5", 9, Outcome.FAILED),  # shorter than one window: what there is
        ("3s", [1, 1], "avg<5", 1, Outcome.PASSED),
    ],
)
def test_the_worst_of_all_windows_counts(over, each, expression, observed, outcome):
    result = only(judging_of({"response_time": Limit(expression, over=over)}, levels(*each)))
    assert (result.observed, result.outcome) == (pytest.approx(observed), outcome)
    assert str(result.threshold) == f"response_time {expression} over {over}"


def test_a_rate_per_second_is_that_of_the_window():
    windows = [window(second, iterations=count) for second, count in enumerate([10, 10, 4, 0, 10])]
    result = only(judging_of({"iterations": Limit("rate>3", over="2s")}, windows))
    assert (result.observed, result.outcome) == (2, Outcome.FAILED)


def test_windows_a_little_short_of_a_second_are_seconds_still():
    windows = [window(second * 0.9999, ms=[10 if second == 1 else 1], seconds=0.9999) for second in range(4)]
    assert only(judging_of({"response_time": Limit("avg<5", over="1s")}, windows)).observed == 10


@pytest.mark.parametrize(
    ("expression", "counts", "observed", "outcome"),
    [
        ("count==10", [10, 12, 10], 12, Outcome.FAILED),
        ("count==10", [10, 8, 10, 12], 8, Outcome.FAILED),
        ("count==10", [10, 10, 10], 10, Outcome.PASSED),
        ("count!=10", [12, 8, 10, 9], 10, Outcome.FAILED),
        ("count!=10", [12, 8, 9], 12, Outcome.PASSED),
    ],
)
def test_equal_and_not_equal_hold_in_every_window(expression, counts, observed, outcome):
    windows = [window(second, iterations=count) for second, count in enumerate(counts)]
    result = only(judging_of({"iterations": Limit(expression, over="1s")}, windows))
    assert (result.observed, result.outcome) == (observed, outcome)


def in_bursts(windows):
    """Return windows of 100 samples: of every other five seconds half of them take 9 ms, of the others none."""
    return [window(second, ms=[9] * 50 + [1] * 50 if second // 5 % 2 else [1] * 100) for second in range(windows)]


def test_samples_that_resemble_their_neighbours_are_fewer_than_they_look():
    """2,000 samples are 59, were they independent; in bursts they are not."""
    result = only(judging_of({"response_time": "p(95)<50"}, in_bursts(20)))
    assert result.outcome is Outcome.TOO_FEW
    assert result.interval is None
    assert "2,000 samples are worth" in result.note
    assert "independent ones; p(95) needs 59, which takes about" in result.note
    longer = only(judging_of({"response_time": "p(95)<50"}, in_bursts(200)))
    assert longer.outcome is Outcome.PASSED
    assert longer.interval == pytest.approx((9, 9), rel=0.006)


def test_the_interval_is_that_of_the_phase():
    phases = (Phase("ramp-up", 0, 40), Phase("hold", 40, 80))
    windows = in_bursts(40) + [window(40 + n, ms=[5] * 94 + [6] * 6) for n in range(40)]
    judging = judging_of({"response_time": [Limit("p(95)<50", phase="hold"), "p(95)<50"]}, windows, phases)
    hold, whole = judging.results()
    assert hold.interval == pytest.approx((6, 6), rel=0.006)
    assert whole.observed == pytest.approx(9, rel=0.006)


def test_a_level_that_follows_the_ramp_makes_the_percentile_no_less_exact():
    rising = [window(second, ms=[second + 1] * 100) for second in range(40)]
    ramp = (Phase("ramp-up", 0, 40),)
    assert only(judging_of({"response_time": "p(95)<50"}, rising, ramp)).outcome is Outcome.PASSED
    assert only(judging_of({"response_time": "p(95)<50"}, rising)).outcome is Outcome.TOO_FEW


def test_fewer_than_ten_windows_do_not_tell_how_much_samples_resemble_each_other():
    assert only(judging_of({"response_time": "p(95)<50"}, in_bursts(9))).outcome is Outcome.PASSED


def test_windows_of_too_few_samples_are_no_worst_window():
    spec = {"response_time": Limit("p(95)<5", over="1s")}
    windows = [window(0, ms=[1] * 100), window(1, ms=[4.9] * 5), window(2, ms=[2] * 100)]
    assert only(judging_of(spec, windows)).observed == 2
    assert only(judging_of(spec, windows[1:2])).outcome is Outcome.TOO_FEW


def test_a_window_of_too_few_that_crosses_fails_all_the_same():
    spec = {"response_time": Limit("p(95)<5", over="1s")}
    result = only(judging_of(spec, [window(0, ms=[1] * 100), window(1, ms=[9] * 5)]))
    assert (result.observed, result.outcome) == (9, Outcome.FAILED)


def test_without_windows_there_are_no_samples():
    assert only(judging_of({"response_time": Limit("p(95)<5", over="1s")}, [])).outcome is Outcome.NO_SAMPLES


@pytest.mark.parametrize(
    ("phase", "observed", "outcome"),
    [("ramp-up", 2, Outcome.PASSED), ("hold", 8, Outcome.FAILED), ("ramp-down", 3, Outcome.PASSED)],
)
def test_each_phase_is_judged_apart(phase, observed, outcome):
    windows = levels(2, 2, 2, 8, 8, 8, 3, 3, 3)
    result = only(judging_of({"response_time": Limit("avg<5", phase=phase)}, windows, PHASES))
    assert (result.observed, result.outcome) == (observed, outcome)


def test_a_rate_in_a_phase_is_per_second_of_the_phase():
    windows = [window(second, iterations=30 if 3 <= second < 6 else 0) for second in range(9)]
    assert only(judging_of({"iterations": Limit("rate>29", phase="hold")}, windows, PHASES)).observed == 30


def test_a_phase_that_never_came_has_no_samples():
    result = only(judging_of({"response_time": Limit("avg<5", phase="ramp-down")}, levels(1, 1), PHASES))
    assert result.outcome is Outcome.NO_SAMPLES


@pytest.mark.parametrize(
    ("limit", "aborts_at"),
    [
        (Limit("avg<5"), None),
        (Limit("avg<5", abort_on_fail=True), 3),
        (Limit("avg<5", abort_on_fail=True, delay="3s"), 3),
        (Limit("avg<5", abort_on_fail=True, delay="5s"), 5),
        (Limit("avg<5", abort_on_fail=True, delay="1m"), None),
        (Limit("avg<50", abort_on_fail=True), None),
        (Limit("avg<5", over="1s", abort_on_fail=True), 2),
        (Limit("avg<5", over="1s", abort_on_fail=True, delay="4s"), 4),
        (Limit("avg<5", phase="hold", abort_on_fail=True), 4),
        (Limit("p(99)<50", abort_on_fail=True), None),  # too few samples end nothing
    ],
)
def test_a_failure_ends_the_run_from_the_delay_on(limit, aborts_at):
    judging = Judging(parse_thresholds({"response_time": limit}), PHASES)
    aborted = []
    for part in levels(1, 7, 9, 9, 9, 9):
        judging.add(part)
        if (crossed := judging.reason_to_abort()) is not None:
            assert crossed.outcome is Outcome.FAILED
            aborted.append(part.end_s)
    assert (aborted[0] if aborted else None) == aborts_at


def test_a_metric_without_samples_ends_nothing():
    judging = judging_of({"t_judging_none": Limit("avg<5", abort_on_fail=True)}, levels(1))
    assert judging.reason_to_abort() is None
    assert only(judging).outcome is Outcome.NO_SAMPLES


def test_a_rate_that_passes_since_no_sample_has_its_tags_says_which_tags_there_are():
    seen = Window(0, 1, Snapshot({SeriesKey("checks", Kind.RATE, (("check", "a"),)): RateState(1, 2)}))
    result = only(judging_of({"checks{check:b}": "rate<0.1"}, [seen]))
    assert result.outcome is Outcome.PASSED
    assert result.note == ("no samples, so nothing exceeded it: the run recorded no checks{check:b}; it has check:a")


def test_live_and_at_the_end_the_same_is_said():
    spec = {
        "response_time": ["avg<5", "p(50)<5", Limit("max<9", over="2s"), Limit("avg<5", phase="hold")],
        "iterations": ["rate>1", Limit("count>3", phase="ramp-up")],
    }
    windows = [window(second, ms=[second + 1] * 4, iterations=second) for second in range(9)]
    live = Judging(parse_thresholds(spec), PHASES)
    for seen, part in enumerate(windows, 1):
        live.add(part)
        assert live.results() == judging_of(spec, windows[:seen], PHASES).results()
    assert live.results()[0] == evaluate(parse_thresholds(spec)[0], live.timeline.total, 9.0)
    assert live.results() == live.results()


def by_table(second, **counts):
    keys = {table: SeriesKey("c", Kind.COUNTER, (("op", "w"), ("table", table))) for table in counts}
    return Window(second, second + 1, Snapshot({keys[table]: CounterState(n) for table, n in counts.items()}))


def test_sub_metrics_are_judged_apart_over_the_run_its_windows_and_its_phases():
    windows = [by_table(second, orders=second, items=100, users=1000) for second in range(9)]
    spec = {
        "c{table:orders}": ["count==36", Limit("count<=15", over="2s"), Limit("count==12", phase="hold")],
        "c{table:items,op:w}": ["count==900", Limit("count==300", phase="ramp-up")],
        "c{table:nobody}": Limit("count>0", phase="hold"),
        "c": ["count==9936", Limit("count<=2215", over="2s")],
    }
    results = judging_of(spec, windows, PHASES).results()
    assert [result.observed for result in results] == [36, 15, 12, 900, 300, None, 9936, 2215]
    assert [result.outcome for result in results].count(Outcome.PASSED) == 7


@pytest.mark.parametrize(
    ("over", "moves_s"),
    [("1s", 1), ("500ms", 1), ("2m", 1), ("150s", 2), ("5m", 3), ("15m", 10), ("1h", 30), ("2h", 60), ("24h", 720)],
)
def test_long_windows_move_by_more_than_a_second_and_are_as_long_as_stated(over, moves_s):
    (threshold,) = parse_thresholds({"iterations": Limit("count>0", over=over)})
    assert piece_s(threshold.over_s) == moves_s
    assert threshold.over_s <= 120 * moves_s
    assert moves_s == 1 or threshold.over_s % moves_s == 0


def test_long_windows_are_made_of_pieces_and_none_is_longer_than_stated():
    spec = {"iterations": [Limit("count<=600", over="5m"), Limit("count>600", over="5m")]}
    windows = [window(second, iterations=3 if 400 <= second < 430 else 2) for second in range(1000)]
    judging = judging_of(spec, windows)
    assert [result.observed for result in judging.results()] == [630, 600]
    assert all(len(sliding._pieces) <= 121 for sliding in judging._sliding.values())
