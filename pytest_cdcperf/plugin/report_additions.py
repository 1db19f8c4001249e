"""Adds to the reports of tests what pytest does not know: the verdicts of their runs, and servers that died."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from html import escape
from os import path
from pathlib import Path

import pytest

from pytest_cdcperf.plugin.keys import results_key
from pytest_cdcperf.plugin.session import PerfSession
from pytest_cdcperf.reporting.html.address import PAGE, anchor_of
from pytest_cdcperf.reporting.html.pytest_html_row import link_text, row
from pytest_cdcperf.reporting.view import RunView


class ReportAdditions:
    """A plugin of each process that runs tests."""

    def __init__(self, session: PerfSession) -> None:
        self._session = session

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Put the verdict of a run into its row of the pytest-html report, and the dead servers into a failure."""
        report = yield
        if report.failed:
            _add_lines(report, self._session.services.deaths())
        results = item.stash.get(results_key, [])
        if results and report.when == "call" and item.config.getoption("htmlpath", None):
            # Only where such a report is asked for.
            from pytest_html import extras  # noqa: PLC0415

            shown = [*getattr(report, "extras", [])]
            for result in results:
                view = RunView.of(result)
                # The link stands in the row itself, which pytest-html folds; it escapes neither of its parts.
                address = escape(self._link(result.facts.test))
                shown += [extras.url(address, escape(link_text(view))), extras.html(row(view))]
            report.extras = shown  # type: ignore[attr-defined]  # pytest-html's own attribute
        return report

    def _link(self, test: str) -> str:
        """Return the address of the section of *test* in the session's page, as pytest-html's file can name it."""
        page = (self._session.directory.planned / PAGE).absolute()
        beside = Path(self._session.config.getoption("htmlpath")).absolute().parent
        try:
            address = Path(path.relpath(page, beside)).as_posix()
        except ValueError:  # another drive of Windows
            address = page.as_uri()
        return f"{address}#{anchor_of(test)}"


def _add_lines(report: pytest.TestReport, lines: Sequence[str]) -> None:
    lines = [line for line in lines if line not in report.longreprtext]
    if not lines:
        return
    add_section = getattr(report.longrepr, "addsection", None)
    if add_section is not None:
        add_section("cdcperf", "\n".join(lines))
    else:
        report.longrepr = "\n".join([report.longreprtext, *lines])
