"""Runs one worker's share of a run and reports it as it goes."""

from __future__ import annotations

import platform
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from pytest_cdcperf.clock import real_time as time
from pytest_cdcperf.cluster.messages import Checking, ShareDone, Stop, ToCoordinator, WindowDone
from pytest_cdcperf.engine.failures import DEFAULT_RULES, ExceptionRules
from pytest_cdcperf.engine.iteration_id import UNSEEDED, RandomSource
from pytest_cdcperf.engine.run import Body, Run, RunOutcome
from pytest_cdcperf.engine.stacks import Busy
from pytest_cdcperf.load.base import Load
from pytest_cdcperf.load.share import WHOLE, Share
from pytest_cdcperf.metrics.metric import definitions
from pytest_cdcperf.metrics.timed_samples import Tap
from pytest_cdcperf.metrics.timeline import Window
from pytest_cdcperf.redaction import known_secrets


@dataclass(frozen=True)
class Findings:
    """The findings of a check at the end of a share: *faults* fail the run, *notes* are shown beside its figures."""

    faults: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


GivenUp = Callable[[], bool]
Check = Callable[[GivenUp], Findings]


class Reporting(Protocol):
    """The part of the link to the coordinator that an agent needs."""

    def send(self, message: ToCoordinator) -> None:
        """Send *message*."""

    def stopping(self, on_stop: Callable[[Stop], None]) -> AbstractContextManager[None]:
        """Inside the block, call *on_stop* where the coordinator ends the run."""


def run_share(
    test: str,
    loads: Mapping[str, Load],
    body: Body,
    *,
    session_id: str,
    source: RandomSource = UNSEEDED,
    rules: ExceptionRules = DEFAULT_RULES,
    link: Reporting,
    share: Share = WHOLE,
    samplers: Sequence[Callable[[], object]] = (),
    tap: Tap | None = None,
    check_at_end: Check = lambda _given_up: Findings(),
) -> RunOutcome:
    """Run this worker's share of *loads*, and send a message a second over *link* and one at the end.

    :param test: whose run it is
    :param samplers: called once a second beside the load
    tap: Tap | None = None,
    :param check_at_end: called once the load is over, such as to see whether all that was written has arrived. Where it
        takes long it asks what it is handed every second or more often, and gives up where that answers true
    """

    def on_window(window: Window) -> None:
        link.send(WindowDone(test, window, run.heartbeat.take(window.end_s), run.only_failure))

    def on_stop(stop: Stop) -> None:
        if stop.at_once:
            interrupted.set()
            run.interrupt(stop.reason)
        else:
            run.stop.end(stop.reason)

    def given_up() -> bool:
        link.send(Checking(test))
        return interrupted.is_set() or run.stop.exit_request is not None

    interrupted = threading.Event()
    run = Run(
        loads,
        body,
        session_id=session_id,
        source=source,
        rules=rules,
        on_window=on_window,
        share=share,
        samplers=samplers,
        tap=tap,
    )
    spent_s = time.process_time()
    with link.stopping(on_stop):
        outcome = run.execute()
        cpu = (time.process_time() - spent_s) / outcome.elapsed_s if outcome.elapsed_s > 0 else 0.0
        findings = check_at_end(given_up)
        outcome.exit_request, outcome.stop_reason = run.stop.exit_request, run.stop.reason  # also during the check
    link.send(
        ShareDone(
            test,
            outcome.elapsed_s,
            cpu,
            outcome.stop_reason if outcome.exit_request is not None or outcome.fault else "",
            outcome.skip_reason,
            tuple(outcome.failures),
            (*_faults(outcome), *findings.faults),
            tuple(outcome.weaknesses),
            (*_notes(outcome), *findings.notes, *outcome.notes),
            definitions(),
            platform.node(),
            known_secrets(),
        )
    )
    return outcome


def _faults(outcome: RunOutcome) -> list[str]:
    faults = [outcome.fault] if outcome.fault else []
    faults += _stuck(outcome.stuck)
    if outcome.missing:
        faults.append(f"{outcome.missing} iterations were not started within max_duration; raise it, or the vus")
    return [*faults, *outcome.left_behind]


def _stuck(stuck: Sequence[Busy]) -> list[str]:
    by_reason: dict[str, list[str]] = {}
    for busy in stuck:
        by_reason.setdefault(_why_stuck(busy), []).append(str(busy.vu))
    return [f"VU {', '.join(vus)} could not be stopped: {reason}" for reason, vus in by_reason.items()]


def _why_stuck(busy: Busy) -> str:
    where = f" ({busy.line})" if busy.line else ""
    if busy.waits_for_server:
        return f"waiting for a server that does not answer{where}; the call ends by its own time limit"
    if busy.was_cancelled:
        return f"its task goes on{where} although it was cancelled; let CancelledError pass"
    return f"blocked in a call that has no timeout{where}; give it one"


def _notes(outcome: RunOutcome) -> list[str]:
    notes = []
    if outcome.timed_out:
        notes.append(
            f"{outcome.timed_out} iterations were interrupted at the end of the graceful stop: they count as failed, "
            "and their time until then is in response_time as a lower bound"
        )
    if others := outcome.interrupted - outcome.timed_out:
        why = outcome.stop_reason or "while thinking, or without a graceful stop"
        notes.append(f"{others} iterations were interrupted by the end of the run ({why}); counted nowhere else")
    return notes
