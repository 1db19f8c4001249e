"""The listeners of a session's runs: those that keep its results, and those that a project adds by hooks."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pluggy
import pytest

from pytest_cdcperf.cluster.listeners import Listeners
from pytest_cdcperf.errors import CdcperfError, ConfigError
from pytest_cdcperf.events import Event, Listener, RunFinished
from pytest_cdcperf.plugin.junit import add_to_suite
from pytest_cdcperf.plugin.results import REMEDY, ResultsDirectory
from pytest_cdcperf.results.json import write_result
from pytest_cdcperf.results.result import RunResult

_RUN_FINISHED = "pytest_cdcperf_run_finished"


class ResultWriter:
    """Writes each result as JSON into the directory of the session."""

    def __init__(self, directory: ResultsDirectory) -> None:
        self._directory = directory

    def handle(self, event: Event) -> None:
        """Write the result where a run has finished.

        :raises CdcperfError: in words for the user, when that is not possible
        """
        if isinstance(event, RunFinished):
            try:
                write_result(event.result, self._directory.path)
            except ConfigError as error:
                raise CdcperfError(f"its results could not be written: {error}") from None
            except OSError as error:
                raise CdcperfError(
                    f"its results could not be written: {error.filename}: cannot be written: {error.strerror}; {REMEDY}"
                ) from None


class ResultCollector:
    """Keeps each result for the summary, and for the properties of the JUnit file."""

    def __init__(self, config: pytest.Config, results: list[RunResult]) -> None:
        self._config = config
        self._results = results

    def handle(self, event: Event) -> None:
        """Keep the result where a run has finished."""
        if isinstance(event, RunFinished):
            self._results.append(event.result)
            add_to_suite(self._config, event.result)


class RunFinishedHook:
    """Calls ``pytest_cdcperf_run_finished`` of one plugin or conftest.py: what one raises concerns no other."""

    def __init__(self, name: str, call: Callable[..., object]) -> None:
        self.name = name
        self._call = call

    def handle(self, event: Event) -> None:
        """Call the hook where a run has finished."""
        if isinstance(event, RunFinished):
            self._call(result=event.result)


class ProjectListeners:
    """Adds the listeners of a project to *listeners*, and closes all at the end of the session.

    Registered as a plugin where load runs: in the only process, or in the one that hands out tests to workers.
    """

    def __init__(self, config: pytest.Config, listeners: Listeners) -> None:
        self._listeners = listeners
        for listener in (*_of_hook(config), *_of_run_finished(config.pluginmanager)):
            listeners.add(listener)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        """Wait a little for listeners that are behind. In the main thread, once runs are over, before the summary."""
        self._listeners.close()

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Name the listeners that have failed."""
        for fault in self._listeners.faults:
            terminalreporter.write_line(f"cdcperf: {fault}", yellow=True)


def _of_hook(config: pytest.Config) -> Iterator[Listener]:
    for given in config.hook.pytest_cdcperf_listeners(config=config):
        for listener in given if isinstance(given, list | tuple) else (given,):
            if not callable(getattr(listener, "handle", None)):
                raise pytest.UsageError(
                    f"pytest_cdcperf_listeners: {listener!r} is not a valid listener; allowed: objects with a method "
                    "handle(event), in a list"
                )
            yield listener


def _of_run_finished(manager: pluggy.PluginManager) -> Iterator[Listener]:
    plugins = [implementation.plugin for implementation in getattr(manager.hook, _RUN_FINISHED).get_hookimpls()]
    for plugin in plugins:
        others = [other for other in plugins if other is not plugin]
        name = getattr(plugin, "__file__", None) or manager.get_name(plugin)
        yield RunFinishedHook(f"{_RUN_FINISHED} in {name}", manager.subset_hook_caller(_RUN_FINISHED, others))
