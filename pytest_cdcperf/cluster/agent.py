"""Runs one worker's share of a run and reports it as it goes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pytest_cdcperf.cluster.messages import Message, ShareDone, WindowDone
from pytest_cdcperf.engine.failures import ExceptionRules
from pytest_cdcperf.engine.run import Body, Run, RunOutcome
from pytest_cdcperf.engine.signals import ending_on_signals
from pytest_cdcperf.model.load import Load


def run_share(
    load: Load,
    body: Body,
    *,
    run_id: str,
    rules: ExceptionRules,
    send: Callable[[Message], None],
    worker: str = "main",
    samplers: Sequence[Callable[[], object]] = (),
    faults_at_end: Callable[[], Sequence[str]] = tuple,
) -> RunOutcome:
    """Run *load* in this process and *send* a message a second and one at the end.

    :param samplers: called once a second beside the load
    :param faults_at_end: asked once the load is over: what went wrong beside the iterations, such as a
        server that died
    """
    run = Run(
        load,
        body,
        run_id=run_id,
        rules=rules,
        on_window=lambda window: send(WindowDone(worker, window)),
        samplers=samplers,
    )
    with ending_on_signals(run):
        outcome = run.execute()
    send(
        ShareDone(
            worker,
            outcome.elapsed_s,
            tuple(outcome.failures),
            (*_faults(outcome), *faults_at_end()),
            (*_notes(outcome), *outcome.notes),
        )
    )
    return outcome


def _faults(outcome: RunOutcome) -> list[str]:
    faults = [f"stopped early: {outcome.stop_reason}"] if outcome.exit_request is not None else []
    if outcome.stuck_vus:
        names = ", ".join(map(str, outcome.stuck_vus))
        faults.append(f"VU {names} could not be stopped: blocked in a call that has no timeout; give it one")
    return faults


def _notes(outcome: RunOutcome) -> list[str]:
    if not outcome.interrupted:
        return []
    return [f"{outcome.interrupted} iterations were interrupted at the end of the graceful stop; counted nowhere else"]
