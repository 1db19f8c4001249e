"""Merges what the workers of a run report, judges it, and makes the one result."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pytest_cdcperf.cluster.messages import Message, ShareDone, WindowDone
from pytest_cdcperf.engine.failures import FailureKind
from pytest_cdcperf.engine.mix import shares
from pytest_cdcperf.metrics import builtin
from pytest_cdcperf.metrics.course import Drift, Recovery, breaking_point
from pytest_cdcperf.metrics.histogram import Histogram
from pytest_cdcperf.metrics.judging import Judging
from pytest_cdcperf.metrics.series import PhaseSpan
from pytest_cdcperf.metrics.snapshot import CounterState, GaugeState, RateState, Snapshot
from pytest_cdcperf.metrics.threshold import Threshold
from pytest_cdcperf.metrics.verdict import judge
from pytest_cdcperf.reporting.result import Live, RunFacts, RunResult

_LIVE_WINDOWS = 10


class Coordinator:
    """Takes the messages of all workers of one run, in the order of time."""

    def __init__(
        self,
        facts: RunFacts,
        thresholds: Sequence[Threshold],
        *,
        course: Sequence[Recovery | Drift] = (),
        phases: Sequence[PhaseSpan] = (),
        on_live: Callable[[Live], None] | None = None,
    ) -> None:
        self._facts = facts
        self._thresholds = thresholds
        self._course = course
        self._phases = phases
        self._on_live = on_live
        self._judging = Judging(thresholds, phases)
        self._timeline = self._judging.timeline
        self._done: list[ShareDone] = []
        self._abort_reason = ""

    def receive(self, message: Message) -> str | None:
        """Take a worker's *message*; return a reason to end the run where there is one."""
        match message:
            case WindowDone(window=window):
                self._judging.add(window)
                if self._on_live is not None:
                    self._on_live(self._live())
                if not self._abort_reason and (crossed := self._judging.reason_to_abort()) is not None:
                    self._abort_reason = f"{crossed.threshold} failed"
            case ShareDone():
                self._done.append(message)
        return self._abort_reason or None

    def result(self) -> RunResult:
        """Return the result of the run, from what has arrived."""
        windows = self._timeline.history
        judgement = judge(
            self._timeline.total,
            [*self._judging.results(), *(rule.judge(windows, self._phases) for rule in self._course)],
            windows=windows,
            error_rate=self._facts.error_rate,
            shortened=self._facts.shortened,
            faults=[fault for done in self._done for fault in done.faults],
            weaknesses=[weakness for done in self._done for weakness in done.weaknesses],
        )
        return RunResult(
            facts=self._facts,
            elapsed_s=self._timeline.elapsed_s,
            verdict=judgement.verdict,
            reasons=judgement.reasons,
            thresholds=judgement.thresholds,
            total=self._timeline.total,
            history=tuple(windows),
            failures=_merge_failures(self._done),
            notes=tuple(self._notes()),
            breaking_point=self._breaking_point(),
        )

    def _breaking_point(self) -> str:
        if not self._ramps:
            return ""  # one slow window under a level load is no breaking point
        return breaking_point(self._timeline.history, self._thresholds, self._facts.error_rate, self._phases)

    @property
    def _ramps(self) -> bool:
        return any(phase.name != "hold" for phase in self._phases)

    def _notes(self) -> list[str]:
        aborted = [f"ended before its time: {self._abort_reason}"] if self._abort_reason else []
        realised = shares(self._timeline.total)
        mix = [f"operations: {realised}"] if realised else []
        return [*aborted, *self._held(), *mix, *(note for done in self._done for note in done.notes)]

    def _held(self) -> list[str]:
        vus = self._timeline.total.select(builtin.VUS.name)
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
