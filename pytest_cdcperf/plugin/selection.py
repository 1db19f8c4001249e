"""Chooses which tests of a session run, and in which order: those asked for, gates before any load."""

from __future__ import annotations

from collections.abc import Collection, Generator

import pytest
from _pytest import runner

from pytest_cdcperf.load.builtin_profiles import canonical
from pytest_cdcperf.plugin.health import HealthFiles
from pytest_cdcperf.plugin.item import PerfFunction
from pytest_cdcperf.plugin.load_tests import runs_under_load
from pytest_cdcperf.plugin.options import runs_nothing
from pytest_cdcperf.plugin.session import PerfSession


class Selection:
    """A plugin of each process that collects tests. With no perf test in the session its hooks change nothing."""

    def __init__(self, session: PerfSession) -> None:
        self._session = session
        self._config = session.config
        self._settings = session.settings
        self._health: HealthFiles | None = None  # where this process collects, and may run load
        self.collected: list[PerfFunction] = []  # also those that are not selected
        self.collected_marks: frozenset[str] = frozenset()  # of all tests, where none of the perf tests is selected
        self.found_perf_tests = False  # whether any was collected, also where none of them is selected
        self.perf_tests: list[PerfFunction] = []
        self.plain_tests = 0  # that carry a profile asked for, and no @perf

    @property
    def load_tests(self) -> list[PerfFunction]:
        """The perf tests that run under load."""
        return [item for item in self.perf_tests if item.runs_under_load]

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self) -> None:
        """Collect the health check as well where load may run, not where only workers collect. Called once."""
        if self._settings.runs_load and not self._config.pluginmanager.hasplugin("dsession"):
            self._health = HealthFiles(self._config, self._settings.health)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> Generator[None, None, None]:
        """Choose what runs under load, with the gates first. Called once everything is collected."""
        self.found_perf_tests = any(hasattr(item, "perf_session") for item in items)
        everything = [*items]
        self.collected = [item for item in items if isinstance(item, PerfFunction)]
        gates = {
            item.nodeid: item
            for item in items
            if self._settings.runs_load and isinstance(item, PerfFunction) and item.marker.gate
        }
        unasked = set() if self._health is None else {*self._health.unasked(items)}
        items[:] = [item for item in items if item not in unasked]
        yield
        if self._settings.exclusive:
            self._keep_only_asked(items)
        if any(runs_under_load(item) and item.nodeid not in gates for item in items):
            items[:] = [*gates.values(), *(item for item in items if item.nodeid not in gates)]
            self._count_as_selected({*gates})
        self._uncount(unasked.difference(items))
        self.perf_tests = [item for item in items if isinstance(item, PerfFunction)]
        self.plain_tests = sum(self._is_plain(item) for item in items)
        if not self.perf_tests:
            self.collected_marks = frozenset(mark.name for item in everything for mark in item.iter_markers())
        if self.load_tests:
            self._session.expect_load()

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Let nothing be lost from now on, where there is load to run. Called once all tests are chosen."""
        if self.load_tests and not runs_nothing(self._config):
            self._session.protect(session)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
        """Run a perf test under load as pytest itself does, not as plugins that run a failed test again."""
        return runner.pytest_runtest_protocol(item, nextitem) if runs_under_load(item) else None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Refuse all further load once a gate has failed."""
        gates = (item.nodeid for item in self.perf_tests if item.marker.gate)
        if report.failed and self._settings.runs_load and report.nodeid in gates:
            self._session.refuse_loads(f"the health check {report.nodeid} failed, so no load was started")

    def _is_plain(self, item: pytest.Item) -> bool:
        marks = {canonical(mark.name) for mark in item.iter_markers()}
        return not isinstance(item, PerfFunction) and bool(marks & self._settings.asked)

    def _keep_only_asked(self, items: list[pytest.Item]) -> None:
        kept = [item for item in items if runs_under_load(item)]
        dropped = [item for item in items if item not in kept]
        if dropped:
            self._config.hook.pytest_deselected(items=dropped)
            items[:] = kept

    def _count_as_selected(self, gates: Collection[str]) -> None:
        reporter = self._config.pluginmanager.getplugin("terminalreporter")
        deselected = [] if reporter is None else reporter.stats.get("deselected", [])
        deselected[:] = [item for item in deselected if item.nodeid not in gates]

    def _uncount(self, items: Collection[pytest.Item]) -> None:
        reporter = self._config.pluginmanager.getplugin("terminalreporter")
        if reporter is not None:
            reporter._numcollected -= len(items)  # noqa: SLF001  # or "collected 9 items" counts what is not asked for
