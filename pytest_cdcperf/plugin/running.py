"""Runs a perf test: once as a functional test, or under load with a verdict."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from _pytest.logging import LogCaptureHandler

import pytest_cdcperf
from pytest_cdcperf.cluster.agent import run_share
from pytest_cdcperf.cluster.coordinator import Coordinator
from pytest_cdcperf.engine.failures import ExceptionRules, Raised
from pytest_cdcperf.engine.run import Body, RunOutcome
from pytest_cdcperf.engine.signals import Terminated
from pytest_cdcperf.engine.vu import VU, acting_as
from pytest_cdcperf.metrics.recorder import Recorder, Scope
from pytest_cdcperf.metrics.snapshot import RateState
from pytest_cdcperf.metrics.verdict import Verdict
from pytest_cdcperf.model.services import redact
from pytest_cdcperf.reporting.json import write_result
from pytest_cdcperf.reporting.properties import properties
from pytest_cdcperf.reporting.result import RunFacts, RunResult

if TYPE_CHECKING:
    from pytest_cdcperf.plugin.item import PerfFunction
    from pytest_cdcperf.plugin.session import PerfSession

_SIGTERM_EXIT_CODE = 143
_OURS = str(Path(pytest_cdcperf.__file__).parent)


def run_once(item: PerfFunction) -> None:
    """Run one iteration in the main thread: as debuggable as any test.

    No statistics are judged. A false check fails the test.
    """
    recorder = Recorder()
    vu = VU(1, run_id=item.perf_session.run_id, scope=Scope(recorder), is_async=item.is_async)
    vu.pause = lambda _seconds: None
    if item.is_async:
        _run_once_async(item, vu)
    else:
        try:
            with acting_as(vu):
                item.ihook.pytest_pyfunc_call(pyfuncitem=item)
        finally:
            vu.own.close_all()
    false = [name for name, state in recorder.drain().by_tag("checks", "check") if _is_false(state)]
    if false:
        pytest.fail("false checks: " + ", ".join(false), pytrace=False)


def _is_false(state: object) -> bool:
    return isinstance(state, RateState) and state.hits < state.total


def _run_once_async(item: PerfFunction, vu: VU) -> None:
    import asyncio  # noqa: PLC0415

    from pytest_cdcperf.engine.tasks import new_event_loop  # noqa: PLC0415

    async def main() -> None:
        vu.task = asyncio.current_task()
        try:
            with acting_as(vu):
                await item.obj(**item.arguments)
        finally:
            await asyncio.gather(*vu.own.close_all(), *vu.shared.close_all(), return_exceptions=True)

    # Not asyncio.run(): it would replace the thread's loop, which may be another plugin's.
    loop = new_event_loop()
    try:
        loop.run_until_complete(main())
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


def run_load(item: PerfFunction) -> None:
    """Run the load, write its results whatever the verdict, then let the test pass or fail."""
    session, spec = item.perf_session, item.spec
    if session.load_refused:
        pytest.skip(session.load_refused)
    facts = RunFacts(
        run_id=session.run_id,
        test=item.nodeid,
        title=(item.obj.__doc__ or "").strip().partition("\n")[0],
        profile=spec.profile,
        load=spec.load.describe(),
        planned_s=spec.load.planned_s,
        started_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        shortened=spec.shortened,
        error_rate=spec.error_rate,
        tags=dict(spec.tags),
        services=session.services.describe(),
    )
    session.progress.begin(f"{item.nodeid}: {facts.load}")
    coordinator = Coordinator(facts, spec.thresholds, on_live=lambda live: session.progress.show(item.name, live))
    arguments, body = item.arguments, item.obj
    with _log_capture_detached():
        outcome = run_share(
            spec.load,
            Body(lambda: body(**arguments), item.is_async),
            run_id=session.run_id,
            rules=ExceptionRules(_classify, _describe),
            send=coordinator.receive,
            samplers=session.samplers,
            faults_at_end=session.services.deaths,
        )
    session.progress.end()
    _conclude(item, session, coordinator.result(), outcome)


def _conclude(item: PerfFunction, session: PerfSession, result: RunResult, outcome: RunOutcome) -> None:
    if outcome.stuck_vus:
        session.load_refused = f"VUs of {item.nodeid} are still running, so no load was started"
    if isinstance(outcome.exit_request, pytest.xfail.Exception):
        pytest.fail(
            "pytest.xfail() inside a load would hide the verdict; tolerate failures with error_rate=", pytrace=False
        )
    if outcome.skip_reason and not result.iterations and outcome.exit_request is None:
        pytest.skip(f"every iteration was skipped: {outcome.skip_reason}")
    item.result = result
    session.results.append(result)
    item.user_properties += properties(result)
    write_result(result, session.directory.path)
    if isinstance(outcome.exit_request, Terminated):
        pytest.exit("SIGTERM: the results so far are written", returncode=_SIGTERM_EXIT_CODE)
    if outcome.exit_request is not None:
        raise outcome.exit_request
    if result.verdict is not Verdict.PASSED:
        pytest.fail("\n".join([f"{result.verdict}:", *(f"  {reason}" for reason in result.reasons)]), pytrace=False)


def _classify(error: BaseException) -> Raised:
    if isinstance(error, pytest.skip.Exception):
        return Raised.SKIPPED
    if isinstance(error, pytest.exit.Exception | pytest.xfail.Exception | SystemExit | KeyboardInterrupt):
        return Raised.EXIT
    return Raised.FAILED


def _describe(error: BaseException) -> str:
    """Return the traceback of *error* without our own frames, its last lines first to be kept."""
    extracted = traceback.TracebackException.from_exception(error)
    kept = [frame for frame in extracted.stack if not frame.filename.startswith(_OURS)]
    if kept:
        extracted.stack = traceback.StackSummary.from_list(kept)
    return redact("".join(extracted.format(chain=False)))


@contextmanager
def _log_capture_detached() -> Iterator[None]:
    """Keep pytest from storing every log record of the load in memory."""
    root = logging.getLogger()
    capturing = [handler for handler in root.handlers if isinstance(handler, LogCaptureHandler)]
    for handler in capturing:
        root.removeHandler(handler)
    try:
        yield
    finally:
        for handler in capturing:
            root.addHandler(handler)
