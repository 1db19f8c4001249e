"""Adds to the reports of tests what pytest does not know: pictures of their runs, and servers that died."""

from __future__ import annotations

from collections.abc import Generator, Sequence

import pytest

from pytest_cdcperf.plugin.keys import results_key
from pytest_cdcperf.plugin.session import PerfSession


class ReportAdditions:
    """A plugin of each process that runs tests."""

    def __init__(self, session: PerfSession) -> None:
        self._session = session

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Put the pictures of a run into its row of the pytest-html report, and the dead servers into a failure."""
        report = yield
        if report.failed:
            _add_lines(report, self._session.services.deaths())
        results = item.stash.get(results_key, [])
        if results and report.when == "call" and item.config.getoption("htmlpath", None):
            # Only where such a report is asked for.
            from pytest_html import extras  # noqa: PLC0415

            from pytest_cdcperf.reporting.html import fragment  # noqa: PLC0415

            shown = [*getattr(report, "extras", []), *(extras.html(fragment(result)) for result in results)]
            report.extras = shown  # type: ignore[attr-defined]  # pytest-html's own attribute
        return report


def _add_lines(report: pytest.TestReport, lines: Sequence[str]) -> None:
    lines = [line for line in lines if line not in report.longreprtext]
    if not lines:
        return
    add_section = getattr(report.longrepr, "addsection", None)
    if add_section is not None:
        add_section("cdcperf", "\n".join(lines))
    else:
        report.longrepr = "\n".join([report.longreprtext, *lines])
