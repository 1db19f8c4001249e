"""A fake of what pytest-xdist does around a scheduler, with nodes that keep what they are sent.

As its DSession and its remote worker do it: see xdist/dsession.py, xdist/remote.py and testing/test_dsession.py.
"""

from __future__ import annotations

import random
from types import SimpleNamespace

from pytest_cdcperf.cluster.coordinator import Coordinator
from pytest_cdcperf.cluster.messages import Arrived, CallEnded, Collected, Go, LoadTest, Released
from tests.unit.cluster.cluster import RecordingSession

SHUTDOWN = None


class Node:
    """A worker: its queue, of which it fetches the next index before it runs one, and all that it ran."""

    def __init__(self, name, log):
        self.gateway = SimpleNamespace(id=name, spec="popen")
        self.queue, self.ran, self.posts = [], [], []
        self.shutting_down = False
        self.steals = []
        self.total = 0
        self.waits = False  # at a perf test, for a word of the controller's
        self._log = log

    def __repr__(self):
        return self.gateway.id

    @property
    def first_told(self):
        return next(entry[1:] for entry in self._log if entry[0] == self.gateway.id)

    @property
    def can_run(self):
        return len(self.queue) > 1 and self.queue[0] is not SHUTDOWN and (bool(self.posts) or not self.waits)

    def send_runtest_some(self, indices):
        if indices:  # loadscope hands on groups that are through: for a worker that is nothing
            self._log.append((self.gateway.id, "run", *indices))
        self.queue += indices

    def send_runtest_all(self):
        self.send_runtest_some(range(self.total))

    def send_steal(self, indices):
        self._log.append((self.gateway.id, "steal", *indices))
        self.steals.append(indices)

    def shutdown(self):
        # NoticeOnce twice it is the same: only the first is of interest.
        if not self.shutting_down:
            self._log.append((self.gateway.id, "shutdown"))
        self.shutting_down = True
        self.queue.append(SHUTDOWN)


class FanOut:
    """What scheduling asks of the plugin, with the real coordinator."""

    def __init__(self, loads=(), *, agrees=True):
        self.loads = tuple(LoadTest(index, f"perf_{index}", "spec", 0) for index in loads)
        self.admitted = []
        self._agrees = agrees
        self._coordinator = Coordinator(*[RecordingSession()] * 2)

    @property
    def coordinator(self):
        assert self.loads, "a session without perf tests has no coordinator"
        return self._coordinator

    def tests_of(self, worker):
        return self.loads

    def check_agreement(self, workers):
        return self._agrees

    def admit(self, workers):
        self.admitted.append(list(workers))
        if self.loads:
            self.coordinator.admit(workers)


class DSession:
    """A session of *nodes* workers, which take their turns by *seed*."""

    def __init__(self, scheduler, collection, *, nodes=2, fan_out=None, seed=0):
        self.scheduler, self.collection, self.fan_out = scheduler, collection, fan_out or FanOut()
        self.log, self.nodes, self.crashed, self.reported = [], [], [], []
        self.begun_beside = []  # ordinary tests that were under way when a perf test began
        self._loads = {test.index: test.nodeid for test in self.fan_out.loads}
        self._names = iter(f"gw{number}" for number in range(100))
        self._shutting_down = False
        self._random = random.Random(seed)  # noqa: S311
        for _ in range(nodes):
            self.nodes.append(Node(next(self._names), self.log))
        for node in self.nodes:
            self._event(scheduler.add_node, node)
        for node in self.nodes:
            self._event(self._collected, node)

    def run(self, steps=10_000):
        """Take *steps*, or fewer where nothing more is to do."""
        for _ in range(steps):
            stolen_from = [node for node in self.nodes if node.steals]
            able = stolen_from[:1] or [
                node for node in self.nodes if node.can_run and not (node.waits and not node.posts)
            ]
            if not able:
                return
            self.step(self._random.choice(able))

    def step(self, node):
        """Let *node* do the next thing."""
        if node.steals:
            self._event(self._give_back, node, node.steals.pop(0))
        elif node.queue[0] in self._loads:
            self._run_load(node, node.queue[0])
        else:
            self._complete(node)

    def crash(self, node):
        """*node* dies. Return the worker that replaces it."""
        self.nodes.remove(node)
        self._event(self._down, node)
        self._shutting_down = False
        fresh = Node(next(self._names), self.log)
        self.nodes.append(fresh)
        if self.scheduler.tests_finished:
            self._shut_down()
        return fresh

    def replace(self, node):
        """The worker that replaces another has started and collected."""
        if self._shutting_down:
            node.shutdown()
            return
        self._event(self.scheduler.add_node, node)
        if not self._shutting_down:
            self._event(self._collected, node)

    def _event(self, call, *arguments):
        call(*arguments)
        if self.scheduler.tests_finished and not self._shutting_down:
            self._shut_down()

    def _shut_down(self):
        self._shutting_down = True
        for node in self.scheduler.nodes:
            node.shutdown()

    def _collected(self, node):
        node.total = len(self.collection)
        if self.fan_out.loads:
            self.fan_out.coordinator.join(node.gateway.id, node.posts.append)
            self.fan_out.coordinator.receive(node.gateway.id, Collected(self.fan_out.loads))
        self.scheduler.add_node_collection(node, self.collection)
        if self.scheduler.collection_is_completed:
            self.scheduler.schedule()

    def _down(self, node):
        if self.fan_out.loads:
            self.fan_out.coordinator.drop(node.gateway.id, "died")
        try:
            crashed = self.scheduler.remove_node(node)
        except KeyError:
            return
        if crashed:
            self.crashed.append(crashed)

    def _give_back(self, node, indices):
        waiting = node.queue[2:]
        stolen = list(indices) if set(indices) <= set(waiting) else []
        node.queue[2:] = [index for index in waiting if index not in stolen]
        self.scheduler.remove_pending_tests_from_node(node, stolen)

    def _complete(self, node):
        index = node.queue.pop(0)
        node.ran.append(index)
        self._event(self.scheduler.mark_test_complete, node, index)

    def _run_load(self, node, index):
        name, test, coordinator = node.gateway.id, self._loads[index], self.fan_out.coordinator
        posts, node.posts[:] = list(node.posts), []
        if not posts:
            node.waits = True
            coordinator.receive(name, Arrived(test))
        for message in posts:
            if isinstance(message, Go):
                self.begun_beside += [
                    other.queue[0]
                    for other in self.nodes
                    if other.queue and other.queue[0] not in {SHUTDOWN, *self._loads}
                ]
                coordinator.receive(name, CallEnded(test, "passed"))
            if isinstance(message, Released):
                node.waits = False
                self.reported += [test] if message.reports else []
                self._complete(node)
