from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest

from pytest_cdcperf.metrics.histogram import Histogram
from pytest_cdcperf.metrics.metric import Kind
from pytest_cdcperf.metrics.snapshot import SeriesKey, Snapshot
from pytest_cdcperf.metrics.timeline import Window
from pytest_cdcperf.reporting.html import fragment, latency_chart, rate_chart
from pytest_cdcperf.results.windows import windows_of
from tests.unit.sample_results import NASTY

SVG = "{http://www.w3.org/2000/svg}"


def points_of(svg):
    return [
        [tuple(map(float, pair.split(","))) for pair in line.get("points").split()]
        for line in ET.fromstring(svg).iter(f"{SVG}polyline")
    ]


def window(number, *values):
    histogram = Histogram()
    histogram.record(values)
    return Window(number, number + 1.0, Snapshot({SeriesKey(NASTY, Kind.TREND): histogram}))


def test_the_fragment_is_well_formed_and_shows_the_names_as_they_are(result):
    tree = ET.fromstring(fragment(result))
    text = tree.find("pre").text
    assert NASTY in text
    assert "FAILED: max of response_time 102 ms, limit 50 ms (max<50)" in text
    assert len(tree.findall(f"{SVG}svg")) == 2
    assert "script" not in {element.tag for element in tree.iter()}


def test_a_run_that_measured_nothing_has_a_fragment_without_pictures(empty):
    tree = ET.fromstring(fragment(empty))
    assert [child.tag for child in tree] == ["pre"]


def test_the_headline_is_the_end_to_end_latency_where_there_is_one(result):
    assert "<text" in fragment(result)
    assert "response_time, ms" in fragment(result)
    total = Snapshot({SeriesKey("cdc_e2e_latency", Kind.TREND): result.total.select("response_time")})
    history = [Window(second, second + 1.0, total) for second in range(2)]
    shown = fragment(replace(result, total=total, windows=windows_of(history)))
    assert "cdc_e2e_latency, ms" in shown
    assert "response_time, ms" not in shown


def test_names_in_a_picture_are_escaped():
    tree = ET.fromstring(latency_chart(windows_of([window(0, 1.0), window(1, 2.0)]), NASTY))
    assert tree.get("aria-label") == tree.find(f"{SVG}text").text == f"{NASTY}, ms"


def test_the_lines_lie_inside_the_picture_and_higher_is_slower():
    lines = points_of(latency_chart(windows_of([window(n, *range(1, 50 * (n + 1))) for n in range(4)]), NASTY))
    assert len(lines) == 3
    assert all(0 <= x <= 640 and 0 <= y <= 180 for line in lines for x, y in line)
    for line in lines:
        assert [x for x, _ in line] == sorted({x for x, _ in line})
        assert [y for _, y in line] == sorted({y for _, y in line}, reverse=True)
    p50, _p95, p99 = lines
    assert all(slow[1] < usual[1] for slow, usual in zip(p99, p50, strict=True))


@pytest.mark.parametrize("history", [[], [Window(0.0, 1.0, Snapshot())], [window(0)]])
def test_without_samples_there_is_no_picture_of_latencies(history):
    assert latency_chart(windows_of(history), NASTY) == ""


def test_windows_without_samples_are_left_out():
    (p50, *_rest) = points_of(latency_chart(windows_of([window(0, 1.0), window(1), window(2, 3.0)]), NASTY))
    assert len(p50) == 2


@pytest.mark.parametrize("values", [(0.0,), (5.0,), (-1.0, 2.0), (1e12,)])
def test_windows_of_any_value_are_drawn(values):
    assert len(points_of(latency_chart(windows_of([window(0, *values), window(1, *values)]), NASTY))) == 3


def test_a_single_window_has_no_curve():
    assert latency_chart(windows_of([window(0, 1.0)]), NASTY) == ""
    assert rate_chart(windows_of([Window(0.0, 1.0, Snapshot())])) == ""


def test_the_rate_is_that_of_each_window(result):
    (line,) = points_of(rate_chart(result.windows))
    assert len(line) == 3
    assert len({y for _, y in line}) == 1
    assert points_of(rate_chart(windows_of([Window(0.0, 0.0, Snapshot()), Window(0.0, 1.0, Snapshot())])))
