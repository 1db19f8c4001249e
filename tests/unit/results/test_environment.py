from __future__ import annotations

import subprocess

import pytest

from pytest_cdcperf.results import environment
from pytest_cdcperf.results.environment import ci_url, current_environment


@pytest.fixture
def fresh(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    current_environment.cache_clear()
    yield tmp_path
    current_environment.cache_clear()


def test_the_machine_and_the_versions_are_named(fresh):
    found = current_environment()
    assert found.cpus > 0
    assert found.python.startswith("CPython 3.")
    assert {"pytest", "psycopg"} <= {*found.versions}


def test_without_a_repository_no_git_is_started(fresh, monkeypatch):
    monkeypatch.setattr(environment, "_in_repository", lambda where: False)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("git was started"))
    assert (current_environment().commit, current_environment().dirty) == (None, None)


GIT = "# branch.oid 1f2e3d\n# branch.head main\n"


@pytest.mark.parametrize(
    ("said", "seen"),
    [
        (GIT, ("1f2e3d", "main", False)),
        (GIT + "1 .M N... 100644 100644 100644 1 2 a.py\n", ("1f2e3d", "main", True)),
        ("# branch.oid (initial)\n# branch.head (detached)\n", (None, None, False)),
    ],
)
def test_commit_branch_and_changes_come_from_git(fresh, monkeypatch, said, seen):
    (fresh / ".git").mkdir()
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: subprocess.CompletedProcess((), 0, said, ""))
    found = current_environment()
    assert (found.commit, found.branch, found.dirty) == seen


@pytest.mark.parametrize("error", [FileNotFoundError("git"), subprocess.TimeoutExpired("git", 2.0)])
def test_a_git_that_is_missing_or_hangs_leaves_it_open(fresh, monkeypatch, error):
    def fail(*_, **__):
        raise error

    (fresh / ".git").mkdir()
    monkeypatch.setattr(subprocess, "run", fail)
    assert current_environment().commit is None


def test_outside_of_ci_there_is_no_page_of_a_run():
    assert ci_url({}) is None
    assert ci_url({"BUILD_URL": "https://ci.example.org/job/7/"}) == "https://ci.example.org/job/7/"
    assert ci_url({"GITHUB_SERVER_URL": "https://github.com"}) is None
