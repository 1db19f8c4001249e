"""What is shown of a result."""

import math
from dataclasses import replace

import pytest

from pytest_cdcperf.judging.parser import parse_thresholds
from pytest_cdcperf.judging.rules.recovery import Recovery
from pytest_cdcperf.judging.threshold import Outcome, ThresholdResult
from pytest_cdcperf.metrics.snapshot import Kind, RateState, SeriesKey, Snapshot
from pytest_cdcperf.metrics.timeline import Window
from pytest_cdcperf.reporting.view import RunView, limit_view
from pytest_cdcperf.results.environment import Environment
from pytest_cdcperf.results.windows import windows_of
from tests.unit.sample_results import NASTY


def judged(observed, expression="p(95)<200", metric="response_time", **more):
    threshold = parse_thresholds({metric: expression})[0]
    outcome = Outcome.PASSED if threshold.holds(observed) else Outcome.FAILED
    return ThresholdResult(threshold, outcome, observed, **more)


@pytest.mark.parametrize(
    ("expression", "observed", "bound", "value", "margin"),
    [
        ("p(95)<200", 212.0, "< 200 ms", "212 ms", "6% over"),
        ("p(95)<2000", 2000.04, "< 2,000 ms", "2,000.04 ms", "0.002% over"),
        ("p(95)<500", 388.0, "< 500 ms", "388 ms", "22% under"),
        ("p(95)<=388", 388.0, "<= 388 ms", "388 ms", "at the limit"),
        ("count==0", 0.0, "== 0", "0", ""),
    ],
)
def test_a_limit_has_its_unit_and_how_far_the_figure_is_from_it(result, expression, observed, bound, value, margin):
    view = limit_view(result, judged(observed, expression))
    assert (view.bound, view.value, view.margin) == (bound, value, margin)


def test_a_rate_is_shown_as_a_share(result):
    view = limit_view(result, judged(0.9962, "rate>0.99", "checks"))
    assert (view.subject, view.bound, view.value, view.margin) == ("checks rate", "> 99%", "99.62%", "0.63% above")


def test_an_interval_has_units(result):
    assert limit_view(result, judged(212.0, interval=(204.0, 226.0))).interval == "204 to 226 ms"


def test_a_note_on_the_interval_does_not_repeat_it(result):
    note = "the limit lies within the 95 % confidence interval, 190 to 226 ms"
    view = limit_view(result, judged(212.0, interval=(190.0, 226.0), note=note))
    assert (view.interval, view.note) == ("190 to 226 ms", "the limit lies within the 95 % confidence interval")


def test_the_reason_of_a_limit_says_when_it_was_crossed(result):
    assert RunView.of(result).reasons == (
        "max of response_time 102 ms, limit 50 ms (max<50); crossed 0:00 to 0:03",
        NASTY,
    )


def test_failed_iterations_are_counted_with_what_is_tolerated(result):
    assert RunView.of(result).failed == "6 of 300 iterations (2%, tolerated 5%)"


def test_a_failure_says_when_it_came_first_and_last(result):
    kind = replace(result.failures[0], first_s=43.0, last_s=52.9, iteration="r1::17:203")
    shown = RunView.of(replace(result, failures=(kind,))).failures[0]
    assert (shown.count, shown.where, shown.span) == (6, "test_shop.py:7", "first 0:43, last 0:52")
    assert shown.sample == ("Traceback", NASTY)


@pytest.mark.parametrize(
    ("arrived", "said"),
    [(RateState(4, 4), "all 4 arrived in time"), (RateState(3, 4), "3 of 4 arrived in time, 1 did not")],
)
def test_rows_that_arrived_are_counted(result, arrived, said):
    total = Snapshot({SeriesKey("cdc_success_rate", Kind.RATE): arrived})
    assert RunView.of(replace(result, total=total)).rows == said


def test_a_run_in_three_figures(result):
    view = RunView.of(result)
    assert (view.rate, view.p95, view.errors, view.tolerated) == ("100/s", "95.81 ms", "2%", "5%")


def test_a_warning_says_what_it_is_about(result):
    assert RunView.of(replace(result, warnings=("it was late",))).warnings == ("the generator was unfit: it was late",)


def test_the_environment_says_of_which_commit_the_figures_are(result):
    where = Environment(
        "EPYC", 4, 16384, "CPython 3.13.1", "Linux", {"pytest": "9.0"}, "1f2e3d4c5b6a7988", "main", True
    )
    view = RunView.of(replace(result, environment=where))
    shown = dict(view.environment)
    assert shown["commit"] == view.commit == "1f2e3d4c5b6a of main, changed since"
    assert shown["machine"] == "4 CPUs, EPYC, 16 GB, Linux"
    assert shown["postgres"] == "postgresql://u@h:1/d"
    assert shown["started"] == view.started == "2026-01-01 00:00:00 UTC"
    assert shown["session"] == view.session == "r1"
    assert "seed" not in shown


def test_a_run_without_anything_has_a_view(empty, unmeasurable):
    view = RunView.of(empty)
    assert (view.reasons, view.limits, view.failed, view.failures, view.rows, view.generator) == (
        (),
        (),
        "",
        (),
        "",
        "",
    )
    assert RunView.of(unmeasurable).limits == ()


def test_no_text_of_users_breaks_a_line(result):
    nasty = "a\nb\x1b[31m\x00\ud800"
    facts = replace(result.facts, test=f"t.py::{nasty}", title=nasty, load=nasty)
    kind = replace(result.failures[0], where=nasty, type=nasty, sample=nasty, iteration=nasty)
    view = RunView.of(
        replace(result, facts=facts, reasons=(nasty,), notes=(nasty,), warnings=(nasty,), failures=(kind,))
    )
    texts = [view.test, view.title, view.load, *view.reasons, *view.notes, *view.warnings]
    texts += [text for shown in view.failures for text in (shown.where, shown.error, shown.iteration, *shown.sample)]
    for text in texts:
        assert text.isprintable(), text
        text.encode()


def test_windows_say_when_a_limit_was_crossed(result):
    windows = windows_of([Window(0.0, 1.0, result.total)], {"response_time"})
    view = limit_view(replace(result, windows=windows), judged(102.0, "max<50"))
    assert [(span.start_s, span.end_s) for span in view.crossed] == [(0.0, 1.0)]


def test_a_rule_about_the_run_has_its_interval_apart(result):
    judged = ThresholdResult(Recovery(), Outcome.FAILED, 1.7, interval=(1.2, math.inf))
    (limit,) = RunView.of(replace(result, thresholds=(judged,))).limits
    assert (limit.value, limit.interval) == ("1.7 times", "1.2 to ?")
    (limit,) = RunView.of(replace(result, thresholds=(replace(judged, interval=None),))).limits
    assert (limit.value, limit.interval) == ("1.7 times", "")
