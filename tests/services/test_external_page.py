"""The example of docs/external-servers.md does what the page says, on servers that live on."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_cdcperf.clients.postgres import Postgres
from tests.services.harness import Session

PAGE = (Path(__file__).parents[2] / "docs" / "external-servers.md").read_text()
CONFTEST, TEST = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_notes.py").write_text(TEST)
    return tmp_path


def notes(pg: Postgres) -> list[str]:
    return [row["id"] for row in pg.execute("SELECT id FROM note")]


def test_a_test_runs_again_and_again_on_servers_that_live_on(
    project: Path, run: Callable[..., Session], external: dict[str, str], source: Postgres
) -> None:
    for _ in range(2):
        session = run("--perf-stack=external", "--perf-run", "--perf-duration=1s", cwd=project, **external)
        assert session.result("test_notes-test_a_note_arrives")["failed_iterations"] == 0
        assert notes(source) == []


def clean(project: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest_cdcperf", "clean", "5f86894c"]
    return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)


def test_what_a_killed_session_left_is_removed_and_nothing_else(
    project: Path, environment: dict[str, str], external: dict[str, str], source: Postgres
) -> None:
    source.execute("CREATE TABLE IF NOT EXISTS note (id text PRIMARY KEY, text text)")
    for key in ("5f86894c-1-0", "5f86894c-2-0", "00000000-1-0"):
        source.insert("note", {"id": key})
    assert "removed 2 rows of session 5f86894c" in clean(project, {**environment, **external}).stdout
    assert notes(source) == ["00000000-1-0"]
    source.execute("DROP TABLE note")


def test_without_a_hook_nothing_is_removed_and_the_page_is_named(
    tmp_path: Path, environment: dict[str, str], external: dict[str, str]
) -> None:
    done = clean(tmp_path, {**environment, **external})
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "name the tests' directory, or write that hook: docs/external-servers.md" in done.stderr
