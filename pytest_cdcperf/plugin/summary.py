"""Prints what a session's runs came to, at its end."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from pytest_cdcperf.plugin.session import PerfSession
from pytest_cdcperf.plugin.short_summary import fit_messages
from pytest_cdcperf.plugin.terminal_lines import write_lines
from pytest_cdcperf.printable import one_line
from pytest_cdcperf.reporting.html.address import PAGE
from pytest_cdcperf.reporting.terminal import file_lines, run_lines, session_lines

_NARROWEST = 40
_MOST_WHOLE = 2  # with more of them, those that passed are short: a scenario and the check before it are two

# With any other exit code pytest prints no summary, so this one follows the other reports.
_SUMMARISED = {code for code in pytest.ExitCode if code is not pytest.ExitCode.INTERNAL_ERROR}


class Summary:
    """A plugin of each process. It prints nothing where no run was judged, as on workers."""

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
        fit_messages(terminalreporter, self._session.results)
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
        results, several = self._session.results, len(self._session.results) > 1
        reporter.section("perf summary")
        writer, verbose = self._config.get_terminal_writer(), self._config.get_verbosity() > 0
        width = max(_NARROWEST, writer.fullwidth)
        for result in results:
            write_lines(writer, run_lines(result, width, verbose=verbose, short=len(results) > _MOST_WHOLE))
            reporter.write_line("")
        if several:
            write_lines(writer, session_lines(results, width))
            reporter.write_line("")
        if self._session.load_refused:
            reporter.write_line(one_line(self._session.load_refused), red=True)
        write_lines(writer, file_lines(*self._files()))

    def _files(self) -> tuple[str, str]:
        """Return the directory of the session's results and the page in it, "" where it was not written."""
        directory = self._session.directory.planned
        page = directory / PAGE
        latest = directory.parent / "latest" / PAGE
        with suppress(OSError):
            page = latest if latest.samefile(page) else page
        return self._shown(directory), self._shown(page) if page.is_file() else ""

    def _shown(self, path: Path) -> str:
        try:
            return one_line(os.path.relpath(path, self._config.invocation_params.dir))
        except ValueError:  # on another drive
            return one_line(os.fspath(path))
