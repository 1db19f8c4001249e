"""Runs bodies under load from within a test: what the fixture ``load`` returns."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from pytest_cdcperf.checks import share_fault
from pytest_cdcperf.engine.run import Body
from pytest_cdcperf.errors import ConfigError, shown
from pytest_cdcperf.judging.verdict import Verdict
from pytest_cdcperf.load.base import Load
from pytest_cdcperf.load.builtin_profiles import canonical
from pytest_cdcperf.load.overrides import Overrides, are_smaller
from pytest_cdcperf.metrics.scope import current_scope
from pytest_cdcperf.plugin.item import PerfFunction
from pytest_cdcperf.plugin.once import only_vu, run_once
from pytest_cdcperf.plugin.suitability import load_faults
from pytest_cdcperf.plugin.under_load import measure
from pytest_cdcperf.results.result import RunFacts, RunResult
from pytest_cdcperf.spec import thresholds_of


class LoadRunner:
    """Runs bodies under load, one after the other, and returns each one's result to assert on.

    ::

        def test_reads(load, pg):
            result = load.run(lambda: pg.execute("SELECT 1"), SharedIterations(vus=4, iterations=200))
            assert result.passed
            assert result["pg_read_duration"].count == result.iterations == 200
    """

    def __init__(self, item: PerfFunction) -> None:
        self._item = item
        self._session = item.perf_session
        self._names: list[str] = []

    def run(
        self,
        body: Callable[[], Any],
        load: Load | str | Mapping[str, Load],
        *,
        thresholds: Mapping[str, Any] | None = None,
        error_rate: float = 0.0,
        name: str = "",
        check: bool = True,
    ) -> RunResult:
        """Run *body*, a ``def`` or an ``async def`` without arguments, under *load*.

        A run that does not pass fails the test, as ``subprocess.run(check=True)`` raises.

        :param load: an executor, several by name, or the name of a profile; only a profile is changed by
            ``--perf-vus``, ``--perf-rate`` and ``--perf-duration``
        :param thresholds: judged into the result's verdict
        :param name: of the run in the reports; "run-1" and so on without it
        :param check: with False the result is returned whatever its verdict, for the test to assert on

        In once mode the body runs once, and the test then ends as skipped.
        """
        __tracebackhide__ = True
        if current_scope() is not None:
            raise ConfigError("load.run inside a body that runs under load: call it in the test itself")
        if not callable(body):
            raise ConfigError(f"load.run: body={shown(body)}; allowed: a function without arguments")
        if fault := share_fault(error_rate, "the tolerated share of failed iterations, 0 to 1"):
            raise ConfigError(f"load.run: error_rate={fault}")
        name = self._new_name(name)
        loads, profile = self._stated(load)
        if not self._item.runs_under_load:
            return self._run_once(body, loads, name)
        overrides = self._session.settings.overrides if profile else Overrides()
        applied = overrides.apply(loads)
        spec = replace(
            self._item.spec,
            loads=applied,
            profile=profile,
            thresholds=thresholds_of(thresholds or {}),
            run_rules=(),
            error_rate=error_rate,
            shortened=are_smaller(applied, loads),
            notes=overrides.without_effect(loads) if profile else self._idle_options(),
        )
        if faults := load_faults(self._item, spec):
            raise ConfigError(*(f"load.run: {fault}" for fault in faults))
        work = Body(body, _is_async(body))
        return measure(self._item, self._session, spec, work, name=name, call=len(self._names), check=check)

    def _new_name(self, name: str) -> str:
        name = name or f"run-{len(self._names) + 1}"
        if name in self._names:
            raise ConfigError(
                f"load.run: name={shown(name)} was used in this test already; allowed: another name for each run"
            )
        self._names.append(name)
        return name

    def _idle_options(self) -> tuple[str, ...]:
        """Return a note on the options that change no executor, with the first run of the test."""
        options = ", ".join(self._session.settings.overrides.options.values())
        if not options or len(self._names) > 1:
            return ()
        return (f"{options}: load.run changes profiles only, not executors; give it the name of a profile",)

    def _stated(self, load: Load | str | Mapping[str, Load]) -> tuple[Mapping[str, Load], str | None]:
        settings = self._session.settings
        if isinstance(load, str):
            if canonical(load) not in settings.profiles:
                raise ConfigError(
                    f"load.run: {shown(load)} is not a valid profile; allowed: {', '.join(sorted(settings.profiles))}"
                )
            return {"": settings.profiles[canonical(load)]}, canonical(load)
        loads = load if isinstance(load, Mapping) else {"": load}
        if not loads or not all(isinstance(part, Load) for part in loads.values()):
            raise ConfigError(
                f"load.run: load={shown(load)}; allowed: an executor, a mapping of executors, or a profile"
            )
        return loads, None

    def _run_once(self, body: Callable[[], Any], loads: Mapping[str, Load], name: str) -> RunResult:
        """Run *body* once, and end the test; return a result without figures where another run is to be replayed."""
        __tracebackhide__ = True
        session, test = self._session, self._item.nodeid
        replay, source = session.replay, session.random_source(test, name)
        if replay is not None and not replay.takes([source.load_name(load) for load in loads]):
            facts = RunFacts(session.session_id, f"{test}::{name}", "no load", 0.0)
            return RunResult(facts, 0.0, Verdict.PASSED, notes=("not run: --perf-replay is of another run",))
        run_once(body, only_vu(session, test, loads, name, is_async=_is_async(body)))
        if replay is not None:
            replay.passed()
            pytest.skip("the iteration passed; what follows it in the test is not run")
        pytest.skip("its body ran once; the load needs --perf-run")


def _is_async(body: Callable[[], Any]) -> bool:
    inner = getattr(body, "func", body)  # functools.partial
    return inspect.iscoroutinefunction(inner) or inspect.iscoroutinefunction(getattr(inner, "__call__", None))  # noqa: B004
