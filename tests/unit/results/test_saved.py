"""Results on disk: which a path names, and what is said of files that hold none."""

from __future__ import annotations

import gzip
import json
import re
from dataclasses import replace

import pytest

from pytest_cdcperf.errors import ConfigError
from pytest_cdcperf.results.json import result_to_json, write_result
from pytest_cdcperf.results.saved import SavedRun, read_saved, read_session, session_directories
from tests.unit.sample_results import FACTS

SESSION = "20260102-030405-0a1b2c3d"


def started(result, when, test="test_shop.py::test_order"):
    return replace(result, facts=replace(FACTS, test=test, started_at=when))


def test_a_directory_has_its_results_in_the_order_in_which_their_runs_started(result, tmp_path):
    late, early = started(result, "2026-01-02", "a"), started(result, "2026-01-01", "b")
    write_result(late, tmp_path)
    path = write_result(early, tmp_path)
    path.with_suffix(".json.gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    assert read_saved(tmp_path).results == (early, late)


def test_files_that_hold_no_result_are_named_beside_those_that_do(result, tmp_path):
    write_result(result, tmp_path)
    (tmp_path / "samples.json").write_text('{"type": "Metric"}\n{"type": "Point"}\n')
    (tmp_path / "report.html").write_text("<html>")
    (tmp_path / "of-a-run.json.part").write_text("{")
    saved = read_saved(tmp_path)
    assert len(saved.results) == 1
    assert saved.faults == (f"{tmp_path}/samples.json: is not JSON: line 2, column 1: Extra data",)


@pytest.mark.parametrize(
    ("files", "fault"),
    [
        ({}, "holds no result"),
        ({"junit.xml": "<testsuites/>"}, "holds no result"),
        ({"a.json": ""}, "holds no result: {path}/a.json: is cut off: the JSON in it does not end"),
        (
            {"a.json": '{"schema_version": 1}', "b.json": "", "c.json": ""},
            "holds no result: {path}/a.json: has schema version 1; only 3 can be read: run the test again; 2 more "
            "files hold none",
        ),
        (
            {f"{SESSION}/a.json": "", "20260101-000000-0a1b2c3d/a.json": ""},
            f"holds no result, but those of sessions; name one, such as {{path}}/{SESSION}",
        ),
    ],
)
def test_a_directory_without_a_result_is_one_line(tmp_path, files, fault):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_saved(tmp_path)
    assert [*caught.value.faults] == [f"{tmp_path}: {fault.format(path=tmp_path)}"]


def test_a_session_is_read_whatever_its_schema_version(result, tmp_path):
    path = tmp_path / SESSION
    path.mkdir()
    document = result_to_json(result) | {"schema_version": 1, "environment": {"commit": "1f2e"}}
    (path / "a.json").write_text(json.dumps(document))
    (path / "b.json").write_text('{"schema_version": 9, "test": 3, "environment": []}')
    (path / "c.json").write_text("")
    session = read_session(path)
    assert (session.started, session.session_id) == ("2026-01-02 03:04", "0a1b2c3d")
    assert session.runs == (SavedRun(FACTS.test, "FAILED", "baseline", "1f2e"), SavedRun("", "", "", ""))
    assert len(session.faults) == 1


def test_sessions_are_in_the_order_of_time_and_nothing_else_is_one(tmp_path):
    for name in (SESSION, "20250102-030405-ffffffff", "20260102-030405-zzzzzzzz", "notes"):
        (tmp_path / name).mkdir()
    (tmp_path / "latest").symlink_to(SESSION)
    (tmp_path / "20270102-030405-0a1b2c3d").write_text("a file")
    assert [path.name for path in session_directories(tmp_path)] == ["20250102-030405-ffffffff", SESSION]


@pytest.mark.parametrize(
    ("name", "fault"), [("", "holds no session"), ("none", "cannot be read: No such file or directory")]
)
def test_a_directory_without_sessions_is_one_line(tmp_path, name, fault):
    with pytest.raises(ConfigError, match=f"^{re.escape(str(tmp_path / name))}: {fault}$"):
        session_directories(tmp_path / name)
