"""Prints what a session's runs came to, at its end."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from pytest_cdcperf.plugin.session import PerfSession
from pytest_cdcperf.printable import one_line, short_name
from pytest_cdcperf.reporting.terminal import session_table, summary, verdict_colour, verdict_lines

# With any other exit code pytest prints no summary, so this one follows the other reports.
_SUMMARISED = {code for code in pytest.ExitCode if code is not pytest.ExitCode.INTERNAL_ERROR}


class Summary:
    """A plugin of each process. Where no run was judged, which is on every worker, it prints nothing."""

    def __init__(self, session: PerfSession) -> None:
        self._session = session
        self._config = session.config

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> Generator[None]:
        """Keep a report that cannot be written from costing the summary. Called around those who write reports."""
        try:
            yield
        except OSError as error:
            if not self._session.results:
                raise
            self._say_what_is_lost(error)
            session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED
        if exitstatus not in _SUMMARISED:
            self._print()

    @pytest.hookimpl(tryfirst=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter, exitstatus: int) -> None:
        """Print the summary of each run, and the table of all where there are several."""
        self._print()
        if exitstatus and (logs := self._session.logs) is not None and any(logs.iterdir()):
            terminalreporter.write_line(f"cdcperf: logs of the embedded servers: {logs}")

    @property
    def _reporter(self) -> Any:
        return self._config.pluginmanager.getplugin("terminalreporter")

    def _say_what_is_lost(self, error: OSError) -> None:
        asked = [path for name in ("xmlpath", "htmlpath") if (path := self._config.getoption(name, None))]
        where = error.filename or " or ".join(map(str, asked)) or "a report"
        if self._reporter is not None:
            said = one_line(f"cdcperf: {where}: cannot be written: {error.strerror or error}")
            self._reporter.write_line(said, red=True)

    def _print(self) -> None:
        if self._reporter is None:
            return
        if self._session.results:
            self._print_results(self._reporter)
        if self._session.worker_died and (left := self._session.left_behind()):
            self._reporter.write_line(one_line(f"cdcperf: {left}"), red=True)

    def _print_results(self, reporter: Any) -> None:
        results = self._session.results
        reporter.section("cdcperf")
        for result in results:
            reporter.write_line(short_name(result.facts.test), bold=True)
            for line in summary(result):
                reporter.write_line(line)
            for line in verdict_lines(result):
                reporter.write_line(line, **{verdict_colour(result.verdict): True, "bold": True})
        if len(results) > 1:
            reporter.section("cdcperf: scenarios", sep="-")
            for line in session_table(results):
                reporter.write_line(line)
        if self._session.load_refused:
            reporter.write_line(one_line(self._session.load_refused), red=True)
        reporter.write_line(one_line(f"results: {self._session.directory.planned}"))
