"""The result of one run: the only input of every reporter, and what ``load.run`` returns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pytest_cdcperf.judging.evaluation import aggregate_of
from pytest_cdcperf.judging.rules.breaking_point import BreakingPoint
from pytest_cdcperf.judging.saturation import Saturation
from pytest_cdcperf.judging.threshold import Outcome, ThresholdResult
from pytest_cdcperf.judging.verdict import Verdict
from pytest_cdcperf.metrics import builtin
from pytest_cdcperf.metrics.calls import failed_calls
from pytest_cdcperf.metrics.failure import FailureKind
from pytest_cdcperf.metrics.snapshot import CounterState, GaugeState, RateState, Snapshot, State
from pytest_cdcperf.metrics.timeline import Window


@dataclass(frozen=True)
class RunFacts:
    """What is known of a run before it starts."""

    session_id: str
    test: str
    load: str
    planned_s: float
    profile: str | None = None
    title: str = ""
    started_at: str = ""
    shortened: bool = False
    error_rate: float = 0.0
    on_unfit: str = "fail"
    tags: Mapping[str, str] = field(default_factory=dict)
    services: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class WorkerPart:
    """What one worker did of a run. *cpu* is the CPU it used, 1 for a whole one; the lag is that of open loops.

    The own delays bound what the generator may have added to a measured time; *lost* is the share of the time, 0 to 1,
    in which it could not run. *outcome* says what became of it where it did not end its share.
    """

    name: str
    share: str
    iterations: int
    elapsed_s: float
    cpu: float
    generator_lag_p99_ms: float | None = None
    outcome: str = ""
    own_delay_p95_ms: float | None = None
    own_delay_p99_ms: float | None = None
    own_delay_worst_ms: float | None = None
    lost: float = 0.0


class MetricView:
    """The figures of one metric over the whole run. Times are milliseconds."""

    def __init__(self, name: str, state: State, elapsed_s: float) -> None:
        self.name = name
        self.state = state
        self._elapsed_s = elapsed_s

    def aggregate(self, name: str) -> float:
        """Return an aggregate by its name in thresholds: "p(95)", "avg", "count", "rate", "value".

        :raises AttributeError: when the metric's kind has none such
        """
        value = aggregate_of(self.state, name, self._elapsed_s)
        if value is None:
            raise AttributeError(f"{self.name} has no aggregate {name!r}")
        return value

    def quantile(self, q: float) -> float:
        """Return the quantile *q*, 0 to 1."""
        return self.aggregate(f"p({q * 100:.10g})")

    p50 = property(lambda self: self.quantile(0.50))
    p90 = property(lambda self: self.quantile(0.90))
    p95 = property(lambda self: self.quantile(0.95))
    p99 = property(lambda self: self.quantile(0.99))
    avg = property(lambda self: self.aggregate("avg"))
    med = property(lambda self: self.aggregate("med"))
    min = property(lambda self: self.aggregate("min"))
    max = property(lambda self: self.aggregate("max"))
    count = property(lambda self: self.aggregate("count"))
    rate = property(lambda self: self.aggregate("rate"))
    value = property(lambda self: self.aggregate("value"))


@dataclass(frozen=True)
class RunResult:
    """One run: what was asked, what was measured, what is judged of it.

    *total* is by metric, and by the sub-metrics that thresholds are on; *series* is by all tags, its trends with
    fewer buckets; *history* is the course over time, coarser still. *fit* is whether its load generator kept up;
    *warnings* say where not, for ``on_unfit = "warn"``.
    """

    facts: RunFacts
    elapsed_s: float
    verdict: Verdict
    reasons: tuple[str, ...]
    thresholds: tuple[ThresholdResult, ...]
    total: Snapshot
    history: tuple[Window, ...]
    failures: tuple[FailureKind, ...]
    notes: tuple[str, ...] = ()
    breaking_point: BreakingPoint | None = None
    saturation: Saturation | None = None
    workers: tuple[WorkerPart, ...] = ()
    series: Snapshot = field(default_factory=Snapshot)
    fit: bool = True
    warnings: tuple[str, ...] = ()

    def __getitem__(self, metric: str) -> MetricView:
        """Return the figures of *metric*.

        :raises KeyError: when nothing was recorded for it
        """
        state = self.total.select(metric)
        if state is None:
            raise KeyError(f"{metric!r} has no samples; recorded were: {', '.join(self.total.names())}")
        return MetricView(metric, state, self.elapsed_s)

    def shown_metrics(self) -> Iterator[tuple[str, str, State]]:
        """Yield (label, metric, state) of each metric, and of the failed calls where it is of calls."""
        for name in self.total.names():
            if (state := self.total.select(name)) is not None:
                yield name, name, state
            tag = failed_calls(name)
            if tag is not None and (failed := self.total.select(name, dict([tag]))) is not None:
                yield f"{name}{{{':'.join(tag)}}}", name, failed

    @property
    def passed(self) -> bool:
        """Whether the verdict is PASSED."""
        return self.verdict is Verdict.PASSED

    @property
    def iterations(self) -> int:
        """Completed iterations, failed ones among them."""
        return int(self.total.count(builtin.ITERATIONS.name))

    @property
    def failed_iterations(self) -> int:
        """Completed iterations that failed."""
        return self.total.rate(builtin.ITERATION_FAILED.name).hits

    @property
    def failed_checks(self) -> int:
        """Checks that were false."""
        checks = self.total.rate(builtin.CHECKS.name)
        return checks.total - checks.hits

    @property
    def peak_vus(self) -> int:
        """The most VUs seen at once."""
        vus = self.total.gauge(builtin.VUS.name)
        return 0 if vus.is_empty else int(vus.max)

    @property
    def crossed(self) -> list[ThresholdResult]:
        """The thresholds that failed the run."""
        return [r for r in self.thresholds if r.outcome in {Outcome.FAILED, Outcome.NO_SAMPLES}]


def shown_aggregates(state: State) -> tuple[str, ...]:
    """Return the aggregates that reports show for a state of this kind."""
    match state:
        case CounterState():
            return ("count", "rate")
        case RateState():
            return ("rate",)
        case GaugeState():
            return ("value", "min", "max")
        case _:
            return ("avg", "min", "med", "max", "p(90)", "p(95)", "p(99)")


def figures_of(state: State, elapsed_s: float) -> dict[str, float]:
    """Return every shown aggregate of *state* by name."""
    return {name: aggregate_of(state, name, elapsed_s) or 0.0 for name in shown_aggregates(state)}
