"""The page of two runs of a test: one over the other by elapsed time, figures side by side, and no judgement."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_cdcperf.reporting.html.comparison_page import comparison_page
from pytest_cdcperf.reporting.html.over_time import load_charts
from pytest_cdcperf.reporting.html.overlay import common_timeline, overlaid_charts
from pytest_cdcperf.results.compare import compare
from pytest_cdcperf.results.result import EventKind, RunEvent
from pytest_cdcperf.results.windows import Windows
from tests.unit.reporting.html.reading import read
from tests.unit.results.test_compare import run


def charts(first, second):
    time = common_timeline(first, second)
    return time, {chart.title: chart for chart in overlaid_charts(first, second, time) if not chart.is_empty}


def test_both_runs_have_a_line_in_each_chart_and_the_first_is_dashed():
    time, found = charts(run(), run(2.0))
    assert list(found) == ["response_time", "Load"]
    lines = {line.name: line for line in found["response_time"].lines}
    assert list(lines) == ["p50 B", "p95 B", "p99 B", "p50 A", "p95 A", "p99 A"]
    assert [line.dashed for line in lines.values()] == [False] * 3 + [True] * 3
    assert len(time.at_s) == len(lines["p95 A"].values) == len(lines["p95 B"].values) == 40
    assert lines["p95 B"].values[7] == pytest.approx(2 * lines["p95 A"].values[7], rel=0.05)


def lasting(result, windows, step_s=1.0):
    """Return *result* with so many windows of *step_s*."""
    columns = tuple(
        replace(column, figures={name: of[:windows] for name, of in column.figures.items()})
        for column in result.windows.metrics
    )
    spans = [(number * step_s, (number + 1) * step_s) for number in range(windows)]
    starts, ends = zip(*spans, strict=True)
    return replace(result, elapsed_s=ends[-1], windows=Windows(starts, ends, columns), thresholds=())


def rates(found, letter):
    return next(line for line in found["Load"].lines if line.name == f"iterations/s {letter}").values


def test_a_run_that_ended_earlier_has_a_shorter_line():
    for first, second, shorter in ((run(), lasting(run(), 10), "B"), (lasting(run(), 10), run(), "A")):
        time, found = charts(first, second)
        assert time.end_s == 40.0
        assert rates(found, shorter) == (100.0,) * 10 + (None,) * 30


def test_windows_of_different_length_are_placed_by_their_time():
    time, found = charts(lasting(run(), 10, 4.0), run())
    assert (len(time.at_s), rates(found, "A")) == (40, (25.0,) * 40)


def test_a_run_without_windows_leaves_the_other_alone():
    bare = replace(run(), windows=Windows())
    time, found = charts(bare, run())
    assert (len(time.at_s), set(rates(found, "A"))) == (40, {None} if load_charts(bare)[0].lines else set())


def test_limits_of_both_are_one_line_and_others_have_their_letter():
    texts = [bound.text for bound in charts(run(), run(2.0, ("p(95)<200", "p(99)<300")))[1]["response_time"].bounds]
    assert texts == ["limit p(95) < 200 ms", "B: limit p(99) < 300 ms"]


def test_a_metric_that_one_run_has_no_limit_on_has_both_lines():
    _, found = charts(run(thresholds=()), run())
    assert any(line.name == "p95 A" and any(line.values) for line in found["response_time"].lines)


def test_what_happened_has_the_letter_of_its_run():
    event = RunEvent(3.0, EventKind.STOPPED, "Ctrl-C")
    time = common_timeline(replace(run(), events=(event,)), replace(run(), events=(replace(event, at_s=1.0),)))
    assert [mark.text for mark in time.marks] == ["B: stopped", "A: stopped"]


def test_the_page_shows_both_and_judges_nothing():
    tree = read(comparison_page([compare(run(seed="1"), run(2.0, seed="2", session_id="1a1b2c3d"))]))
    text = tree.text
    assert tree.one("h1").text == "test_order"
    for said in ("0a1b2c3d", "1a1b2c3d", "98.97 ms", "197.9 ms", "96.59 to 109.4 ms", "seed", "B/A"):
        assert said in text
    classes = {name for element in tree.all() for name in element.attributes.get("class", "").split()}
    assert classes.isdisjoint({"good", "wrong", "verdict", "banner", "crossed", "crossed-limit"})


def test_tests_of_one_session_follow_as_they_are():
    other = run(test="test_shop.py::test_browse")
    tree = read(comparison_page([compare(run(), run())], [other]))
    assert [element.text for element in tree.all("h2")] == ["test_order", "test_browse"]
    assert tree.one("h1").text == "test_order: two runs"
