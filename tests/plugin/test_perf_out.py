"""Sessions with ``--perf-out``: the files beside the results."""

import csv
import json

import pytest

TEST = """
ORDERS = Counter("orders")

@perf(vus=2, iterations=5)
def test_it():
    ORDERS.add(2, {"table": "orders"})
"""


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_files_hold_what_the_result_holds(pytester, write, result_of):
    write(TEST)
    session = pytester.runpytest("--perf-run", "--perf-out=csv=a.csv", "--perf-out=ndjson=a.json")
    session.assert_outcomes(passed=1)
    result = result_of("test_it-test_it")
    table = rows(pytester.path / "a.csv")
    assert {row["test"] for row in table} == {"test_it.py::test_it"}
    assert sum(float(row["count"]) for row in table if row["metric"] == "orders") == 20
    lines = [json.loads(line) for line in (pytester.path / "a.json").read_text().splitlines()]
    points = [line for line in lines if line["type"] == "Point" and line["metric"] == "orders"]
    assert [point["data"]["value"] for point in points] == [2.0] * 10
    assert points[0]["data"]["tags"] == {"test": "test_it.py::test_it", "table": "orders"}
    times = [line for line in lines if line["type"] == "Point" and line["metric"] == "response_time"]
    assert len(times) == result["iterations"] == 10


@pytest.mark.parametrize("where", ["option", "environment", "pyproject"])
def test_the_command_line_comes_before_the_environment_and_that_before_the_project(where, pytester, write, monkeypatch):
    write(TEST)
    pytester.makepyprojecttoml('[tool.cdcperf]\nout = "csv=pyproject.csv"')
    options = []
    if where != "pyproject":
        monkeypatch.setenv("CDCPERF_OUT", "csv=environment.csv")
    if where == "option":
        options = ["--perf-out=csv=option.csv"]
    pytester.runpytest("--perf-run", *options).assert_outcomes(passed=1)
    assert [path.stem for path in pytester.path.glob("*.csv")] == [where]


def test_a_session_without_load_writes_no_file(pytester, write):
    write(TEST)
    pytester.runpytest("--perf-out=csv=a.csv", "--perf-out=ndjson=a.json").assert_outcomes(passed=1)
    assert not {path.name for path in pytester.path.iterdir()} & {"a.csv", "a.json"}


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["xml=a"], "ERROR: --perf-out: 'xml' is not a valid kind of output; allowed: csv, ndjson, benchmark"),
        (["csv"], "ERROR: --perf-out: 'csv' names no file; allowed: csv=FILE"),
        (["csv=a", "ndjson=a"], "ERROR: --perf-out: 'ndjson=a': another output is written to this file; *"),
        (["csv=no/a"], "*--perf-out: csv=*no/a: cannot be written: No such file or directory*"),
        (["ndjson=no/a"], "*--perf-out: ndjson=*no/a: cannot be written: No such file or directory*"),
    ],
)
def test_a_wrong_output_ends_the_session_with_exit_code_4(options, line, pytester, write):
    write(TEST)
    session = pytester.runpytest_subprocess("--perf-run", *(f"--perf-out={option}" for option in options))
    assert session.ret == pytest.ExitCode.USAGE_ERROR
    assert [said for said in (session.errlines + session.outlines) if "--perf-out" in said]
    (session.stderr if session.errlines else session.stdout).fnmatch_lines([line])
    assert "Traceback" not in str(session.stdout) + str(session.stderr)
