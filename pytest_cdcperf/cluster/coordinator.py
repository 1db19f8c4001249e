"""Brings the workers of a session together: each perf test is run by all at once, and judged once.

The state of one test, in the order of its steps. Workers *arrive* and are told to *go*: those that have a
share of it set it up. Once each of them has sent its *plan*, all are told to *start*; their figures are
merged as they come, and once all shares are done the run is *concluded*. ``load.run`` repeats that. Once the
body has *ended* on all of them they are *released* to tear down, and one of them reports the test.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

from pytest_cdcperf.clock import real_time as time
from pytest_cdcperf.cluster.aggregator import RunAggregator
from pytest_cdcperf.cluster.host import Host
from pytest_cdcperf.cluster.liveness import ListeningClock
from pytest_cdcperf.cluster.messages import (
    Answer,
    Arrived,
    Ask,
    Auditing,
    Broken,
    CallEnded,
    Collected,
    Concluded,
    Go,
    Interrupted,
    Plan,
    Refused,
    Released,
    Said,
    ServicesWanted,
    ShareDone,
    Start,
    Stop,
    ToController,
    ToWorker,
    WindowDone,
)
from pytest_cdcperf.cluster.shared_state import Store
from pytest_cdcperf.errors import CdcperfError
from pytest_cdcperf.load.share import Share
from pytest_cdcperf.metrics.metric import define

Post = Callable[[ToWorker], None]

SILENCE_S = 30.0  # a worker under load says something every second
LAST_WORDS_S = 6.0  # and after an interrupt it has ended by then
WAITING_S = 600.0  # for a worker's set-up, or for the end of its test's body, once others are through
SAID_AFTER_S = 10.0
_WORST_FIRST = ("failed", "skipped", "passed")


@dataclass
class _Test:
    """One perf test under way. *members* are the workers that take part, in the order of their shares."""

    nodeid: str
    vus: int = 0
    gate: bool = False
    arrived: set[str] = field(default_factory=set)
    members: list[str] = field(default_factory=list)
    plans: dict[str, Plan] = field(default_factory=dict)  # of those that wait for a start
    refused: set[str] = field(default_factory=set)
    ended: dict[str, str] = field(default_factory=dict)
    fates: dict[str, str] = field(default_factory=dict)  # of those that are gone
    run: RunAggregator | None = None
    stopping: bool = False
    waiting_said: bool = False
    heard_s: dict[str, float] = field(default_factory=dict)
    reporter: str = ""
    complete: set[str] = field(default_factory=set)


class Coordinator:
    """One for a session. Its methods may be called from any thread."""

    def __init__(self, host: Host, *, now_s: Callable[[], float] = time.monotonic) -> None:
        self._host = host
        self._clock = ListeningClock(now_s)
        self._now_s = self._clock.now_s
        self._lock = threading.RLock()
        self._idle = threading.Condition(self._lock)
        self._posts: dict[str, Post] = {}
        self._admitted: list[str] = []
        self._tests: dict[str, _Test] = {}
        self._store = Store()
        self._said: set[str] = set()
        self._load_refused = ""
        self._interrupted = ""
        self._interrupted_s = 0.0
        self._interrupts: Counter[str] = Counter()
        self.collected: dict[str, Collected] = {}
        self._ordinary_tests_are_done = True

    def join(self, worker: str, post: Post) -> None:
        """*worker* is there; *post* brings it a message."""
        with self._lock:
            self._posts[worker] = post

    def admit(self, workers: Sequence[str]) -> None:
        """From now on *workers* run the perf tests, together."""
        with self._lock:
            self._admitted = list(workers)
            for test in self.collected[workers[0]].tests if self.collected else ():
                self._tests.setdefault(test.nodeid, _Test(test.nodeid, test.vus, test.gate))

    def receive(self, worker: str, message: ToController) -> None:
        """Take a *message* of *worker*."""
        with self._lock:
            match message:
                case Collected():
                    self.collected[worker] = message
                case Ask():
                    self._answer(worker, message)
                case Arrived(nodeid):
                    self._tests[nodeid].arrived.add(worker)
                    self._let_go(self._tests[nodeid])
                case Plan():
                    self._on_plan(worker, message)
                case CallEnded():
                    self._on_end(worker, message)
                case Auditing(nodeid):
                    self._tests[nodeid].heard_s[worker] = self._now_s()
                case WindowDone() | ShareDone():
                    self._on_figures(worker, message)
                case Interrupted(reason):
                    self.interrupt(reason, worker)
                case Broken(reason):
                    self.fail(reason)
                case Said(about, line):
                    if about not in self._said:
                        self._said.add(about)
                        self._host.say(line)

    def drop(self, worker: str, fate: str) -> None:
        """*worker* is gone: nobody waits for it any more, and its test fails."""
        with self._lock:
            if self._posts.pop(worker, None) is None:
                return
            self._store.forget(worker)
            for test in self._tests.values():
                if worker in test.members and worker not in test.complete:
                    test.fates[worker] = fate
                    test.plans.pop(worker, None)
                    self._lose(test, worker, fate)
                    self._start(test)
                    self._release(test)
            self.advance()

    def advance(self) -> None:
        """Look again whether a test may begin. Called whenever something else has come to its end."""
        with self._lock:
            for test in self._tests.values():
                self._let_go(test)

    def ordinary_tests_done(self, done: bool = True) -> None:
        """Say whether the tests that one worker runs alone are all done: perf tests begin after them."""
        with self._lock:
            self._ordinary_tests_are_done = done
            self.advance()

    def completed(self, worker: str, nodeid: str) -> None:
        """*worker* is through with the test *nodeid*, its reports have arrived."""
        with self._lock:
            self._tests[nodeid].complete.add(worker)
            self.advance()

    def has_begun(self, nodeid: str) -> bool:
        """Whether the test *nodeid* was begun by any worker."""
        with self._lock:
            return bool(self._tests[nodeid].members)

    def will_report(self, nodeid: str) -> bool:
        """Whether the test *nodeid* has been reported, or a worker is there that is going to."""
        with self._lock:
            test = self._tests[nodeid]
            if test.reporter:
                return test.reporter in test.complete or test.reporter in self._posts
            return bool(self._alive(test.members or self._admitted))

    @property
    def is_busy(self) -> bool:
        """Whether a perf test is under way on any worker. Takes no lock: a signal handler may ask."""
        tests = list(self._tests.values())
        return any(worker not in test.complete for test in tests for worker in self._alive(test.members))

    def interrupt(self, reason: str, source: str = "") -> None:
        """End everything within seconds: runs are concluded with what there is, and nothing more begins.

        A second call from the same *source* waits for nobody any more. One Ctrl-C may come from many: a terminal
        sends it to all processes.
        """
        with self._lock:
            self._interrupts[source] += 1
            if not self._interrupted:
                self._interrupted, self._interrupted_s = reason, self._now_s()
            elif self._interrupts[source] == 1:
                return
            for test in self._tests.values():
                if test.run is not None:
                    test.run.cut_short(self._interrupted)
                    test.stopping = True
            self._post(list(self._posts), Interrupted(self._interrupted))
            for test in self._tests.values():
                self._start(test)  # refuses those that wait for others
            self.advance()

    def fail(self, reason: str) -> None:
        """What runs need is gone for good, says *reason*: end them within seconds, as FAILED."""
        with self._lock:
            for test in self._tests.values():
                if test.run is None:
                    continue
                if not test.run.ends_early:  # a second stop would wait for nobody any more
                    test.stopping = True
                    self._post(test.members, Stop(reason, at_once=True))
                test.run.fail(reason)

    def wait_until_idle(self, timeout_s: float) -> None:
        """Wait until no run is under way, at most *timeout_s*; what is then still under way is concluded as it is."""
        with self._lock:
            self._idle.wait_for(lambda: not self._running(), timeout_s)
            for test in self._running():
                for worker in self._unheard(test):
                    self._lose(test, worker)

    def tick(self) -> None:
        """Let go of workers that hang. Called every second or so where workers are processes of their own."""
        with self._lock:
            self._clock.tick()
            self.advance()
            for test in list(self._tests.values()):
                if test.run is not None:
                    ending = self._interrupted and self._now_s() - self._interrupted_s > LAST_WORDS_S
                    limit_s = min(LAST_WORDS_S, SILENCE_S) if ending else SILENCE_S
                    self._give_up(test, self._unheard(test), limit_s, "sent nothing")
                    continue
                there = self._alive(test.members)
                late = [worker for worker in there if worker not in test.plans and worker not in test.ended]
                if 0 < len(late) < len(there):
                    self._say_who_is_waited_for(test, late)
                    self._give_up(test, late, WAITING_S, "did not come to its end")

    def _alive(self, workers: Iterable[str]) -> list[str]:
        return [worker for worker in workers if worker in self._posts]

    def _unheard(self, test: _Test) -> list[str]:
        silent = set[str]() if test.run is None else test.run.silent
        return [worker for worker in self._alive(test.members) if worker not in silent]

    def _running(self) -> list[_Test]:
        return [test for test in self._tests.values() if test.run is not None]

    def _post(self, workers: Sequence[str], message: ToWorker) -> None:
        for worker in self._alive(workers):
            self._posts[worker](message)

    def _let_go(self, test: _Test) -> None:
        there = self._alive(self._admitted)
        if test.members or not there or not test.arrived.issuperset(there):
            return
        over = bool(self._interrupted) or self._host.is_over()
        if not over and not self._is_turn_of(test):
            return
        refused = "" if test.gate else self._load_refused
        test.members = there[: 1 if refused else test.vus or len(there)]
        test.heard_s = dict.fromkeys(test.members, self._now_s())
        for worker in there:
            takes_part = worker in test.members and not over
            self._posts[worker](Go(test.nodeid, takes_part, worker == there[0], refused))

    def _is_turn_of(self, test: _Test) -> bool:
        """Whether nothing runs beside *test* if it begins now: neither ordinary tests nor one that comes before it."""
        before = takewhile(lambda other: other is not test, self._tests.values())
        return self._ordinary_tests_are_done and all(
            other.members and other.complete.issuperset(self._alive(other.arrived)) for other in before
        )

    def _on_plan(self, worker: str, plan: Plan) -> None:
        test = self._tests.setdefault(plan.test, _Test(plan.test))
        test.members = test.members or self._alive(self._admitted)
        test.plans[worker] = plan
        test.heard_s = dict.fromkeys(test.members, self._now_s())
        self._start(test)

    def _start(self, test: _Test) -> None:
        if not test.plans or test.run is not None:
            return
        waiting = list(test.plans)
        if refusal := self._refusal(test):
            test.plans.clear()
            test.refused.update(waiting)
            self._post(waiting, refusal)
        elif len(waiting) == len(test.members):
            plan = test.plans[test.members[0]]
            test.plans.clear()
            for metric in plan.metrics:
                define(metric)
            test.run = RunAggregator(plan, test.members, lambda live: self._host.show(plan, live))
            test.stopping = False
            self._host.begin(plan)
            test.heard_s = dict.fromkeys(test.members, self._now_s())
            for index, worker in enumerate(test.members):
                self._post([worker], Start(Share(index, len(test.members))))

    def _refusal(self, test: _Test) -> Refused | None:
        if self._interrupted:
            return Refused(self._interrupted, skips=True)
        for worker, fate in test.fates.items():
            return Refused(f"worker {worker} {fate}; no load was started without it")
        for worker, outcome in sorted(test.ended.items(), key=lambda ended: ended[0] in test.refused):
            if outcome == "passed":
                return Refused(
                    f"the workers diverged: {worker} has ended the test, {next(iter(test.plans))} begins another run; "
                    "let a test decide by merged results only"
                )
            return Refused(f"its set-up {outcome} on worker {worker}; no load was started", skips=outcome == "skipped")
        first = next(iter(test.plans.values()))
        for worker, plan in test.plans.items():
            if _gist(plan) != _gist(first):
                return Refused(
                    f"the workers diverged: {next(iter(test.plans))} begins {_gist(first)}, {worker} {_gist(plan)}; "
                    "let a test decide by merged results only"
                )
        if faults := self._host.faults():
            return Refused(f"no load was started: {'; '.join(faults)}")
        return None

    def _on_figures(self, worker: str, message: WindowDone | ShareDone) -> None:
        test = self._tests[message.test]
        if test.run is None:
            return  # concluded without this worker, which had been given up
        test.heard_s[worker] = self._now_s()
        if isinstance(message, ShareDone):
            test.run.take_done(worker, message)
            if message.ends_run:
                where = f" on worker {worker}" if len(test.members) > 1 else ""
                self._stop(test, Stop(message.ends_run + where, at_once=True))
        else:
            test.run.take_window(worker, message.window, message.delays)
        if test.run.abort_reason:
            self._stop(test, Stop(test.run.abort_reason))
        self._conclude(test)

    def _stop(self, test: _Test, stop: Stop) -> None:
        if stop.at_once and test.run is not None:
            test.run.cut_short(stop.reason)
        if not test.stopping or stop.at_once:
            test.stopping = True
            self._post(test.members, stop)

    def _conclude(self, test: _Test) -> None:
        run = test.run
        if run is None or not run.is_complete:
            return
        test.run = None
        try:
            result, skipped = run.result(self._host.faults()), run.skip_reason()
            fault = "" if skipped else self._host.record(result)
        except Exception as error:  # noqa: BLE001  # all workers wait for a word, and so does whoever ends the session
            self._post(test.members, Refused(f"the figures cannot be judged: {type(error).__name__}: {error}"))
        else:
            self._post(test.members, Concluded(result, fault, skipped))
        self._idle.notify_all()

    def _on_end(self, worker: str, message: CallEnded) -> None:
        test = self._tests[message.test]
        test.ended[worker] = message.outcome
        test.heard_s = dict.fromkeys(test.members, self._now_s())
        self._load_refused = self._load_refused or message.refuse
        if test.gate and message.outcome == "failed" and not self._load_refused:
            self._load_refused = f"the health check {test.nodeid} failed, so no load was started"
        self._start(test)
        self._release(test)

    def _release(self, test: _Test) -> None:
        there = self._alive(test.members)
        if test.reporter or not there or not all(worker in test.ended for worker in there):
            return
        # Who failed of itself tells more than who was refused for another's sake.
        test.reporter = min(there, key=lambda w: (_WORST_FIRST.index(test.ended[w]), w in test.refused))
        alone = test.refused and test.reporter not in test.refused
        note = f"this happened on worker {test.reporter}; no load was started on any" if alone else ""
        for worker in there:
            self._posts[worker](Released(worker == test.reporter, note))

    def _answer(self, worker: str, ask: Ask) -> None:
        if worker not in self._posts:
            return  # its last words came after its end: it would hold what nobody gives back

        def reply(value: Any) -> None:
            self._post([worker], Answer(ask.number, value))

        if not isinstance(ask.about, ServicesWanted):
            try:
                self._store.call(worker, ask.about, reply)
            except Exception as error:  # noqa: BLE001  # a mistake in one body, which is to see it
                answer = Answer(ask.number, error=f"shared: {type(error).__name__}: {error}")
                self._post([worker], answer)
            return

        def start() -> None:
            try:
                answer = Answer(ask.number, self._host.serve())
            except CdcperfError as error:
                answer = Answer(ask.number, error=str(error))
            with self._lock:
                self._post([worker], answer)

        # Servers take seconds to start, and a message every second is waiting to be taken.
        threading.Thread(target=start, name="cdcperf-services", daemon=True).start()

    def _give_up(self, test: _Test, workers: Sequence[str], after_s: float, what: str) -> None:
        for worker in self._alive(workers):
            if self._now_s() - test.heard_s.get(worker, self._now_s()) > after_s:
                fate = f"hangs: it {what} for {after_s:.0f} s, and was killed"
                self._host.kill(worker)
                self.drop(worker, fate)

    def _lose(self, test: _Test, worker: str, fate: str = "did not answer") -> None:
        if test.run is not None:
            test.run.lose(worker, fate)
            self._conclude(test)

    def _say_who_is_waited_for(self, test: _Test, late: Sequence[str]) -> None:
        waited_s = self._now_s() - min(test.heard_s.values())
        if waited_s > SAID_AFTER_S and not test.waiting_said:
            test.waiting_said = True
            self._host.say(f"{test.nodeid}: waiting for {', '.join(late)}")


def _gist(plan: Plan) -> str:
    limits = ", ".join(map(str, plan.thresholds))
    return f"run {plan.call} ({plan.facts.load}{'; ' if limits else ''}{limits})"
