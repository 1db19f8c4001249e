"""What happens in a run, as events for listeners.

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
    """The figures of a run so far. The rate and the p95 are those of its last ten windows; NaN is "no sample"."""

    elapsed_s: float
    planned_s: float
    vus: int
    iterations: int
    iterations_per_s: float
    p95_ms: float
    failed: int


@dataclass(frozen=True)
class RunStarted:
    """All *workers* were told to start. *started_at* is the wall clock of the coordinator at that time, in UTC."""

    facts: RunFacts
    started_at: datetime
    workers: tuple[str, ...]


@dataclass(frozen=True)
class WindowMerged:
    """A second of the run is complete: *window* holds the figures of all workers, *live* those of the run so far."""

    facts: RunFacts
    window: Window
    live: Live


@dataclass(frozen=True)
class LimitCrossed:
    """A limit with ``abort_on_fail`` is crossed *elapsed_s* after the start, and ends the run."""

    facts: RunFacts
    result: ThresholdResult
    elapsed_s: float


@dataclass(frozen=True)
class WorkerLost:
    """A worker did not end its share: *outcome* says why, *elapsed_s* for how long its figures are counted."""

    facts: RunFacts
    worker: str
    outcome: str
    elapsed_s: float


@dataclass(frozen=True)
class RunFinished:
    """The run is judged. Comes once a run, also after Ctrl-C; not where all iterations were skipped."""

    result: RunResult


@dataclass(frozen=True)
class Notice:
    """Something that the user should know now, in one line: a worker that is waited for."""

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
