"""On a worker beside others: a perf test under load is run by all of them together, and reported by one."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import pytest
from _pytest.runner import runtestprotocol

from pytest_cdcperf.cluster.messages import Collected
from pytest_cdcperf.plugin.item import PerfFunction
from pytest_cdcperf.plugin.load_tests import runs_under_load
from pytest_cdcperf.plugin.session import PerfSession
from pytest_cdcperf.plugin.worker_context import WorkerContext
from pytest_cdcperf.plugin.xdist.protocol import Handshake


class Worker:
    """A plugin of each worker that collects a perf test. Its hooks are called in the worker's main thread.

    :param header: returns the lines to show where the tests are handed out
    """

    def __init__(self, session: PerfSession, context: WorkerContext, header: Callable[[], list[str]]) -> None:
        self._session = session
        self._link = session.link
        self._header = header
        self._outcome = "passed"
        self._released: Any = None  # once the test's body has ended on all workers
        context.channel.send(tuple(Handshake.of_this_process()))

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Say what there is to run under load: first, so that it is there when xdist says what was collected."""
        found = [(index, item) for index, item in enumerate(session.items) if isinstance(item, PerfFunction)]
        tests = [item.as_load_test(index) for index, item in found if item.runs_under_load]
        self._link.send(Collected(tuple(tests), tuple(self._header())))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
        """Run a perf test under load together with the others. Called by xdist's loop, for each test."""
        if not runs_under_load(item):
            return None
        go = self._link.arrive(item.nodeid)
        if not go.takes_part:
            item.session._setupstate.teardown_exact(nextitem)  # noqa: SLF001  # what the last test left for this one
            return True
        self._session.refuse_loads(go.refused)
        self._outcome, self._released = "passed", None
        # xdist counts one report a test and phase, so one worker reports: which one is known once all have ended.
        if go.is_first:
            item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        for report in runtestprotocol(item, log=False, nextitem=nextitem):
            if self._released.reports or (report.when == "teardown" and report.failed):
                if report.failed and self._released.note:
                    report.sections.append(("cdcperf", self._released.note))
                item.ihook.pytest_runtest_logreport(report=report)
        if self._released.reports:
            item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Note how the test has gone so far."""
        report = yield
        if report.when != "teardown" and not report.passed:
            self._outcome = report.outcome
        return report

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None]:
        """Wait until the test's body has ended on all workers: nothing is torn down under a running VU."""
        # Only at the first tear-down: a plugin that runs tests again tears them down more than once.
        if runs_under_load(item) and self._released is None:
            self._released = self._link.end(item.nodeid, self._outcome, self._session.load_refused)
        yield
