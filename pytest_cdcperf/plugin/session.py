"""One pytest session's perf tests: what its tests and fixtures ask for, made once and shared by all."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_cdcperf.cluster.coordinator import Coordinator
from pytest_cdcperf.cluster.link import link_in_process, link_over
from pytest_cdcperf.cluster.listeners import Listeners
from pytest_cdcperf.cluster.messages import Interrupted, ServicesWanted
from pytest_cdcperf.cluster.shared_state import Shared
from pytest_cdcperf.engine.iteration_id import RandomSource
from pytest_cdcperf.plugin.coordinator_services import NoOtherProcesses, PluginServices, WorkerProcesses
from pytest_cdcperf.plugin.interruption import Interruption
from pytest_cdcperf.plugin.listeners import ProjectListeners, ResultCollector, ResultWriter
from pytest_cdcperf.plugin.options import runs_nothing
from pytest_cdcperf.plugin.progress import LastingStream, Progress
from pytest_cdcperf.plugin.replay import Replay
from pytest_cdcperf.plugin.results import ResultsDirectory, SessionName
from pytest_cdcperf.plugin.services import SessionServices
from pytest_cdcperf.plugin.settings import Settings
from pytest_cdcperf.plugin.surroundings import taken_over
from pytest_cdcperf.plugin.worker_context import WorkerContext
from pytest_cdcperf.results.environment import current_environment
from pytest_cdcperf.results.result import RunResult

if TYPE_CHECKING:
    from pytest_cdcperf.cdc.expect import Cdc


class PerfSession:
    """In each process of a session: the settings, the servers, the link to the coordinator, and what they share.

    :param context: on a worker beside others; without it the session judges its runs itself
    :param workers: the worker processes, where this one hands out tests to them
    """

    def __init__(
        self,
        config: pytest.Config,
        settings: Settings,
        stdout: int | None,
        context: WorkerContext | None = None,
        name: SessionName | None = None,
        workers: WorkerProcesses | None = None,
    ) -> None:
        self.config = config
        self.settings = settings
        self.context = context
        name = name or (SessionName.new() if context is None else context.name)
        self.session_id = name.session_id
        self.replay = None if settings.replay is None else Replay(settings.replay)
        self.seed = settings.seed or self.session_id
        if settings.replay is not None:
            self.seed = settings.replay.seed
        self.directory = ResultsDirectory(settings.results, name)
        self.progress = Progress(
            stdout, getattr(sys.__stdout__, "encoding", "utf-8"), config.getoption("color", "auto")
        )
        self.results: list[RunResult] = []
        self.services = SessionServices(
            settings,
            self._log_directory,
            self.progress.say,
            None if context is None else lambda: self.link.ask(ServicesWanted()),
            self._on_server_death,
        )
        self.listeners = Listeners()
        for listener in (self.progress, ResultCollector(config, self.results), ResultWriter(self.directory)):
            self.listeners.add(listener, awaited=True)
        self.coordinator = Coordinator(PluginServices(self.services, workers or NoOtherProcesses()), self.listeners)
        self.link = link_in_process(self.coordinator) if context is None else link_over(context.channel, context.worker)
        self.interruption = Interruption(self._on_signal)
        if context is not None:
            self.link.on_interrupted = self.interruption.on_interrupted
        self.shared = Shared(self.link.ask, crosses_processes=context is not None)
        self.samplers: list[Callable[[], object]] = []
        self.cdc: Cdc | None = None  # once a test has asked for it
        self.worker_died = False
        self.logs: Path | None = None  # of the embedded servers, where no load runs
        self._load_refused = ""
        self._refused_while: Callable[[], bool] = lambda: True
        self._ends = False
        self._expects_load = False

    @property
    def load_refused(self) -> str:
        """Why no load may start, "" where one may."""
        if self._load_refused and not self._refused_while():
            self._load_refused = ""
        return self._load_refused

    def refuse_loads(self, reason: str, holds: Callable[[], bool] = lambda: True) -> None:
        """Let no load start from now on, as long as *holds* answers true. The first reason counts."""
        if reason and not self.load_refused:
            self._load_refused, self._refused_while = reason, holds

    def expect_load(self) -> None:
        """Some test is going to run under load: make sure that its results can be written.

        :raises pytest.UsageError: when they cannot
        """
        self._expects_load = True
        if self.context is None and not runs_nothing(self.config):
            self.directory.check()
            current_environment()  # which asks git: now, not when a run is judged and its workers wait

    def random_source(self, test: str, run: str = "") -> RandomSource:
        """Return the source of the random numbers of *test*, and of its *run* where it has several."""
        return RandomSource(self.seed, test, run)

    def surroundings(self, fixtures: Collection[str]) -> list[str]:
        """Return what tests that use *fixtures* take over from the environment, without secrets."""
        return taken_over(fixtures, external=self.settings.external)

    def protect(self, session: pytest.Session) -> None:
        """Let signals end *session* in order, and let it outlive the terminal that shows it."""
        self.interruption.take(session)
        if self.context is None:
            self.config.pluginmanager.register(ProjectListeners(self.config, self.listeners), "cdcperf-listeners")
        if self.config.pluginmanager.hasplugin("terminalreporter"):
            writer: Any = self.config.get_terminal_writer()
            writer._file = LastingStream(writer._file)  # noqa: SLF001  # as other plugins replace it

    def left_behind(self) -> str:
        """What to do about the rows of a worker that died: it has torn nothing down. "" where servers go with us."""
        if not self.settings.external:
            return ""
        where = dict.fromkeys(argument.partition("::")[0] for argument in self.config.args)
        command = " ".join(["pytest", *where, "--perf-stack=external", f"--perf-clean={self.session_id}"])
        return f"rows of session {self.session_id} may be left on the servers; remove them: {command}"

    def close(self) -> None:
        """Stop what the session started. Called from pytest_unconfigure, also after an interrupt."""
        self.listeners.close()
        self.services.close()

    def _log_directory(self) -> Path:
        # Without load nothing is left behind: pytest keeps its own temporary directories of the last three sessions.
        factory = getattr(self.config, "_tmp_path_factory", None)
        if self._expects_load or factory is None:
            return self.directory.path
        if self.logs is None:
            self.logs = factory.mktemp("cdcperf-logs")
        return self.logs

    def _on_server_death(self, reason: str) -> None:
        self.coordinator.fail(reason)  # which is made later than the servers that it asks for

    def _on_signal(self, reason: str) -> None:
        if not self._ends:
            self._ends = True
            self.progress.say(f"cdcperf: {reason}: the session ends, and what was measured is written")
        self.link.send(Interrupted(reason))
