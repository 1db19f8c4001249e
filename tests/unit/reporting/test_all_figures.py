"""All figures of a run as lines, for -v."""

from dataclasses import replace

from pytest_cdcperf.metrics import builtin
from pytest_cdcperf.metrics.recorder import Recorder
from pytest_cdcperf.metrics.snapshot import Snapshot
from pytest_cdcperf.reporting.all_figures import metric_lines, sample_lines, worker_lines
from pytest_cdcperf.reporting.properties import properties
from pytest_cdcperf.reporting.view import RunView
from pytest_cdcperf.results.json import result_to_json
from tests.unit.sample_results import NASTY


def test_metrics_stand_in_columns_by_group(result):
    lines = metric_lines(result, 80)
    assert [line for line in lines if line and not line.startswith(" ")] == [
        "change data capture",
        "PostgreSQL",
        "execution",
        "other",
    ]
    figures = {line.split()[0]: line.split()[1:] for line in lines if line.startswith("  ") and line.strip()}
    assert figures["cdc_creates"] == ["9,", "3/s"]
    assert figures["iteration_failed"] == ["2%,", "6", "of", "300"]
    assert figures["vus"] == ["last", "value", "4,", "min", "2,", "max", "4"]
    assert figures["t_reporting_custom"] == ["1.5"] * 7
    assert figures["response_time"][0] == "51.5"
    assert figures["response_time"][-1] == "ms"
    assert any(f"✗ {NASTY}" in line and "297 of 300" in line for line in lines)


def test_failed_calls_stand_beside_the_successful_ones_everywhere(result):
    lines = metric_lines(result, 100)
    at = next(number for number, line in enumerate(lines) if line.lstrip().startswith("pg_write_duration"))
    assert lines[at].split()[2] == "0.2"
    assert lines[at + 1].split()[:1] == ["{ok:false}"]
    assert lines[at + 1].split()[4] == "0.1"
    metrics = result_to_json(result)["metrics"]
    assert metrics["pg_write_duration"]["values"]["count"] == 297
    assert metrics["pg_write_duration{ok:false}"]["values"]["count"] == 3
    assert dict(properties(result))["pg_write_duration{ok:false}.max"] == "0.1"


def test_the_part_of_each_worker_stands_in_a_table(by_three):
    assert worker_lines(by_three, 80)[1:] == [
        "worker   share  iterations   ran  CPU  lag p99  delay p95  lost",
        "gw0     1 of 3       1,200    1m  87%  1.25 ms     0.4 ms  0.2%",
        "gw1     2 of 3          98    1m   5%        -          -    0%",
        "gw2     3 of 3           7  3.5s   0%        -          -    0%  died",
    ]


def test_a_single_worker_is_not_worth_a_table(by_one):
    assert worker_lines(by_one, 80) == []


def test_only_the_end_of_a_long_sample_is_shown(result):
    long = replace(result.failures[0], sample="\n".join(f"line {n}" for n in range(100)), first_s=1.0, last_s=2.0)
    lines = sample_lines(RunView.of(replace(result, failures=(long,))).failures)
    assert lines[1] == "6 × ValueError at test_shop.py:7, first 0:01, last 0:02, for example:"
    assert lines[2:] == [f"  line {n}" for n in range(88, 100)]


def with_beats(result, **more):
    recorder = Recorder()
    recorder.pending(builtin.GENERATOR_DELAY).extend([0.2] * 97 + [1.5] * 2 + [6.0])
    total = Snapshot({**result.total.series, **recorder.drain().series})
    return replace(result, total=total, **more)


def test_one_line_says_whether_the_generator_was_fit(by_three):
    assert RunView.of(with_beats(by_three)).generator == (
        "fit: own delay p95 0.4 ms, p99 3 ms, worst 12 ms; lost 0.2%; 0.92 CPUs"
    )
    assert RunView.of(with_beats(by_three, generator_fit=False)).generator.startswith("UNFIT: own delay p95 ")
    assert RunView.of(by_three).generator == ""


def test_files_say_that_the_generator_was_unfit(by_three):
    unfit = replace(by_three, generator_fit=False)
    assert ("perf.generator", "unfit") in properties(unfit)
    assert result_to_json(unfit)["generator_fit"] is False
