"""``--perf-plan``: shows what the session would run, and runs nothing."""

from __future__ import annotations

import pytest
from _pytest.skipping import evaluate_skip_marks

from pytest_cdcperf.plugin.client_metrics import define
from pytest_cdcperf.plugin.item import PerfFunction
from pytest_cdcperf.plugin.keys import workers_key
from pytest_cdcperf.plugin.load_tests import uses_load_fixture
from pytest_cdcperf.plugin.selection import Selection
from pytest_cdcperf.plugin.session import PerfSession
from pytest_cdcperf.plugin.terminal_lines import encoding_of, write_lines
from pytest_cdcperf.reporting.lines import in_encoding
from pytest_cdcperf.reporting.plan import OtherTest, Plan, PlannedTest, plan_lines
from pytest_cdcperf.reporting.text_chart import ASCII, BLOCKS


class PlanOnly:
    """A plugin of a session that only plans: it has no workers, and its tests do not run."""

    def __init__(self, session: PerfSession, selection: Selection) -> None:
        self._settings = session.settings
        self._config = session.config
        self._selection = selection

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Write the plan. Called once all tests are chosen, and counted on the terminal."""
        if not self._selection.perf_tests or not self._config.pluginmanager.hasplugin("terminalreporter"):
            return
        writer = self._config.get_terminal_writer()
        writer.sep("=", "perf plan")
        shows_blocks = in_encoding(BLOCKS.levels, encoding_of(writer)) == BLOCKS.levels
        write_lines(writer, plan_lines(self._plan(session), writer.fullwidth, BLOCKS if shows_blocks else ASCII))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """Run no test. What could not be collected is pytest's to report. Called after the collection."""
        reports_errors = session.testsfailed and not self._config.option.continue_on_collection_errors
        return None if reports_errors else True

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """End as a session without tests where there was nothing to plan."""
        if exitstatus == pytest.ExitCode.OK and not self._selection.perf_tests:
            session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED

    def _plan(self, session: pytest.Session) -> Plan:
        tests: list[PlannedTest] = []
        others: list[OtherTest] = []
        for item in self._selection.perf_tests:
            what, why = self._kept_from_load(item)
            if what:
                others.append(OtherTest(what, item.nodeid, why))
            else:
                tests.append(self._planned(item))
        others.sort(key=lambda other: other.what)
        return Plan(
            tests=tuple(tests),
            others=tuple(others),
            plain_tests=len(session.items) - len(self._selection.perf_tests),
            workers=self._config.stash[workers_key],
            errors=session.testsfailed,
        )

    def _kept_from_load(self, item: PerfFunction) -> tuple[str, str]:
        try:
            skip = evaluate_skip_marks(item)
        except (pytest.fail.Exception, TypeError) as error:
            return "fails", str(error)
        if skip is not None:
            return "skipped", skip.reason
        if item.refused:
            return "fails", item.refused
        if item.runs_under_load:
            return "", ""
        if self._settings.runs_load:
            return "once", f"it carries none of the marks asked for: {', '.join(sorted(self._settings.asked))}"
        return "once", self._settings.mode_reason

    def _planned(self, item: PerfFunction) -> PlannedTest:
        define(limit.metric for limit in item.spec.thresholds)
        stated = item.marker.loads_over(self._settings.profile_of(item.spec.profile))
        named = item.spec.profile in self._settings.thresholds
        return PlannedTest(
            name=item.nodeid,
            spec=item.spec,
            stated=stated,
            options=self._settings.overrides.with_effect(stated),
            own_limits=item.marker.thresholds,
            file=str(self._config.getoption("perf_thresholds")) if named else "",
            gate=item.marker.gate,
            drives_itself=uses_load_fixture(item),
        )


def keep_workers_away(config: pytest.Config) -> None:
    """Note how many workers the session would have, and let pytest-xdist start none."""
    workers = 0
    if config.getoption("dist", "no") != "no" and config.getoption("tx", None):
        from xdist.workermanage import parse_tx_spec_config  # noqa: PLC0415  # not installed with -p no:xdist

        workers = len(parse_tx_spec_config(config))
        config.option.dist, config.option.tx = "no", []
    config.stash[workers_key] = max(1, workers)
