"""Brings the workers of a session together: each perf test is run by all at once, and judged once.

A test goes through these states, on all of its workers together:

1. Workers *arrive* at it. Once all are there, and nothing else is running, it *begins*: each is told to ``Go``, and
   those that have a share of its load set it up.
2. Each sends its ``Plan`` of a run and waits. Once all have, the run *starts*: they are told to ``Start`` at once. If
   one of them cannot, all are ``Refused``.
3. They send a ``WindowDone`` a second, which are merged and judged as they come, and ``ShareDone`` at the end. Once
   all have, or are lost, the run is *judged*, its result is written, and they are told that it is ``Concluded``.
   ``load.run`` repeats steps 2 and 3.
4. Each says that the test's body *ended*. Once all have, they are ``Released`` to tear down, and one of them reports.
5. Each is *complete* once its reports have arrived. Then the next test begins.

Threads: messages of workers and ticks come in one thread (without xdist: in the test's own), what pytest-xdist says of
its workers in the main thread, signals and the death of a server in others. So every public method takes the one lock,
which is reentrant, and names with an underscore are used with the lock held. Under it nothing may wait: messages to
workers and events to listeners are put on queues, results are written and servers are started in other threads.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import takewhile

from pytest_cdcperf.clock import real_time as time
from pytest_cdcperf.cluster.aggregator import RunAggregator
from pytest_cdcperf.cluster.joint_test import JointTest
from pytest_cdcperf.cluster.listeners import Publisher
from pytest_cdcperf.cluster.liveness import ListeningClock
from pytest_cdcperf.cluster.messages import (
    Answer,
    Arrived,
    Ask,
    Broken,
    CallEnded,
    Checking,
    Collected,
    Concluded,
    Go,
    Interrupted,
    NoticeOnce,
    Plan,
    Refused,
    Released,
    ShareDone,
    Start,
    Stop,
    ToCoordinator,
    ToWorker,
    WindowDone,
)
from pytest_cdcperf.cluster.questions import Questions
from pytest_cdcperf.cluster.services import CoordinatorServices
from pytest_cdcperf.events import Notice, RunFinished, RunStarted
from pytest_cdcperf.load.share import Share
from pytest_cdcperf.metrics.metric import define

Post = Callable[[ToWorker], None]

SILENCE_S = 30.0  # a worker under load sends something every second
INTERRUPTED_SILENCE_S = 6.0  # and after an interrupt it has ended by then
WAITING_S = 600.0  # for a worker's set-up, or for the end of its test's body, once others are through
WAITING_SAID_S = 10.0
WRITING_S = 5.0  # for the results of runs that are concluded as they are


class Coordinator:
    """One for a session. Its methods may be called from any thread.

    :param services: what only the session can do
    :param events: takes what happens in runs
    :param now_s: any monotonic time
    """

    def __init__(
        self, services: CoordinatorServices, events: Publisher, *, now_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._services = services
        self._events = events
        self._clock = ListeningClock(now_s)
        self._now_s = self._clock.now_s
        self._lock = threading.RLock()
        self._run_ended = threading.Condition(self._lock)
        self._posts: dict[str, Post] = {}  # of the workers that are there
        self._admitted: list[str] = []
        self._tests: dict[str, JointTest] = {}  # in the order in which they are to run
        self._ordinary_tests_are_done = True
        self._questions = Questions(services.serve)
        self._noticed: set[str] = set()
        self._load_refused = ""
        self._interrupted = ""
        self._interrupted_s = 0.0
        self._interrupts: Counter[str] = Counter()
        self.collected: dict[str, Collected] = {}

    # --- Which workers are there, and what they send

    def join(self, worker: str, post: Post) -> None:
        """*worker* is there; *post* brings it a message, and does not wait."""
        with self._lock:
            self._posts[worker] = post

    def admit(self, workers: Sequence[str]) -> None:
        """From now on *workers* run the perf tests, together."""
        with self._lock:
            self._admitted = list(workers)
            for test in self.collected[workers[0]].tests if self.collected else ():
                self._tests.setdefault(test.nodeid, JointTest(test.nodeid, test.vus, test.gate))

    def receive(self, worker: str, message: ToCoordinator) -> None:
        """Take a *message* of *worker*."""
        with self._lock:
            match message:
                case Collected():
                    self.collected[worker] = message
                case Ask():
                    self._ask(worker, message)
                case Arrived(nodeid):
                    self._tests[nodeid].arrived.add(worker)
                    self._begin(self._tests[nodeid])
                case Plan():
                    self._on_plan(worker, message)
                case CallEnded():
                    self._on_call_ended(worker, message)
                case Checking(nodeid):
                    self._tests[nodeid].heard(worker, self._now_s())
                case WindowDone() | ShareDone():
                    self._on_figures(worker, message)
                case Interrupted(reason):
                    self.interrupt(reason, worker)
                case Broken(reason):
                    self.fail(reason)
                case NoticeOnce(about, line):
                    if about not in self._noticed:
                        self._noticed.add(about)
                        self._events.publish(Notice(line))

    def drop(self, worker: str, outcome: str) -> None:
        """*worker* is gone, as *outcome* says: the others go on without it, and its test fails."""
        with self._lock:
            if self._posts.pop(worker, None) is None:
                return
            self._questions.forget(worker)
            for test in self._tests.values():
                if worker in test.members and worker not in test.complete:
                    test.lost[worker] = outcome
                    test.plans.pop(worker, None)
                    self._lose(test, worker, outcome)
                    self._start(test)
                    self._release(test)
            self._begin_next()

    # --- What the scheduler says and asks

    def ordinary_tests_done(self, done: bool = True) -> None:
        """Say whether the tests that one worker runs alone are all done: perf tests begin after them."""
        with self._lock:
            self._ordinary_tests_are_done = done
            self._begin_next()

    def completed(self, worker: str, nodeid: str) -> None:
        """The reports of *worker* on the test *nodeid* have arrived."""
        with self._lock:
            self._tests[nodeid].complete.add(worker)
            self._begin_next()

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
            return bool(self._there(test.members or self._admitted))

    @property
    def is_busy(self) -> bool:
        """Whether a perf test is under way on any worker. Takes no lock: a signal handler may ask."""
        tests = list(self._tests.values())
        return any(worker not in test.complete for test in tests for worker in self._there(test.members))

    # --- What ends runs early

    def interrupt(self, reason: str, source: str = "") -> None:
        """End everything within seconds: runs are concluded with what there is, and nothing more begins.

        A second call from the same *source* means that nothing is waited for any more. From another source it changes
        nothing: a terminal sends one Ctrl-C to all processes.
        """
        with self._lock:
            self._interrupts[source] += 1
            if not self._interrupted:
                self._interrupted, self._interrupted_s = reason, self._now_s()
            elif self._interrupts[source] == 1:
                return
            for test in self._tests.values():
                if test.run is not None:
                    test.run.interrupt(self._interrupted)
                    test.is_stopping = True
            self._post(list(self._posts), Interrupted(self._interrupted))
            for test in self._tests.values():
                self._start(test)  # refuses those that wait for others
            self._begin_next()

    def fail(self, reason: str) -> None:
        """End the runs within seconds, as FAILED, for *reason*: something that they need is gone for good."""
        with self._lock:
            for test in self._tests.values():
                if test.run is None:
                    continue
                if not test.run.ends_early:  # a second stop would mean that nothing is waited for
                    test.is_stopping = True
                    self._post(test.members, Stop(reason, at_once=True))
                test.run.fail(reason)

    def wait_until_idle(self, timeout_s: float) -> None:
        """Wait until no run is under way, at most *timeout_s*; what is then still under way is concluded as it is."""
        with self._lock:
            self._run_ended.wait_for(lambda: not self._running(), timeout_s)
            for test in self._running():
                for worker in self._unfinished(test):
                    self._lose(test, worker, "did not answer")
            self._run_ended.wait_for(lambda: not self._running(), WRITING_S)

    def tick(self) -> None:
        """Look for workers that hang. Called every second or so where workers are processes of their own."""
        with self._lock:
            self._clock.tick()
            self._begin_next()
            for test in list(self._tests.values()):
                if test.run is not None:
                    is_ending = self._interrupted and self._now_s() - self._interrupted_s > INTERRUPTED_SILENCE_S
                    limit_s = min(INTERRUPTED_SILENCE_S, SILENCE_S) if is_ending else SILENCE_S
                    self._kill_silent(test, self._unfinished(test), limit_s, "sent nothing")
                    continue
                there = self._there(test.members)
                late = [worker for worker in there if worker not in test.plans and worker not in test.ended]
                if 0 < len(late) < len(there):
                    if not test.is_waiting_said and any(test.silent(late, self._now_s(), WAITING_SAID_S)):
                        test.is_waiting_said = True
                        self._events.publish(Notice(f"{test.nodeid}: waiting for {', '.join(late)}"))
                    self._kill_silent(test, late, WAITING_S, "did not come to its end")

    # --- 1. A test begins

    def _begin_next(self) -> None:
        """Look again whether a test may begin: something else has come to its end."""
        for test in self._tests.values():
            self._begin(test)

    def _begin(self, test: JointTest) -> None:
        there = self._there(self._admitted)
        if test.members or not there or not test.arrived.issuperset(there):
            return
        is_over = bool(self._interrupted) or self._services.is_over()
        if not is_over and not self._is_turn_of(test):
            return
        refused = "" if test.gate else self._load_refused
        test.begin(there[: 1 if refused else test.vus or len(there)], self._now_s())
        for worker in there:
            takes_part = worker in test.members and not is_over
            self._posts[worker](Go(test.nodeid, takes_part, worker == there[0], refused))

    def _is_turn_of(self, test: JointTest) -> bool:
        """Whether nothing runs beside *test* if it begins now: neither ordinary tests nor one that comes before it."""
        before = takewhile(lambda other: other is not test, self._tests.values())
        return self._ordinary_tests_are_done and all(other.is_through(self._posts) for other in before)

    # --- 2. A run starts

    def _on_plan(self, worker: str, plan: Plan) -> None:
        test = self._tests.setdefault(plan.test, JointTest(plan.test))  # without xdist no worker arrives
        test.begin(test.members or self._there(self._admitted), self._now_s())
        test.plans[worker] = plan
        self._start(test)

    def _start(self, test: JointTest) -> None:
        if not test.plans or test.is_running:
            return
        if refusal := self._refusal(test):
            self._post(test.refuse(), refusal)
        elif len(test.plans) == len(test.members):
            plan = test.take_plans()[test.members[0]]
            for metric in plan.metrics:
                define(metric)
            started_at = datetime.now(UTC)
            facts = replace(plan.facts, started_at=started_at.isoformat(timespec="milliseconds"))
            test.run = RunAggregator(replace(plan, facts=facts), test.members, self._events.publish)
            test.is_stopping = False
            test.heard_of_all(self._now_s())
            self._events.publish(RunStarted(facts, started_at, tuple(test.members)))
            for index, worker in enumerate(test.members):
                self._post([worker], Start(Share(index, len(test.members))))

    def _refusal(self, test: JointTest) -> Refused | None:
        if self._interrupted:
            return Refused(self._interrupted, skips=True)
        if refusal := test.refusal():
            return refusal
        if faults := self._services.faults():
            return Refused(f"no load was started: {'; '.join(faults)}")
        return None

    # --- 3. Figures come, and the run is concluded

    def _on_figures(self, worker: str, message: WindowDone | ShareDone) -> None:
        test = self._tests[message.test]
        if test.run is None:
            return  # concluded without this worker, which had been given up
        test.heard(worker, self._now_s())
        if isinstance(message, ShareDone):
            test.run.take_done(worker, message)
            if message.ends_run:
                where = f" on worker {worker}" if len(test.members) > 1 else ""
                self._stop(test, Stop(message.ends_run + where, at_once=True))
        else:
            test.run.take_window(worker, message.window, message.delays, message.only_failure)
        if reason := test.run.reason_to_end:
            self._stop(test, Stop(reason))
        self._conclude(test)

    def _stop(self, test: JointTest, stop: Stop) -> None:
        if stop.at_once and test.run is not None:
            test.run.interrupt(stop.reason)
        if not test.is_stopping or stop.at_once:
            test.is_stopping = True
            self._post(test.members, stop)

    def _lose(self, test: JointTest, worker: str, outcome: str) -> None:
        if test.run is not None:
            test.run.lose(worker, outcome)
            self._conclude(test)

    def _conclude(self, test: JointTest) -> None:
        """Judge the run once all shares are done. Workers hear of it once its result is written."""
        run = test.run
        if run is None or not run.is_complete:
            return
        test.run, test.is_concluding = None, True
        try:
            result, skipped = run.result(self._services.faults()), run.skip_reason()
        except Exception as error:  # noqa: BLE001  # all workers wait for an answer, and so does the end of the session
            self._end_run(test, Refused(f"the figures cannot be judged: {type(error).__name__}: {error}"))
            return
        if skipped:
            self._end_run(test, Concluded(result, skipped=skipped))
        else:
            self._events.finish(RunFinished(result), lambda fault: self._end_run(test, Concluded(result, fault)))

    def _end_run(self, test: JointTest, message: Concluded | Refused) -> None:
        with self._lock:  # of the thread that wrote the result
            test.is_concluding = False
            self._post(test.members, message)
            self._run_ended.notify_all()

    # --- 4. The body has ended

    def _on_call_ended(self, worker: str, message: CallEnded) -> None:
        test = self._tests[message.test]
        test.ended[worker] = message.outcome
        test.heard_of_all(self._now_s())
        self._load_refused = self._load_refused or message.refuse
        if test.gate and message.outcome == "failed" and not self._load_refused:
            self._load_refused = f"the health check {test.nodeid} failed, so no load was started"
        self._start(test)  # refuses those that wait for this worker
        self._release(test)

    def _release(self, test: JointTest) -> None:
        there = self._there(test.members)
        if test.reporter or not there or not all(worker in test.ended for worker in there):
            return
        reporter = test.choose_reporter(there)
        for worker in there:
            self._posts[worker](Released(worker == reporter, test.note))

    # --- What several steps need

    def _there(self, workers: Iterable[str]) -> list[str]:
        return [worker for worker in workers if worker in self._posts]

    def _unfinished(self, test: JointTest) -> list[str]:
        finished = set[str]() if test.run is None else test.run.finished
        return [worker for worker in self._there(test.members) if worker not in finished]

    def _running(self) -> list[JointTest]:
        return [test for test in self._tests.values() if test.is_running]

    def _post(self, workers: Iterable[str], message: ToWorker) -> None:
        for worker in self._there(workers):
            self._posts[worker](message)

    def _ask(self, worker: str, ask: Ask) -> None:
        def answer(message: Answer) -> None:
            with self._lock:  # some answers come from other threads
                self._post([worker], message)

        if worker in self._posts:  # else it is gone, and nothing would give back what it asks for
            self._questions.take(worker, ask, answer)

    def _kill_silent(self, test: JointTest, workers: Sequence[str], over_s: float, what: str) -> None:
        for worker in list(test.silent(self._there(workers), self._now_s(), over_s)):
            self._services.kill(worker)
            self.drop(worker, f"hangs: it {what} for {over_s:.0f} s, and was killed")
