"""Shows what is wrong with the tests of a module, a line a fault, with the test or the place in the user's code."""

from __future__ import annotations

import os
from collections.abc import Sequence

import pytest
from _pytest.reports import CollectErrorRepr

from pytest_cdcperf.engine.source_lines import is_library
from pytest_cdcperf.errors import ConfigError

_MOST = 20


def all_at_once(collector: pytest.Collector, mistakes: Sequence[str]) -> pytest.CollectReport:
    """Return the report of *collector*, of which some tests cannot be perf tests."""
    more = f"\nand {len(mistakes) - _MOST} further tests with mistakes" if len(mistakes) > _MOST else ""
    said = CollectErrorRepr("\n".join(mistakes[:_MOST]) + more)
    return pytest.CollectReport(collector.nodeid, "failed", said, [])


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
