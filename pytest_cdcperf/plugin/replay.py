"""Runs one iteration of an earlier run again, alone: ``--perf-replay``."""

from __future__ import annotations

from collections.abc import Collection, Generator

import pytest

from pytest_cdcperf.engine.iteration_id import IterationId
from pytest_cdcperf.errors import shown
from pytest_cdcperf.plugin.load_tests import uses_load_fixture
from pytest_cdcperf.printable import one_line


class Replay:
    """The iteration that is to run, and how far it is. A plugin of a session with ``--perf-replay``."""

    def __init__(self, iteration: IterationId) -> None:
        self.iteration = iteration
        self._option = f"--perf-replay={iteration}"
        self._loads: list[str] = []  # of the test, as far as they are known
        self._has_passed = False

    def takes(self, loads: Collection[str]) -> bool:
        """Whether the iteration is of one of *loads*."""
        self._loads += loads
        return self.iteration.load in loads

    def passed(self) -> None:
        """Note that the iteration has passed."""
        self._has_passed = True

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Refuse what is not the one test of the iteration. Called once all tests are chosen."""
        if session.items and not session.testsfailed and (fault := self._fault(session.items)):
            raise pytest.UsageError(one_line(f"{self._option}: {fault}"))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None]:
        """Fail a test that came to its end, or failed, before the run of the iteration."""
        try:
            return (yield)
        finally:
            if self.iteration.load not in self._loads:
                runs = ", ".join(map(shown, self._loads)) or "none"
                pytest.fail(
                    f"{self._option}: {item.nodeid} came to no run {shown(self.iteration.load)}; its runs: {runs}. "
                    "Those before it are not run, and their results have no figures",
                    pytrace=False,
                )

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note that the iteration has passed, of a test whose body it is."""
        if report.when == "call" and report.passed:
            self.passed()

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say where the iteration did not fail this time."""
        if self._has_passed:
            terminalreporter.write_line(
                one_line(
                    f"cdcperf: {self._option}: the iteration passed this time, with the random numbers of the run; "
                    "what else it met there does not come again: other VUs, earlier iterations, the servers' data, time"
                ),
                yellow=True,
            )

    def _fault(self, items: Collection[pytest.Item]) -> str:
        if len(items) > 1:
            return f"{len(items)} tests are selected; name the one whose iteration it is, as FILE::TEST"
        (item,) = items
        if not isinstance(item, pytest.Function) or not hasattr(item, "perf_session"):
            return f"{item.nodeid} is not a perf test"
        if uses_load_fixture(item):  # its runs are not known yet
            return ""
        loads = [*getattr(item, "spec").loads]  # noqa: B009  # of a test of ours, whatever runs its body
        if self.takes(loads):
            return ""
        named = (
            f"its loads: {', '.join(map(shown, loads))}" if any(loads) else "its load has no name: SEED::VU:ITERATION"
        )
        return f"{item.nodeid} has no load {shown(self.iteration.load)}; {named}"
