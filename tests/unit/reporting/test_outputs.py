"""Outputs: what a user may write, and the CSV file."""

import csv
import json
import math
import threading
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pytest_cdcperf.errors import ConfigError
from pytest_cdcperf.events import Live, RunFinished, RunStarted, WindowMerged
from pytest_cdcperf.judging.evaluation import evaluate
from pytest_cdcperf.judging.intervals import Precision
from pytest_cdcperf.judging.parser import parse_thresholds
from pytest_cdcperf.judging.verdict import Verdict
from pytest_cdcperf.metrics import timed_samples
from pytest_cdcperf.metrics.metric import Counter, Gauge, Rate, Trend
from pytest_cdcperf.metrics.recorder import Recorder
from pytest_cdcperf.metrics.scope import Scope, recording
from pytest_cdcperf.metrics.timed_samples import TimedSamples
from pytest_cdcperf.metrics.timeline import Window
from pytest_cdcperf.redaction import hide
from pytest_cdcperf.reporting.benchmark_output import BenchmarkOutput
from pytest_cdcperf.reporting.csv_output import COLUMNS, CsvOutput
from pytest_cdcperf.reporting.ndjson_output import SampleFile
from pytest_cdcperf.reporting.outputs import KINDS, Output, parse_outputs
from tests.unit.sample_results import FACTS, NASTY, measured, result  # noqa: F401  # a fixture

ALLOWED = ", ".join(KINDS)
LIVE = Live(1.0, 10.0, 2, 100, 100.0, 95.0, 2)


def test_outputs_are_files_relative_to_a_directory(tmp_path):
    assert parse_outputs(["csv=a.csv", f"csv={tmp_path}/b=c.csv"], tmp_path / "x") == (
        Output("csv", tmp_path / "x" / "a.csv"),
        Output("csv", tmp_path / "b=c.csv"),
    )


@pytest.mark.parametrize(
    ("texts", "faults"),
    [
        (["xml=a"], [f"'xml' is not a valid kind of output; allowed: {ALLOWED}"]),
        (["csv"], ["'csv' names no file; allowed: csv=FILE"]),
        (
            ["csv=", ""],
            ["'csv=' names no file; allowed: csv=FILE", f"'' is not a valid kind of output; allowed: {ALLOWED}"],
        ),
        (["csv=a", "csv=./a"], ["'csv=./a': another output is written to this file; allowed: a file for each"]),
    ],
)
def test_what_is_not_an_output_is_refused_all_at_once(texts, faults, tmp_path):
    with pytest.raises(ConfigError) as refused:
        parse_outputs(texts, tmp_path)
    assert list(refused.value.faults) == faults


def test_a_file_that_cannot_be_written_is_one_line(tmp_path):
    with pytest.raises(ConfigError, match=rf"^csv={tmp_path}/no/a.csv: cannot be written: No such file or directory$"):
        Output("csv", tmp_path / "no" / "a.csv").open()


