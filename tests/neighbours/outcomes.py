"""A plugin of pytest that writes how each test ended to ``--outcomes=FILE``, as JSON: node id to outcomes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    parser.addoption("--outcomes", metavar="FILE", type=Path)


def pytest_configure(config: pytest.Config) -> None:
    """Note outcomes where the option was given: sessions inside the tests have this plugin, but not the option."""
    if config.getoption("outcomes"):
        config.pluginmanager.register(Outcomes(config.getoption("outcomes")))


class Outcomes:
    """Every phase of a test that is not passed, and every call."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._outcomes: dict[str, list[str]] = {}

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note a module that could not be collected."""
        if not report.passed:
            self._outcomes.setdefault(report.nodeid, []).append(f"collect {report.outcome}")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a phase."""
        if report.when == "call" or not report.passed:
            expected = " expectedly" if hasattr(report, "wasxfail") else ""
            self._outcomes.setdefault(report.nodeid, []).append(f"{report.when} {report.outcome}{expected}")

    def pytest_sessionfinish(self) -> None:
        """Write them."""
        self._file.write_text(json.dumps(self._outcomes), encoding="utf-8")
