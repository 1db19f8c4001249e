"""The state of one perf test that several workers run together."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, field

from pytest_cdcperf.cluster.aggregator import RunAggregator
from pytest_cdcperf.cluster.messages import Plan, Refused

_WORST_FIRST = ("failed", "skipped", "passed")


@dataclass
class JointTest:
    """One perf test: which workers take part, and how far each of them is.

    Belongs to the coordinator, and is read and changed with its lock held only. *members* are the workers that take
    part, in the order of their shares; the test has begun once there are some.
    """

    nodeid: str
    vus: int = 0
    gate: bool = False
    members: list[str] = field(default_factory=list)
    arrived: set[str] = field(default_factory=set)
    plans: dict[str, Plan] = field(default_factory=dict)  # of those that wait for the start
    ended: dict[str, str] = field(default_factory=dict)  # how the body went
    complete: set[str] = field(default_factory=set)  # their reports have arrived
    lost: dict[str, str] = field(default_factory=dict)  # what became of those that are gone
    run: RunAggregator | None = None  # while a run is under way
    is_concluding: bool = False  # its result is being written
    is_stopping: bool = False  # workers were told to end the run
    reporter: str = ""  # the worker that reports the test, once it is chosen
    is_waiting_said: bool = False
    _refused: set[str] = field(default_factory=set)
    _heard_s: dict[str, float] = field(default_factory=dict)

    @property
    def is_running(self) -> bool:
        """Whether a run is under way, or its result is being written."""
        return self.run is not None or self.is_concluding

    def begin(self, members: Iterable[str], now_s: float) -> None:
        """*members* take part from now on."""
        self.members = list(members)
        self.heard_of_all(now_s)

    def is_through(self, there: Container[str]) -> bool:
        """Whether it has begun, and none of those *there* that came to it is still busy with it."""
        return bool(self.members) and all(worker in self.complete for worker in self.arrived if worker in there)

    def take_plans(self) -> dict[str, Plan]:
        """Return the plans of the members that waited for the start: they wait no longer."""
        plans, self.plans = self.plans, {}
        return plans

    def refuse(self) -> list[str]:
        """Return the workers that wait for the start, whose run is refused."""
        waiting = list(self.take_plans())
        self._refused.update(waiting)
        return waiting

    def refusal(self) -> Refused | None:
        """Return why the run that its workers wait for cannot start, None where it can, or may later."""
        for worker, outcome in self.lost.items():
            return Refused(f"worker {worker} {outcome}; no load was started without it")
        # A worker that ended by itself gives a better reason than one that was refused because of it.
        for worker, outcome in sorted(self.ended.items(), key=lambda ended: ended[0] in self._refused):
            if outcome == "passed":
                return _diverged(f"{worker} has ended the test, {next(iter(self.plans))} begins another run")
            return Refused(f"its set-up {outcome} on worker {worker}; no load was started", skips=outcome == "skipped")
        (first, plan), *others = self.plans.items()
        for worker, other in others:
            if _digest(other) != _digest(plan):
                return _diverged(f"{first} begins {_digest(plan)}, {worker} {_digest(other)}")
        return None

    def choose_reporter(self, there: Iterable[str]) -> str:
        """Return which of those *there* reports: one with the worst outcome, rather of its own than a refused one."""
        self.reporter = min(there, key=lambda w: (_WORST_FIRST.index(self.ended[w]), w in self._refused))
        return self.reporter

    @property
    def note(self) -> str:
        """A note beside a failure on the reporter, where others were refused because of it."""
        if self._refused and self.reporter not in self._refused:
            return f"this happened on worker {self.reporter}; no load was started on any"
        return ""

    def heard(self, worker: str, now_s: float) -> None:
        """*worker* has sent something."""
        self._heard_s[worker] = now_s

    def heard_of_all(self, now_s: float) -> None:
        """Begin to count the silence of all members anew: what they wait for has changed."""
        self._heard_s = dict.fromkeys(self.members, now_s)

    def silent(self, workers: Iterable[str], now_s: float, over_s: float) -> Iterator[str]:
        """Yield those of *workers* that sent nothing for more than *over_s*."""
        return (worker for worker in workers if now_s - self._heard_s.get(worker, now_s) > over_s)


def _diverged(how: str) -> Refused:
    return Refused(f"the workers diverged: {how}; let a test decide by merged results only")


def _digest(plan: Plan) -> str:
    """Return *plan* in words that are the same where two workers are about to do the same."""
    limits = ", ".join(map(str, plan.thresholds))
    return f"run {plan.call} ({plan.facts.load}{'; ' if limits else ''}{limits})"
