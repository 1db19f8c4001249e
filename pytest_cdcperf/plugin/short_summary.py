"""Fits the reasons of perf tests into the lines of pytest's short summary, which cuts them at the terminal's width."""

from __future__ import annotations

import os
from collections.abc import Sequence

import pytest
from _pytest._code.code import ReprExceptionInfo

from pytest_cdcperf.plugin.junit import runs_of
from pytest_cdcperf.reporting.lines import columns_of
from pytest_cdcperf.reporting.not_passed import first_reason
from pytest_cdcperf.results.result import RunResult

_ON_CI = ("CI", "BUILD_NUMBER")  # where pytest cuts nothing


def fit_messages(reporter: pytest.TerminalReporter, results: Sequence[RunResult]) -> None:
    """Shorten the first line of each message that pytest would cut in the middle of a figure.

    To be called once the reports are written: it is what they show too.
    """
    options = reporter.config.option
    if (any(map(os.environ.get, _ON_CI)) or options.verbose >= 2) and not options.force_short_summary:
        return
    for report in reporter.stats.get("failed", []):
        crash = getattr(report.longrepr, "reprcrash", None)
        result = _failed_run(report, results)
        if crash is None or result is None or not isinstance(report.longrepr, ReprExceptionInfo):
            continue
        line = f"FAILED {reporter.config.cwd_relative_nodeid(report.nodeid)} - "
        first, _, others = crash.message.partition("\n")
        room = reporter.config.get_terminal_writer().fullwidth - columns_of(line)
        if columns_of(first) > room:
            crash.message = f"{first_reason(result, room)}\n{others}"


def _failed_run(report: pytest.TestReport, results: Sequence[RunResult]) -> RunResult | None:
    """Return the run by which the test of *report* failed: the last of it, at which it ends."""
    return next((run for run in reversed(runs_of(report.nodeid, results)) if not run.passed), None)
