"""One controller and the workers it brings together; each post is kept, nothing waits."""

from __future__ import annotations

from pytest_cdcperf.cluster.coordinator import Coordinator
from pytest_cdcperf.cluster.liveness import TICK_S
from pytest_cdcperf.cluster.messages import (
    Arrived,
    CallEnded,
    Collected,
    LoadTest,
    Plan,
    Serving,
    ShareDone,
)
from pytest_cdcperf.events import Notice
from pytest_cdcperf.judging.parser import parse_thresholds
from pytest_cdcperf.results.result import RunFacts
from pytest_cdcperf.servers import MongoAddress, PostgresAddress, Services
from tests.unit.metrics.windows import window

A, B = "t.py::test_a", "t.py::test_b"
SERVING = Serving(Services(PostgresAddress("h", 1, "u"), MongoAddress("mongodb://h")))


class RecordingSession:
    """What the coordinator needs of a session, and the listeners to its events, which are called at once."""

    def __init__(self):
        self.events, self.results, self.killed = [], [], []
        self.wrong, self.unwritten, self.serving, self.over = [], "", SERVING, False

    def publish(self, event):
        self.events.append(event)

    def finish(self, event, then):
        self.publish(event)
        self.results.append(event.result)
        then(self.unwritten)

    def of(self, kind):
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def said(self):
        return [notice.line for notice in self.of(Notice)]

    def is_over(self):
        return self.over

    def faults(self):
        return self.wrong

    def serve(self):
        if isinstance(self.serving, Exception):
            raise self.serving
        return self.serving

    def kill(self, worker):
        self.killed.append(worker)


def plan(test=A, call=1, *, load="9 VUs", **thresholds):
    facts = RunFacts("r1", test, load, 10.0)
    return Plan(test, call, facts, tuple(parse_thresholds(thresholds)))


def second_of(start_s, iterations):
    return window(start_s, iterations=iterations, iteration_failed=(0, iterations))


class Cluster:
    """A controller with *workers* that have collected tests A and B; what each was posted since it was last asked."""

    def __init__(self, *workers, vus=0, gate=False):
        self.session, self.now_s = RecordingSession(), 0.0
        self.coordinator = Coordinator(self.session, self.session, now_s=lambda: self.now_s)
        self._posted = {}
        self._collected = Collected((LoadTest(0, A, "spec", vus, gate), LoadTest(1, B, "spec", 0)))
        for worker in workers:
            self.join(worker)
        self.coordinator.admit(workers)
        self.workers = workers

    def join(self, worker):
        self._posted[worker] = []
        self.coordinator.join(worker, self._posted[worker].append)
        self.coordinator.receive(worker, self._collected)

    def posted(self, worker):
        messages, self._posted[worker][:] = list(self._posted[worker]), []
        return messages

    def all_posted(self):
        return {worker: messages for worker in self._posted if (messages := self.posted(worker))}

    def send(self, message, *workers):
        for worker in workers or self.workers:
            self.coordinator.receive(worker, message)

    def arrive(self, test=A):
        """All arrive and are told to go."""
        self.send(Arrived(test))
        return self.all_posted()

    def start(self, this=None):
        """All arrive and begin a run."""
        this = this or plan()
        if not self.coordinator._tests[this.test].members:
            self.arrive(this.test)
        self.send(this)
        return self.all_posted()

    def wait(self, seconds):
        """Let time pass as it does where the controller listens: it ticks every second."""
        until_s = self.now_s + seconds
        while self.now_s < until_s:
            self.now_s = min(until_s, self.now_s + TICK_S)
            self.coordinator.tick()

    def complete(self, test=A, *workers):
        for worker in workers or self.workers:
            self.coordinator.completed(worker, test)

    def run_through(self, test=A, outcome="passed", refuse=""):
        """A test that starts no run."""
        self.arrive(test)
        self.send(CallEnded(test, outcome, refuse))
        self.complete(test)
        self.all_posted()


def to_all(message, *workers):
    return {worker: [message] for worker in workers or ("gw0", "gw1")}


def done(test=A, **more):
    return ShareDone(test, 1.0, **more)
