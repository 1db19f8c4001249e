"""The events of a run, for listeners.

Events are frozen values. Those of one run come in this order: :class:`RunStarted`, then :class:`WindowMerged` about
once a second and whatever else happens, then :class:`RunFinished`. Runs of one session follow one another.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pytest_cdcperf.judging.threshold import ThresholdResult
from pytest_cdcperf.metrics.timeline import Window
from pytest_cdcperf.results.result import RunFacts, RunResult


@dataclass(frozen=True)
class Live:
    """The figures of a run so far. The rate and the p95 are those of its last ten windows; NaN is "no sample".

    >>> live = Live(
    ...     elapsed_s=90.0, planned_s=300.0, vus=10, iterations=5400, iterations_per_s=60.2, p95_ms=148.0, failed=0
    ... )
    >>> f"{live.elapsed_s / live.planned_s:.0%} done, p95 {live.p95_ms:.0f} ms, {live.failed} failed"
    '30% done, p95 148 ms, 0 failed'
    """

    elapsed_s: float
    planned_s: float
    vus: int
    iterations: int
    iterations_per_s: float
    p95_ms: float
    failed: int
    limits: tuple[ThresholdResult, ...] = ()
    """What each limit says of the run so far; an interval takes samples as independent."""

    failed_checks: int = 0
    """How many checks were false so far."""


@dataclass(frozen=True)
class RunStarted:
    """All *workers* were told to start. *started_at* is the wall clock of the coordinator at that time, in UTC.

    >>> facts = RunFacts("1f2e3d4c", "test_shop.py::test_order", "10 VUs for 5m", planned_s=300.0)
    >>> event = RunStarted(facts, datetime.fromisoformat("2026-05-04T12:30:00+00:00"), workers=("gw0", "gw1"))
    >>> f"{event.started_at:%H:%M:%S} {event.facts.test} on {' and '.join(event.workers)}"
    '12:30:00 test_shop.py::test_order on gw0 and gw1'
    """

    facts: RunFacts
    started_at: datetime
    workers: tuple[str, ...]


@dataclass(frozen=True)
class WindowMerged:
    """A second of the run is complete: *window* holds the figures of all workers, *live* those of the run so far.

    >>> def csv_line(event: WindowMerged) -> str:
    ...     return f"{event.window.end_s},{event.window.snapshot.count('iterations'):g},{event.live.p95_ms}"

    It gets such an event once a second:

    >>> from pytest_cdcperf.metrics.snapshot import CounterState, Kind, SeriesKey, Snapshot
    >>> snapshot = Snapshot({SeriesKey("iterations", Kind.COUNTER): CounterState(61)})
    >>> facts = RunFacts("1f2e3d4c", "test_shop.py::test_order", "10 VUs for 5m", planned_s=300.0)
    >>> live = Live(
    ...     elapsed_s=90.0, planned_s=300.0, vus=10, iterations=5400, iterations_per_s=60.2, p95_ms=148.0, failed=0
    ... )
    >>> csv_line(WindowMerged(facts, Window(89.0, 90.0, snapshot), live))
    '90.0,61,148.0'
    """

    facts: RunFacts
    window: Window
    live: Live


@dataclass(frozen=True)
class LimitCrossed:
    """A limit with ``abort_on_fail`` is crossed *elapsed_s* after the start, and ends the run.

    >>> facts = RunFacts("1f2e3d4c", "test_shop.py::test_order", "10 VUs for 5m", planned_s=300.0)
    >>> limit = Threshold("response_time", "p(95)", "<", 200.0, abort_on_fail=True)
    >>> event = LimitCrossed(facts, ThresholdResult(limit, Outcome.FAILED, observed=312.0), elapsed_s=42.0)
    >>> f"{event.facts.test} after {event.elapsed_s:.0f} s: {event.result.threshold}, was {event.result.observed:.0f}"
    'test_shop.py::test_order after 42 s: response_time p(95)<200, was 312'
    """

    facts: RunFacts
    result: ThresholdResult
    elapsed_s: float


@dataclass(frozen=True)
class WorkerLost:
    """A worker did not end its share: *outcome* says why, *elapsed_s* for how long its figures are counted.

    >>> facts = RunFacts("1f2e3d4c", "test_shop.py::test_order", "10 VUs for 5m", planned_s=300.0)
    >>> event = WorkerLost(facts, "gw1", "died", elapsed_s=42.0)
    >>> f"{event.worker} {event.outcome} after {event.elapsed_s:.0f} s of {event.facts.planned_s:.0f} s"
    'gw1 died after 42 s of 300 s'
    """

    facts: RunFacts
    worker: str
    outcome: str
    elapsed_s: float


@dataclass(frozen=True)
class RunFinished:
    """The run is judged. Comes once a run, also after Ctrl-C; not where all iterations were skipped.

    >>> facts = RunFacts("1f2e3d4c", "test_shop.py::test_order", "10 VUs for 5m", planned_s=300.0)
    >>> event = RunFinished(RunResult(facts, elapsed_s=300.0, verdict=Verdict.FAILED, reasons=("1 % failed",)))
    >>> f"{event.result.verdict} {event.result.facts.test}: {'; '.join(event.result.reasons)}"
    'FAILED test_shop.py::test_order: 1 % failed'
    """

    result: RunResult


@dataclass(frozen=True)
class Notice:
    """Something that the user should know now, in one line: a worker that is waited for.

    >>> print(Notice("waiting for gw1").line)
    waiting for gw1
    """

    line: str


Event = RunStarted | WindowMerged | LimitCrossed | WorkerLost | RunFinished | Notice


class Listener(Protocol):
    """Takes the events of a session's runs, in the order in which they happen.

    It is called in a thread of its own: what it takes long for delays neither the load nor other listeners. Where it
    has a method ``close()``, that is called there once, after the last event.

    >>> class Names:
    ...     def handle(self, event: Event) -> None:
    ...         print(type(event).__name__)
    >>> Names().handle(Notice("waiting for gw1"))
    Notice
    """

    def handle(self, event: Event) -> None:
        """Take *event*. What this raises is said in a line of the summary; the next event comes all the same."""
