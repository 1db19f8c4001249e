"""One pytest session's perf tests: which run, how, and what is said of them at the end."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from _pytest import runner

from pytest_cdcperf.cluster.coordinator import Coordinator
from pytest_cdcperf.cluster.link import Channel, link_in_process, link_over
from pytest_cdcperf.cluster.messages import Interrupted, ServicesWanted
from pytest_cdcperf.cluster.shared_state import Shared
from pytest_cdcperf.load.overrides import Overrides
from pytest_cdcperf.load.profiles import canonical
from pytest_cdcperf.plugin import item as items_module
from pytest_cdcperf.plugin.health import HealthFiles
from pytest_cdcperf.plugin.hints import hints
from pytest_cdcperf.plugin.host import SessionHost
from pytest_cdcperf.plugin.interruption import Interruption
from pytest_cdcperf.plugin.item import PerfFunction
from pytest_cdcperf.plugin.load_tests import runs_under_load
from pytest_cdcperf.plugin.progress import LastingStream, Progress
from pytest_cdcperf.plugin.results import ResultsDirectory, SessionName
from pytest_cdcperf.plugin.services import SessionServices
from pytest_cdcperf.plugin.settings import Mode, Settings
from pytest_cdcperf.plugin.surroundings import taken_over
from pytest_cdcperf.printable import one_line, short_name
from pytest_cdcperf.reporting.terminal import session_table, summary, verdict_colour, verdict_lines
from pytest_cdcperf.results.result import RunResult

if TYPE_CHECKING:
    from pytest_cdcperf.cdc.expect import Cdc

_SUMMARISED = {code for code in pytest.ExitCode if code is not pytest.ExitCode.INTERNAL_ERROR}


@dataclass(frozen=True)
class Seat:
    """A worker's place among the workers of a session over several processes."""

    worker: str
    workers: int
    channel: Channel
    run: SessionName


