"""Shows a session's runs in GitHub Actions: a summary of the job, and an annotation at each test that failed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pytest_cdcperf.plugin.session import PerfSession
from pytest_cdcperf.plugin.session_files import attempt
from pytest_cdcperf.reporting.annotations import annotation_lines
from pytest_cdcperf.reporting.markdown import SUMMARY_BYTES, markdown

_SMALLEST_SUMMARY = 1_000  # bytes that are worth to be written
_SUMMARY, _ACTIONS, _WORKSPACE = "GITHUB_STEP_SUMMARY", "GITHUB_ACTIONS", "GITHUB_WORKSPACE"


class GitHubActions:
    """A plugin of each process. It shows nothing where no run was judged, as on workers."""

    def __init__(self, session: PerfSession, variables: Mapping[str, str] = os.environ) -> None:
        self._session = session
        self._variables = variables

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Add to the summary of the job, as far as the step has room for it."""
        file = self._variables.get(_SUMMARY)
        if file and self._session.results:
            attempt(self._session, f"{_SUMMARY}: {file}", lambda: self._add_to(Path(file)))

    def _add_to(self, file: Path) -> None:
        with file.open("a", encoding="utf-8") as summary:
            room = SUMMARY_BYTES - summary.tell()
            if room > _SMALLEST_SUMMARY:
                summary.write(markdown(self._session.results, room - 1) + "\n")

    @pytest.hookimpl(tryfirst=True)
    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Print the annotations, unless a plugin for the failures of all tests does."""
        plugins = self._session.config.pluginmanager
        if self._variables.get(_ACTIONS) != "true" or plugins.hasplugin("pytest_github_actions_annotate_failures"):
            return
        for line in annotation_lines(self._session.results, self._in_workspace):
            terminalreporter.write_line(line)

    def _in_workspace(self, file: str) -> str:
        """Return the path of *file* from the root of the repository, as annotations name it."""
        path = (self._session.config.rootpath / file).resolve()
        root = Path(self._variables.get(_WORKSPACE) or self._session.config.rootpath).resolve()
        return (path.relative_to(root) if path.is_relative_to(root) else path).as_posix()
