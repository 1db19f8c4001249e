"""The perf test as a pytest item: its body is one iteration, run once or under load."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from functools import partial
from itertools import takewhile
from typing import Any

import pytest
from _pytest._code import Traceback
from _pytest._code.code import TerminalRepr
from _pytest.nodes import Node

from pytest_cdcperf.cluster.messages import LoadTest
from pytest_cdcperf.errors import CdcperfError
from pytest_cdcperf.plugin.load_tests import uses_load_fixture
from pytest_cdcperf.plugin.not_passed import not_passed, representation
from pytest_cdcperf.plugin.session import PerfSession
from pytest_cdcperf.spec import MarkerSpec, PerfSpec

_OURS_OR_PYTESTS = ("_pytest.", "pytest_cdcperf.")


class PerfFunction(pytest.Function):
    """A test function whose body is an iteration."""

    perf_session: PerfSession
    marker: MarkerSpec
    spec: PerfSpec
    runs_under_load: bool
    refused: str = ""  # why the load cannot run
    _has_run = False
    _failure: BaseException | None = None

    @property
    def is_async(self) -> bool:
        """Whether the body is an ``async def``."""
        return inspect.iscoroutinefunction(self.obj)

    @property
    def _body(self) -> Callable[[], Any]:
        """The body with its fixtures, which are set up once for all VUs."""
        return partial(self.obj, **{name: self.funcargs[name] for name in self._fixtureinfo.argnames})

    @property
    def may_ask_for_any_fixture(self) -> bool:
        """Whether it, or a fixture of it that is not pytest's or ours, has ``request`` and so ``getfixturevalue``."""
        info = self._fixtureinfo
        makers = (
            made.func.__module__
            for defined in info.name2fixturedefs.values()
            for made in defined
            if "request" in made.argnames
        )
        return "request" in info.argnames or any(not maker.startswith(_OURS_OR_PYTESTS) for maker in makers)

    def as_load_test(self, index: int) -> LoadTest:
        """Return what the coordinator has to know of it; *index* is its place in the collection."""
        limits = ", ".join(map(str, self.spec.thresholds))
        # The body of a test that drives the load itself is run by every worker: its loads are not known yet.
        vus = 0 if uses_load_fixture(self) else max(load.most_vus for load in self.spec.loads.values())
        seed = self.perf_session.settings.seed  # where none is given it is the session's id, which all have
        spec = f"{self.spec.load_in_words}; limits: {limits or 'none'}; error_rate {self.spec.error_rate:g}"
        spec += f"; seed {seed}" if seed else ""
        return LoadTest(index, self.nodeid, spec, vus, self.marker.gate)

    def iter_markers_with_node(self, name: str | None = None) -> Iterator[tuple[Node, pytest.Mark]]:
        """Iterate over the marks, once the load has run without ``flaky``, by which plugins choose what they rerun."""
        for node, mark in super().iter_markers_with_node(name):
            if not (self._has_run and mark.name == "flaky"):
                yield node, mark

    def setup(self) -> None:
        """Set up the fixtures, not of a test that is refused."""
        if not self.refused:
            super().setup()

    def runtest(self) -> None:
        """Run the body: once in the main thread, or under load.

        A load runs once. Plugins that run a test again until it passes get the same outcome each time.
        """
        if not self.runs_under_load:
            self._run()
        elif not self._has_run:
            self._has_run = True
            try:
                self._run()
            except BaseException as error:
                self._failure = error
                raise
        elif self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        if self.refused:
            pytest.fail(self.refused, pytrace=False)
        if uses_load_fixture(self):
            super().runtest()  # the body says itself what runs, through the fixture
        elif self.runs_under_load:
            self._run_under_load()
        else:
            self._run_once()

    def _run_under_load(self) -> None:
        from pytest_cdcperf.engine.run import Body  # noqa: PLC0415
        from pytest_cdcperf.plugin.under_load import measure  # noqa: PLC0415

        measure(self, self.perf_session, self.spec, Body(self._body, self.is_async))

    def _run_once(self) -> None:
        from pytest_cdcperf.plugin.once import only_vu, run_once, with_vu  # noqa: PLC0415

        vu = only_vu(self.perf_session, self.nodeid, self.spec.loads, is_async=self.is_async)
        given = dict(self.funcargs)
        self.funcargs.update(with_vu(given, vu))
        # A plain body by the hook, of which other plugins may want to know.
        body = self._body if self.is_async else lambda: self.ihook.pytest_pyfunc_call(pyfuncitem=self)
        try:
            run_once(body, vu)
        finally:
            self.funcargs.update(given)

    def repr_failure(  # type: ignore[override]  # as pytest.Function does: pytest gives it no style
        self, excinfo: pytest.ExceptionInfo[BaseException]
    ) -> str | TerminalRepr:
        """Return what reporters show of the exception that ended the test."""
        error = not_passed(excinfo)
        return super().repr_failure(excinfo) if error is None else representation(self, error)

    def _traceback_filter(self, excinfo: pytest.ExceptionInfo[BaseException]) -> Traceback:
        # Called by pytest for a failure report. What we raise on purpose, and what a driver says of a call through our
        # clients, stands in its message: the line of the user is what else matters, unless --full-trace asks for more.
        shown = super()._traceback_filter(excinfo)
        if self.config.getoption("fulltrace", False):
            return shown
        from pytest_cdcperf.engine.source_lines import is_library, is_ours  # noqa: PLC0415

        paths = [str(entry.path) for entry in excinfo.traceback]
        if is_ours(paths[-1]) and not isinstance(excinfo.value, CdcperfError):
            return shown  # a mistake of ours
        calls = [*takewhile(is_library, reversed(paths))]  # below the user's innermost line
        shown = shown.filter(lambda entry: not is_ours(str(entry.path))) or shown
        while any(map(is_ours, calls)) and len(shown) > 1 and is_library(str(shown[-1].path)):
            shown = shown[:-1]
        return shown