def test_csv_has_a_line_for_each_window_and_metric(tmp_path, result):  # noqa: F811
    output = CsvOutput(tmp_path / "a.csv")
    output.handle(RunStarted(FACTS, datetime(2026, 1, 1, 12, 0, tzinfo=UTC), ("main",)))
    for second in range(2):
        output.handle(WindowMerged(FACTS, Window(float(second), second + 1.0, measured(second)), LIVE))
    output.handle(RunFinished(result))
    output.close()
    with (tmp_path / "a.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    (first, second) = [row for row in rows if row["metric"] == "response_time"]
    assert second == {
        "time": "2026-01-01T12:00:02.000+00:00",
        "start_s": "1.000",
        "end_s": "2.000",
        "session_id": "r1",
        "test": FACTS.test,
        "load": "2 VUs for 10s",
        "metric": "response_time",
        "kind": "trend",
        "tags": "",
        "count": "100",
        "rate": "",
        "value": "",
        "min": "2",
        "avg": "51.5",
        "max": "101",
        **{name: second[name] for name in ("med", "p90", "p95", "p99")},
    }
    assert 94 < float(first["p95"]) < float(second["p95"])
    assert {(row["metric"], row["count"], row["rate"], row["value"]) for row in rows if row["kind"] != "trend"} >= {
        ("iterations", "100", "100", ""),
        ("iteration_failed", "", "0.02", ""),
        ("vus", "", "", "3"),
    }
    assert {row["tags"] for row in rows if row["metric"] == "checks"} == {f"check={NASTY}"}


def lines_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def recorded(path, say=lambda line: None, tags=None):
    """Record some samples that go to *path*; return the snapshot."""
    file = SampleFile(path, tags or {"test": "test_it"}, say)
    recorder = Recorder(lambda: 1.5, file.take)
    with recording(Scope(recorder)):
        Trend("response_time", unit="ms").add(12.5)
        Trend("response_time", unit="ms").add(math.nan)
        Counter("orders").add(3, {"table": 'a"b'})
        Rate("iteration_failed").add(True)
        Gauge("vus").add(2)
    return recorder.drain()


def test_ndjson_has_every_sample_as_k6_writes_it(tmp_path, monkeypatch):
    monkeypatch.setattr(timed_samples.time, "time_ns", lambda: 1_767_268_800_123_456_789)
    recorded(tmp_path / "a.json")
    found = lines_of(tmp_path / "a.json")
    metric = {"name": "response_time", "type": "trend", "contains": "time", "thresholds": [], "submetrics": None}
    assert found[0] == {"type": "Metric", "data": metric, "metric": "response_time"}
    data = {"time": "2026-01-01T12:00:00.123456789Z", "value": 12.5, "tags": {"test": "test_it"}}
    assert found[1] == {"type": "Point", "data": data, "metric": "response_time"}
    points = [(line["metric"], line["data"]["value"]) for line in found if line["type"] == "Point"]
    assert points == [("response_time", 12.5), ("orders", 3), ("iteration_failed", 1), ("vus", 2)]
    (orders,) = [line for line in found if line["type"] == "Point" and line["metric"] == "orders"]
    assert orders["data"]["tags"] == {"test": "test_it", "table": 'a"b'}


def test_samples_are_folded_into_figures_as_without_an_output(tmp_path):
    snapshot = recorded(tmp_path / "a.json")
    assert (snapshot.trend("response_time").count, snapshot.count("orders"), snapshot.gauge("vus").at_s) == (1, 3, 1.5)


def test_each_drain_writes_what_came_since_the_last(tmp_path):
    file = SampleFile(tmp_path / "a.json", {}, print)
    recorder = Recorder(tap=file.take)
    for value in (1, 2):
        with recording(Scope(recorder)):
            Counter("orders").add(value)
        recorder.drain()
    recorder.drain()
    assert [line["data"].get("value") for line in lines_of(tmp_path / "a.json")] == [None, 1, 2]


def test_without_an_output_no_time_is_noted():
    recorder = Recorder()
    assert type(recorder.pending(Counter("orders"))) is list


def test_several_processes_add_whole_lines_to_one_file(tmp_path):
    files = [SampleFile(tmp_path / "a.json", {"worker": name}, print) for name in ("gw0", "gw1")]
    samples = [TimedSamples(Counter("orders"), (), range(20_000), [0] * 20_000)]
    threads = [threading.Thread(target=file.take, args=(samples,)) for file in files]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    points = [line["data"] for line in lines_of(tmp_path / "a.json") if line["type"] == "Point"]
    for name in ("gw0", "gw1"):
        assert [point["value"] for point in points if point["tags"]["worker"] == name] == list(range(20_000))


def test_a_file_that_can_no_longer_be_written_is_said_once(tmp_path):
    said = []
    file = SampleFile(tmp_path / "no" / "a.json", {}, said.append)
    for _ in range(2):
        file.take([TimedSamples(Counter("orders"), (), [1], [0])])
    assert said == [
        f"ndjson={tmp_path}/no/a.json: cannot be written: No such file or directory; further samples are left out of it"
    ]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is always full")
def test_a_full_disk_is_said_and_fails_nothing():
    said = []
    assert recorded(Path("/dev/full"), said.append).count("orders") == 3
    assert said == ["ndjson=/dev/full: cannot be written: No space left on device; further samples are left out of it"]


def test_samples_that_come_together_each_have_a_time():
    taken = []
    recorder = Recorder(tap=taken.extend)
    pending = recorder.pending(Trend("t_outputs_together"))
    pending.append(1.0)
    pending.extend(number / 2 for number in range(2))
    recorder.drain()
    (samples,) = taken
    assert list(samples.values) == [1.0, 0.0, 0.5]
    assert len(samples.times_ns) == 3


def test_samples_that_cannot_be_written_fail_nothing(tmp_path):
    said = []
    file = SampleFile(tmp_path / "a.json", {}, said.append)
    unmatched = [TimedSamples(Trend("t_outputs_unmatched"), (), [1.0, 2.0], [1])]
    file.take(unmatched)
    file.take(unmatched)
    (line,) = said
    assert line.startswith(f"ndjson={tmp_path / 'a.json'}: cannot be written: ValueError: ")


def test_no_file_shows_a_secret(tmp_path):
    hide("pass-it-on")
    recorder = Recorder(tap=SampleFile(tmp_path / "a.json", {}, print).take)
    with recording(Scope(recorder)):
        Counter("t_outputs_secret").add(1, {"url": "http://h/?q=pass-it-on"})
    snapshot = recorder.drain()
    output = CsvOutput(tmp_path / "a.csv")
    output.handle(WindowMerged(FACTS, Window(0.0, 1.0, snapshot), Live(1.0, 1.0, 1, 1, 1.0, 1.0, 0)))
    output.close()
    for name in ("a.json", "a.csv"):
        text = (tmp_path / name).read_text()
        assert "t_outputs_secret" in text
        assert "pass-it-on" not in text


def test_benchmark_has_the_figure_of_each_upper_limit_after_each_run(tmp_path, result):  # noqa: F811
    path = tmp_path / "benchmark.json"
    output = BenchmarkOutput(path)
    assert json.loads(path.read_text()) == []
    limits = parse_thresholds({"response_time": ["p(95)<200", "max<50", "min>0", "p(99.9)<1000"], "checks": "rate<1"})
    judged = tuple(evaluate(limit, result.total, 3.0, Precision(300, 1.0, 2.0, 3)) for limit in limits)
    facts = replace(FACTS, test="t.py::test_a")
    output.handle(RunFinished(replace(result, facts=facts, thresholds=judged)))
    output.handle(RunFinished(replace(result, verdict=Verdict.INVALID)))
    p95, slowest, checks = json.loads(path.read_text())
    assert (p95["name"], p95["unit"], p95["extra"]) == ("t.py::test_a: response_time p(95)", "ms", "limit < 200 ms")
    assert p95["value"] == pytest.approx(97, rel=0.05)
    assert p95["range"] == "90.51 to 102 ms"
    assert slowest == {
        "name": "t.py::test_a: response_time max",
        "unit": "ms",
        "value": 102.0,
        "range": "",
        "extra": "limit < 50 ms",
    }
    assert (checks["unit"], checks["value"]) == ("%", 99.0)


def test_benchmark_takes_every_name(tmp_path, result):  # noqa: F811
    path = tmp_path / "benchmark.json"
    facts = replace(FACTS, test=f"t.py::{NASTY}\x00\ud800\n")
    BenchmarkOutput(path).handle(RunFinished(replace(result, facts=facts)))
    assert all(figure["name"].isprintable() for figure in json.loads(path.read_text()))
