from __future__ import annotations

import sys

import pytest

from pytest_cdcperf.plugin.results import ResultsDirectory, SessionName, is_session_id

RUN = SessionName("0a1b2c3d", "20260101-120000")


def names(directory):
    return sorted(path.name for path in directory.iterdir())


@pytest.fixture
def made(tmp_path):
    """What lies in the parent directory once a run has written, and then another."""

    def make():
        for run in (RUN, SessionName("00000001", "20260102-120000")):
            assert ResultsDirectory(tmp_path, run).path.is_dir()
        return names(tmp_path)

    return make


RUNS = ["20260101-120000-0a1b2c3d", "20260102-120000-00000001"]


def test_git_ignores_the_results(tmp_path):
    directory = ResultsDirectory(tmp_path / "a" / "perf-results", RUN)
    directory.check()
    assert directory.path.is_dir()
    assert (tmp_path / "a" / "perf-results" / ".gitignore").read_text().splitlines()[-1] == "*"
    assert names(tmp_path / "a") == ["perf-results"]


def test_git_ignores_nothing_in_a_directory_that_was_there_before(tmp_path):
    directory = ResultsDirectory(tmp_path, RUN)
    directory.check()
    assert directory.path.is_dir()
    assert ".gitignore" not in names(tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="links need a right there")
def test_latest_is_a_link_to_the_last_run(tmp_path, made):
    assert made() == [*RUNS, "latest"]
    assert (tmp_path / "latest").readlink().name == RUNS[1]


def test_a_directory_that_is_called_latest_is_left_alone(tmp_path, made):
    (tmp_path / "latest").mkdir()
    (tmp_path / "latest" / "kept.json").touch()
    assert made() == [*RUNS, "latest"]
    assert names(tmp_path / "latest") == ["kept.json"]


def test_a_file_that_is_called_latest_is_left_alone(tmp_path, made):
    (tmp_path / "latest").write_text("mine")
    assert made() == [*RUNS, "latest"]
    assert (tmp_path / "latest").read_text() == "mine"


def test_where_links_cannot_be_made_a_file_names_the_last_run(tmp_path, made, monkeypatch):
    def refuse(*_arguments, **_keys):
        raise OSError(1314, "A required privilege is not held by the client")

    monkeypatch.setattr("pathlib.Path.symlink_to", refuse)
    assert made() == [*RUNS, "latest.txt"]
    assert (tmp_path / "latest.txt").read_text().strip() == RUNS[1]


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        pytest.param(SessionName.new().session_id, True, id="new"),
        ("0a1b2c3d", True),
        ("", False),
        ("%", False),
        ("0a1b2c3", False),
        ("0a1b2c3d\n", False),
    ],
)
def test_what_a_session_may_be_called(text, valid):
    assert is_session_id(text) is valid
