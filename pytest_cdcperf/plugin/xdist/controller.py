"""Perf tests over pytest-xdist's workers: what the controller's process and each worker's have to do for it.

Beside xdist's own channel each worker has one of ours, for :mod:`pytest_cdcperf.cluster`.
"""

from __future__ import annotations

import platform
import queue
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import pytest
from _pytest.runner import runtestprotocol

from pytest_cdcperf.plugin.interruption import TERMINATING, Place
from pytest_cdcperf.plugin.load_tests import runs_under_load
from pytest_cdcperf.plugin.results import SessionName
from pytest_cdcperf.plugin.xdist.scheduler import FanOutScheduling

if TYPE_CHECKING:
    from xdist.workermanage import WorkerController

    from pytest_cdcperf.cluster.coordinator import Coordinator
    from pytest_cdcperf.cluster.messages import LoadTest
    from pytest_cdcperf.plugin.session import PerfSession, WorkerContext

CHANNEL, RUN = "cdcperf_channel", "cdcperf_run"
INTERRUPT_GRACE_S = 4.5  # of the 5 s in which Ctrl-C must have ended everything
_TICK_S = 1.0


def distributes(config: pytest.Config) -> bool:
    """Whether this is the process that hands out tests to workers."""
    return config.getoption("dist", "no") != "no" and bool(config.getoption("tx", None)) and context_of(config) is None


def context_of(config: pytest.Config) -> WorkerContext | None:
    """Return the place of this worker among the others, None in any other process.

    :raises pytest.UsageError: where the process that hands out the tests knows nothing of it
    """
    given = getattr(config, "workerinput", None)
    if given is None:
        return None
    from pytest_cdcperf.plugin.session import WorkerContext  # noqa: PLC0415

    if CHANNEL not in given:
        raise pytest.UsageError("pytest-cdcperf is not active where the tests are handed out, only on this worker")
    return WorkerContext(given["workerid"], given["workercount"], given[CHANNEL], SessionName(*given[RUN]))


