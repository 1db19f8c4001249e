"""Runs a perf test: once as a functional test, or under load with a verdict."""

from __future__ import annotations

import traceback
import warnings
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

import pytest_cdcperf
from pytest_cdcperf.cdc.audit import Audited
from pytest_cdcperf.cluster.agent import run_share
from pytest_cdcperf.cluster.messages import Concluded, Plan, Start
from pytest_cdcperf.engine.current_vu import acting_as, refuse_awaitable
from pytest_cdcperf.engine.failures import ExceptionRules, Raised
from pytest_cdcperf.engine.run import Body, RunOutcome
from pytest_cdcperf.engine.sampling import MemorySampler
from pytest_cdcperf.engine.unawaited import failing_unawaited
from pytest_cdcperf.engine.vu import VU
from pytest_cdcperf.errors import LoadRefusedError
from pytest_cdcperf.judging.verdict import Verdict
from pytest_cdcperf.load.phases import plan_phases
from pytest_cdcperf.metrics.metric import definitions
from pytest_cdcperf.metrics.recorder import Recorder
from pytest_cdcperf.metrics.scope import Scope
from pytest_cdcperf.metrics.snapshot import RateState
from pytest_cdcperf.plugin.interruption import Place
from pytest_cdcperf.plugin.junit import belongs_to_case
from pytest_cdcperf.plugin.load_guards import restrained
from pytest_cdcperf.printable import one_line, printable, short_name
from pytest_cdcperf.reporting.properties import properties
from pytest_cdcperf.reporting.terminal import verdict_lines
from pytest_cdcperf.results.result import RunFacts, RunResult
from pytest_cdcperf.spec import PerfSpec

if TYPE_CHECKING:
    from pytest_cdcperf.plugin.item import PerfFunction
    from pytest_cdcperf.plugin.session import PerfSession

_OURS = str(Path(pytest_cdcperf.__file__).parent)


def run_once(item: PerfFunction) -> None:
    """Run one iteration in the main thread: as debuggable as any test.

    No statistics are judged. A false check fails the test.
    """
    __tracebackhide__ = True
    if item.is_async:
        arguments = item.arguments
        call_once(lambda: item.obj(**arguments), item.perf_session.session_id, is_async=True)
    else:
        call_once(lambda: item.ihook.pytest_pyfunc_call(pyfuncitem=item), item.perf_session.session_id, is_async=False)


def call_once(body: Callable[[], Any], session_id: str, *, is_async: bool) -> None:
    """Call *body* as the only iteration of the only VU, in this thread."""
    __tracebackhide__ = True
    vu = VU(1, session_id=session_id, scope=Scope(Recorder()), is_async=is_async)
    with failing_unawaited():
        if is_async:
            _await_once(body, vu)
        else:
            try:
                with acting_as(vu):
                    refuse_awaitable(body())
            finally:
                vu.tidy()
                vu.own.close_all()
    _fail_where_faulty(vu)


def as_iteration(body: Callable[..., Awaitable[Any]], session_id: str) -> Callable[..., Awaitable[None]]:
    """Return *body* as the only iteration of the only VU, to be awaited on whichever loop of asyncio."""

    @wraps(body)
    async def once(*arguments: Any, **named: Any) -> None:
        __tracebackhide__ = True
        vu = VU(1, session_id=session_id, scope=Scope(Recorder()), is_async=True)
        with failing_unawaited():
            await _iterate(lambda: body(*arguments, **named), vu)
        _fail_where_faulty(vu)

    return once


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
    import asyncio  # noqa: PLC0415

    vu.task = asyncio.current_task()
    try:
        with acting_as(vu):
            await body()
    finally:
        await vu.tidy_aio()
        await asyncio.gather(*vu.own.close_all(), *vu.shared.close_all(), return_exceptions=True)


def _await_once(body: Callable[[], Awaitable[Any]], vu: VU) -> None:
    __tracebackhide__ = True
    from pytest_cdcperf.engine.event_loop import new_event_loop  # noqa: PLC0415

    # Not asyncio.run(): it would replace the thread's loop, which may be another plugin's.
    loop = new_event_loop()
    try:
        loop.run_until_complete(_iterate(body, vu))
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


def run_load(item: PerfFunction) -> None:
    """Run the load, write its results whatever the verdict, then let the test pass or fail."""
    arguments, body = item.arguments, item.obj
    with item.perf_session.interruption.at(Place.ATTENDED):
        fail_unless_passed(item, measure(item, item.spec, Body(lambda: body(**arguments), item.is_async)))


def fail_unless_passed(item: PerfFunction, result: RunResult) -> None:
    """Fail the test with the verdict and its reasons where it is not PASSED."""
    if result.verdict is not Verdict.PASSED:
        _fail(item, result)


def measure(item: PerfFunction, spec: PerfSpec, body: Body, name: str = "", call: int = 1) -> RunResult:
    """Run *body* under the loads of *spec* and return the result of all workers, which is written down already.

    :param call: the how manieth run of its test this is: the same on all workers

    What the body raised to end the session takes effect after that, and once the test is reported.
    """
    session = item.perf_session
    if session.load_refused:
        pytest.skip(session.load_refused)
    with session.interruption.at(Place.ATTENDED):  # from the first call to the written result
        outcome, concluded = _measure(item, spec, body, _plan(item, spec, name, call))
        _keep(item, concluded, outcome, name)
        return _take_effect(item, concluded, outcome)


