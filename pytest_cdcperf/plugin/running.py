"""Runs a perf test: once as a functional test, or under load with a verdict."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import pytest_cdcperf
from pytest_cdcperf.cdc.audit import Audited
from pytest_cdcperf.cluster.agent import run_share
from pytest_cdcperf.cluster.messages import Concluded, Plan, Start
from pytest_cdcperf.engine.failures import ExceptionRules, Raised
from pytest_cdcperf.engine.run import Body, RunOutcome
from pytest_cdcperf.engine.sampling import sample_memory
from pytest_cdcperf.engine.signals import Terminated
from pytest_cdcperf.engine.unawaited import failing_unawaited
from pytest_cdcperf.engine.vu import VU, acting_as, refuse_awaitable
from pytest_cdcperf.errors import RefusedError
from pytest_cdcperf.judging.verdict import Verdict
from pytest_cdcperf.metrics.recorder import Recorder, Scope, definitions
from pytest_cdcperf.metrics.snapshot import RateState
from pytest_cdcperf.model.services import redact
from pytest_cdcperf.model.spec import PerfSpec
from pytest_cdcperf.plugin.restraint import restrained
from pytest_cdcperf.reporting.printable import printable
from pytest_cdcperf.reporting.properties import properties
from pytest_cdcperf.reporting.result import RunFacts, RunResult
from pytest_cdcperf.reporting.terminal import verdict_lines

if TYPE_CHECKING:
    from pytest_cdcperf.plugin.item import PerfFunction
    from pytest_cdcperf.plugin.session import PerfSession

_SIGTERM_EXIT_CODE = 143
_OURS = str(Path(pytest_cdcperf.__file__).parent)


def run_once(item: PerfFunction) -> None:
    """Run one iteration in the main thread: as debuggable as any test.

    No statistics are judged. A false check fails the test.
    """
    __tracebackhide__ = True
    if item.is_async:
        arguments = item.arguments
        call_once(lambda: item.obj(**arguments), item.perf_session.run_id, is_async=True)
    else:
        call_once(lambda: item.ihook.pytest_pyfunc_call(pyfuncitem=item), item.perf_session.run_id, is_async=False)


def call_once(body: Callable[[], Any], run_id: str, *, is_async: bool) -> None:
    """Call *body* as the only iteration of the only VU, in this thread."""
    __tracebackhide__ = True
    recorder = Recorder()
    vu = VU(1, run_id=run_id, scope=Scope(recorder), is_async=is_async)
    with failing_unawaited():
        if is_async:
            _await_once(body, vu)
        else:
            try:
                with acting_as(vu):
                    refuse_awaitable(body())
            finally:
                vu.own.close_all()
    if vu.fault is not None:
        pytest.fail(str(vu.fault), pytrace=False)
    false = [name for name, state in recorder.drain().by_tag("checks", "check") if _is_false(state)]
    if false:
        pytest.fail(printable("false checks: " + ", ".join(false)), pytrace=False)


def _is_false(state: object) -> bool:
    return isinstance(state, RateState) and state.hits < state.total


def _await_once(body: Callable[[], Any], vu: VU) -> None:
    __tracebackhide__ = True
    import asyncio  # noqa: PLC0415

    from pytest_cdcperf.engine.tasks import new_event_loop  # noqa: PLC0415

    async def main() -> None:
        vu.task = asyncio.current_task()
        try:
            with acting_as(vu):
                await body()
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
    arguments, body = item.arguments, item.obj
    fail_unless_passed(measure(item, item.spec, Body(lambda: body(**arguments), item.is_async)))


def fail_unless_passed(result: RunResult) -> None:
    """Fail the test with the verdict and its reasons where it is not PASSED."""
    if result.verdict is not Verdict.PASSED:
        pytest.fail("\n".join(verdict_lines(result)).strip(), pytrace=False)


def measure(item: PerfFunction, spec: PerfSpec, body: Body, name: str = "", call: int = 1) -> RunResult:
    """Run *body* under the loads of *spec* and return the result of all workers, which is written down already.

    :param call: the how manieth run of its test this is: the same on all workers

    What the body raised to end the session takes effect here, after that.
    """
    session = item.perf_session
    if session.load_refused:
        pytest.skip(session.load_refused)
    start = _begin(session, _plan(item, spec, name, call))
    # All workers see the same servers: the first tells of their memory.
    pids = session.services.server_pids() if start.share.index == 0 else ()
    with restrained(item.nodeid):
        outcome = run_share(
            item.nodeid,
            spec.loads,
            body,
            run_id=session.run_id,
            rules=ExceptionRules(_classify, _describe),
            link=session.link,
            share=start.share,
            samplers=[*session.samplers, lambda: sample_memory(pids)],
            audit=_audit(session, spec.drain_s),
        )
    with _telling_refusals():
        concluded = session.link.conclude()
    return _conclude(item, concluded, outcome, name)


def _begin(session: PerfSession, plan: Plan) -> Start:
    with _telling_refusals():
        return session.link.begin(plan)


@contextmanager
def _telling_refusals() -> Iterator[None]:
    try:
        yield
    except RefusedError as refusal:
        refused = pytest.skip.Exception if refusal.skips else pytest.fail.Exception
        raise refused(printable(str(refusal)), **({} if refusal.skips else {"pytrace": False})) from None


def _plan(item: PerfFunction, spec: PerfSpec, name: str, call: int) -> Plan:
    session = item.perf_session
    facts = RunFacts(
        run_id=session.run_id,
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
        services=session.services.describe(),
    )
    phases = sorted((phase for load in spec.loads.values() for phase in load.phases), key=lambda phase: phase.start_s)
    return Plan(item.nodeid, call, facts, spec.thresholds, spec.course, tuple(phases), definitions())


def _audit(session: PerfSession, drain_s: float) -> Callable[[Callable[[], object]], Audited]:
    """Return what proves, once the load is over, that all arrived that was written from now on."""
    owed = session.audit
    if owed is None:
        return lambda _: Audited()
    owed.begin()

    def settle(given_up: Callable[[], object]) -> Audited:
        if not drain_s or given_up():
            return Audited()
        return owed.settle(drain_s, given_up)

    return settle


def _conclude(item: PerfFunction, concluded: Concluded, outcome: RunOutcome, name: str) -> RunResult:
    session, result = item.perf_session, concluded.result
    if outcome.stuck_vus:
        session.load_refused = f"VUs of {item.nodeid} are still running, so no load was started"
    if concluded.skipped and outcome.exit_request is None:
        pytest.skip(printable(f"every iteration was skipped: {concluded.skipped}"))
    item.results.append(result)
    item.user_properties += properties(result, f"{name}." if name else "")
    if concluded.fault:
        pytest.fail(f"{result.verdict}, but {concluded.fault}", pytrace=False)
    if isinstance(outcome.exit_request, pytest.xfail.Exception):
        pytest.fail(
            "pytest.xfail() inside a load would hide the verdict; tolerate failures with error_rate=", pytrace=False
        )
    if isinstance(outcome.exit_request, Terminated):
        pytest.exit("SIGTERM: the results so far are written", returncode=_SIGTERM_EXIT_CODE)
    if outcome.exit_request is not None:
        raise outcome.exit_request
    return result


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
