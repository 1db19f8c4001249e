"""Runs a perf test once, as a functional test: one iteration of one VU, without statistics."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Awaitable, Callable, Mapping
from functools import partial, wraps
from typing import Any

import pytest

from pytest_cdcperf.engine.current_vu import CurrentVU, acting_as, refuse_awaitable
from pytest_cdcperf.engine.event_loop import new_event_loop
from pytest_cdcperf.engine.unawaited import failing_unawaited
from pytest_cdcperf.engine.vu import VU
from pytest_cdcperf.load.base import Load, tags_of
from pytest_cdcperf.metrics.recorder import Recorder
from pytest_cdcperf.metrics.scope import Scope
from pytest_cdcperf.metrics.snapshot import RateState
from pytest_cdcperf.plugin.session import PerfSession
from pytest_cdcperf.printable import short_name


def run_once(body: Callable[[], Any], vu: VU) -> None:
    """Run *body* in this thread as an iteration of *vu*, as debuggable as any test. A false check fails the test."""
    __tracebackhide__ = True
    with failing_unawaited():
        if vu.is_async:
            _await_once(body, vu)
        else:
            try:
                with acting_as(vu):
                    refuse_awaitable(body())
            finally:
                vu.tidy()
                vu.own.close_all()
    _fail_where_faulty(vu)


def as_iteration(body: Callable[..., Awaitable[Any]], new_vu: Callable[[], VU]) -> Callable[..., Awaitable[None]]:
    """Return *body* as the only iteration of a new VU, to be awaited on whichever loop of asyncio."""

    @wraps(body)
    async def once(*arguments: Any, **named: Any) -> None:
        __tracebackhide__ = True
        vu = new_vu()
        with failing_unawaited():
            await _iterate(lambda: body(*arguments, **with_vu(named, vu)), vu)
        _fail_where_faulty(vu)

    return once


def only_vu(session: PerfSession, test: str, loads: Mapping[str, Load], run: str = "", *, is_async: bool) -> VU:
    """Return the VU of once mode, in its first iteration: of *test*, and of its *run* where it has several.

    With ``--perf-replay``, which is of one of *loads*, it is the VU of that iteration.
    """
    source = session.random_source(test, run)
    as_in_load = partial(VU, session_id=session.session_id, is_async=is_async, source=source)
    if session.replay is None:
        return as_in_load(1, scope=Scope(Recorder()), load=source.load_name(""))
    wanted = session.replay.iteration
    (tags,) = [tags_of(load, name) for name, load in loads.items() if source.load_name(name) == wanted.load]
    most = sum(load.most_vus for load in loads.values())
    vu = as_in_load(wanted.vu, scope=Scope(Recorder(), tags), load=wanted.load, vus=most)
    vu.iteration = wanted.iteration
    return vu


def with_vu(arguments: Mapping[str, Any], vu: VU) -> dict[str, Any]:
    """Return *arguments* with *vu* for the fixture of that name, so that a debugger shows it after the iteration."""
    return {name: vu if isinstance(value, CurrentVU) else value for name, value in arguments.items()}


def _fail_where_faulty(vu: VU) -> None:
    __tracebackhide__ = True
    for note in vu.scope.recorder.notes():
        warnings.warn(pytest.PytestWarning(note), stacklevel=2)
    if vu.fault is not None:
        pytest.fail(str(vu.fault), pytrace=False)
    states = vu.scope.recorder.drain().by_tag("checks", "check")
    false = [name for name, state in states if isinstance(state, RateState) and state.hits < state.total]
    if false:
        pytest.fail("false checks: " + ", ".join(map(short_name, false)), pytrace=False)


async def _iterate(body: Callable[[], Awaitable[Any]], vu: VU) -> None:
    __tracebackhide__ = True
    vu.task = asyncio.current_task()
    try:
        with acting_as(vu):
            await body()
    finally:
        await vu.tidy_aio()
        await asyncio.gather(*vu.own.close_all(), *vu.shared.close_all(), return_exceptions=True)


def _await_once(body: Callable[[], Awaitable[Any]], vu: VU) -> None:
    __tracebackhide__ = True
    # Not asyncio.run(): it would replace the thread's loop, which may be another plugin's.
    loop = new_event_loop()
    try:
        loop.run_until_complete(_iterate(body, vu))
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
