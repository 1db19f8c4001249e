"""Merges what the workers of one run report, judges it, and makes the one result."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from pytest_cdcperf.cluster.alignment import Alignment
from pytest_cdcperf.cluster.live_figures import LiveFigures
from pytest_cdcperf.cluster.messages import Plan, ShareDone
from pytest_cdcperf.engine.mix import shares
from pytest_cdcperf.events import Event, LimitCrossed, WindowMerged, WorkerLost
from pytest_cdcperf.judging.broken_body import broken_body
from pytest_cdcperf.judging.fitness import Measured, assess, measured
from pytest_cdcperf.judging.live import Judging
from pytest_cdcperf.judging.rules.breaking_point import Breaking, BreakingPoint, breaking_point, watched_in
from pytest_cdcperf.judging.saturation import saturation
from pytest_cdcperf.judging.threshold import Threshold, ThresholdResult
from pytest_cdcperf.judging.verdict import judge
from pytest_cdcperf.judging.words import reason
from pytest_cdcperf.judging.worker_delay import WorkerDelay
from pytest_cdcperf.metrics import builtin
from pytest_cdcperf.metrics.delay_evidence import DelayEvidence
from pytest_cdcperf.metrics.failure import FailureKind, kinds_in_words, merge_kinds
from pytest_cdcperf.metrics.metric import define
from pytest_cdcperf.metrics.phases import phases_at
from pytest_cdcperf.metrics.timeline import Window
from pytest_cdcperf.redaction import hide
from pytest_cdcperf.results.environment import Environment, current_environment
from pytest_cdcperf.results.result import EventKind, RunEvent, RunResult, WorkerPart
from pytest_cdcperf.results.windows import windows_of


@dataclass
class _Member:
    """The state of one worker of the run."""

    delay: WorkerDelay
    iterations: int = 0
    elapsed_s: float = 0.0
    done: ShareDone | None = None
    outcome: str = ""
    only_failure: FailureKind | None = None

    def take(self, window: Window, phases: Collection[str], evidence: DelayEvidence | None) -> None:
        self.iterations += int(window.snapshot.count(builtin.ITERATIONS.name))
        self.elapsed_s = window.end_s
        self.delay.add(window, phases, evidence)


class RunAggregator:
    """Takes what the workers of one run send, each in the order of time.

    :param emit: takes what happens in the run as it is seen here; it must not wait
    """

    def __init__(
        self,
        plan: Plan,
        workers: Sequence[str] = ("main",),
        emit: Callable[[Event], None] = lambda _event: None,
        environment: Callable[[], Environment] = current_environment,
    ) -> None:
        self._environment = environment
        self._plan = plan
        self._facts = plan.facts
        self._emit = emit
        self._judging = Judging(plan.thresholds, plan.phases, {rule.metric for rule in plan.run_rules})
        self._timeline = self._judging.timeline
        self._live = LiveFigures(plan.facts.planned_s)
        self._alignment = Alignment(workers)
        self._members = {worker: _Member(WorkerDelay(worker)) for worker in workers}
        self._events: list[RunEvent] = []
        self._interrupted = ""
        self._broken: dict[str, None] = {}  # in the order of time
        self._broken_body = ""
        self.abort_reason = ""  # the threshold that wants the run to end before its time

    @property
    def finished(self) -> set[str]:
        """The workers that send nothing more: their share is done, or they are lost."""
        return {name for name, member in self._members.items() if member.done is not None or member.outcome}

    @property
    def is_complete(self) -> bool:
        """Whether these are all of them."""
        return len(self.finished) == len(self._members)

    @property
    def reason_to_end(self) -> str:
        """Why the run is to end before its time, "" where it is not."""
        return self.abort_reason or self._broken_body

    def take_window(
        self,
        worker: str,
        window: Window,
        delays: DelayEvidence | None = None,
        only_failure: FailureKind | None = None,
    ) -> None:
        """Take a second of *worker*'s figures, with the rest of its :class:`WindowDone`."""
        self._members[worker].only_failure = only_failure
        self._members[worker].take(window, phases_at(window, self._plan.phases), delays)
        # Limits are judged second by second over all workers: only windows that are complete go on.
        self._judge(self._alignment.add(worker, window))

    def take_done(self, worker: str, done: ShareDone) -> None:
        """Take what *worker* says at its end."""
        # First: what is judged below may be of metrics that only the worker's process has defined.
        for metric in done.metrics:
            define(metric)
        for secret in done.secrets:
            hide(secret)
        self._members[worker].done = done
        self._members[worker].delay.host = done.host
        self._judge(self._alignment.leave(worker))

    def lose(self, worker: str, outcome: str) -> None:
        """*worker* is gone: the run fails, and what it sent is kept."""
        member = self._members[worker]
        member.outcome = outcome
        self._note(EventKind.WORKER_LOST, outcome, worker)
        self._emit(WorkerLost(self._facts, worker, outcome, member.elapsed_s))
        self._judge(self._alignment.leave(worker))

    def interrupt(self, reason: str) -> None:
        """The run is ended by *reason*, which fails it. The first reason counts."""
        if not self._interrupted:
            self._interrupted = reason
            self._note(EventKind.STOPPED, reason)

    def fail(self, reason: str) -> None:
        """Let the run be FAILED, whatever its figures, for *reason*: something that it needs is gone for good."""
        if reason not in self._broken:
            self._broken[reason] = None
            self._note(EventKind.SERVER_LOST, reason)

    def _note(self, kind: EventKind, text: str, worker: str = "") -> None:
        self._events.append(RunEvent(self._timeline.elapsed_s, kind, text, worker))

    @property
    def ends_early(self) -> bool:
        """Whether it was told to end within seconds."""
        return bool(self._broken or self._interrupted)

    def result(self, faults: Sequence[str] = ()) -> RunResult:
        """Return the result of the run, from what has arrived. Each of *faults* is as :meth:`fail`'s."""
        windows = self._timeline.history
        broke = self._breaking_point()
        saturated = saturation(self._timeline.total, windows)
        done = [member.done for member in self._members.values() if member.done is not None]
        failures = merge_kinds(kind for share in done for kind in share.failures)
        results = self._judging.results()
        fitness = assess([self._measured(result) for result in results], [m.delay for m in self._members.values()])
        tolerant = self._facts.on_unfit == "warn"
        weaknesses = self._said(lambda share: share.weaknesses)  # what did not come cannot be tolerated
        judgement = judge(
            self._timeline.total,
            [
                *(results if tolerant else fitness.results),
                *(rule.judge(windows, self._plan.phases) for rule in self._plan.run_rules),
            ],
            saturation=saturated,
            error_rate=self._facts.error_rate,
            error=kinds_in_words(failures),
            shortened=self._facts.shortened,
            body=self._broken_body,
            broken=tuple({**self._broken, **dict.fromkeys(faults)}),
            faults=[*self._lost(), *self._ended_early(), *self._said(lambda share: share.faults)],
            unfit=[*weaknesses, *(() if tolerant else fitness.reasons)],
        )
        return RunResult(
            facts=self._facts,
            elapsed_s=self._timeline.elapsed_s,
            verdict=judgement.verdict,
            reasons=judgement.reasons,
            thresholds=judgement.thresholds,
            total=self._timeline.total,
            series=self._timeline.series,
            windows=windows_of(windows, self._judging.metrics),
            failures=failures,
            notes=(*self._notes(broke), *fitness.notes),
            breaking_point=broke,
            saturation=saturated,
            workers=tuple(self._parts()),
            generator_fit=fitness.is_fit and not weaknesses,
            warnings=tuple(fitness.lines) if tolerant else (),
            phases=self._plan.phases,
            events=tuple(self._events),
            environment=self._environment(),
        )

    def _measured(self, result: ThresholdResult) -> Measured:
        if not isinstance(result.threshold, Threshold):
            return Measured(result)
        delays, seconds = self._judging.delays(result.threshold)
        return measured(result, delays, seconds * len(self._members))

    def skip_reason(self) -> str:
        """Why every iteration was skipped, "" where there was any other."""
        if self._timeline.total.rate(builtin.ITERATION_FAILED.name).total:  # any, passed or failed
            return ""
        return next((m.done.skipped for m in self._members.values() if m.done is not None and m.done.skipped), "")

    def _judge(self, windows: Sequence[Window]) -> None:
        for window in windows:
            whole = self._judging.add(window)
            self._emit(WindowMerged(self._facts, whole, self._live.add(whole, self._timeline, self._judging.so_far())))
            if not self.abort_reason and (crossed := self._judging.reason_to_abort()) is not None:
                self.abort_reason = reason(crossed)
                self._note(EventKind.LIMIT_CROSSED, self.abort_reason)
                self._emit(LimitCrossed(self._facts, crossed, self._timeline.elapsed_s))
        if not self.reason_to_end and (broken := self._find_broken_body()):
            self._broken_body = broken
            self._note(EventKind.BROKEN_BODY, broken)

    def _find_broken_body(self) -> str:
        elapsed_s = self._timeline.elapsed_s
        if self._facts.error_rate >= 1 or elapsed_s >= self._facts.planned_s:
            return ""
        kinds = [member.only_failure for member in self._members.values() if member.iterations]
        return broken_body(self._timeline.total, elapsed_s, kinds)

    def _said(self, of: Callable[[ShareDone], Sequence[str]]) -> list[str]:
        # With several workers each line says whose it is.
        alone = len(self._members) == 1
        return [
            line if alone else f"{worker}: {line}"
            for worker, member in self._members.items()
            if member.done is not None
            for line in of(member.done)
        ]

    def _lost(self) -> list[str]:
        return [
            f"worker {name} {member.outcome} after {member.elapsed_s:.0f} s; "
            f"its {member.iterations} iterations until then are counted"
            for name, member in self._members.items()
            if member.outcome
        ]

    def _ended_early(self) -> list[str]:
        cut = [f"stopped early: {self._interrupted}"] if self._interrupted else []
        # Also where what was under way has brought the figure back within its limit.
        return cut + ([f"ended before its time: {self.abort_reason}"] if self.abort_reason else [])

    def _parts(self) -> list[WorkerPart]:
        return [
            WorkerPart(
                name,
                f"{index + 1} of {len(self._members)}",
                member.iterations,
                member.elapsed_s,
                0.0 if member.done is None else member.done.cpu,
                member.delay.lag_p99_ms(),
                member.outcome,
                member.delay.own_ms("p(95)"),
                member.delay.own_ms("p(99)"),
                member.delay.own_ms("max"),
                member.delay.lost(),
            )
            for index, (name, member) in enumerate(self._members.items())
        ]

    def _breaking_point(self) -> BreakingPoint | None:
        windows = self._timeline.history
        watched = watched_in(windows, self._plan.thresholds, self._facts.error_rate)
        return breaking_point(watched, windows, self._plan.phases)

    def _notes(self, broke: BreakingPoint | None) -> list[str]:
        lost = ["ended before its time: what it needs is gone"] if self._broken else []
        held = [broke.words] if broke is not None and broke.outcome is not Breaking.FOUND else []
        mix = [f"operations: {realised}"] if (realised := shares(self._timeline.series)) else []
        said = self._said(lambda share: share.notes)
        capped = [note for note in self._timeline.notes() if not any(line.endswith(note) for line in said)]
        return [*lost, *self._facts.plan_notes, *held, *mix, *said, *capped]
