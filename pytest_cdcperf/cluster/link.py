"""The link of a worker to the coordinator: calls in one process, an execnet channel between two."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any, Protocol, TypeVar

from pytest_cdcperf.cluster.coordinator import Coordinator
from pytest_cdcperf.cluster.messages import (
    Answer,
    Arrived,
    Ask,
    CallEnded,
    Concluded,
    Go,
    Gone,
    Interrupted,
    Plan,
    Refused,
    Released,
    Start,
    Stop,
    ToCoordinator,
    ToWorker,
)
from pytest_cdcperf.cluster.wire import pack, unpack
from pytest_cdcperf.errors import CdcperfError, CoordinatorLostError, LoadRefusedError

Expected = TypeVar("Expected")

ALONE = "main"  # the name of the only worker where there are no others


class Channel(Protocol):
    """The methods of an execnet channel that a link uses."""

    def send(self, item: object) -> None:
        """Send builtin types."""

    def setcallback(self, callback: Callable[[Any], Any], endmarker: object = ...) -> None:
        """Hand every item to *callback*, in a thread of the channel's, and *endmarker* at its end."""


class Link:
    """Used by the worker's main thread; :meth:`send`, :meth:`ask` and :meth:`deliver` by any."""

    def __init__(self, worker: str, send: Callable[[ToCoordinator], None]) -> None:
        self.worker = worker
        self.send = send
        self._inbox: queue.SimpleQueue[ToWorker] = queue.SimpleQueue()
        self._answers: dict[int, queue.SimpleQueue[Answer | Gone]] = {}
        self._numbers = count()
        self._lock = threading.Lock()
        self._on_stop: Callable[[Stop], None] | None = None
        self._early_stop: Stop | None = None  # one that came between the start and the run
        self._gone = False
        self.on_interrupted: Callable[[str], None] = lambda _reason: None  # called where the session is ended

    def deliver(self, message: ToWorker) -> None:
        """Take a *message* of the coordinator."""
        match message:
            case Answer(number):
                with self._lock:
                    waiting = self._answers.pop(number)
                waiting.put(message)
            case Stop():
                self._stop(message)
            case Interrupted(reason):
                self._stop(Stop(reason, at_once=True))
                self.on_interrupted(reason)
            case Gone():
                with self._lock:
                    self._gone = True
                    waiting_for_answers, self._answers = list(self._answers.values()), {}
                for waiting in waiting_for_answers:
                    waiting.put(message)
                self._inbox.put(message)
                self._stop(Stop("the coordinator is gone", at_once=True))
            case _:
                self._inbox.put(message)

    def arrive(self, test: str) -> Go:
        """Wait until all workers are at *test*."""
        self.send(Arrived(test))
        return self._wait_for(Go)

    def begin(self, plan: Plan) -> Start:
        """Wait until all workers are about to begin *plan*.

        :raises LoadRefusedError: when it is not to begin
        """
        self._early_stop = None
        self.send(plan)
        return self._wait_for(Start)

    def conclude(self) -> Concluded:
        """Wait until the run is over on all workers."""
        return self._wait_for(Concluded)

    def end(self, test: str, outcome: str, refuse: str) -> Released:
        """Say how the body of *test* ended, and wait until it has on all workers."""
        self.send(CallEnded(test, outcome, refuse))
        return self._wait_for(Released)

    def ask(self, about: Any) -> Any:
        """Ask the coordinator.

        :raises CdcperfError: with its words, where it has no answer
        """
        waiting: queue.SimpleQueue[Answer | Gone] = queue.SimpleQueue()
        with self._lock:
            if self._gone:
                raise CoordinatorLostError("the coordinator is gone")
            number = next(self._numbers)
            self._answers[number] = waiting
        self.send(Ask(number, about))
        answer = waiting.get()
        if isinstance(answer, Gone):
            raise CoordinatorLostError("the coordinator is gone")
        if answer.error:
            raise CdcperfError(answer.error)
        return answer.value

    @contextmanager
    def stopping(self, on_stop: Callable[[Stop], None]) -> Iterator[None]:
        """Inside the block, call *on_stop* where the coordinator ends the run."""
        with self._lock:
            self._on_stop, early = on_stop, self._early_stop
        if early is not None:
            on_stop(early)
        try:
            yield
        finally:
            self._on_stop = None

    def _stop(self, stop: Stop) -> None:
        with self._lock:
            on_stop = self._on_stop
            if on_stop is None:
                self._early_stop = stop
        if on_stop is not None:
            on_stop(stop)

    def _wait_for(self, expected: type[Expected]) -> Expected:
        while True:
            message = self._inbox.get()
            if isinstance(message, expected):
                return message
            if isinstance(message, Refused):
                raise LoadRefusedError(message.reason, skips=message.skips)
            if isinstance(message, Gone):
                self._inbox.put(message)  # for the next call that waits
                raise CoordinatorLostError("the coordinator is gone")


def link_in_process(coordinator: Coordinator) -> Link:
    """Return the link of the only worker, which is in the coordinator's own process."""
    link = Link(ALONE, lambda message: coordinator.receive(ALONE, message))
    coordinator.join(ALONE, link.deliver)
    coordinator.admit([ALONE])
    return link


def link_over(channel: Channel, worker: str) -> Link:
    """Return the link of a *worker* in a process of its own."""
    sending = threading.Lock()

    def send(message: ToCoordinator) -> None:
        try:
            with sending:
                channel.send(pack(message))
        except OSError:
            link.deliver(Gone())

    link = Link(worker, send)
    channel.setcallback(lambda data: link.deliver(Gone() if data is None else unpack(data)), endmarker=None)
    return link
