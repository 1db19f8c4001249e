"""The perf test as a pytest item: adopted at collection, run once or under load."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from _pytest._code import Traceback
from _pytest.nodes import Node

from pytest_cdcperf.cluster.messages import LoadTest
from pytest_cdcperf.errors import CdcperfError, ConfigError
from pytest_cdcperf.judging.threshold import merge_thresholds
from pytest_cdcperf.load.base import Load
from pytest_cdcperf.load.profiles import DEFAULT_PROFILE, LONGEST_UNASKED_S, canonical
from pytest_cdcperf.plugin.load_tests import uses_load_fixture
from pytest_cdcperf.plugin.marker import marker_spec
from pytest_cdcperf.plugin.settings import Mode, Settings
from pytest_cdcperf.results.result import RunResult
from pytest_cdcperf.spec import MarkerSpec, PerfSpec
from pytest_cdcperf.units import format_duration

if TYPE_CHECKING:
    from pytest_cdcperf.plugin.session import PerfSession

_OURS_OR_PYTESTS = ("_pytest.", "pytest_cdcperf.")


class PerfFunction(pytest.Function):
    """A test function whose body is an iteration."""

    perf_session: PerfSession
    marker: MarkerSpec
    spec: PerfSpec
    runs_under_load: bool
    results: list[RunResult]
    refused: str = ""  # why the load cannot run
    _has_run = False
    _failure: BaseException | None = None

    @property
    def is_async(self) -> bool:
        """Whether the body is an ``async def``."""
        return inspect.iscoroutinefunction(self.obj)

    @property
    def arguments(self) -> dict[str, Any]:
        """What the body is called with: its fixtures, set up once for all VUs."""
        return {name: self.funcargs[name] for name in self._fixtureinfo.argnames}

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
        """Return what the controller has to know of it; *index* is its place in the collection."""
        limits = ", ".join(map(str, self.spec.thresholds))
        # The body of a test that drives the load itself is run by every worker: its loads are not known yet.
        vus = 0 if uses_load_fixture(self) else max(load.most_vus for load in self.spec.loads.values())
        spec = f"{self.spec.load_in_words}; limits: {limits or 'none'}; error_rate {self.spec.error_rate:g}"
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

        A load runs once. Whoever runs the test again, as plugins do until it passes, gets the same outcome again.
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
        from pytest_cdcperf.plugin import running  # noqa: PLC0415  # the engine, at the first perf test

        if uses_load_fixture(self):
            super().runtest()  # the body says itself what runs, through the fixture
        elif self.runs_under_load:
            running.run_load(self)
        else:
            running.run_once(self)

    def _traceback_filter(self, excinfo: pytest.ExceptionInfo[BaseException]) -> Traceback:
        # Called by pytest for a failure report. What we raise on purpose says it all in its message: the user's line
        # is what else is of interest, unless --full-trace asks for more.
        shown = super()._traceback_filter(excinfo)
        if not isinstance(excinfo.value, CdcperfError) or self.config.getoption("fulltrace", False):
            return shown
        from pytest_cdcperf.engine.source_lines import is_ours  # noqa: PLC0415  # the engine is loaded where it is used

        return shown.filter(lambda entry: not is_ours(str(entry.path))) or shown


def adopt(item: pytest.Function, session: PerfSession) -> pytest.Function:
    """Return *item* as a perf test where it is one.

    :raises pytest.Collector.CollectError: with every fault of its marker, configuration and shape at once
    """
    try:
        marker = marker_spec(item) or MarkerSpec()
        faults = _shape_faults(item)
        spec = _resolve(item, marker, session.settings)
    except ConfigError as error:
        raise pytest.Collector.CollectError(_lines(item, error.faults)) from None
    runs_under_load = _runs_load(item, spec, marker, session.settings)
    if runs_under_load and not uses_load_fixture(item):
        faults += load_faults(item, spec)
    if faults:
        raise pytest.Collector.CollectError(_lines(item, faults))
    elsewhere = _async_fixtures(item)
    if elsewhere and not runs_under_load and _is_run_by_others(item):
        return _left_to_others(item, session)
    perf: PerfFunction = PerfFunction.from_parent(
        item.parent,
        name=item.name,
        callspec=getattr(item, "callspec", None),
        callobj=item.obj,
        fixtureinfo=item._fixtureinfo,
        keywords=item.keywords,
        originalname=item.originalname,
    )
    perf.own_markers[:] = item.own_markers
    perf.perf_session, perf.marker, perf.spec, perf.runs_under_load, perf.results = (
        session,
        marker,
        spec,
        runs_under_load,
        [],
    )
    if runs_under_load:
        _restrain(perf, session)
        perf.refused = "\n".join(_on_another_loop(item, name) for name in elsewhere)
    return perf


def _left_to_others(item: pytest.Function, session: PerfSession) -> pytest.Function:
    """Return *item* as it is, its body being one iteration: its plugin runs it on the loop of its fixtures."""
    from pytest_cdcperf.plugin.running import as_iteration  # noqa: PLC0415  # the engine, at the first perf test

    item.perf_session = session  # type: ignore[attr-defined]  # it is seen to
    item.obj = as_iteration(item.obj, session.session_id)
    return item


def _on_another_loop(item: pytest.Function, name: str) -> str:
    return (
        f"{item.nodeid}: fixture {name!r} is asynchronous and lives on another event loop than the VUs; "
        "make it a plain fixture, or open what it gives inside the body"
    )


def _lines(item: pytest.Function, faults: Sequence[str]) -> str:
    return "\n".join(f"{item.nodeid}: @perf: {fault}" for fault in faults)


def _profiles_of(item: pytest.Function, profiles: Mapping[str, Load]) -> list[str]:
    return sorted({canonical(mark.name) for mark in item.iter_markers()} & set(profiles))


def _resolve(item: pytest.Function, marker: MarkerSpec, settings: Settings) -> PerfSpec:
    own = _profiles_of(item, settings.profiles)
    if len(own) > 1:
        raise ConfigError(f"it has the profiles {', '.join(own)}; allowed: one. Write a test for each")
    profile = own[0] if own else None
    if profile is None and not marker.states_a_load:
        profile = next(iter(settings.asked)) if settings.exclusive else DEFAULT_PROFILE
    stated = marker.loads_over(settings.profiles[profile or DEFAULT_PROFILE])
    loads = settings.overrides.apply(stated)
    return PerfSpec(
        loads={name: replace(load, tags={**marker.tags, **load.tags}) for name, load in loads.items()},
        profile=profile,
        thresholds=merge_thresholds(marker.thresholds, settings.thresholds.get(profile or "", ())),
        course=marker.course,
        error_rate=marker.error_rate,
        tags=marker.tags,
        drain_s=marker.drain_s,
        shortened=settings.overrides.shorten(stated),
    )


def _runs_load(item: pytest.Function, spec: PerfSpec, marker: MarkerSpec, settings: Settings) -> bool:
    if settings.mode is not Mode.LOAD:
        return False
    if marker.gate or not settings.asked:
        return True
    # With -m it is the test's own mark that asks for load, not the profile it falls back to.
    return spec.profile in settings.asked and (settings.exclusive or bool(_profiles_of(item, settings.profiles)))


def _shape_faults(item: pytest.Function) -> list[str]:
    faults = []
    if getattr(item.obj, "is_hypothesis_test", False):
        faults.append(
            "a test under hypothesis' @given cannot be a perf test: draw the values in the body, from vu.random"
        )
    if item.get_closest_marker("xfail") is not None:
        faults.append("a perf test cannot be xfail, it would hide the verdict; tolerate failures with error_rate=")
    return faults


def _async_fixtures(item: pytest.Function) -> list[str]:
    closure, definitions = item._fixtureinfo.names_closure, item._fixtureinfo.name2fixturedefs
    used = [(name, definitions[name][-1].func) for name in closure if definitions.get(name)]
    return [name for name, func in used if inspect.iscoroutinefunction(func) or inspect.isasyncgenfunction(func)]


def _is_run_by_others(item: pytest.Function) -> bool:
    """Whether pytest-asyncio or anyio would run the coroutine of *item* on a loop of its own."""
    return inspect.iscoroutinefunction(item.obj) and (
        type(item) is not pytest.Function or "anyio_backend" in item.fixturenames
    )


def load_faults(item: pytest.Function, spec: PerfSpec) -> list[str]:
    """Return why the load of *spec* cannot run in the test *item*."""
    if "_pytest_bdd_example" in item.fixturenames:
        return ["a scenario of pytest-bdd asks for a fixture at each step, which VUs cannot; write its steps as a body"]
    timeout = _timeout_s(item)
    if 0 < timeout < spec.planned_s and not spec.counts_iterations:
        planned = format_duration(spec.planned_s)
        return [f"pytest-timeout ends it after {timeout:g} s, but its load takes {planned}; raise the timeout"]
    return []


def _timeout_s(item: pytest.Function) -> float:
    """Return what pytest-timeout allows *item*, by the nearest that says so: 0 for any time."""
    config = item.config
    if not config.pluginmanager.hasplugin("timeout"):
        return 0.0
    mark = item.get_closest_marker("timeout")
    stated = mark.kwargs.get("timeout", next(iter(mark.args), None)) if mark is not None else None
    fallbacks = (config.getoption("timeout", None), os.environ.get("PYTEST_TIMEOUT"), config.getini("timeout"))
    return float(next((value for value in (stated, *fallbacks) if value not in {None, ""}), 0.0))


def _restrain(perf: PerfFunction, session: PerfSession) -> None:
    long = perf.spec.planned_s > LONGEST_UNASKED_S and not perf.spec.counts_iterations
    if long and perf.spec.profile not in session.settings.asked:
        planned = format_duration(perf.spec.planned_s)
        perf.add_marker(
            pytest.mark.skip(
                reason=f"takes {planned}: runs only where its profile is asked for by name, -m or --perf-profile"
            )
        )
