"""The figures of a run in the JUnit file, in the place that its schema has for them.

With junit_family=xunit2, pytest's default, properties may stand in a suite only: what validates the file, such as
Jenkins' xUnit plugin (its junit-10.xsd), drops all of it for a property in a test case. xunit1 has them there.
"""

from __future__ import annotations

import pytest
from _pytest.junitxml import xml_key

from pytest_cdcperf.reporting.properties import properties
from pytest_cdcperf.results.result import RunResult


def belongs_to_case(config: pytest.Config) -> bool:
    """Whether the figures of a run may be properties of its test."""
    return not config.getoption("xmlpath", None) or config.getini("junit_family") in {"xunit1", "legacy"}


def add_to_suite(config: pytest.Config, result: RunResult) -> None:
    """Make the figures of *result* properties of the suite, by the name of its test, where a test may have none."""
    xml = config.stash.get(xml_key, None)  # in the process that writes the file
    if xml is not None and not belongs_to_case(config):
        for name, value in properties(result, f"{result.facts.test}."):
            xml.add_global_property(name, value)
