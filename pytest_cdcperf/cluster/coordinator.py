"""Merges what the workers of one run report, judges it, and makes the one result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pytest_cdcperf.cluster.alignment import Alignment
from pytest_cdcperf.cluster.messages import Plan, ShareDone
from pytest_cdcperf.engine.failures import FailureKind
from pytest_cdcperf.engine.mix import shares
from pytest_cdcperf.judging.cause import DelayEvidence
from pytest_cdcperf.judging.course import breaking_point
from pytest_cdcperf.judging.fitness import Measured, assess, measured
from pytest_cdcperf.judging.live import Judging
from pytest_cdcperf.judging.threshold import Threshold, ThresholdResult
from pytest_cdcperf.judging.verdict import judge
from pytest_cdcperf.judging.worker_delay import WorkerDelay
from pytest_cdcperf.metrics import builtin
from pytest_cdcperf.metrics.histogram import Histogram
from pytest_cdcperf.metrics.recorder import define
from pytest_cdcperf.metrics.series import Window, phase_of
from pytest_cdcperf.metrics.snapshot import CounterState, GaugeState, RateState, Snapshot
from pytest_cdcperf.reporting.result import Live, RunResult, WorkerPart

_LIVE_WINDOWS = 10


@dataclass
class _Member:
    """What is known of one worker of the run."""

    delay: WorkerDelay
    iterations: int = 0
    elapsed_s: float = 0.0
    done: ShareDone | None = None
    fate: str = ""

    def take(self, window: Window, phase: str, evidence: DelayEvidence | None) -> None:
        self.iterations += _counted(window.snapshot)
        self.elapsed_s = window.end_s
        self.delay.add(window, phase, evidence)


class Coordinator:
    """Takes what the workers of one run send, each in the order of time."""

    def __init__(
        self, plan: Plan, workers: Sequence[str] = ("main",), on_live: Callable[[Live], None] | None = None
    ) -> None:
        self._plan = plan
        self._facts = plan.facts
        self._on_live = on_live
        self._judging = Judging(plan.thresholds, plan.phases)
        self._timeline = self._judging.timeline
        self._alignment = Alignment(workers)
        self._members = {worker: _Member(WorkerDelay(worker)) for worker in workers}
        self._cut_short = ""
        self.abort_reason = ""  # the threshold that wants the run to end before its time

    @property
    def silent(self) -> set[str]:
        """The workers that have nothing more to say."""
        return {name for name, member in self._members.items() if member.done is not None or member.fate}

    @property
    def is_complete(self) -> bool:
        """Whether that is all of them."""
        return len(self.silent) == len(self._members)

    def take_window(self, worker: str, window: Window, delays: DelayEvidence | None = None) -> None:
        """Take a second of *worker*'s figures, with what it saw where its generator was late."""
        self._members[worker].take(window, phase_of(window, self._plan.phases), delays)
        self._judge(self._alignment.add(worker, window))

    def take_done(self, worker: str, done: ShareDone) -> None:
        """Take what *worker* says at its end."""
        for metric in done.metrics:
            define(metric)
        self._members[worker].done = done
        self._members[worker].delay.host = done.host
        self._judge(self._alignment.leave(worker))

    def lose(self, worker: str, fate: str) -> None:
        """*worker* is gone: the run fails, and what it sent is kept."""
        self._members[worker].fate = fate
        self._judge(self._alignment.leave(worker))

    def cut_short(self, reason: str) -> None:
        """The run is ended by *reason*, which fails it."""
        self._cut_short = self._cut_short or reason

    def result(self, faults: Sequence[str] = ()) -> RunResult:
        """Return the result of the run, from what has arrived. Each of *faults* fails it."""
        windows = self._timeline.history
        done = [member.done for member in self._members.values() if member.done is not None]
        results = self._judging.results()
        fitness = assess([self._measured(result) for result in results], [m.delay for m in self._members.values()])
        tolerant = self._facts.on_unfit == "warn"
        judgement = judge(
            self._timeline.total,
            [
                *(results if tolerant else fitness.results),
                *(rule.judge(windows, self._plan.phases) for rule in self._plan.course),
            ],
            windows=windows,
            error_rate=self._facts.error_rate,
            shortened=self._facts.shortened,
            faults=[*self._lost(), *self._ended_early(), *self._said(lambda share: share.faults), *faults],
            unfit=() if tolerant else fitness.reasons,
        )
        return RunResult(
            facts=self._facts,
            elapsed_s=self._timeline.elapsed_s,
            verdict=judgement.verdict,
            reasons=judgement.reasons,
            thresholds=judgement.thresholds,
            total=self._timeline.total,
            history=tuple(windows),
            failures=_merge_failures(done),
            notes=(*self._notes(), *fitness.notes),
            breaking_point=self._breaking_point(),
            workers=tuple(self._parts()),
            fit=fitness.is_fit,
            warnings=tuple(fitness.lines) if tolerant else (),
        )

    def _measured(self, result: ThresholdResult) -> Measured:
        if not isinstance(result.threshold, Threshold):
            return Measured(result)
        delays, seconds = self._judging.delays(result.threshold)
        return measured(result, delays, seconds * len(self._members))

    def skip_reason(self) -> str:
        """Why every iteration was skipped, "" where there was any other."""
        if _counted(self._timeline.total):
            return ""
        return next((m.done.skipped for m in self._members.values() if m.done is not None and m.done.skipped), "")

    def _judge(self, windows: Sequence[Window]) -> None:
        for window in windows:
            self._judging.add(window)
            if not self.abort_reason and (crossed := self._judging.reason_to_abort()) is not None:
                self.abort_reason = f"{crossed.threshold} failed"
        if windows and self._on_live is not None:
            self._on_live(self._live())

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
            f"worker {name} {member.fate} after {member.elapsed_s:.0f} s; "
            f"its {member.iterations} iterations until then are counted"
            for name, member in self._members.items()
            if member.fate
        ]

    def _ended_early(self) -> list[str]:
        return [f"stopped early: {self._cut_short}"] if self._cut_short else []

    def _parts(self) -> list[WorkerPart]:
        return [
            WorkerPart(
                name,
                f"{index + 1} of {len(self._members)}",
                member.iterations,
                member.elapsed_s,
                0.0 if member.done is None else member.done.core,
                member.delay.lag_p99_ms(),
                member.fate,
                member.delay.own_ms("p(95)"),
                member.delay.own_ms("p(99)"),
                member.delay.own_ms("max"),
                member.delay.lost(),
            )
            for index, (name, member) in enumerate(self._members.items())
        ]

    def _breaking_point(self) -> str:
        if not self._ramps:
            return ""  # one slow window under a level load is no breaking point
        return breaking_point(self._timeline.history, self._plan.thresholds, self._facts.error_rate, self._plan.phases)

    @property
    def _ramps(self) -> bool:
        return any(phase.name != "hold" for phase in self._plan.phases)

    def _notes(self) -> list[str]:
        total = self._timeline.total
        aborted = [f"ended before its time: {self.abort_reason}"] if self.abort_reason else []
        mix = [f"operations: {realised}"] if (realised := shares(total)) else []
        return [*aborted, *self._held(total), *mix, *self._said(lambda share: share.notes)]

    def _held(self, total: Snapshot) -> list[str]:
        vus = total.select(builtin.VUS.name)
        if not self._ramps or not isinstance(vus, GaugeState) or self._breaking_point():
            return []
        return [f"no breaking point: no window crossed a limit up to {vus.max:.0f} VUs"]

    def _live(self) -> Live:
        windows = list(self._timeline.recent)[-_LIVE_WINDOWS:]
        span_s = sum(window.duration_s for window in windows)
        latest = Snapshot()
        for window in windows:
            latest.extend(window.snapshot)
        total = self._timeline.total
        response = latest.select(builtin.RESPONSE_TIME.name)
        failed = total.select(builtin.ITERATION_FAILED.name)
        vus = total.select(builtin.VUS.name)
        recent = _counted(latest)
        return Live(
            elapsed_s=self._timeline.elapsed_s,
            planned_s=self._facts.planned_s,
            vus=int(vus.value) if isinstance(vus, GaugeState) else 0,
            iterations=_counted(total),
            iterations_per_s=recent / span_s if span_s > 0 else 0.0,
            p95_ms=response.quantile(0.95) if isinstance(response, Histogram) else float("nan"),
            failed=failed.hits if isinstance(failed, RateState) else 0,
        )


def _counted(snapshot: Snapshot) -> int:
    state = snapshot.select(builtin.ITERATIONS.name)
    return int(state.total) if isinstance(state, CounterState) else 0


def _merge_failures(done: Sequence[ShareDone]) -> tuple[FailureKind, ...]:
    merged: dict[tuple[str, str], FailureKind] = {}
    for kind in (kind for share in done for kind in share.failures):
        known = merged.setdefault((kind.type, kind.where), FailureKind(kind.type, kind.where, 0, kind.sample))
        known.count += kind.count
    return tuple(sorted(merged.values(), key=lambda kind: -kind.count))
