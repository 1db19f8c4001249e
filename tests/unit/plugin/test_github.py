"""What a session shows in GitHub Actions, and what an output that fails costs."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from pytest_cdcperf.errors import ConfigError
from pytest_cdcperf.plugin.github import GitHubActions
from pytest_cdcperf.plugin.session_files import attempt


class Terminal:
    def __init__(self):
        self.lines = []

    def write_line(self, line, **colours):
        self.lines.append(line)


@pytest.fixture
def session(result, tmp_path):
    """A session with a failed test in a subdirectory of the repository, and a terminal that keeps its lines."""
    plugins = {"terminalreporter": Terminal()}
    manager = SimpleNamespace(getplugin=plugins.get, hasplugin=plugins.__contains__, plugins=plugins)
    root = tmp_path / "web"
    root.mkdir()
    config = SimpleNamespace(rootpath=root, pluginmanager=manager)
    failed = replace(result, facts=replace(result.facts, location="tests/test_shop.py:12"))
    return SimpleNamespace(config=config, results=[failed])


def lines(session):
    return session.config.pluginmanager.getplugin("terminalreporter").lines


def annotated(session, **variables):
    plugin = GitHubActions(session, {f"GITHUB_{name}": str(value) for name, value in variables.items()})
    terminal = Terminal()
    plugin.pytest_terminal_summary(terminal)
    return terminal.lines


def test_a_failed_test_is_annotated_at_its_place_in_the_repository(session, tmp_path):
    (tmp_path / "link").symlink_to(tmp_path, target_is_directory=True)
    for workspace in (tmp_path, tmp_path / "link"):
        (line,) = annotated(session, ACTIONS="true", WORKSPACE=workspace)
        assert line.startswith("::error file=web/tests/test_shop.py,line=12,title=FAILED test_order")


def test_without_a_workspace_the_root_directory_stands_for_it(session):
    assert annotated(session, ACTIONS="true")[0].startswith("::error file=tests/test_shop.py,")


@pytest.mark.parametrize("variables", [{}, {"ACTIONS": "false"}])
def test_elsewhere_nothing_is_annotated(session, variables):
    assert annotated(session, **variables) == []


def test_a_plugin_that_annotates_all_tests_is_left_to_it(session):
    session.config.pluginmanager.plugins["pytest_github_actions_annotate_failures"] = object()
    assert annotated(session, ACTIONS="true") == []


def summarised(session, file):
    GitHubActions(session, {"GITHUB_STEP_SUMMARY": str(file)}).pytest_sessionfinish()


def test_a_summary_is_added_to_what_the_step_has_written(session, tmp_path):
    file = tmp_path / "summary"
    file.write_text("before\n")
    summarised(session, file)
    assert file.read_text().startswith("before\n**FAILED**: max of response_time")
    summarised(session, file)
    assert file.read_text().count("**FAILED**") == 2


def test_a_full_summary_is_left_as_it_is(session, tmp_path):
    file = tmp_path / "summary"
    file.write_text("x" * 999_500)
    summarised(session, file)
    assert file.stat().st_size == 999_500


def test_a_process_that_judged_nothing_writes_no_summary(session, tmp_path):
    session.results.clear()
    summarised(session, tmp_path / "summary")
    assert not (tmp_path / "summary").exists()


def test_a_summary_that_cannot_be_written_is_one_line(session, tmp_path):
    file = tmp_path / "none" / "summary"
    summarised(session, file)
    assert lines(session) == [f"cdcperf: GITHUB_STEP_SUMMARY: {file}: cannot be written: No such file or directory"]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(28, "No space left on device"), "cannot be written: No space left on device"),
        (ConfigError("no\x1bthing"), "cannot be written: no\\x1bthing"),
        (KeyError("p95"), "could not be made: KeyError: 'p95'; the results are complete"),
    ],
)
def test_a_file_that_fails_is_one_line(session, error, said):
    def fail():
        raise error

    attempt(session, "comment.md", fail)
    assert lines(session) == [f"cdcperf: comment.md: {said}"]
