"""Merges what the workers of a run report, judges it, and makes the one result."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pytest_cdcperf.cluster.messages import Message, ShareDone, WindowDone
from pytest_cdcperf.engine.failures import FailureKind
from pytest_cdcperf.metrics import builtin
from pytest_cdcperf.metrics.histogram import Histogram
from pytest_cdcperf.metrics.series import Timeline
from pytest_cdcperf.metrics.snapshot import CounterState, GaugeState, RateState, Snapshot
from pytest_cdcperf.metrics.threshold import Threshold
from pytest_cdcperf.metrics.verdict import judge
from pytest_cdcperf.reporting.result import Live, RunFacts, RunResult

_LIVE_WINDOWS = 10


class Coordinator:
    """Takes the messages of all workers of one run, in the order of time."""

    def __init__(
        self, facts: RunFacts, thresholds: Sequence[Threshold], *, on_live: Callable[[Live], None] | None = None
    ) -> None:
        self._facts = facts
        self._thresholds = thresholds
        self._on_live = on_live
        self._timeline = Timeline()
        self._done: list[ShareDone] = []

    def receive(self, message: Message) -> None:
        """Take a worker's *message*."""
        match message:
            case WindowDone(window=window):
                self._timeline.add(window)
                if self._on_live is not None:
                    self._on_live(self._live())
            case ShareDone():
                self._done.append(message)

    def result(self) -> RunResult:
        """Return the result of the run, from what has arrived."""
        faults = [fault for done in self._done for fault in done.faults]
        judgement = judge(
            self._timeline.total,
            self._timeline.elapsed_s,
            self._thresholds,
            error_rate=self._facts.error_rate,
            shortened=self._facts.shortened,
            faults=faults,
        )
        return RunResult(
            facts=self._facts,
            elapsed_s=self._timeline.elapsed_s,
            verdict=judgement.verdict,
            reasons=judgement.reasons,
            thresholds=judgement.thresholds,
            total=self._timeline.total,
            history=tuple(self._timeline.history),
            failures=_merge_failures(self._done),
            notes=tuple(note for done in self._done for note in done.notes),
        )

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
