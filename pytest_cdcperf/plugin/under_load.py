"""Runs a perf test under load, and lets it pass or fail by the verdict."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import NoReturn

import pytest

from pytest_cdcperf.cluster.agent import Check, Findings, GivenUp, run_share
from pytest_cdcperf.cluster.messages import Concluded, Plan, Start
from pytest_cdcperf.engine.run import Body, RunOutcome
from pytest_cdcperf.engine.sampling import MemorySampler
from pytest_cdcperf.errors import LoadRefusedError
from pytest_cdcperf.judging.verdict import Verdict
from pytest_cdcperf.load.phases import plan_phases
from pytest_cdcperf.metrics.metric import definitions
from pytest_cdcperf.plugin.exceptions import RULES
from pytest_cdcperf.plugin.interruption import Place
from pytest_cdcperf.plugin.invocation import command_line, location_of, replay_command
from pytest_cdcperf.plugin.junit import belongs_to_case
from pytest_cdcperf.plugin.keys import results_key
from pytest_cdcperf.plugin.load_guards import restrained
from pytest_cdcperf.plugin.not_passed import NotPassed
from pytest_cdcperf.plugin.outputs import samples_to_files
from pytest_cdcperf.plugin.session import PerfSession
from pytest_cdcperf.printable import one_line, printable
from pytest_cdcperf.reporting.not_passed import FailureText
from pytest_cdcperf.reporting.properties import properties
from pytest_cdcperf.reporting.view import RunView
from pytest_cdcperf.results.result import RunFacts, RunResult
from pytest_cdcperf.spec import PerfSpec


def measure(
    item: pytest.Function,
    session: PerfSession,
    spec: PerfSpec,
    body: Body,
    *,
    name: str = "",
    call: int = 1,
    check: bool = True,
) -> RunResult:
    """Run *body* under the loads of *spec* and return the result of all workers, which is written down already.

    What the body raised to end the session takes effect after that, and once the test is reported.

    :param name: of the run, where its test has several
    :param call: the number of this run in its test, from 1: the same on all workers
    :param check: whether any other verdict than PASSED fails the test
    """
    if session.load_refused:
        pytest.skip(session.load_refused)
    with session.interruption.at(Place.FRAMEWORK):  # from the first call to the written result
        outcome, concluded = _measure(item.nodeid, session, spec, body, name, _plan(item, session, spec, name, call))
        _keep(item, session, concluded, outcome, name)
        _take_effect(session, concluded, outcome)
        if check and concluded.result.verdict is not Verdict.PASSED:
            _fail(session, concluded.result)
    return concluded.result


def _measure(
    test: str, session: PerfSession, spec: PerfSpec, body: Body, name: str, plan: Plan
) -> tuple[RunOutcome, Concluded]:
    start = _begin(session, plan)
    # All workers see the same servers: the first tells of their memory.
    pids = session.services.server_pids() if start.share.index == 0 else ()
    with restrained(test):
        outcome = run_share(
            test,
            spec.loads,
            body,
            session_id=session.session_id,
            source=session.random_source(test, name),
            rules=RULES,
            link=session.link,
            share=start.share,
            samplers=[*session.samplers, MemorySampler(pids)],
            tap=samples_to_files(session, test),
            check_at_end=_check_at_end(session, spec.drain_s),
        )
    with _refusals_as_outcomes():
        return outcome, session.link.conclude()


def _begin(session: PerfSession, plan: Plan) -> Start:
    with _refusals_as_outcomes():
        return session.link.begin(plan)


@contextmanager
def _refusals_as_outcomes() -> Iterator[None]:
    try:
        yield
    except LoadRefusedError as refusal:
        refused = pytest.skip.Exception if refusal.skips else pytest.fail.Exception
        raise refused(str(refusal), **({} if refusal.skips else {"pytrace": False})) from None


def _plan(item: pytest.Function, session: PerfSession, spec: PerfSpec, name: str, call: int) -> Plan:
    heeded = session.surroundings(item.fixturenames)
    facts = RunFacts(
        session_id=session.session_id,
        test=f"{item.nodeid}::{name}" if name else item.nodeid,
        title=(item.obj.__doc__ or "").strip().partition("\n")[0],
        seed=session.seed,
        profile=spec.profile,
        location=location_of(item),
        command=command_line(item.config),
        replay=replay_command(item),
        load=spec.load_in_words,
        planned_s=spec.planned_s,
        shortened=spec.shortened,
        error_rate=spec.error_rate,
        on_unfit=session.settings.on_unfit,
        tags=dict(spec.tags),
        services={**session.services.describe(), **({"environment": ", ".join(heeded)} if heeded else {})},
        plan_notes=spec.notes,
        asked_rate=spec.asked_rate,
    )
    phases = plan_phases(spec.loads)
    return Plan(item.nodeid, call, facts, spec.thresholds, spec.run_rules, phases, definitions())


def _check_at_end(session: PerfSession, drain_s: float) -> Check:
    """Return what proves, once the load is over, that all arrived that was written from now on."""
    cdc = session.cdc
    if cdc is None:
        return lambda _given_up: Findings()
    cdc.begin_run()

    def check(given_up: GivenUp) -> Findings:
        if not drain_s or given_up():
            return Findings(notes=tuple(cdc.notes()))
        audited = cdc.audit.verify(drain_s, given_up)
        return Findings(audited.faults, (*audited.notes, *cdc.notes()))

    return check


def _keep(item: pytest.Function, session: PerfSession, concluded: Concluded, outcome: RunOutcome, name: str) -> None:
    if outcome.still_running():
        who = "VUs" if outcome.stuck else "Threads"
        session.refuse_loads(f"{who} of {item.nodeid} are still running, so no load was started", outcome.still_running)
    if concluded.skipped and outcome.exit_request is None:
        pytest.skip(one_line(f"every iteration was skipped: {concluded.skipped}"))
    item.stash.setdefault(results_key, []).append(concluded.result)
    if belongs_to_case(item.config):
        item.user_properties += properties(concluded.result, f"{name}." if name else "")


def _take_effect(session: PerfSession, concluded: Concluded, outcome: RunOutcome) -> None:
    result = concluded.result
    if concluded.fault:
        because = [f"    and: {reason}" for reason in result.reasons]
        pytest.fail(printable("\n".join([f"{result.verdict}, but {concluded.fault}", *because])), pytrace=False)
    if isinstance(outcome.exit_request, pytest.xfail.Exception):
        pytest.fail(
            "pytest.xfail() inside a load would hide the verdict; tolerate failures with error_rate=", pytrace=False
        )
    if isinstance(outcome.exit_request, pytest.exit.Exception | KeyboardInterrupt):
        session.interruption.after_the_test(outcome.exit_request)
        _fail(session, result)  # raised here, it would cost the report of the test
    if outcome.exit_request is not None:
        raise outcome.exit_request
    if session.interruption.reason:
        _fail(session, result)  # the session ends: a test that drives its load itself does not go on


def _fail(session: PerfSession, result: RunResult) -> NoReturn:
    text = FailureText.of(RunView.of(result))
    if any(part.outcome for part in result.workers) and (left := session.left_behind()):
        text = replace(text, details=(*text.details, left))
    raise NotPassed(text)
