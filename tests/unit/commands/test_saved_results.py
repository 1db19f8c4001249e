"""The commands on saved results: which they take, what they print, and what is one line on standard error."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_cdcperf.commands import main
from pytest_cdcperf.commands.summaries import wants_colours
from pytest_cdcperf.results.json import write_result
from tests.unit.sample_results import FACTS

SESSIONS = ("20260102-030405-0a1b2c3d", "20260103-030405-1a1b2c3d")


@pytest.fixture
def parent(result, tmp_path, monkeypatch):
    """A directory of results with two sessions, and the session of which the results are."""
    monkeypatch.chdir(tmp_path)
    for name in ("RESULTS_DIR", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name in SESSIONS:
        directory = tmp_path / "perf-results" / name
        directory.mkdir(parents=True)
        write_result(replace(result, facts=replace(FACTS, session_id=name[-8:])), directory)
    (tmp_path / "perf-results" / "latest").symlink_to(SESSIONS[-1])
    return tmp_path / "perf-results"


def said(capsys, *arguments):
    """Return the exit code, the lines on standard output and those on standard error."""
    try:
        code = main([str(argument) for argument in arguments])
    except SystemExit as exit_:
        code = exit_.code
    out, err = capsys.readouterr()
    return code, out.splitlines(), err.splitlines()


def test_results_lists_the_sessions_the_latest_last(parent, capsys):
    code, lines, errors = said(capsys, "results")
    assert (code, errors) == (0, [])
    assert lines == [
        "started           id        tests  verdicts  profile   path",
        "2026-01-02 03:04  0a1b2c3d      1  1 FAILED  baseline  perf-results/20260102-030405-0a1b2c3d",
        "2026-01-03 03:04  1a1b2c3d      1  1 FAILED  baseline  perf-results/20260103-030405-1a1b2c3d",
    ]


def test_results_counts_what_it_cannot_read(parent, capsys):
    (parent / SESSIONS[0] / "b.json").write_text("{")
    (parent / SESSIONS[0] / "c.json").write_text('{"schema_version": 99}')
    _, lines, _ = said(capsys, "results", parent)
    assert "1 FAILED, 2 unreadable" in lines[1]


def test_results_says_how_many_it_leaves_out(parent, capsys):
    _, lines, _ = said(capsys, "results", "-n", 1)
    assert lines[0] == "1 earlier sessions are not shown; -n 0 shows all"
    assert [line[:10] for line in lines[1:]] == ["started   ", "2026-01-03"]


@pytest.mark.parametrize("where", ["RESULTS_DIR", "pyproject.toml"])
def test_the_directory_of_results_is_that_of_the_sessions(parent, capsys, monkeypatch, where):
    parent.rename(parent.with_name("out"))
    if where == "RESULTS_DIR":
        monkeypatch.setenv("RESULTS_DIR", "out")
    else:
        parent.with_name("pyproject.toml").write_text('[tool.cdcperf]\nresults = "out"\n')
    assert said(capsys, "results")[1][-1].endswith(f"out/{SESSIONS[-1]}")


@pytest.mark.parametrize("text", ["[tool", "tool = 3", "[tool.cdcperf]\nresults = 3", "\0"])
def test_a_project_that_cannot_be_read_does_not_matter(parent, capsys, text):
    parent.with_name("pyproject.toml").write_text(text)
    assert said(capsys, "results")[0] == 0


def test_a_comment_is_of_all_given_sessions(parent, capsys):
    code, lines, errors = said(capsys, "comment", *(parent / name for name in SESSIONS))
    assert (code, errors) == (0, [])
    assert lines[0].startswith("**FAILED**: 2 of 2 perf tests did not pass; ")


def test_a_comment_is_of_the_latest_session_where_none_is_given(parent, capsys):
    code, lines, errors = said(capsys, "comment")
    assert (code, errors) == (0, [])
    assert lines[0].startswith("**FAILED**")


def test_show_prints_the_summary_of_the_latest_session_whatever_its_verdict(parent, capsys):
    code, lines, errors = said(capsys, "show")
    assert (code, errors) == (0, [])
    assert "session 1a1b2c3d" in "\n".join(lines)
    assert any(line.startswith("FAILED  max of response_time 102 ms") for line in lines)


def test_show_of_two_paths_has_them_side_by_side(parent, capsys):
    code, lines, errors = said(capsys, "show", *(parent / name for name in SESSIONS))
    text = "\n".join(lines)
    assert (code, errors) == (0, [])
    assert [line[:1] for line in lines if "session" in line] == ["A", "B"]
    assert "B/A" in text
    assert "\ndiffers" not in text  # nothing does


def test_the_id_of_a_session_stands_for_its_directory(parent, capsys):
    assert "session 0a1b2c3d" in "\n".join(said(capsys, "show", "0a1b2c3d")[1])
    assert said(capsys, "show", "ffffffff")[2] == ["cdcperf show: ffffffff: cannot be read: No such file or directory"]


def test_in_a_narrow_terminal_the_list_has_no_path(parent, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    assert said(capsys, "results")[1][1] == "2026-01-02 03:04  0a1b2c3d      1  1 FAILED  baseline"


def test_show_of_two_tests_has_a_summary_of_each(parent, result, capsys, tmp_path):
    other = write_result(replace(result, facts=replace(FACTS, test="test_other")), tmp_path)
    _, lines, _ = said(capsys, "show", parent / SESSIONS[0], other)
    assert [line for line in lines if line in {"test_other", FACTS.test}] == [FACTS.test, "test_other"]


def test_a_file_that_holds_no_result_is_named_and_the_others_are_shown(parent, capsys):
    (parent / SESSIONS[1] / "b.json").write_text("<xml>")
    code, lines, errors = said(capsys, "show")
    assert (code, bool(lines)) == (0, True)
    assert errors == ["left out: perf-results/latest/b.json: is not JSON: line 1, column 1: Expecting value"]


@pytest.mark.parametrize("command", ["show", "results"])
@pytest.mark.parametrize(
    ("path", "fault"),
    [
        ("none", "none: cannot be read: No such file or directory"),
        ("no\nth\x1b[31ming", r"no\nth\x1b[31ming: cannot be read: No such file or directory"),
    ],
)
def test_a_path_that_leads_nowhere_is_one_line(parent, capsys, command, path, fault):
    code, lines, errors = said(capsys, command, path)
    assert (code, lines) == (2, [])
    assert errors == [f"cdcperf {command}: {fault}"]


def test_a_link_to_a_session_that_was_removed_is_one_line(parent, capsys):
    shutil.rmtree(parent / SESSIONS[-1])
    fault = f"perf-results/latest: is a link to {SESSIONS[-1]}, which is not there"
    assert said(capsys, "show") == (2, [], [f"cdcperf show: {fault}"])


def test_without_a_session_the_directory_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RESULTS_DIR", raising=False)
    assert said(capsys, "show")[2] == ["cdcperf show: perf-results/latest: cannot be read: No such file or directory"]


def test_report_writes_the_page_beside_the_results_of_a_session(parent, capsys):
    path = parent / "latest" / "report.html"
    assert said(capsys, "report") == (0, ["perf-results/latest/report.html"], [])
    assert "1a1b2c3d" in path.read_text()
    assert said(capsys, "report", parent / SESSIONS[0]) == (0, [f"{parent / SESSIONS[0]}/report.html"], [])


@pytest.mark.parametrize("sessions", [SESSIONS, (*SESSIONS, "latest")])
def test_report_of_two_paths_lays_their_runs_over_each_other_and_of_more_has_a_section_each(parent, capsys, sessions):
    assert said(capsys, "report", *(parent / name for name in sessions)) == (0, ["report.html"], [])
    text = Path("report.html").read_text()
    assert (text.count('class="run"'), "p95 A" in text) == ((1, True) if len(sessions) == 2 else (3, False))


def test_report_writes_where_it_is_asked_to(parent, capsys):
    file = next((parent / SESSIONS[0]).iterdir())
    assert said(capsys, "report", file, "-o", "page.html")[1] == ["page.html"]
    code, lines, _ = said(capsys, "report", file, "-o", "-")
    assert (code, lines) == (0, Path("page.html").read_text().splitlines())


@pytest.mark.parametrize("target", ["/dev/full", "none/page.html", "."])
def test_a_page_that_cannot_be_written_is_one_line_and_leaves_nothing(parent, capsys, tmp_path, target):
    before = sorted(tmp_path.rglob("*"))
    code, lines, errors = said(capsys, "report", "-o", target)
    assert (code, lines) == (2, [])
    assert len(errors) == 1
    assert errors[0].startswith(f"cdcperf report: {target}: cannot be written: ")
    assert errors[0].endswith("; name another file by -o")
    assert sorted(tmp_path.rglob("*")) == before


def test_a_full_disk_leaves_the_page_that_was_there(parent, capsys, tmp_path, monkeypatch):
    (tmp_path / "page.html").write_text("before")

    def full(self, text, **_):
        self.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    errors = said(capsys, "report", "-o", "page.html")[2]
    monkeypatch.undo()
    assert errors == ["cdcperf report: page.html: cannot be written: No space left on device; name another file by -o"]
    assert (tmp_path / "page.html").read_text() == "before"
    assert not (tmp_path / "page.html.part").exists()


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("stream", "environment", "expected"),
    [
        (Terminal(), {}, True),
        (Terminal(), {"TERM": "dumb"}, False),
        (Terminal(), {"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
        (io.StringIO(), {}, False),
        (io.StringIO(), {"FORCE_COLOR": "1"}, True),
    ],
)
def test_colours_are_for_terminals_and_for_those_who_ask(stream, environment, expected):
    assert wants_colours(stream, environment) is expected


def test_a_verdict_has_its_colour(parent, capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    _, lines, _ = said(capsys, "show")
    assert any(line.startswith("\x1b[31;1mFAILED") for line in lines)


def test_a_reader_that_has_seen_enough_is_no_error(parent):
    script = f"{sys.executable} -m pytest_cdcperf show | true; exit ${{PIPESTATUS[0]}}"
    run = subprocess.run(["/bin/bash", "-c", script], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")


def test_what_a_terminal_cannot_show_is_escaped(parent):
    run = subprocess.run(
        [sys.executable, "-m", "pytest_cdcperf", "show"],
        capture_output=True,
        check=False,
        env={"PYTHONIOENCODING": "ascii", "PATH": ""},
    )
    assert (run.returncode, run.stderr) == (0, b"")
    assert b"\n+ response_time" in run.stdout
    assert rb"\xfc" in run.stdout


def test_commands_do_not_wait_for_what_they_do_not_need():
    code = "import sys; from pytest_cdcperf.commands import main\nsys.argv = ['cdcperf', '--help']\ntry: main()\n"
    code += "except SystemExit: pass\nprint([m for m in ('pytest', 'pytest_cdcperf.results.json') if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.endswith("[]\n")
