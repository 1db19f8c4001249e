"""Decides which worker runs what: ordinary tests as pytest-xdist's own scheduler does, then perf tests on all at once.

https://pytest-xdist.readthedocs.io/en/stable/how-it-works.html
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:  # every session with workers imports this module: nothing that only perf tests need
    from xdist.scheduler.protocol import Scheduling
    from xdist.workermanage import WorkerController

    from pytest_cdcperf.cluster.coordinator import Coordinator
    from pytest_cdcperf.cluster.messages import LoadTest


class FanOut(Protocol):
    """The interface to the perf tests that the scheduler needs: see ``controller.py``."""

    @property
    def coordinator(self) -> Coordinator:
        """The coordinator, which brings the workers together, in a session with perf tests."""

    def tests_of(self, worker: str) -> tuple[LoadTest, ...]:
        """Return the perf tests that *worker* would run under load."""

    def check_agreement(self, workers: Collection[str]) -> bool:
        """Whether all *workers* see the same perf tests."""

    def admit(self, workers: Collection[str]) -> None:
        """From now on *workers* run the perf tests together."""


class FanOutScheduling:
    """Wraps the scheduler of the chosen ``--dist``, in a session with perf tests under load.

    The inner scheduler sees the ordinary tests alone, and a stand-in for each node: where it shuts a node down, the
    node gets the perf tests, all at once. Each waits on its worker until the coordinator says that it may begin, so
    this has to report to the coordinator whether ordinary tests are left, and which perf tests are complete.

    To other plugins it is the inner scheduler: it has that one's class, and every attribute that is not its own
    is read from and written to that one.
    """

    _OWN = frozenset({"_inner", "_fan_out", "_nodes", "_tests", "_scheduled"})

    def __init__(self, inner: Scheduling, fan_out: FanOut) -> None:
        self._inner: Any = inner
        self._fan_out = fan_out
        self._nodes: dict[WorkerController, _Node] = {}
        self._tests: tuple[LoadTest, ...] = ()
        self._scheduled = False

    # As weakref.proxy does it, so that isinstance() and the name that xdist prints are right.
    @property  # type: ignore[misc]  # typeshed has it writable
    def __class__(self) -> type:
        """The class of the inner scheduler."""
        return type(self._inner)

    def __getattr__(self, name: str) -> Any:
        if name in self._OWN:  # before __init__ has set it
            raise AttributeError(name)
        return getattr(self._inner, name)

    def __setattr__(self, name: str, value: object) -> None:
        if name in self._OWN:
            object.__setattr__(self, name, value)
        else:
            setattr(self._inner, name, value)

    @property
    def nodes(self) -> list[WorkerController]:
        """All nodes."""
        return list(self._nodes)

    @property
    def collection_is_completed(self) -> bool:
        """Whether all nodes that there were at first have collected."""
        return bool(self._inner.collection_is_completed)

    @property
    def tests_finished(self) -> bool:
        """Whether every node has its last test, so that all can be shut down after it."""
        if not self._inner.tests_finished:
            return False
        return not self._orphans() and all(len(node.loads) < 2 for node in self._nodes.values())

    @property
    def has_pending(self) -> bool:
        """Whether tests are under way or to come."""
        return bool(self._inner.has_pending) or any(node.loads for node in self._nodes.values())

    def add_node(self, node: WorkerController) -> None:
        """Take a node that is ready."""
        self._nodes[node] = _Node(node)
        self._inner.add_node(self._nodes[node])

    def add_node_collection(self, node: WorkerController, collection: Sequence[str]) -> None:
        """Take what *node* collected."""
        loads = {test.index for test in self._fan_out.tests_of(node.gateway.id)}
        stand_in = self._nodes[node]
        stand_in.ordinary = [index for index in range(len(collection)) if index not in loads]
        if self._tests and self._inner.tests_finished:
            self._inner.remove_node(stand_in)  # a replacement without any use for it: xdist's own fail at such a one
        else:
            self._inner.add_node_collection(stand_in, [collection[index] for index in stand_in.ordinary])

    def schedule(self) -> None:
        """Hand out the tests. Called when all have collected, and again for each node that replaces another."""
        if not self._scheduled:
            self._scheduled = True
            if not self._fan_out.check_agreement([node.gateway.id for node in self.nodes]):
                return
            self._tests = self._fan_out.tests_of(self.nodes[0].gateway.id)
            self._admit(self.nodes, self._tests)
        elif orphans := self._orphans():
            self._admit(self.nodes, orphans)
        self._inner.schedule()
        self._release_idle_nodes()
        self._say_what_is_done()

    def mark_test_complete(self, node: WorkerController, item_index: int, duration: float = 0) -> None:
        """*node* is through with a test, whose reports have arrived."""
        stand_in = self._nodes[node]
        load = next((test for test in self._tests if test.index == item_index), None)
        if load is None:
            self._inner.mark_test_complete(stand_in, stand_in.ordinary.index(item_index), duration)
            self._release_idle_nodes()
            self._say_what_is_done()
        else:
            stand_in.loads.remove(load)
            self._fan_out.coordinator.completed(node.gateway.id, load.nodeid)

    def mark_test_pending(self, item: str) -> None:
        """Run *item* again: asked for by plugins that rerun what crashed.

        :raises NotImplementedError: for a perf test: load is not rerun
        """
        if any(test.nodeid == item for test in self._tests):
            raise NotImplementedError(f"{item}: a perf test under load is not run again")
        self._inner.mark_test_pending(item)
        self._say_what_is_done()

    def remove_pending_tests_from_node(self, node: WorkerController, indices: Sequence[int]) -> None:
        """*node* gave tests back, to be run elsewhere."""
        stand_in = self._nodes[node]
        self._inner.remove_pending_tests_from_node(stand_in, [stand_in.ordinary.index(index) for index in indices])

    def remove_node(self, node: WorkerController) -> str | None:
        """Forget *node*; return the test that crashed with it, where no other node is going to report that test."""
        stand_in = self._nodes.pop(node)
        crashed: str | None = None
        if stand_in in self._inner.nodes:
            crashed = self._inner.remove_node(stand_in)
        if not self._tests:
            return crashed
        coordinator = self._fan_out.coordinator
        if crashed is None and stand_in.loads and not coordinator.will_report(stand_in.loads[0].nodeid):
            crashed = stand_in.loads[0].nodeid
        self._say_what_is_done()
        return crashed

    def _say_what_is_done(self) -> None:
        """Tell the coordinator whether ordinary tests are left. Called after whatever may have changed that."""
        if self._tests:
            self._fan_out.coordinator.ordinary_tests_done(not self._inner.has_pending)

    def _admit(self, nodes: Sequence[WorkerController], tests: Sequence[LoadTest]) -> None:
        for node in nodes:
            self._nodes[node].loads = list(tests)
        self._fan_out.admit([node.gateway.id for node in nodes])
        if tests:
            self._fan_out.coordinator.ordinary_tests_done(False)  # until they are handed out, and it is known

    def _orphans(self) -> list[LoadTest]:
        # Of workers that are all gone; the workers that replace them take over what was not begun.
        if any(node.loads for node in self._nodes.values()):
            return []
        return [test for test in self._tests if not self._fan_out.coordinator.has_begun(test.nodeid)]

    def _release_idle_nodes(self) -> None:
        if self._inner.tests_finished:
            for stand_in in self._nodes.values():
                stand_in.shutdown()


class _Node:
    """A node as the inner scheduler sees it: it knows the ordinary tests only, by numbers of their own."""

    def __init__(self, node: WorkerController) -> None:
        self._node = node
        self._released = False
        self.ordinary: list[int] = []
        self.loads: list[LoadTest] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._node, name)

    # What the inner scheduler keeps by node can be looked up by the node itself.
    def __eq__(self, other: object) -> bool:
        return other is self or other is self._node

    def __hash__(self) -> int:
        return hash(self._node)

    @property
    def shutting_down(self) -> bool:
        """Whether it takes no more ordinary tests."""
        return self._released or self._node.shutting_down

    def send_runtest_some(self, indices: Sequence[int]) -> None:
        """Have it run ordinary tests."""
        if indices:
            self._node.send_runtest_some([self.ordinary[index] for index in indices])

    def send_runtest_all(self) -> None:
        """Have it run all ordinary tests."""
        self.send_runtest_some(range(len(self.ordinary)))

    def send_steal(self, indices: Sequence[int]) -> None:
        """Ask for ordinary tests back."""
        self._node.send_steal([self.ordinary[index] for index in indices])

    def shutdown(self) -> None:
        """No ordinary test comes any more: the perf tests do, and then nothing."""
        if not self._released:
            self._released = True
            if self._node.shutting_down:  # the session ends before its time: what is sent now is not run
                self.loads.clear()
            if self.loads:
                self._node.send_runtest_some([test.index for test in self.loads])
            self._node.shutdown()
