"""The summary of a run and of a session, as lines of a terminal."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from pytest_cdcperf.judging.parser import parse_thresholds
from pytest_cdcperf.judging.threshold import Outcome, ThresholdResult
from pytest_cdcperf.judging.verdict import Verdict
from pytest_cdcperf.metrics.failure import FailureKind
from pytest_cdcperf.reporting.lines import columns_of
from pytest_cdcperf.reporting.terminal import file_lines, run_lines, session_lines
from tests.unit.sample_results import NASTY

_FIGURE = re.compile(r"\d[\d,.]*")


def texts(lines):
    return [line.text for line in lines]


def summary(result, width=80, **how):
    return texts(run_lines(result, width, **how))


def styles(lines):
    return {span.text.strip(): span.style for line in lines for span in line.spans if span.style}


def judged(expression, outcome, observed=None, **more):
    return ThresholdResult(parse_thresholds({"response_time": expression})[0], outcome, observed, **more)


def test_the_verdict_comes_first_then_limits_operations_and_what_else_decides(result):
    assert summary(result) == [
        f"test_order[{NASTY}]                         baseline · 2 VUs for 10s · ran 3s",
        "FAILED  max of response_time 102 ms, limit 50 ms (max<50); crossed 0:00 to 0:03",
        f"        {NASTY}",
        "",
        "  limit                                  value     margin     95% interval",
        "✓ response_time p(95)     < 200 ms    95.81 ms  52% under  90.51 to 102 ms",
        "✗ response_time max       < 50 ms       102 ms  104% over",
        "? response_time p(99.9)   < 1,000 ms    102 ms  90% under",
        "  too few samples: 300 samples; p(99.9) needs 2,995, which takes about 30s",
        "✗ t_reporting_nobody avg  < 1",
        "  no samples",
        "",
        "  operation               calls  per s  failed  p50  p95  p99  max ms",
        "  response time             300    100      2%   51   96  100     102",
        f"  PostgreSQL  {NASTY}    300    100      1%  5.1  9.6   10      10",
        "",
        "failed    6 of 300 iterations (2%, tolerated 5%)",
        "          6 × ValueError at test_shop.py:7",
        f"checks    3 of 300 false: {NASTY}",
        "note      something was left out: 3",
    ]


@pytest.mark.parametrize("width", [60, 72, 80, 100, 200])
@pytest.mark.parametrize("verbose", [False, True])
def test_no_line_is_wider_than_the_terminal_and_no_figure_is_broken(by_three, width, verbose):
    long = "cdc_e2e_latency{collection:customers_of_the_whole_world,operation:insert} p(95) in hold"
    limits = (*by_three.thresholds, judged("p(95)<2000", Outcome.FAILED, 2412.5, interval=(2401.25, 2499.75)))
    run = replace(by_three, thresholds=limits, reasons=(f"p(95) of {long} 2,412.5 ms, limit 2,000 ms",), failures=())
    narrow, wide = summary(run, width, verbose=verbose), summary(run, 400, verbose=verbose)
    assert max(map(columns_of, narrow)) <= width
    assert {*_FIGURE.findall(" ".join(narrow))} <= {*_FIGURE.findall(" ".join(wide))}


def test_a_test_with_a_long_name_has_its_load_on_a_line_of_its_own(result):
    named = replace(result, facts=replace(result.facts, test=f"test_it.py::test_{'x' * 100}"))
    head, load, *_ = summary(named)
    assert (len(head), head[:6], "…" in head) == (80, "test_x", True)
    assert load == "  baseline · 2 VUs for 10s · ran 3s"


def test_a_run_that_passed_says_what_it_kept(result):
    def said(*limits):
        return summary(replace(result, verdict=Verdict.PASSED, reasons=(), thresholds=limits))[1]

    kept, open_ = judged("p(95)<200", Outcome.PASSED, 95.8), judged("p(99.9)<200", Outcome.NOT_JUDGED, 95.8)
    assert said(kept, kept) == "PASSED  all 2 limits kept"
    assert said(kept) == "PASSED  its limit is kept"
    assert said(kept, open_) == "PASSED  1 of 2 limits kept, the others were not judged"
    assert said() == "PASSED  no limits were stated"


def test_the_note_of_a_limit_that_a_reason_gives_is_not_said_again(result):
    note = "up to 3 ms of that is the generator's own delay"
    limits = (judged("p(95)<200", Outcome.UNFIT, 95.8, note=note),)
    assert f"  generator unfit: {note}" in summary(replace(result, thresholds=limits))
    assert "  generator unfit" in summary(replace(result, thresholds=limits, reasons=(f"it was: {note}",)))


def test_a_run_that_measured_nothing_has_a_summary(empty, unmeasurable):
    assert summary(empty)[-1] == "INVALID  no limits were stated"
    assert any("t_reporting_nan" in line for line in summary(unmeasurable, verbose=True))


def test_colours_are_those_of_verdict_and_limits(result):
    of = styles(run_lines(result, 80))
    assert of["FAILED"] == ("red", "bold")
    assert of["✓"] == ("green",)
    assert of["?"] == ("yellow",)
    assert next(style for text, style in of.items() if text.startswith("✗ response_time max")) == ("red",)
    passed = run_lines(replace(result, verdict=Verdict.PASSED, reasons=()), 80)
    assert styles(passed)["PASSED"] == ("green", "bold")
    assert styles(run_lines(replace(result, verdict=Verdict.INVALID), 80))["INVALID"] == ("yellow", "bold")


def test_an_unfit_generator_that_is_tolerated_is_named_beside_the_verdict(result):
    run = replace(result, verdict=Verdict.PASSED, reasons=(), generator_fit=False, warnings=("it was late",))
    assert summary(run)[2] == "WARNING the generator was unfit: it was late"
    assert session_lines([run], 80)[1].text.endswith("PASSED, generator unfit")


def test_few_failures_are_named_without_v_and_the_first_that_can_be_is_repeated(result):
    kinds = tuple(
        FailureKind(f"E{number}", "a.py:1", 9 - number, "", iteration=f"r1::{number}:3" * (number > 0))
        for number in range(7)
    )
    facts = replace(result.facts, replay="pytest 'tests/test_shop.py::test_order' --pdb --perf-replay=")
    result = replace(result, facts=facts)
    lines = summary(replace(result, failures=kinds))
    assert "          9 × E0 at a.py:1" in lines
    assert "          and 2 more kinds: -v shows all" in lines
    assert "again     pytest 'tests/test_shop.py::test_order' --pdb --perf-replay=r1::1:3" in lines
    assert "          3 × E6 at a.py:1" in summary(replace(result, failures=kinds), verbose=True)


def test_a_passed_run_among_others_is_short(result):
    passed = replace(result, verdict=Verdict.PASSED, reasons=())
    assert [line for line in summary(passed, short=True) if "operation" in line or "failed" in line] == []
    assert summary(passed, short=True)[-2:] == [  # it passes with those
        f"checks    3 of 300 false: {NASTY}",
        "note      something was left out: 3",
    ]
    assert summary(passed, short=True, verbose=True) == summary(passed, verbose=True)
    assert summary(result, short=True) == summary(result)


def test_the_table_of_a_session_has_the_reasons_of_those_that_did_not_pass(result, empty):
    passed = replace(result, verdict=Verdict.PASSED, reasons=())
    assert texts(session_lines([passed, result, empty], 80)) == [
        "  test                     rate  response p95  failed  verdict",
        f"✓ test_order[{NASTY}]  100/s      95.81 ms      2%  PASSED",
        f"✗ test_order[{NASTY}]  100/s      95.81 ms      2%  FAILED",
        "    max of response_time 102 ms, limit 50 ms (max<50); crossed 0:00 to 0:03",
        f"    {NASTY}",
        "? t                         0/s             -       -  INVALID",
    ]


def test_the_page_is_the_last_line_where_there_is_one():
    assert texts(file_lines("perf-results/x", "perf-results/latest/report.html")) == [
        "results   perf-results/x",
        "report    perf-results/latest/report.html",
    ]
    assert texts(file_lines("perf-results/x", "")) == ["results   perf-results/x"]
