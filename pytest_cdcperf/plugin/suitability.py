"""Says what keeps a test function from being a perf test, or from running under load."""

from __future__ import annotations

import inspect
import os

import pytest

from pytest_cdcperf.spec import PerfSpec
from pytest_cdcperf.units import format_duration


def shape_faults(item: pytest.Function) -> list[str]:
    """Return why *item* cannot be a perf test in any mode."""
    faults = []
    if getattr(item.obj, "is_hypothesis_test", False):
        faults.append(
            "a test under hypothesis' @given cannot be a perf test: draw the values in the body, from vu.random"
        )
    if item.get_closest_marker("xfail") is not None:
        faults.append("a perf test cannot be xfail, it would hide the verdict; tolerate failures with error_rate=")
    return faults


def async_fixtures(item: pytest.Function) -> list[str]:
    """Return the asynchronous fixtures of *item*: they live on an event loop that is not the VUs'."""
    closure, definitions = item._fixtureinfo.names_closure, item._fixtureinfo.name2fixturedefs
    used = [(name, definitions[name][-1].func) for name in closure if definitions.get(name)]
    return [name for name, func in used if inspect.iscoroutinefunction(func) or inspect.isasyncgenfunction(func)]


def is_run_by_others(item: pytest.Function) -> bool:
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
