"""The result of one run: the only input of every reporter, and what ``load.run`` returns."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from pytest_cdcperf.judging.rules.breaking_point import BreakingPoint
from pytest_cdcperf.judging.saturation import Saturation
from pytest_cdcperf.judging.threshold import Outcome, ThresholdResult
from pytest_cdcperf.judging.verdict import Verdict
from pytest_cdcperf.metrics import builtin
from pytest_cdcperf.metrics.failure import FailureKind
from pytest_cdcperf.metrics.metric import selector
from pytest_cdcperf.metrics.phases import Phase
from pytest_cdcperf.metrics.snapshot import Snapshot, State
from pytest_cdcperf.results.environment import Environment
from pytest_cdcperf.results.figures import MetricView, labelled
from pytest_cdcperf.results.windows import Windows
from pytest_cdcperf.units import whole


@dataclass(frozen=True)
class RunFacts:
    """The facts that are known of a run before it starts: ``result.facts``, ``event.facts``.

    >>> facts = RunFacts("1f2e3d4c", "test_shop.py::test_order", "10 VUs for 5m", 300.0)
    >>> f"{facts.test} ({facts.session_id}): {facts.load}, {facts.profile or 'no profile'}"
    'test_shop.py::test_order (1f2e3d4c): 10 VUs for 5m, no profile'
    """

    session_id: str
    """Eight hexadecimal digits, one a session; also in every row that the scenarios write."""
    test: str
    """pytest's node id, with the name of the run where a test has several."""
    load: str
    """The load that was run, in words."""
    planned_s: float
    """The planned end, in seconds from the start."""
    profile: str | None = None
    """The profile whose load lies below the marker's."""
    title: str = ""
    """The first line of the test's docstring."""
    location: str = ""
    """Where the test is defined: its file, from the root directory, and the line, such as "tests/test_shop.py:12"."""
    seed: str = ""
    """What the random numbers of its VUs are made of, as ``--perf-seed`` takes it."""
    command: str = ""
    """The command line of the session, without secrets."""
    replay: str = ""
    """The command that runs one of its iterations again, without that iteration at its end."""
    started_at: str = ""
    """The wall clock, ISO 8601 in UTC."""
    shortened: bool = False
    """The command line asked for less than the test states."""
    error_rate: float = 0.0
    """The share of failed iterations that is tolerated, 0 to 1."""
    on_unfit: str = "fail"
    """What an unfit generator does: ``fail`` or ``warn``."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """The tags of the marker."""
    services: Mapping[str, str] = field(default_factory=dict)
    """Address and version of each server, never a password; ``environment``: what the clients that the test uses took
    over from the environment, such as a proxy."""
    plan_notes: tuple[str, ...] = ()
    """What there is to say of the plan; the notes of the result have it too."""
    asked_rate: float | None = None
    """The planned starts a second, the mean over the planned time; null unless all loads start by the clock."""

    def __post_init__(self) -> None:
        for name in ("tags", "services"):
            object.__setattr__(self, name, MappingProxyType({**getattr(self, name)}))


@dataclass(frozen=True)
class WorkerPart:
    """The part of a run that one worker did.

    >>> parts = [WorkerPart("gw0", "1 of 2", 5400, 90.0, cpu=0.4), WorkerPart("gw1", "2 of 2", 3100, 90.0, cpu=0.97)]
    >>> [part.name for part in parts if part.cpu > 0.9]
    ['gw1']
    """

    name: str
    share: str
    """Which part of the load was its, such as "1 of 3"."""
    iterations: int
    elapsed_s: float
    cpu: float
    """The CPU it used, 1 for a whole one."""
    generator_lag_p99_ms: float | None = None
    """Open loops: how late starts were although a VU was free."""
    outcome: str = ""
    """What became of it where it did not end its share, such as "died"."""
    own_delay_p95_ms: float | None = None
    """What the generator may have added to a measured time; null without a beat."""
    own_delay_p99_ms: float | None = None
    own_delay_worst_ms: float | None = None
    lost: float = 0.0
    """The share of the time, 0 to 1, in which it could not run."""


class EventKind(StrEnum):
    """The kinds of events during a run."""

    WORKER_LOST = "worker lost"
    LIMIT_CROSSED = "limit crossed"  # of a limit with abort_on_fail, which ends the run
    BROKEN_BODY = "broken body"  # every iteration failed in the same way, which ends the run
    STOPPED = "stopped"  # before its time, as by Ctrl-C
    SERVER_LOST = "server lost"  # or whatever else the run needs


@dataclass(frozen=True)
class RunEvent:
    """Something that happened during the run."""

    at_s: float
    """When, in seconds from the start: how far the figures of all workers had come."""
    kind: EventKind
    text: str
    worker: str = ""
    """Of which worker, where it is of one."""


@dataclass(frozen=True)
class RunResult:
    """One run: what was asked, what was measured, what is judged of it.

    >>> from pytest_cdcperf.metrics.snapshot import CounterState, Kind, SeriesKey, Snapshot
    >>> facts = RunFacts(session_id="1f2e3d4c", test="test_shop.py::test_order", load="2 VUs for 10s", planned_s=10.0)
    >>> total = Snapshot({SeriesKey("iterations", Kind.COUNTER): CounterState(570)})
    >>> result = RunResult(facts, elapsed_s=10.0, verdict=Verdict.PASSED, total=total)
    >>> result.passed, result.iterations, result.achieved_rate, result["iterations"].rate
    (True, 570, 57.0, 57.0)
    """

    facts: RunFacts
    elapsed_s: float
    """The end of the last iteration."""
    verdict: Verdict
    reasons: tuple[str, ...] = ()
    """Why it is not PASSED, one line each."""
    thresholds: tuple[ThresholdResult, ...] = ()
    total: Snapshot = field(default_factory=Snapshot)
    """Each metric over the whole run, and each sub-metric that a limit is on. Failed calls are kept apart."""
    windows: Windows = field(default_factory=Windows)
    """The figures over time."""
    failures: tuple[FailureKind, ...] = ()
    """Failed iterations by type of exception and line, with one traceback each."""
    notes: tuple[str, ...] = ()
    """What was left out, lumped together, interrupted or late; how far a ramp came; the shares of a mix."""
    breaking_point: BreakingPoint | None = None
    """Of a load that rose: from where on it crossed a limit, and whether it recovered."""
    saturation: Saturation | None = None
    """Starts of an open load were dropped because every VU was busy."""
    workers: tuple[WorkerPart, ...] = ()
    series: Snapshot = field(default_factory=Snapshot)
    """Each set of tags over the whole run; a trend has at most 160 buckets here (mostly 2.2 %)."""
    generator_fit: bool = True
    """The load generator itself kept up: no reason or warning is about it."""
    warnings: tuple[str, ...] = ()
    """With ``on_unfit = "warn"``: why the generator was unfit, and which limits cannot be judged."""
    phases: tuple[Phase, ...] = ()
    """The phases of the plan in the order of time; windows and series name one by its place here."""
    events: tuple[RunEvent, ...] = ()
    """What happened, in the order of time."""
    environment: Environment | None = None
    """Where the run was judged, of what code and by which versions."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "total", self.total.frozen())
        object.__setattr__(self, "series", self.series.frozen())

    def __getitem__(self, metric: str) -> MetricView:
        """Return the figures of *metric*.

        :raises KeyError: when nothing was recorded for it
        """
        state = self.total.select(metric)
        if state is None:
            raise KeyError(f"{metric!r} has no samples; recorded were: {', '.join(self.total.names())}")
        return MetricView(metric, state, self.elapsed_s)

    def replay_command(self, kind: FailureKind) -> str:
        """Return the command that runs the iteration of the sample of *kind* again; "" where that is not known."""
        return f"{self.facts.replay}{shlex.quote(kind.iteration)}" if self.facts.replay and kind.iteration else ""

    def shown_metrics(self) -> Iterator[tuple[str, str, State]]:
        """Yield (label, metric, state) of each metric, and of the failed calls where it is of calls."""
        for name, tags, state in labelled(self.total):
            yield selector(name, tags), name, state

    @property
    def headline(self) -> str:
        """The metric that stands for the run in a picture."""
        return next((name for name in builtin.HEADLINES if self.total.select(name)), builtin.RESPONSE_TIME.name)

    @property
    def passed(self) -> bool:
        """Whether the verdict is PASSED."""
        return self.verdict is Verdict.PASSED

    @property
    def iterations(self) -> int:
        """Completed iterations, failed ones among them."""
        return whole(self.total.count(builtin.ITERATIONS.name))

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
        return 0 if vus.is_empty else whole(vus.max)

    @property
    def achieved_rate(self) -> float:
        """Completed iterations a second over the whole run; *asked_rate* is what was planned."""
        return self.iterations / self.elapsed_s if self.elapsed_s > 0 else 0.0

    @property
    def saturated(self) -> bool:
        """Whether starts were dropped because every VU was busy; *saturation* says at which rate."""
        return self.saturation is not None

    @property
    def crossed(self) -> list[ThresholdResult]:
        """The thresholds that failed the run."""
        return [r for r in self.thresholds if r.outcome in {Outcome.FAILED, Outcome.NO_SAMPLES}]
