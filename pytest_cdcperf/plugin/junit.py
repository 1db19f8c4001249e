"""The figures and the summary of a run in the JUnit file, in the places that its schema has for them.

With junit_family=xunit2, pytest's default, properties may stand in a suite only: what validates the file, such as
Jenkins' xUnit plugin (its junit-10.xsd), drops all of it for a property in a test case. xunit1 has them there.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from typing import Any

import pytest
from _pytest.junitxml import xml_key

from pytest_cdcperf.reporting.properties import properties
from pytest_cdcperf.reporting.terminal import run_lines
from pytest_cdcperf.results.result import RunResult

_COLUMNS = 100
_OUTPUT = "system-out"


def belongs_to_case(config: pytest.Config) -> bool:
    """Whether the figures of a run may be properties of its test."""
    return not config.getoption("xmlpath", None) or config.getini("junit_family") in {"xunit1", "legacy"}


def add_to_suite(config: pytest.Config, result: RunResult) -> None:
    """Make the figures of *result* properties of the suite, by the name of its test, where a test may have none."""
    xml = config.stash.get(xml_key, None)  # in the process that writes the file
    if xml is not None and not belongs_to_case(config):
        for name, value in properties(result, f"{result.facts.test}."):
            xml.add_global_property(name, value)


class SummaryAsOutput:
    """Puts the summary of its runs into the ``system-out`` of a test, which Jenkins and GitLab show.

    A plugin of the process that writes the file. *results* are those of the session so far.
    """

    def __init__(self, config: pytest.Config, results: Sequence[RunResult]) -> None:
        self._config = config
        self._results = results
        self._cases: dict[str, Any] = {}

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add the summary once the test is over. Called after pytest has written what it captured."""
        xml = self._config.stash.get(xml_key, None)
        if xml is None:
            return
        if report.when == "call":
            self._cases[report.nodeid] = xml.node_reporter(report)
        elif report.when == "teardown" and (case := self._cases.pop(report.nodeid, None)) is not None:
            own = runs_of(report.nodeid, self._results)
            if own:
                _add_output(case.to_xml(), "\n\n".join(map(_summary, own)))


def runs_of(nodeid: str, results: Sequence[RunResult]) -> list[RunResult]:
    """Return the runs of a test, in the order of time."""
    return [run for run in results if run.facts.test == nodeid or run.facts.test.startswith(f"{nodeid}::")]


def _summary(result: RunResult) -> str:
    return "\n".join(line.text for line in run_lines(result, _COLUMNS))


def _add_output(case: ET.Element, text: str) -> None:
    """Put *text* before what the test printed: readers of such files take the first output of a test."""
    output = case.find(_OUTPUT)
    if output is None:
        output = ET.SubElement(case, _OUTPUT)
    output.text = f"{text}\n\n{output.text or ''}".rstrip() + "\n"