class FanOut:
    """In the process that hands out tests. With no perf test in the session it changes nothing.

    :param begin_session: returns the session's perf tests, as soon as there are any
    """

    def __init__(self, config: pytest.Config, begin_session: Callable[[], PerfSession]) -> None:
        self._config = config
        self.name = SessionName.new()
        self._begin_session = begin_session
        self._session: PerfSession | None = None
        self._inbox: queue.Queue[tuple[WorkerController, Any] | None] = queue.Queue()
        self._nodes: dict[str, WorkerController] = {}
        self._channels: dict[str, Any] = {}  # a channel that nobody holds is closed
        self._hello: dict[str, tuple[str, str]] = {}
        self._collections: dict[str, Sequence[str]] = {}
        self._taking: threading.Thread | None = None
        self._has_begun = self._takes_over = False
        self._closed: list[str] = []  # workers from whom no word can come any more
        self._ending = False
        self._handing_out: pytest.Session | None = None

    @property
    def coordinator(self) -> Coordinator:
        """What brings the workers together."""
        return self._perf().coordinator

    def tests_of(self, node: WorkerController) -> tuple[LoadTest, ...]:
        """Return the perf tests that *node* would run under load."""
        return () if self._session is None else self._tests_of(node.gateway.id)

    def _tests_of(self, worker: str) -> tuple[LoadTest, ...]:
        collected = self.coordinator.collected.get(worker)
        return () if collected is None else collected.tests

    def admit(self, workers: Sequence[str]) -> None:
        """From now on *workers* run the perf tests together."""
        if self._session is not None:
            self.coordinator.admit([worker for worker in self._nodes if worker in workers])

    def agree(self, nodes: Sequence[WorkerController]) -> bool:
        """Whether all *nodes* see the same perf tests; say what differs where they do not."""
        if self._session is None:
            return True
        nodes = [node for node in self._nodes.values() if node in nodes]  # not as they happened to be ready
        if faults := list(self._disagreements(nodes)):
            for name, fault in faults:
                report = pytest.CollectReport(nodeid=name, outcome="failed", longrepr=fault, result=[])
                self._config.hook.pytest_collectreport(report=report)
            return False
        self._begin(nodes[0].gateway.id)
        return True

    def _begin(self, worker: str) -> None:
        if self._has_begun or worker not in self.coordinator.collected:
            return
        self._has_begun = True
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
        if any(worker.tests for worker in collected):
            perf.protect(self._handing_out)
        else:
            perf.interruption.take(self._handing_out, TERMINATING)

    def _stop_handing_out(self, reason: str) -> None:
        dsession: Any = self._config.pluginmanager.getplugin("dsession")
        dsession.shouldstop = reason  # looked at after each report: a test is under way, and about to end

    def _disagreements(self, nodes: Sequence[WorkerController]) -> Generator[tuple[str, str], None, None]:
        here, loads = _installed(), any(self.tests_of(node) for node in nodes)
        for name in (node.gateway.id for node in nodes):
            theirs, host = self._hello.get(name, ("no pytest-cdcperf", "its host"))
            if theirs != here:
                yield name, f"worker {name} on {host} has {theirs}, here it is {here}: install the same there"
                continue
            if loads:
                yield from self._differences(nodes[0].gateway.id, name)

    def _differences(self, first: str, other: str) -> Generator[tuple[str, str], None, None]:
        here, there = self._collections[first], self._collections[other]
        if apart := sorted(set(here) ^ set(there)):
            has, lacks = (first, other) if apart[0] in here else (other, first)
            more = f" (and {len(apart) - 1} more)" if len(apart) > 1 else ""
            yield (
                apart[0],
                f"worker {has} collected {apart[0]}, worker {lacks} did not{more}: all must see the same tests",
            )
        elif here != there:
            yield other, f"worker {other} collected in another order than {first}: all must see the tests in the same"
        mine, others = ({test.nodeid: test.spec for test in self._tests_of(name)} for name in (first, other))
        for nodeid in mine.keys() & others.keys():
            if mine[nodeid] != others[nodeid]:
                yield (
                    nodeid,
                    f"{nodeid}: worker {first} would run {mine[nodeid]}; worker {other} {others[nodeid]}; "
                    "all must come to the same: look for what differs between them, such as the environment",
                )

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_setupnodes(self, specs: Sequence[Any]) -> None:
        """Refuse what cannot be told to a worker elsewhere. Called before any worker starts, in the main thread."""
        far = [spec for spec in specs if not spec.popen or spec.chdir]
        if self._session is None or not far:
            return
        from xdist.workermanage import make_reltoroot  # noqa: PLC0415

        manager: Any = self._config.pluginmanager.getplugin("dsession")
        try:
            make_reltoroot(manager.nodemanager.roots, [str(given) for given in self._config.invocation_params.args])
        except ValueError as error:
            raise pytest.UsageError(
                f"--tx {_named(far[0])}: {error}: a worker elsewhere knows no paths of this host; "
                "choose tests by -m, -k or the testpaths of its own checkout, and write --option=FILE"
            ) from None

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: WorkerController) -> None:
        """Open our channel to a worker. Called before it starts, in the main thread."""
        channel = node.gateway.newchannel()
        node.workerinput |= {CHANNEL: channel, RUN: tuple(self.name)}
        self._nodes[node.gateway.id] = node
        self._channels[node.gateway.id] = channel
        # In a thread of the gateway's, which must not wait for anything.
        channel.setcallback(lambda data: self._inbox.put((node, data)), endmarker=None)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: WorkerController, ids: Sequence[str]) -> None:
        """Take what the worker said of its perf tests, before xdist makes its schedule. In the main thread."""
        self._collections[node.gateway.id] = ids
        if self._taking is None and not self._inbox.empty():
            self._perf()
            self._taking = threading.Thread(target=self._take_all, name="cdcperf-controller", daemon=True)
            self._taking.start()
        if self._taking is not None:
            self._inbox.join()
        if self._session is not None and self._session.settings.runs_load and self._concerns(node.gateway.id):
            self._take_over_scheduling(node)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logstart(self) -> None:
        """Say in what mode the perf tests run, before the first test where none is under load. In the main thread."""
        if self._session is not None and not self._has_begun:
            self._begin(next(iter(self._collections)))

    def _concerns(self, worker: str) -> bool:
        """Whether *worker* has perf tests under load, or may have some and cannot say so."""
        return bool(self._tests_of(worker)) or self._hello.get(worker, (_installed(),))[0] != _installed()

    def _take_over_scheduling(self, node: WorkerController) -> None:
        """Put our scheduler into the place of xdist's own at the first perf test under load, in time before it is used.

        Not earlier: a session without such a test keeps xdist's. It is made anew, as it knows nodes by now.
        """
        manager: Any = self._config.pluginmanager.getplugin("dsession")
        known = manager.sched
        if self._takes_over or known.collection_is_completed:
            return
        self._takes_over = True
        self._perf().expect_load()
        make = self._config.hook.pytest_xdist_make_scheduler
        manager.sched = scheduler = FanOutScheduling(make(config=self._config, log=manager.log), self)
        for ready in known.nodes:
            scheduler.add_node(ready)
            if ready is not node and ready.gateway.id in self._collections:
                scheduler.add_node_collection(ready, self._collections[ready.gateway.id])

    @pytest.hookimpl(tryfirst=True, optionalhook=True)  # before xdist prints the traceback of a worker without us
    def pytest_testnodedown(self, node: WorkerController, error: object) -> None:
        """Wait no longer for a worker that is gone. Called in the main thread."""
        name = node.gateway.id
        if self._session is None:
            return
        from pytest_cdcperf.printable import one_line  # noqa: PLC0415

        if error and self._session.settings.runs_load and name not in self._hello and not hasattr(node, "workerinfo"):
            lines = [line.strip() for line in str(error).strip().splitlines()]
            words = one_line(next((line for line in reversed(lines) if "rror: " in line), lines[-1]))
            signs = ("ModuleNotFoundError", "ImportError: ", "UsageError", "unrecognized arguments")
            lacking = any(sign in words for sign in signs)
            pytest.exit(
                f"worker {name} ({_named(node.gateway.spec)}) ended before it began: {words}"
                + (f"; {_installed()} must be installed there" if lacking else ""),
                returncode=int(pytest.ExitCode.USAGE_ERROR),
            )
        if error and error != "keyboard-interrupt":  # after which it has torn everything down
            self._session.worker_died = True
        self.coordinator.drop(name, self._end_of(error))
        status = pytest.ExitCode.OK if error else node.workeroutput["exitstatus"]
        if status not in list(pytest.ExitCode):  # pytest.exit() with a code of its own: of no interest to xdist
            pytest.exit(f"worker {name} ended the session", returncode=status)

    def _end_of(self, error: object) -> str:
        """Return how a worker ended, in words. An interrupt ends workers: Ctrl-C also the ssh client of a far one."""
        if self._perf().interruption.reason:
            return "is gone"
        return "died" if error else "ended"

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, Any, Any]:
        """Know the session that hands out tests, and when that is over. In the main thread."""
        self._handing_out = session
        try:
            return (yield)
        finally:
            if self._session is not None:
                self._session.interruption.move(Place.ATTENDED)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """End what is still under way, before xdist ends the workers. In the main thread."""
        if self._session is None or self._taking is None:
            return
        self._ending = True
        self.coordinator.interrupt(self._session.interruption.reason or "interrupted")
        for name in list(self._closed):
            self.coordinator.drop(name, "is gone")
        self.coordinator.wait_until_idle(INTERRUPT_GRACE_S)
        self._inbox.put(None)
        self._taking.join(timeout=_TICK_S)

    def bind(self, session: PerfSession) -> None:
        """*session* is the one whose runs these are."""
        self._session = session
        session.host.workers = self

    def _perf(self) -> PerfSession:
        if self._session is None:
            self.bind(self._begin_session())
        if self._session is None:
            raise AssertionError("bind() sets it")
        return self._session

    @property
    def far(self) -> Sequence[str]:
        """The workers on other hosts, as ``--tx`` names them."""
        specs = [str(spec).partition("*")[2] or str(spec) for spec in self._config.getoption("tx")]
        return [f"--tx {spec}" for spec in specs if not spec.startswith("popen")]

    def session_is_over(self) -> bool:
        """Whether xdist hands out no further test, as after ``-x``."""
        return bool(getattr(self._config.pluginmanager.getplugin("dsession"), "shouldstop", False))

    def _take_all(self) -> None:
        item: tuple[WorkerController, Any] | None
        while True:
            try:
                item = self._inbox.get(timeout=_TICK_S)
            except queue.Empty:
                self.coordinator.tick()
                continue
            if item is not None:
                self._take(*item)
            self._inbox.task_done()
            if item is None:
                return
            self.coordinator.tick()

    def _take(self, node: WorkerController, data: Any) -> None:
        from pytest_cdcperf.cluster.wire import pack, unpack  # noqa: PLC0415

        name = node.gateway.id
        if data is None:
            self._closed.append(name)
            if self._ending:  # before, xdist tells us; Ctrl-C ends the ssh client of a far worker beside us
                self.coordinator.drop(name, "is gone")
        elif isinstance(data, tuple):
            self._hello[name] = data
            channel = self._channels[name]

            def post(message: Any) -> None:
                with suppress(OSError):  # it is gone: its end is on the way to us
                    channel.send(pack(message))

            self.coordinator.join(name, post)
        elif self._hello[name][0] == _installed():
            try:
                self.coordinator.receive(name, unpack(data))
            except Exception as error:  # noqa: BLE001  # one worker's words must not end the session of all
                self.kill(name)
                said = f"was killed: what it sent cannot be used ({type(error).__name__}: {error})"
                self.coordinator.drop(name, said)

    def kill(self, worker: str) -> None:
        """End *worker* without asking it."""
        with suppress(Exception):  # a socket has no process to kill; xdist's own end of the session is left then
            self._nodes[worker].gateway._io.kill()  # noqa: SLF001  # execnet's terminate() waits for it to answer


