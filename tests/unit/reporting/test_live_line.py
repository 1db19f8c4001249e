"""The line on a run that is under way."""

import math
from dataclasses import replace

import pytest

from pytest_cdcperf.events import Live
from pytest_cdcperf.judging.evaluation import evaluate
from pytest_cdcperf.judging.parser import parse_thresholds
from pytest_cdcperf.judging.threshold import Outcome, ThresholdResult
from pytest_cdcperf.metrics.snapshot import Snapshot
from pytest_cdcperf.reporting.lines import columns_of
from pytest_cdcperf.reporting.live_line import live_line, plain_line

LIVE = Live(elapsed_s=12.4, planned_s=300.0, vus=10, iterations=1234, iterations_per_s=99.96, p95_ms=12.5, failed=3)


def limit(expression, observed, metric="response_time"):
    threshold = parse_thresholds({metric: expression})[0]
    return ThresholdResult(threshold, Outcome.PASSED if threshold.holds(observed) else Outcome.FAILED, observed)


def with_limits(*limits):
    return replace(LIVE, limits=limits)


KEPT, NEAR, CROSSED = limit("p(95)<200", 90.0), limit("p(99)<100", 92.0), limit("p(95)<2000", 2412.0)


def test_in_a_log_it_has_all_figures_without_a_bar():
    assert plain_line("test_x", LIVE) == "test_x  12s/5m  10 VUs  1,234 iterations  100/s  p95 12.5 ms  3 failed"
    first = Live(0.0, 1.0, 1, 0, 0.0, math.nan, 0)
    assert plain_line("test_x", first) == "test_x  0ms/1s  1 VU  0 iterations  0/s  p95 -  0 failed"


def test_after_its_planned_end_a_load_without_vus_has_ended():
    over = replace(LIVE, elapsed_s=300.0, vus=0)
    assert "5m/5m  load ended  " in plain_line("test_x", over)
    assert "5m/5m  2 VUs  " in plain_line("test_x", replace(over, vus=2))
    assert "12s/5m  0 VUs  " in plain_line("test_x", replace(LIVE, vus=0))


def test_on_a_terminal_it_has_a_bar():
    half = replace(LIVE, elapsed_s=150.0)
    assert live_line("test_x", half, 100).text == (
        f"test_x  {'━' * 10}{'─' * 10}  2m30s/5m  10 VUs  100/s  p95 12.5 ms  3 failed"
    )


def test_false_checks_are_no_failed_iterations_and_are_shown_where_there_are_any():
    fine = replace(LIVE, failed=0, failed_checks=14)
    assert plain_line("test_x", fine).endswith("0 failed  14 checks false")
    assert live_line("test_x", fine, 100).spans[-1].style == ("yellow",)


@pytest.mark.parametrize(
    ("limits", "said", "style"),
    [
        ((KEPT,), "✓ limits", ("green",)),
        ((KEPT, NEAR), "✓ limits, nearest at 92%", ("yellow",)),
        ((KEPT, CROSSED), "✗ p(95) of response_time 2,412 ms, limit 2,000 ms", ("red",)),
        ((CROSSED, CROSSED), "✗ p(95) of response_time 2,412 ms, limit 2,000 ms and 1 more", ("red",)),
        ((limit("count>1000", 3, "mine"),), "✓ limits", ("green",)),
        ((limit("count<2", 3, "mine"),), "✗ count of mine 3, limit 2", ("red",)),
        ((evaluate(parse_thresholds({"mine": "p(95)<1"})[0], Snapshot(), 1.0),), "✓ limits", ("green",)),
    ],
)
def test_it_says_whether_a_limit_is_crossed_by_now(limits, said, style):
    line = live_line("test_x", with_limits(*limits), 200)
    assert line.text.endswith(f"3 failed  {said}")
    assert line.spans[-1].style == style
    assert plain_line("test_x", with_limits(*limits)).endswith(said)


@pytest.mark.parametrize("width", range(20, 160, 7))
def test_it_is_never_wider_than_the_terminal(width):
    for name in ("test_x", "test_" + "x" * 200):
        assert columns_of(live_line(name, with_limits(KEPT, CROSSED), width).text) <= width


def test_what_matters_least_gives_way_first():
    live = with_limits(CROSSED)
    assert "──" in live_line("test_x", live, 120).text
    for width, text in (
        (90, "test_x  ──────────  12s/5m  10 VUs  100/s  p95 12.5 ms  3 failed  ✗ 1 limit"),
        (65, "test_x  12s/5m  10 VUs  100/s  p95 12.5 ms  3 failed  ✗ 1 limit"),
        (50, "test_x  12s/5m  p95 12.5 ms  3 failed  ✗ 1 limit"),
        (45, "12s/5m  p95 12.5 ms  3 failed  ✗ 1 limit"),
    ):
        assert live_line("test_x", live, width).text == text


def test_failed_iterations_are_red():
    assert next(span.style for span in live_line("x", LIVE, 100).spans if span.text == "3 failed") == ("red",)
    fine = replace(LIVE, failed=0)
    assert next(span.style for span in live_line("x", fine, 100).spans if span.text == "0 failed") == ()