def _measure(item: PerfFunction, spec: PerfSpec, body: Body, plan: Plan) -> tuple[RunOutcome, Concluded]:
    session = item.perf_session
    start = _begin(session, plan)
    # All workers see the same servers: the first tells of their memory.
    pids = session.services.server_pids() if start.share.index == 0 else ()
    with restrained(item.nodeid):
        outcome = run_share(
            item.nodeid,
            spec.loads,
            body,
            session_id=session.session_id,
            rules=ExceptionRules(_classify, _describe),
            link=session.link,
            share=start.share,
            samplers=[*session.samplers, MemorySampler(pids)],
            audit=_audit(session, spec.drain_s),
        )
    with _telling_refusals():
        return outcome, session.link.conclude()


def _begin(session: PerfSession, plan: Plan) -> Start:
    with _telling_refusals():
        return session.link.begin(plan)


@contextmanager
def _telling_refusals() -> Iterator[None]:
    try:
        yield
    except LoadRefusedError as refusal:
        refused = pytest.skip.Exception if refusal.skips else pytest.fail.Exception
        raise refused(str(refusal), **({} if refusal.skips else {"pytrace": False})) from None


def _plan(item: PerfFunction, spec: PerfSpec, name: str, call: int) -> Plan:
    session = item.perf_session
    heeded = session.surroundings(item.fixturenames)
    facts = RunFacts(
        session_id=session.session_id,
        test=f"{item.nodeid}::{name}" if name else item.nodeid,
        title=(item.obj.__doc__ or "").strip().partition("\n")[0],
        profile=spec.profile,
        load=spec.load_in_words,
        planned_s=spec.planned_s,
        started_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        shortened=spec.shortened,
        error_rate=spec.error_rate,
        on_unfit=session.settings.on_unfit,
        tags=dict(spec.tags),
        services={**session.services.describe(), **({"environment": ", ".join(heeded)} if heeded else {})},
        notes=spec.notes,
    )
    phases = plan_phases(spec.loads)
    return Plan(item.nodeid, call, facts, spec.thresholds, spec.course, phases, definitions())


def _audit(session: PerfSession, drain_s: float) -> Callable[[Callable[[], object]], Audited]:
    """Return what proves, once the load is over, that all arrived that was written from now on."""
    cdc = session.cdc
    if cdc is None:
        return lambda _: Audited()
    cdc.begin()

    def settle(given_up: Callable[[], object]) -> Audited:
        audited = cdc.audit.settle(drain_s, given_up) if drain_s and not given_up() else Audited()
        return Audited(audited.faults, (*audited.notes, *cdc.notes()))

    return settle


def _keep(item: PerfFunction, concluded: Concluded, outcome: RunOutcome, name: str) -> None:
    if outcome.still_running():
        who = "VUs" if outcome.stuck else "Threads"
        reason = f"{who} of {item.nodeid} are still running, so no load was started"
        item.perf_session.refuse_loads_while(outcome.still_running, reason)
    if concluded.skipped and outcome.exit_request is None:
        pytest.skip(one_line(f"every iteration was skipped: {concluded.skipped}"))
    item.results.append(concluded.result)
    if belongs_to_case(item.config):
        item.user_properties += properties(concluded.result, f"{name}." if name else "")


def _take_effect(item: PerfFunction, concluded: Concluded, outcome: RunOutcome) -> RunResult:
    result = concluded.result
    if concluded.fault:
        because = [f"    and: {reason}" for reason in result.reasons]
        pytest.fail(printable("\n".join([f"{result.verdict}, but {concluded.fault}", *because])), pytrace=False)
    if isinstance(outcome.exit_request, pytest.xfail.Exception):
        pytest.fail(
            "pytest.xfail() inside a load would hide the verdict; tolerate failures with error_rate=", pytrace=False
        )
    if isinstance(outcome.exit_request, pytest.exit.Exception | KeyboardInterrupt):
        item.perf_session.interruption.after_the_test(outcome.exit_request)
        _fail(item, result)  # raised here, it would cost the report of the test
    if outcome.exit_request is not None:
        raise outcome.exit_request
    if item.perf_session.interruption.reason:
        _fail(item, result)  # the session ends: a test that drives its load itself does not go on
    return result


def _fail(item: PerfFunction, result: RunResult) -> NoReturn:
    lines = verdict_lines(result)
    if any(part.outcome for part in result.workers) and (left := item.perf_session.left_behind()):
        lines.append(f"    {left}")
    pytest.fail("\n".join(lines).strip(), pytrace=False)


def _classify(error: BaseException) -> Raised:
    if isinstance(error, pytest.skip.Exception):
        return Raised.SKIPPED
    if isinstance(error, pytest.exit.Exception | pytest.xfail.Exception | SystemExit | KeyboardInterrupt):
        return Raised.EXIT
    return Raised.FAILED


def _describe(error: BaseException) -> str:
    """Return the traceback of *error* without our own frames: its beginning and its end where it is long."""
    extracted = traceback.TracebackException.from_exception(error)
    kept = [frame for frame in extracted.stack if not frame.filename.startswith(_OURS)]
    if kept:
        extracted.stack = traceback.StackSummary.from_list(kept)
    return printable("".join(extracted.format(chain=False)))
