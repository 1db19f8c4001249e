"""Shows a wrong argument in a test module as one line, with the place in the user's code."""

from __future__ import annotations

import os

import pytest
from _pytest.reports import CollectErrorRepr

from pytest_cdcperf.engine.source_lines import is_library
from pytest_cdcperf.errors import ConfigError


def in_one_line(
    collector: pytest.Collector, report: pytest.CollectReport, error: pytest.ExceptionInfo[BaseException]
) -> None:
    """Let *report*, of a module that could not be imported, be a line a fault, as "test_it.py:9: ConstantVUs: ..."."""
    if not isinstance(error.value, ConfigError) or collector.config.getoption("fulltrace", False):
        return
    own = [entry for entry in error.traceback if not is_library(str(entry.path))]
    if own:
        path = os.path.relpath(own[-1].path, collector.config.invocation_params.dir)
        lines = "\n".join(f"{path}:{own[-1].lineno + 1}: {fault}" for fault in error.value.faults)
        report.longrepr = CollectErrorRepr(lines)
