"""The messages between workers and the coordinator.

Between them lies a :class:`~pytest_cdcperf.cluster.link.Link`: a call where both are one process, a channel
where they are not (see ``wire.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pytest_cdcperf.cluster.shared_state import Call
from pytest_cdcperf.judging.rules.rule import RunRule
from pytest_cdcperf.judging.threshold import Threshold
from pytest_cdcperf.load.share import Share
from pytest_cdcperf.metrics.delay_evidence import DelayEvidence
from pytest_cdcperf.metrics.failure import FailureKind
from pytest_cdcperf.metrics.metric import Definition
from pytest_cdcperf.metrics.phases import Phase
from pytest_cdcperf.metrics.timeline import Window
from pytest_cdcperf.results.result import RunFacts, RunResult
from pytest_cdcperf.servers import Services


@dataclass(frozen=True)
class LoadTest:
    """A perf test that a worker would run under load: *index* of its collection.

    *spec* says in words what it resolved to, to be the same on all workers. A test with fewer *vus* than
    there are workers needs that many workers only; 0 means all of them.
    """

    index: int
    nodeid: str
    spec: str
    vus: int
    gate: bool = False


@dataclass(frozen=True)
class Collected:
    """A worker has collected *tests* to run under load, in this order. *header* is what to say of them."""

    tests: tuple[LoadTest, ...]
    header: tuple[str, ...] = ()


@dataclass(frozen=True)
class Arrived:
    """A worker is at *test*, with nothing of it set up yet."""

    test: str


@dataclass(frozen=True)
class Plan:
    """The *call*-th run of *test*: its facts, limits, phases and metrics, the same on all workers."""

    test: str
    call: int
    facts: RunFacts
    thresholds: tuple[Threshold, ...] = ()
    run_rules: tuple[RunRule, ...] = ()
    phases: tuple[Phase, ...] = ()
    metrics: tuple[Definition, ...] = ()
    secrets: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class WindowDone:
    """A second of one worker's figures. *delays* is what it saw where its generator was late.

    *only_failure* is the failure of all its iterations so far, where they all failed in the same way.
    """

    test: str
    window: Window
    delays: DelayEvidence | None = None
    only_failure: FailureKind | None = None


@dataclass(frozen=True)
class Checking:
    """A worker's load is over, and the check at the end of its share goes on: sent every second in place of windows."""

    test: str


@dataclass(frozen=True)
class ShareDone:
    """A worker has run its share. *cpu* is the CPU time it used a second, 1 for a whole CPU.

    *ends_run* is what ended it for all, such as Ctrl-C; *skipped* is why its iterations were, where they were.
    *weaknesses* say what of the load did not come. *host* is where it runs. *secrets* are the values that its clients
    were given and that no output may show.
    """

    test: str
    elapsed_s: float
    cpu: float = 0.0
    ends_run: str = ""
    skipped: str = ""
    failures: tuple[FailureKind, ...] = ()
    faults: tuple[str, ...] = ()
    weaknesses: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    metrics: tuple[Definition, ...] = ()
    host: str = ""
    secrets: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class Broken:
    """Something that the session's runs need is gone for good, for *reason*."""

    reason: str


@dataclass(frozen=True)
class NoticeOnce:
    """Something that the user should know, in one *line*; of all lines *about* the same thing the first is shown."""

    about: str
    line: str


@dataclass(frozen=True)
class CallEnded:
    """The body of *test* has ended on a worker, or a set-up that kept it from beginning.

    *outcome* is "passed", "skipped" or "failed"; *refuse* says why no further load may start, where it may not.
    """

    test: str
    outcome: str
    refuse: str = ""


@dataclass(frozen=True)
class Ask:
    """A question to the coordinator, answered by an :class:`Answer` of the same *number*."""

    number: int
    about: Call | ServicesWanted


@dataclass(frozen=True)
class ServicesWanted:
    """A request for the session's servers, started if need be: answered by a :class:`Serving`."""


@dataclass(frozen=True)
class Serving:
    """The servers of the session, their versions by name, and of those it started the processes and the deaths."""

    services: Services
    versions: Mapping[str, str] = field(default_factory=dict)
    pids: tuple[int, ...] = ()
    deaths: tuple[str, ...] = ()


@dataclass(frozen=True)
class Go:
    """Set up *test*, or pass it by. With *refused* it runs no load, for that reason. One *is_first*."""

    test: str
    takes_part: bool
    is_first: bool = True
    refused: str = ""


@dataclass(frozen=True)
class Start:
    """Start your *share* now: sent to all workers of the run at once."""

    share: Share


@dataclass(frozen=True)
class Refused:
    """The run does not start on any worker."""

    reason: str
    skips: bool = False


@dataclass(frozen=True)
class Stop:
    """End the run; *at_once*: within seconds, as after Ctrl-C."""

    reason: str
    at_once: bool = False


@dataclass(frozen=True)
class Interrupted:
    """*reason*, such as Ctrl-C, ends the session, and a run within seconds.

    Sent again it means that nothing is waited for any more. From a worker: a signal has arrived there.
    """

    reason: str


@dataclass(frozen=True)
class Concluded:
    """The run is over on all workers. *fault* says what kept its result from being written.

    *skipped* is why every iteration was skipped, where that is so: then the result is not kept.
    """

    result: RunResult
    fault: str = ""
    skipped: str = ""


@dataclass(frozen=True)
class Released:
    """The test's body has ended on all workers: tear down. One of them *reports* the test."""

    reports: bool
    note: str = ""


@dataclass(frozen=True)
class Answer:
    """The answer to the question *number*; *error* instead where there is none."""

    number: int
    value: Any = None
    error: str = ""


@dataclass(frozen=True)
class Gone:
    """The other side is not there any more."""


ToCoordinator = (
    Collected | Arrived | Plan | WindowDone | Checking | ShareDone | Broken | NoticeOnce | CallEnded | Ask | Interrupted
)
ToWorker = Go | Start | Refused | Stop | Interrupted | Concluded | Released | Answer | Gone