class PerfSession:
    """Registered as a plugin of its own. With no perf test in the session its hooks change nothing.

    :param seat: on a worker beside others; without it the session judges its runs itself
    """

    def __init__(
        self,
        config: pytest.Config,
        settings: Settings,
        stdout: int | None,
        seat: Seat | None = None,
        run: SessionName | None = None,
    ) -> None:
        self.config = config
        self.settings = settings
        self.seat = seat
        run = run or (SessionName.new() if seat is None else seat.run)
        self.session_id = run.session_id
        self.directory = ResultsDirectory(settings.results, run)
        self.progress = Progress(stdout)
        self.host = SessionHost(self)
        self.coordinator = Coordinator(self.host)
        self.link = link_in_process(self.coordinator) if seat is None else link_over(seat.channel, seat.worker)
        self.interruption = Interruption(self._on_signal)
        if seat is not None:
            self.link.on_interrupted = self.interruption.on_told
        self.shared = Shared(self.link.ask, crosses_processes=seat is not None)
        self.services = SessionServices(
            settings,
            self._log_directory,
            self.progress.begin,
            None if seat is None else lambda: self.link.ask(ServicesWanted()),
            self.coordinator.fail,
        )
        self.results: list[RunResult] = []
        self.samplers: list[Callable[[], object]] = []
        self.cdc: Cdc | None = None  # once a test has asked for it
        self._load_refused = ""
        self._refused_while: Callable[[], bool] | None = None
        self.worker_died = False
        self._ends = False
        self._health: HealthFiles | None = None  # where this process collects, and may run load
        self._expects_load = False
        self._logs: Path | None = None  # of the embedded servers, where no load runs
        self._has_perf_tests = False
        self._selected: list[PerfFunction] = []
        self._plain = 0  # tests that carry a profile asked for, and no @perf

    @property
    def load_refused(self) -> str:
        """Why no load may start, "" where one may."""
        if self._refused_while is not None and not self._refused_while():
            self._load_refused, self._refused_while = "", None
        return self._load_refused

    @load_refused.setter
    def load_refused(self, reason: str) -> None:
        self._load_refused = reason

    def refuse_loads_while(self, holds: Callable[[], bool], reason: str) -> None:
        """Let no load start while *holds* answers true."""
        self._load_refused, self._refused_while = reason, holds

    @property
    def loads(self) -> bool:
        """Whether the session runs load."""
        return self.settings.mode is Mode.LOAD

    def expect_load(self) -> None:
        """Some test is going to run under load: make sure that its results can be written.

        :raises pytest.UsageError: when they cannot
        """
        self._expects_load = True
        if self.seat is None and not self.config.getoption("collectonly"):
            self.directory.check()

    def surroundings(self, fixtures: Collection[str]) -> list[str]:
        """Return what tests that use *fixtures* take over from the environment, without secrets."""
        return taken_over(fixtures, external=self.settings.external)

    def _log_directory(self) -> Path:
        # Without load nothing is left behind: pytest keeps its own temporary directories of the last three sessions.
        factory = getattr(self.config, "_tmp_path_factory", None)
        if self._expects_load or factory is None:
            return self.directory.path
        if self._logs is None:
            self._logs = factory.mktemp("cdcperf-logs")
        return self._logs

    def adopt(self, item: pytest.Function) -> pytest.Function:
        """Return the perf test that *item* is, or *item* itself where it is none."""
        self._has_perf_tests = True
        return items_module.adopt(item, self)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self) -> None:
        """Collect the health check as well where load may run, not where only workers collect. Called once."""
        if self.loads and not self.config.pluginmanager.hasplugin("dsession"):
            self._health = HealthFiles(self.config, self.settings.health)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> Generator[None, None, None]:
        """Choose what runs under load, with the gates first. Called once everything is collected."""
        gates = {
            item.nodeid: item for item in items if self.loads and isinstance(item, PerfFunction) and item.marker.gate
        }
        unasked = set() if self._health is None else {*self._health.unasked(items)}
        items[:] = [item for item in items if item not in unasked]
        yield
        if self.settings.exclusive:
            self._keep_only_asked(items)
        if any(runs_under_load(item) and item.nodeid not in gates for item in items):
            items[:] = [*gates.values(), *(item for item in items if item.nodeid not in gates)]
            self._count_as_selected({*gates})
        self._uncount(unasked.difference(items))
        self._selected = [item for item in items if isinstance(item, PerfFunction)]
        self._plain = sum(self._is_marked_only(item) for item in items)
        if any(item.runs_under_load for item in self._selected):
            self.expect_load()

    def _is_marked_only(self, item: pytest.Item) -> bool:
        marks = {canonical(mark.name) for mark in item.iter_markers()}
        return not isinstance(item, PerfFunction) and bool(marks & self.settings.asked)

    def _count_as_selected(self, gates: Collection[str]) -> None:
        reporter = self.config.pluginmanager.getplugin("terminalreporter")
        deselected = [] if reporter is None else reporter.stats.get("deselected", [])
        deselected[:] = [item for item in deselected if item.nodeid not in gates]

    def _uncount(self, items: Collection[pytest.Item]) -> None:
        reporter = self.config.pluginmanager.getplugin("terminalreporter")
        if reporter is not None:
            reporter._numcollected -= len(items)  # noqa: SLF001  # or "collected 9 items" counts what is not asked for

    def _keep_only_asked(self, items: list[pytest.Item]) -> None:
        kept = [item for item in items if isinstance(item, PerfFunction) and item.runs_under_load]
        dropped = [item for item in items if item not in kept]
        if dropped:
            self.config.hook.pytest_deselected(items=dropped)
            items[:] = kept

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Let nothing be lost from now on, where there is load to run. Called once all tests are chosen."""
        if any(item.runs_under_load for item in self._selected) and not self.config.getoption("collectonly"):
            self.attend(session)

    def attend(self, session: pytest.Session) -> None:
        """Let signals end *session* in order, and let it outlive the terminal that shows it."""
        self.interruption.take(session)
        if self.config.pluginmanager.hasplugin("terminalreporter"):
            writer: Any = self.config.get_terminal_writer()
            writer._file = LastingStream(writer._file)  # noqa: SLF001  # as other plugins replace it

    def _on_signal(self, reason: str) -> None:
        if not self._ends:
            self._ends = True
            self.progress.begin(f"cdcperf: {reason}: the session ends, and what was measured is written")
        self.link.send(Interrupted(reason))

    def pytest_report_collectionfinish(self) -> list[str]:
        """Say in what mode the perf tests run, below the count of collected tests. Called where they are collected."""
        return self.header()

    def header(self) -> list[str]:
        """What to say of the perf tests once they are collected."""
        return [one_line(line) for line in self._header()]

    def _header(self) -> list[str]:
        if not self._has_perf_tests:
            return []
        plain = [f"cdcperf: {_tests(self._plain)} with an asked profile but without @perf: run as plain tests"]
        if not self._selected:
            return plain if self._plain else []
        loaded = [item for item in self._selected if item.runs_under_load]
        mode = f"load ({self.settings.mode_reason})" if self.loads else f"once ({self.settings.mode_reason})"
        stack = "external servers of the environment" if self.settings.external else "embedded stack, at the first need"
        lines = [
            f"cdcperf: {_tests(len(self._selected), 'perf ')}, mode {mode}",
            f"cdcperf: {stack}; session {self.session_id}",
        ]
        if heeded := self.surroundings({name for item in self._selected for name in item.fixturenames}):
            lines.append(f"cdcperf: of the environment: {', '.join(heeded)}")
        if loaded:
            lines.append(f"cdcperf: {len(loaded)} under load; results in {self.directory.planned}")
            if self.config.getoption("numprocesses", None) == 0:
                lines.append("cdcperf: -n 0: the load runs in this process alone")
        if not self.loads and self.settings.overrides != Overrides():
            lines.append("cdcperf: --perf-duration, --perf-vus and --perf-rate change nothing without --perf-run or -m")
        if self._plain:
            lines += plain
        lines += [f"cdcperf: {hint}" for hint in hints(loaded, self.settings.overrides)]
        unlimited = sum(not item.marker.gate and item.spec.profile not in self.settings.thresholds for item in loaded)
        if self.settings.thresholds and unlimited:
            lines.append(
                f"cdcperf: {_tests(unlimited)} of no profile that --perf-thresholds names: their own limits hold"
            )
        if loaded and self.config.pluginmanager.hasplugin("_cov"):
            lines.append("cdcperf: --cov makes every line cost several times as much: expect weak figures")
        return lines

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
        """Run a perf test under load as pytest itself does, not as plugins that run a failed test again."""
        return runner.pytest_runtest_protocol(item, nextitem) if runs_under_load(item) else None

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Put the pictures of a run into its row of the pytest-html report, and the dead servers into a failure."""
        report = yield
        if report.failed:
            _say_in_failure(report, self.services.deaths())
        results = item.results if isinstance(item, PerfFunction) else []
        if results and report.when == "call" and self.config.getoption("htmlpath", None):
            from pytest_html import extras  # noqa: PLC0415  # only where a report is asked for

            from pytest_cdcperf.reporting.html import fragment  # noqa: PLC0415

            shown = [*getattr(report, "extras", []), *(extras.html(fragment(result)) for result in results)]
            report.extras = shown  # type: ignore[attr-defined]  # pytest-html's own attribute
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Refuse all further load once a gate has failed."""
        if report.failed and self.loads:
            gate = next((g for g in self._selected if g.marker.gate and g.nodeid == report.nodeid), None)
            if gate is not None and not self.load_refused:
                self.load_refused = f"the health check {gate.nodeid} failed, so no load was started"

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> Generator[None]:
        """Keep a report that cannot be written from costing the summary. Called around those who write reports."""
        try:
            yield
        except OSError as error:
            if not self.results:
                raise
            self._report_is_lost(error)
            session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED
        if exitstatus not in _SUMMARISED:  # pytest prints none then
            self._print_summary()

    def _report_is_lost(self, error: OSError) -> None:
        asked = [path for name in ("xmlpath", "htmlpath") if (path := self.config.getoption(name, None))]
        where = error.filename or " or ".join(map(str, asked)) or "a report"
        reporter = self.config.pluginmanager.getplugin("terminalreporter")
        if reporter is not None:
            said = one_line(f"cdcperf: {where}: cannot be written: {error.strerror or error}")
            reporter.write_line(said, red=True)

    @pytest.hookimpl(tryfirst=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter, exitstatus: int) -> None:
        """Print the summary of each run, and the table of all where there are several."""
        self._print_summary()
        if self._logs is not None and exitstatus:
            terminalreporter.write_line(f"cdcperf: logs of the embedded servers: {self._logs}")

    def left_behind(self) -> str:
        """What to do about the rows of a worker that died: it has torn nothing down. "" where servers go with us."""
        if not self.settings.external:
            return ""
        where = dict.fromkeys(argument.partition("::")[0] for argument in self.config.args)
        command = " ".join(["pytest", *where, "--perf-stack=external", f"--perf-clean={self.session_id}"])
        return f"rows of session {self.session_id} may be left on the servers; remove them: {command}"

    def _print_summary(self) -> None:
        tr = self.config.pluginmanager.getplugin("terminalreporter")
        if tr is None:
            return
        self._print_results(tr)
        if self.worker_died and (left := self.left_behind()):
            tr.write_line(one_line(f"cdcperf: {left}"), red=True)

    def _print_results(self, tr: Any) -> None:
        if not self.results:
            return
        tr.section("cdcperf")
        for result in self.results:
            tr.write_line(short_name(result.facts.test), bold=True)
            for line in summary(result):
                tr.write_line(line)
            for line in verdict_lines(result):
                tr.write_line(line, **{verdict_colour(result.verdict): True, "bold": True})
        if len(self.results) > 1:
            tr.section("cdcperf: scenarios", sep="-")
            for line in session_table(self.results):
                tr.write_line(line)
        if self.load_refused:
            tr.write_line(one_line(self.load_refused), red=True)
        tr.write_line(one_line(f"results: {self.directory.planned}"))

    def close(self) -> None:
        """Stop what the session started. Called from pytest_unconfigure, also after an interrupt."""
        self.services.close()


def _say_in_failure(report: pytest.TestReport, lines: Sequence[str]) -> None:
    lines = [line for line in lines if line not in report.longreprtext]
    if not lines:
        return
    add_section = getattr(report.longrepr, "addsection", None)
    if add_section is not None:
        add_section("cdcperf", "\n".join(lines))
    else:
        report.longrepr = "\n".join([report.longreprtext, *lines])


def _tests(count: int, kind: str = "") -> str:
    return f"{count} {kind}test{'s' * (count != 1)}"