fan_out_key: pytest.StashKey[FanOut] = pytest.StashKey()  # in config.stash


class Worker:
    """On a worker beside others: a perf test under load is run together with them, and reported by one."""

    def __init__(self, session: PerfSession, context: WorkerContext, header: Callable[[], list[str]]) -> None:
        self._session = session
        self._link = session.link
        self._outcome = "passed"
        self._released: Any = None
        self._header = header
        context.channel.send((_installed(), platform.node()))

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Say what there is to run under load, before xdist says what was collected."""
        from pytest_cdcperf.cluster.messages import Collected  # noqa: PLC0415
        from pytest_cdcperf.plugin.item import PerfFunction  # noqa: PLC0415

        found = [(index, item) for index, item in enumerate(session.items) if isinstance(item, PerfFunction)]
        tests = [item.as_load_test(index) for index, item in found if item.runs_under_load]
        self._link.send(Collected(tuple(tests), tuple(self._header())))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
        """Run a perf test under load together with the others."""
        if not runs_under_load(item):
            return None
        go = self._link.arrive(item.nodeid)
        if not go.takes_part:
            item.session._setupstate.teardown_exact(nextitem)  # noqa: SLF001  # what the last test left for this one
            return True
        self._session.refuse_loads(go.refused)
        self._outcome, self._released = "passed", None
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
        if (
            runs_under_load(item) and self._released is None
        ):  # a plugin that reruns tests tears them down more than once
            self._released = self._link.end(item.nodeid, self._outcome, self._session.load_refused)
        yield


def _named(spec: Any) -> str:
    return str(spec).removeprefix("execmodel=main_thread_only//")  # which xdist adds


def _installed() -> str:
    try:
        return f"pytest-cdcperf {version('pytest-cdcperf')}"
    except PackageNotFoundError:  # run from its sources
        return "pytest-cdcperf from its sources"
