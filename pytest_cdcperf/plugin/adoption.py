"""Makes perf tests of the test functions that are marked as such, at collection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import pytest

from pytest_cdcperf.errors import ConfigError
from pytest_cdcperf.judging.threshold import merge_thresholds
from pytest_cdcperf.load.base import Load
from pytest_cdcperf.load.builtin_profiles import canonical
from pytest_cdcperf.load.overrides import are_smaller
from pytest_cdcperf.load.profiles import DEFAULT_PROFILE, LONGEST_UNASKED_S
from pytest_cdcperf.plugin.item import PerfFunction
from pytest_cdcperf.plugin.load_tests import uses_load_fixture
from pytest_cdcperf.plugin.marker import marker_spec
from pytest_cdcperf.plugin.session import PerfSession
from pytest_cdcperf.plugin.settings import Mode, Settings
from pytest_cdcperf.plugin.suitability import async_fixtures, is_run_by_others, load_faults, shape_faults
from pytest_cdcperf.spec import MarkerSpec, PerfSpec
from pytest_cdcperf.units import format_duration


def adopt(item: pytest.Function, session: PerfSession) -> pytest.Function:
    """Return *item* as a perf test where it is one.

    :raises pytest.Collector.CollectError: with every fault of its marker, configuration and shape at once
    """
    try:
        marker = marker_spec(item) or MarkerSpec()
        faults = shape_faults(item)
        spec = _resolve(item, marker, session.settings)
    except ConfigError as error:
        raise pytest.Collector.CollectError(_lines(item, error.faults)) from None
    runs_under_load = _runs_load(item, spec, marker, session.settings)
    if runs_under_load and not uses_load_fixture(item):
        faults += load_faults(item, spec)
    if faults:
        raise pytest.Collector.CollectError(_lines(item, faults))
    elsewhere = async_fixtures(item)
    if elsewhere and not runs_under_load and is_run_by_others(item):
        return _left_to_others(item, session, spec)
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
    perf.perf_session, perf.marker, perf.spec, perf.runs_under_load = session, marker, spec, runs_under_load
    if runs_under_load:
        _restrain(perf, session)
        perf.refused = "\n".join(_on_another_loop(item, name) for name in elsewhere)
    return perf


def _left_to_others(item: pytest.Function, session: PerfSession, spec: PerfSpec) -> pytest.Function:
    """Return *item* as it is, its body being one iteration: its plugin runs it on the loop of its fixtures."""
    from pytest_cdcperf.plugin.once import as_iteration, only_vu  # noqa: PLC0415

    item.perf_session, item.spec = session, spec  # type: ignore[attr-defined]  # it is seen to
    item.obj = as_iteration(item.obj, partial(only_vu, session, item.nodeid, spec.loads, is_async=True))
    return item


def _on_another_loop(item: pytest.Function, name: str) -> str:
    return (
        f"{item.nodeid}: fixture {name!r} is asynchronous and lives on another event loop than the VUs; "
        "make it a plain fixture, or open what it gives inside the body"
    )


def _lines(item: pytest.Function, faults: Sequence[str]) -> str:
    return "\n".join(f"{item.nodeid}: @perf: {fault}" for fault in faults)


def profiles_of(item: pytest.Function, profiles: Mapping[str, Load]) -> list[str]:
    """Return which of *profiles* the marks of *item* name."""
    return sorted({canonical(mark.name) for mark in item.iter_markers()} & set(profiles))


def _resolve(item: pytest.Function, marker: MarkerSpec, settings: Settings) -> PerfSpec:
    own = profiles_of(item, settings.profiles)
    if len(own) > 1:
        raise ConfigError(f"it has the profiles {', '.join(own)}; allowed: one. Write a test for each")
    profile = own[0] if own else None
    if profile is None and not marker.states_a_load:
        profile = next(iter(settings.asked)) if settings.exclusive else DEFAULT_PROFILE
    stated = marker.loads_over(settings.profile_of(profile))
    loads = settings.overrides.apply(stated)
    return PerfSpec(
        loads={name: replace(load, tags={**marker.tags, **load.tags}) for name, load in loads.items()},
        profile=profile,
        thresholds=merge_thresholds(marker.thresholds, settings.thresholds.get(profile or "", ())),
        run_rules=marker.run_rules,
        error_rate=marker.error_rate,
        tags=marker.tags,
        drain_s=marker.drain_s,
        shortened=are_smaller(loads, stated),
    )


def _runs_load(item: pytest.Function, spec: PerfSpec, marker: MarkerSpec, settings: Settings) -> bool:
    if settings.mode is not Mode.LOAD:
        return False
    if marker.gate or not settings.asked:
        return True
    # With -m it is the test's own mark that asks for load, not the profile it falls back to.
    return spec.profile in settings.asked and (settings.exclusive or bool(profiles_of(item, settings.profiles)))


def _restrain(perf: PerfFunction, session: PerfSession) -> None:
    long = perf.spec.planned_s > LONGEST_UNASKED_S and not perf.spec.counts_iterations
    if long and perf.spec.profile not in session.settings.asked:
        planned = format_duration(perf.spec.planned_s)
        perf.add_marker(
            pytest.mark.skip(
                reason=f"takes {planned}: runs only where its profile is asked for by name, -m or --perf-profile"
            )
        )
