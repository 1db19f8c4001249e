from __future__ import annotations

import math
from dataclasses import replace

import pytest

from pytest_cdcperf.events import Live
from pytest_cdcperf.judging.rules.recovery import Recovery
from pytest_cdcperf.judging.threshold import Outcome, Threshold, ThresholdResult
from pytest_cdcperf.judging.verdict import Verdict
from pytest_cdcperf.metrics import builtin
from pytest_cdcperf.metrics.recorder import Recorder
from pytest_cdcperf.metrics.snapshot import Snapshot
from pytest_cdcperf.reporting.properties import properties
from pytest_cdcperf.reporting.terminal import (
    MARKS,
    progress_line,
    session_table,
    summary,
    threshold_line,
    verdict_colour,
    verdict_lines,
)
from pytest_cdcperf.results.json import result_to_json
from tests.unit.sample_results import NASTY


def test_the_live_line():
    live = Live(elapsed_s=12.4, planned_s=300.0, vus=10, iterations=1234, iterations_per_s=99.96, p95_ms=12.5, failed=3)
    assert progress_line("test_x", live) == ("test_x: 12s/5m  10 VUs  1234 iterations, 100.0/s  p95 12.5 ms  3 failed")
    assert "p95 -  0 failed" in progress_line("x", Live(0.0, 1.0, 0, 0, 0.0, math.nan, 0))


def test_the_summary_has_facts_groups_thresholds_failures_and_notes(result):
    lines = summary(result)
    text = "\n".join(lines)
    assert lines[0] == "2 VUs for 10s, profile baseline; 300 iterations in 3s, session r1"
    assert lines[-1] == "  note: something was left out: 3"
    titles = [line.strip() for line in lines if line.startswith("  ") and line[2] != " "]
    assert titles == [
        "change data capture",
        "PostgreSQL",
        "execution",
        "other",
        "thresholds",
        "failed iterations by kind",
        "note: something was left out: 3",
    ]
    by_name = dict(line.strip().partition("  ")[::2] for line in lines[: lines.index("  thresholds")])
    by_name = {name: figures.strip() for name, figures in by_name.items()}
    assert by_name["cdc_creates"] == "9  3/s"
    assert by_name["iteration_failed"] == "2%  6 of 300"
    assert by_name["checks"] == "99%  297 of 300"
    assert by_name["vus"] == "value=4  min=2  max=4"
    assert by_name["t_reporting_custom"].startswith("avg=1.5  min=1.5  med=1.5")
    assert by_name["response_time"].startswith("avg=51.5  min=1  med=")
    assert by_name["response_time"].endswith("  ms")
    assert f"✗ {NASTY}" in text
    assert "297 of 300" in text
    assert "    6 x ValueError at test_shop.py:7, for example:\n      Traceback\n" in text


def test_failed_calls_stand_beside_the_successful_ones_everywhere(result):
    lines = summary(result)
    at = next(number for number, line in enumerate(lines) if line.lstrip().startswith("pg_write_duration"))
    assert "min=0.2 " in lines[at]
    assert lines[at + 1].lstrip().startswith("{ok:false}")
    assert "max=0.1 " in lines[at + 1]
    metrics = result_to_json(result)["metrics"]
    assert metrics["pg_write_duration"]["values"]["count"] == 297
    assert metrics["pg_write_duration{ok:false}"]["values"]["count"] == 3
    assert dict(properties(result))["pg_write_duration{ok:false}.max"] == "0.1"


def test_the_figures_of_a_summary_stand_in_a_column(result):
    starts = {line.index("=") - 3 for line in summary(result) if line.lstrip().startswith(("response", "pg_write"))}
    assert len(starts) == 1


def test_only_the_end_of_a_long_sample_is_shown(result):
    long = replace(result.failures[0], sample="\n".join(f"line {n}" for n in range(100)))
    text = "\n".join(summary(replace(result, failures=(long,))))
    assert "line 99" in text
    assert "line 88\n" in text
    assert "line 87" not in text


def test_a_run_that_measured_nothing_has_a_summary(empty):
    assert summary(empty) == ["1 VU for 1s; 0 iterations in 0ms, session r2"]


def test_a_metric_without_a_finite_sample_has_a_summary(unmeasurable):
    assert any("t_reporting_nan" in line for line in summary(unmeasurable))


