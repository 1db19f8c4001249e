from __future__ import annotations

import json
import re
import sys

import pytest

from pytest_cdcperf.results.json import SCHEMA_VERSION, file_stem, result_to_json, write_result
from tests.unit.sample_results import NASTY


def test_the_file_is_strict_json_and_holds_what_the_result_holds(result, tmp_path):
    path = write_result(result, tmp_path)
    text = path.read_text(encoding="utf-8")

    def refuse(constant):
        raise AssertionError(constant)

    document = json.loads(text, parse_constant=refuse)
    assert document == json.loads(json.dumps(result_to_json(result)))
    assert document["schema_version"] == SCHEMA_VERSION == 3
    assert (document["session_id"], document["verdict"], document["title"]) == ("r1", "FAILED", NASTY)
    assert document["tags"] == {"team": NASTY}
    assert (document["iterations"], document["failed_iterations"], document["failed_checks"]) == (300, 6, 3)
    assert document["reasons"] == list(result.reasons)
    assert document["failures"][0]["sample"] == result.failures[0].sample
    assert document["notes"] == ["something was left out: 3"]


def test_every_kind_of_metric_has_its_figures(result):
    metrics = result_to_json(result)["metrics"]
    assert {name: metrics[name]["kind"] for name in ("response_time", "iterations", "checks", "vus")} == {
        "response_time": "trend",
        "iterations": "counter",
        "checks": "rate",
        "vus": "gauge",
    }
    assert metrics["response_time"]["unit"] == "ms"
    assert metrics["response_time"]["values"]["count"] == 300
    assert (metrics["response_time"]["group"], metrics["vus"]["merging"]) == ("execution", "sum")
    assert metrics["checks"]["values"] == {"rate": 0.99, "hits": 297, "total": 300}
    assert metrics["iterations"]["values"] == {"count": 300.0, "rate": 100.0}
    assert metrics["vus"]["values"] == {"value": 4.0, "min": 2.0, "max": 4.0}


def test_thresholds_say_what_became_of_them(result):
    thresholds = result_to_json(result)["thresholds"]
    assert [threshold["outcome"] for threshold in thresholds] == ["passed", "failed", "too few samples", "no samples"]
    rule = thresholds[1].pop("threshold")
    assert (rule["rule"], rule["metric"], rule["aggregate"], rule["limit"]) == ("threshold", "response_time", "max", 50)
    assert thresholds[1] == {
        "metric": "response_time",
        "expression": "max<50",
        "outcome": "failed",
        "observed": 102.0,
        "interval": None,
        "samples": None,
        "effective_samples": None,
        "precision": None,
        "levels": None,
        "note": "",
    }
    assert thresholds[0]["precision"] == {"samples": 300, "factor": 1, "degrees": 2, "windows": 3}
    assert thresholds[3]["observed"] is None


def test_series_are_those_with_tags(result):
    series = result_to_json(result)["series"]
    assert [(entry["metric"], entry["tags"]) for entry in series if entry["tags"]] == [
        ("checks", {"check": NASTY}),
        ("pg_write_duration", {"ok": "false", "table": NASTY}),
        ("pg_write_duration", {"ok": "true", "table": NASTY}),
    ]


def test_windows_follow_the_run(result):
    windows = result_to_json(result)["windows"]
    assert (windows["start_s"], windows["end_s"]) == ([0, 1, 2], [1, 2, 3])
    columns = {column["metric"]: column for column in windows["metrics"] if "tags" not in column}
    times = columns["response_time"]["figures"]
    assert times["count"] == [100, 100, 100]
    assert times["p(95)"] == [pytest.approx(95 + second, rel=0.023) for second in range(3)]
    assert columns["iterations"] == {"metric": "iterations", "kind": "counter", "figures": {"count": [100, 100, 100]}}
    (judged,) = windows["series"]
    assert (judged["metric"], judged["schema"]) == ("response_time", 4)
    assert [sum(sum(counts) for _, *counts in runs) for runs in judged["positive"]] == [100, 100, 100]


def test_what_is_no_number_becomes_null(unmeasurable, tmp_path):
    document = json.loads(write_result(unmeasurable, tmp_path).read_text(encoding="utf-8"))
    assert document["metrics"]["t_reporting_nan"]["values"]["p(95)"] is None
    assert document["metrics"]["t_reporting_nan"]["values"]["min"] is None
    assert document["metrics"]["t_reporting_nan_gauge"]["values"]["value"] is None


def test_a_run_that_measured_nothing_is_written(empty, tmp_path):
    assert json.loads(write_result(empty, tmp_path).read_text(encoding="utf-8"))["metrics"] == {}


@pytest.mark.parametrize(
    ("test", "stem"),
    [
        ("test_shop.py::test_order", "test_shop-test_order"),
        ("shop/test_shop.py::test_order", "shop.test_shop-test_order"),
        ("test_shop.py::TestX::test_order", "test_shop-TestX-test_order-8b7657e5"),
        ("x" * 400, "x" * 150 + "-7b0bd700"),
    ],
)
def test_the_file_of_a_test_is_called_the_same_in_every_run(test, stem):
    assert file_stem(test) == stem


@pytest.mark.skipif(sys.platform == "win32", reason="/dev/full is POSIX")
def test_a_file_is_written_as_a_whole_or_not_at_all(result, tmp_path):
    path = tmp_path / f"{file_stem(result.facts.test)}.json"
    path.with_suffix(".part").symlink_to("/dev/full")
    with pytest.raises(OSError, match=re.escape(repr(str(path)))):
        write_result(result, tmp_path)
    assert [*tmp_path.iterdir()] == []


def test_a_file_that_is_there_is_left_as_it_is(result, tmp_path):
    stem = file_stem(result.facts.test)
    written = [write_result(result, tmp_path) for _ in range(3)]
    assert [path.name for path in written] == [f"{stem}.json", f"{stem}-2.json", f"{stem}-3.json"]


@pytest.mark.parametrize("test", ["a/b.py::test[../../x]", "b.py::test[<>:*?|\\]", ".hidden", "b.py::test[\n]"])
def test_the_file_of_a_test_stays_in_its_directory(test):
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", file_stem(test))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("t/test_a.py::test_x[a/b]", "t/test_a.py::test_y[c/b]"),
        ("a/test_x.py::test_1", "b/test_x.py::test_1"),
        ("test_x.py::test_1[a b]", "test_x.py::test_1[a-b]"),
    ],
)
def test_two_tests_have_two_files(one, other):
    assert file_stem(one) != file_stem(other)


def test_the_part_of_each_worker_is_written(by_three, tmp_path):
    workers = json.loads(write_result(by_three, tmp_path).read_text(encoding="utf-8"))["workers"]
    assert [worker["name"] for worker in workers] == ["gw0", "gw1", "gw2"]
    assert workers[0] == {
        "name": "gw0",
        "share": "1 of 3",
        "iterations": 1200,
        "elapsed_s": 60.04,
        "cpu": 0.874,
        "generator_lag_p99_ms": 1.25,
        "outcome": "",
        "own_delay_p95_ms": 0.4,
        "own_delay_p99_ms": 3.0,
        "own_delay_worst_ms": 12.0,
        "lost": 0.002,
    }
    assert [worker["generator_lag_p99_ms"] for worker in workers] == [1.25, None, None]
    assert workers[2]["outcome"] == "died"


def test_a_single_worker_is_written_as_well(by_one):
    assert [worker["name"] for worker in result_to_json(by_one)["workers"]] == ["gw0"]
