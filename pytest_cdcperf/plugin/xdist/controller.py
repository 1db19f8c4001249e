"""Perf tests over pytest-xdist's workers: what the process that hands out tests does for it.

The hooks are called by xdist's session (``xdist/dsession.py``) and by pytest, all in the main thread, in this order::

    pytest_xdist_setupnodes                 no worker has started
    pytest_configure_node                   for each worker, before it starts: it gets a channel of ours
    pytest_runtestloop                      around all that follows
    pytest_xdist_node_collection_finished   for each worker: what it has collected
    pytest_runtest_logstart                 for each test that a worker begins
    pytest_testnodedown                     for each worker that has ended, in whatever way
    pytest_sessionfinish                    the end, before xdist ends the workers that are left

What comes over our channels is taken in another thread: see ``channels.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from pytest_cdcperf.plugin.interruption import TERMINATING, Place
from pytest_cdcperf.plugin.results import SessionName
from pytest_cdcperf.plugin.xdist.agreement import CollectedTests, disagreements
from pytest_cdcperf.plugin.xdist.channels import Channels
from pytest_cdcperf.plugin.xdist.protocol import installed
from pytest_cdcperf.plugin.xdist.scheduler import FanOutScheduling

if TYPE_CHECKING:  # every session with workers imports this module: nothing that only perf tests need
    from xdist.workermanage import WorkerController

    from pytest_cdcperf.cluster.coordinator import Coordinator
    from pytest_cdcperf.cluster.messages import LoadTest
    from pytest_cdcperf.plugin.session import PerfSession

INTERRUPT_GRACE_S = 4.5  # of the 5 s in which Ctrl-C must have ended everything


class FanOut:
    """In the process that hands out tests. With no perf test in the session it changes nothing.

    :param begin_session: returns the session's perf tests, as soon as there are any
    """

    def __init__(self, config: pytest.Config, begin_session: Callable[[], PerfSession]) -> None:
        self._config = config
        self.name = SessionName.new()
        self._begin_session = begin_session
        self._session: PerfSession | None = None
        self._channels = Channels()
        self._nodeids: dict[str, Sequence[str]] = {}  # of all tests that each worker has collected
        self._has_begun = self._takes_over = False
        self._handing_out: pytest.Session | None = None

    def bind(self, session: PerfSession) -> None:
        """*session* is the one whose runs these are."""
        self._session = session

    @property
    def coordinator(self) -> Coordinator:
        """The coordinator, which brings the workers together."""
        return self._perf().coordinator

    @property
    def far(self) -> Sequence[str]:
        """The workers on other hosts, as ``--tx`` names them."""
        specs = [str(spec).partition("*")[2] or str(spec) for spec in self._config.getoption("tx")]
        return [f"--tx {spec}" for spec in specs if not spec.startswith("popen")]

    def kill(self, worker: str) -> None:
        """End *worker* without asking it."""
        self._channels.kill(worker)

    def session_is_over(self) -> bool:
        """Whether xdist hands out no further test, as after ``-x``."""
        return bool(getattr(self._dsession, "shouldstop", False))

    def tests_of(self, worker: str) -> tuple[LoadTest, ...]:
        """Return the perf tests that *worker* would run under load."""
        collected = None if self._session is None else self.coordinator.collected.get(worker)
        return () if collected is None else collected.tests

    def admit(self, workers: Collection[str]) -> None:
        """From now on *workers* run the perf tests together."""
        self.coordinator.admit(self._in_order(workers))

    def check_agreement(self, workers: Collection[str]) -> bool:
        """Whether all *workers* see the same perf tests; report what differs where they do not."""
        workers = self._in_order(workers)
        found = list(disagreements([self._collected_by(worker) for worker in workers]))
        for about, words in found:
            report = pytest.CollectReport(nodeid=about, outcome="failed", longrepr=words, result=[])
            self._config.hook.pytest_collectreport(report=report)
        if not found:
            self._begin(workers[0])
        return not found

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_setupnodes(self, specs: Sequence[Any]) -> None:
        """Refuse arguments that xdist cannot translate for a worker elsewhere."""
        far = [spec for spec in specs if not spec.popen or spec.chdir]
        if self._session is None or not far:
            return
        from xdist.workermanage import make_reltoroot  # noqa: PLC0415

        try:
            make_reltoroot(
                self._dsession.nodemanager.roots, [str(given) for given in self._config.invocation_params.args]
            )
        except ValueError as error:
            raise pytest.UsageError(
                f"--tx {_named(far[0])}: {error}: a worker elsewhere knows no paths of this host; "
                "choose tests by -m, -k or the testpaths of its own checkout, and write --option=FILE"
            ) from None

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: WorkerController) -> None:
        """Open our channel to a worker."""
        self._channels.open(node, self.name)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, Any, Any]:
        """Know the session that hands out tests, and when that is over."""
        self._handing_out = session
        try:
            return (yield)
        finally:
            if self._session is not None:
                self._session.interruption.move(Place.FRAMEWORK)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: WorkerController, ids: Sequence[str]) -> None:
        """Take what the worker said of its perf tests, before xdist makes its schedule."""
        worker = node.gateway.id
        self._nodeids[worker] = ids
        if self._channels.has_news:
            self._channels.take_to(self.coordinator)
        if self._session is not None and self._session.settings.runs_load and self._concerns(worker):
            self._take_over_scheduling(node)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logstart(self) -> None:
        """Say in what mode the perf tests run, before the first test where none is under load."""
        if self._session is not None:
            self._begin(next(iter(self._nodeids)))

    @pytest.hookimpl(tryfirst=True, optionalhook=True)  # before xdist prints the traceback of a worker without us
    def pytest_testnodedown(self, node: WorkerController, error: object) -> None:
        """Wait no longer for a worker that is gone. A session whose worker could not begin ends here."""
        worker = node.gateway.id
        if self._session is None:
            return
        has_begun = worker in self._channels.handshakes or hasattr(node, "workerinfo")
        if error and self._session.settings.runs_load and not has_begun:
            pytest.exit(_why_it_did_not_begin(node, str(error)), returncode=int(pytest.ExitCode.USAGE_ERROR))
        if error and error != "keyboard-interrupt":  # after which it has torn everything down
            self._session.worker_died = True
        # An interrupt ends workers: Ctrl-C also the ssh client of one on another host.
        outcome = "is gone" if self._session.interruption.reason else "died" if error else "ended"
        self.coordinator.drop(worker, outcome)
        status = pytest.ExitCode.OK if error else node.workeroutput["exitstatus"]
        if status not in list(pytest.ExitCode):  # pytest.exit() with a code of its own: of no interest to xdist
            pytest.exit(f"worker {worker} ended the session", returncode=status)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """End what is still under way, before xdist ends the workers."""
        if self._session is not None:
            self._channels.close(self._session.interruption.reason or "interrupted", INTERRUPT_GRACE_S)

    @property
    def _dsession(self) -> Any:
        return self._config.pluginmanager.getplugin("dsession")

    def _perf(self) -> PerfSession:
        return self._session or self._begin_session()  # which binds it

    def _in_order(self, workers: Collection[str]) -> list[str]:
        return [worker for worker in self._channels.nodes if worker in workers]  # not as they happened to be ready

    def _collected_by(self, worker: str) -> CollectedTests:
        handshake = self._channels.handshakes.get(worker)
        return CollectedTests(worker, handshake, self._nodeids[worker], self.tests_of(worker))

    def _concerns(self, worker: str) -> bool:
        """Whether *worker* has perf tests under load, or may have some and cannot say so."""
        handshake = self._channels.handshakes.get(worker)
        return bool(self.tests_of(worker)) or (handshake is not None and handshake.installed != installed())

    def _begin(self, worker: str) -> None:
        """Show the header of *worker*, and take signals from now on. At the first call only."""
        if self._has_begun or worker not in self.coordinator.collected:
            return
        self._has_begun = True
        # Workers print nothing, and their headers are alike: the first one's is that of the session.
        reporter = self._config.pluginmanager.getplugin("terminalreporter")
        if reporter is not None:
            for line in self.coordinator.collected[worker].header:
                reporter.write_line(line)
        self._take_signals()

    def _take_signals(self) -> None:
        perf, collected = self._perf(), self.coordinator.collected.values()
        if self._handing_out is None or not any(worker.header for worker in collected):
            return
        perf.interruption.is_busy = lambda: self.coordinator.is_busy
        perf.interruption.stop_handing_out = self._stop_handing_out
        perf.interruption.move(Place.HANDING_OUT)
        # Under load any signal leaves time for the result. Otherwise Ctrl-C stays pytest's own, and SIGTERM, which
        # would kill, lets servers be stopped.
        if any(worker.tests for worker in collected):
            perf.protect(self._handing_out)
        else:
            perf.interruption.take(self._handing_out, TERMINATING)

    def _stop_handing_out(self, reason: str) -> None:
        self._dsession.shouldstop = reason  # looked at after each report: a test is under way, and about to end

    def _take_over_scheduling(self, node: WorkerController) -> None:
        """Put our scheduler into the place of xdist's own at the first perf test under load, in time before it is used.

        Not earlier: a session without such a test keeps xdist's. It is made anew, as it knows nodes by now.
        """
        known = self._dsession.sched
        if self._takes_over or known.collection_is_completed:
            return
        self._takes_over = True
        self._perf().expect_load()
        inner = self._config.hook.pytest_xdist_make_scheduler(config=self._config, log=self._dsession.log)
        self._dsession.sched = scheduler = FanOutScheduling(inner, self)
        for ready in known.nodes:
            scheduler.add_node(ready)
            if ready is not node and ready.gateway.id in self._nodeids:
                scheduler.add_node_collection(ready, self._nodeids[ready.gateway.id])


fan_out_key: pytest.StashKey[FanOut] = pytest.StashKey()  # in config.stash


def _why_it_did_not_begin(node: WorkerController, error: str) -> str:
    from pytest_cdcperf.printable import one_line  # noqa: PLC0415

    lines = [line.strip() for line in error.strip().splitlines()]
    words = one_line(next((line for line in reversed(lines) if "rror: " in line), lines[-1]))
    signs = ("ModuleNotFoundError", "ImportError: ", "UsageError", "unrecognized arguments")
    remedy = f"; {installed()} must be installed there" if any(sign in words for sign in signs) else ""
    return f"worker {node.gateway.id} ({_named(node.gateway.spec)}) ended before it began: {words}{remedy}"


def _named(spec: Any) -> str:
    return str(spec).removeprefix("execmodel=main_thread_only//")  # which xdist adds