def test_every_threshold_shows_its_mark(result):
    assert [threshold_line(threshold) for threshold in result.thresholds] == [
        "✓ response_time p(95)<200  observed 95.81 ms [90.51 ms to 102 ms]",
        "✗ response_time max<50  observed 102 ms",
        "? response_time p(99.9)<1000  observed 102 ms  too few samples "
        "(300 samples; p(99.9) needs 2,995, which takes about 30s)",
        "✗ t_reporting_nobody avg<1  no samples",
    ]


def test_what_is_no_figure_of_the_metric_is_said_in_words():
    result = ThresholdResult(Recovery(), Outcome.PASSED, 1.0001, interval=(0.9, 1.1))
    assert threshold_line(result) == "✓ response_time p(95) back within 50% in 1m  observed 1 times [0.9 to 1.1]"


@pytest.mark.parametrize("outcome", Outcome)
def test_every_outcome_has_a_mark(outcome):
    line = threshold_line(ThresholdResult(Threshold("x", "avg", "<", 1), outcome))
    assert line.startswith(f"{MARKS[outcome]} x avg<1")


def test_the_verdict_gives_its_reasons(result, empty):
    assert verdict_lines(result) == ["  FAILED: max of response_time 102 ms, limit 50 ms (max<50)", f"    and: {NASTY}"]
    assert verdict_lines(empty) == ["  INVALID"]


def test_the_session_table_is_aligned(result, empty):
    head, first, second = session_table([result, empty])
    assert head.split() == ["scenario", "iterations", "duration", "peak", "VUs", "failed", "checks", "verdict"]
    assert first.startswith(result.facts.test)
    assert first.split()[-5:] == ["300", "3s", "4", "3", "FAILED"]
    assert second.split() == ["t", "0", "0ms", "0", "0", "INVALID"]
    assert head.index("verdict") == first.index("FAILED") == second.index("INVALID")
    assert len(session_table([])) == 1


def test_each_verdict_has_its_colour():
    assert [verdict_colour(verdict) for verdict in Verdict] == ["green", "red", "yellow"]


def test_the_part_of_each_worker_stands_in_a_table(by_three):
    lines = summary(by_three)
    start = lines.index("  workers")
    assert lines[start : start + 5] == [
        "  workers",
        "    worker  share   iterations  duration  CPU  generator_lag p99  own delay p95  lost",
        "    gw0     1 of 3  1200        1m        87%  1.25 ms            0.4 ms         0.2%",
        "    gw1     2 of 3  98          1m        5%   -                  -              0.0%",
        "    gw2     3 of 3  7           3.5s      0%   -                  -              0.0%  died",
    ]
    assert lines[start + 5] == "  failed iterations by kind"


def test_a_single_worker_is_not_worth_a_table(by_one):
    assert "  workers" not in summary(by_one)


def with_beats(result, **more):
    recorder = Recorder()
    recorder.pending(builtin.GENERATOR_DELAY).extend([0.2] * 97 + [1.5] * 2 + [6.0])
    total = Snapshot({**result.total.series, **recorder.drain().series})
    return replace(result, total=total, **more)


def test_one_line_says_that_the_generator_was_fit(by_three):
    (line,) = [line for line in summary(with_beats(by_three)) if line.startswith("  generator ")]
    assert line == ("  generator fit: own delay p95 0.4 ms, p99 3 ms, worst 12 ms; lost 0.2%; 0.92 CPUs")


def test_a_run_without_a_beat_says_nothing_of_the_generator(by_three):
    assert [line for line in summary(by_three) if line.startswith("  generator ")] == []


def test_an_unfit_generator_that_is_tolerated_is_named_beside_the_verdict(by_three):
    result = with_beats(by_three, verdict=Verdict.PASSED, reasons=(), generator_fit=False, warnings=("it was late",))
    assert any(line.startswith("  generator UNFIT: own delay p95 ") for line in summary(result))
    assert verdict_lines(result) == ["  PASSED", "    WARNING, the generator was unfit: it was late"]
    assert session_table([result])[1].endswith("  PASSED, generator unfit")
    assert ("perf.generator", "unfit") in properties(result)
    assert result_to_json(result)["generator_fit"] is False
