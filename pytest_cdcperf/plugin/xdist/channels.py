"""Our channels to the workers, and the thread that takes what comes over them to the coordinator."""

from __future__ import annotations

import queue
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pytest_cdcperf.plugin.results import SessionName
from pytest_cdcperf.plugin.xdist.protocol import Handshake, installed, workerinput

if TYPE_CHECKING:  # every session with workers imports this module: nothing that only perf tests need
    from xdist.workermanage import WorkerController

    from pytest_cdcperf.cluster.coordinator import Coordinator

_TICK_S = 1.0


class Channels:
    """One for a session. *nodes* are xdist's for the workers, by their ids, in the order in which they were made."""

    def __init__(self) -> None:
        self.nodes: dict[str, WorkerController] = {}
        self.handshakes: dict[str, Handshake] = {}
        self._channels: dict[str, Any] = {}  # execnet closes a channel without a reference
        self._inbox: queue.Queue[tuple[str, Any] | None] = queue.Queue()
        self._coordinator: Coordinator | None = None  # once there is a perf test
        self._thread: threading.Thread | None = None
        self._closed: list[str] = []  # workers from whom no word can come any more
        self._ending = False

    def open(self, node: WorkerController, name: SessionName) -> None:
        """Give *node* a channel, before it starts."""
        worker = node.gateway.id
        self.nodes[worker] = node
        self._channels[worker] = channel = node.gateway.newchannel()
        node.workerinput |= workerinput(channel, name)
        # Called in a thread of the gateway's, which must not wait for anything; with None at the channel's end.
        channel.setcallback(lambda data: self._inbox.put((worker, data)), endmarker=None)

    @property
    def has_news(self) -> bool:
        """Whether a worker has said something: those without a perf test say nothing."""
        return self._thread is not None or not self._inbox.empty()

    def take_to(self, coordinator: Coordinator) -> None:
        """Take what comes to *coordinator* from now on, in a thread; return once all is taken that is here by now."""
        if self._thread is None:
            self._coordinator = coordinator
            self._thread = threading.Thread(
                target=self._take_all, args=(coordinator,), name="cdcperf-controller", daemon=True
            )
            self._thread.start()
        self._inbox.join()

    def close(self, reason: str, timeout_s: float) -> None:
        """Let what is under way be concluded because of *reason*, within *timeout_s*, then take nothing more."""
        if self._thread is None or self._coordinator is None:
            return
        self._ending = True
        self._coordinator.interrupt(reason)
        for worker in list(self._closed):
            self._coordinator.drop(worker, "is gone")
        self._coordinator.wait_until_idle(timeout_s)
        self._inbox.put(None)
        self._thread.join(timeout=_TICK_S)

    def kill(self, worker: str) -> None:
        """End *worker* without asking it."""
        with suppress(Exception):  # a socket has no process to kill; xdist's own end of the session is left then
            self.nodes[worker].gateway._io.kill()  # noqa: SLF001  # execnet's terminate() waits for it to answer

    def _take_all(self, coordinator: Coordinator) -> None:
        while True:
            try:
                item = self._inbox.get(timeout=_TICK_S)
            except queue.Empty:
                coordinator.tick()
                continue
            if item is not None:
                self._take(coordinator, *item)
            self._inbox.task_done()
            if item is None:
                return
            coordinator.tick()

    def _take(self, coordinator: Coordinator, worker: str, data: Any) -> None:
        from pytest_cdcperf.cluster.wire import pack, unpack  # noqa: PLC0415

        if data is None:
            self._closed.append(worker)
            if self._ending:  # before, xdist says so; Ctrl-C ends the ssh client of a far worker beside us
                coordinator.drop(worker, "is gone")
        elif isinstance(data, tuple):
            self.handshakes[worker] = Handshake(*data)
            channel = self._channels[worker]

            def post(message: Any) -> None:
                with suppress(OSError):  # it is gone: its end is on the way to us
                    channel.send(pack(message))

            coordinator.join(worker, post)
        elif self.handshakes[worker].installed == installed():
            try:
                coordinator.receive(worker, unpack(data))
            except Exception as error:  # noqa: BLE001  # one worker's words must not end the session of all
                self.kill(worker)
                said = f"was killed: what it sent cannot be used ({type(error).__name__}: {error})"
                coordinator.drop(worker, said)
