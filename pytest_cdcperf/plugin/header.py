"""Says below the count of collected tests how the perf tests among them run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pytest_cdcperf.load.overrides import Overrides
from pytest_cdcperf.plugin.hints import hints
from pytest_cdcperf.plugin.item import PerfFunction
from pytest_cdcperf.plugin.keys import workers_key
from pytest_cdcperf.plugin.nothing_selected import why_nothing_is_selected
from pytest_cdcperf.plugin.selection import Selection
from pytest_cdcperf.plugin.session import PerfSession
from pytest_cdcperf.printable import one_line


class Header:
    """A plugin of each process that collects tests; those of workers are shown where the tests are handed out."""

    def __init__(self, session: PerfSession, selection: Selection) -> None:
        self._session = session
        self._settings = session.settings
        self._config = session.config
        self._selection = selection

    def pytest_report_collectionfinish(self) -> list[str]:
        """Say in what mode the perf tests run, below the count of collected tests. Called where they are collected."""
        return self.lines()

    def lines(self) -> list[str]:
        """Return what to say of the tests that are selected, nothing where no perf test was collected."""
        if not self._selection.found_perf_tests:
            return []
        lines: list[str] = []
        if self._selection.perf_tests:
            lines += self._of_the_session(self._selection.perf_tests, self._selection.load_tests)
        else:
            lines += self._of_none()
        if self._selection.plain_tests:
            lines.append(
                f"{_tests(self._selection.plain_tests)} with an asked profile but without @perf: run as plain tests"
            )
        lines += self._of_the_loads(self._selection.load_tests)
        return [one_line(f"cdcperf: {line}") for line in lines]

    @property
    def _workers(self) -> int:
        context = self._session.context
        return self._config.stash.get(workers_key, 1) if context is None else context.workers

    def _of_none(self) -> Iterator[str]:
        expression = self._config.getoption("markexpr", "") or ""
        chosen = self._selection
        return why_nothing_is_selected(chosen.collected, chosen.collected_marks, expression, self._settings)

    def _of_the_session(self, tests: Sequence[PerfFunction], loads: Sequence[PerfFunction]) -> Iterator[str]:
        mode = "load" if self._settings.runs_load else "once"
        yield f"{_tests(len(tests), 'perf ')}, mode {mode} ({self._settings.mode_reason})"
        plans = self._config.getoption("perf_plan")
        session = f"seed {self._session.seed}; session {self._session.session_id}"
        yield self._servers(tests) + ("--perf-plan starts nothing" if plans else session)
        if heeded := self._session.surroundings({name for item in tests for name in item.fixturenames}):
            yield f"of the environment: {', '.join(heeded)}"
        if loads and not plans:
            yield f"{len(loads)} under load; results in {self._session.directory.planned}"
            if self._config.getoption("numprocesses", None) == 0:
                yield "-n 0: the load runs in this process alone"
        if not self._settings.runs_load and self._settings.overrides != Overrides():
            yield "--perf-duration, --perf-vus and --perf-rate change nothing without --perf-run or -m"

    def _servers(self, tests: Sequence[PerfFunction]) -> str:
        if self._settings.external:
            return "external servers of the environment; "
        # "pg", "mongo", "cdc" and what a project makes of them all rest on this private fixture.
        needed = any("_cdcperf_services" in item.fixturenames for item in tests)
        return "embedded stack, at the first need; " if needed else ""

    def _of_the_loads(self, loads: Sequence[PerfFunction]) -> Iterator[str]:
        yield from hints(loads, self._settings.overrides, self._workers)
        limits = self._settings.thresholds
        unlimited = sum(not item.marker.gate and item.spec.profile not in limits for item in loads)
        if limits and unlimited:
            yield f"{_tests(unlimited)} of no profile that --perf-thresholds names: their own limits hold"
        if loads and self._config.pluginmanager.hasplugin("_cov"):
            yield "--cov makes every line cost several times as much: expect weak figures"


def _tests(count: int, kind: str = "") -> str:
    return f"{count} {kind}test{'s' * (count != 1)}"
