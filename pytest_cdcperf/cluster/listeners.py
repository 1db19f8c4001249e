"""Hands the events of runs to listeners, each in a thread of its own.

Events are published while the coordinator holds its lock, so publishing only puts them on queues. A listener that is
slow is behind with its own queue; neither the run nor another listener waits for it.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable
from typing import Protocol

from pytest_cdcperf.clock import real_time as time
from pytest_cdcperf.errors import CdcperfError
from pytest_cdcperf.events import Event, Listener, RunFinished, WindowMerged
from pytest_cdcperf.printable import one_line

CLOSE_S = 5.0  # for listeners together to take what is still on their queues, at the end of the session
MOST_WINDOWS = 300  # five minutes: windows beyond that are left out for a listener that is so far behind

Then = Callable[[str], None]


class Publisher(Protocol):
    """The listeners as the coordinator sees them. Both methods return at once: they are called under its lock."""

    def publish(self, event: Event) -> None:
        """Hand *event* to all listeners."""

    def finish(self, event: RunFinished, then: Then) -> None:
        """Do the same, and call *then* with what kept the result from being kept, "" where nothing did."""


class Listeners:
    """The listeners of a session. Their threads begin with the first event, and end with :meth:`close`.

    Listeners of our own are *awaited*: workers hear of the end of a run once these have handled ``RunFinished``, and
    what they raise then fails the test. All others are never waited for but in :meth:`close`.
    """

    def __init__(self) -> None:
        self.faults: list[str] = []  # who raised, was too slow or hangs, in a line each
        self._queues: list[_Queue] = []
        self._closed = False

    def add(self, listener: Listener, *, awaited: bool = False) -> None:
        """Hand events to *listener* from now on. Called before the first event is published."""
        self._queues.append(_Queue(listener, self.faults.append, awaited=awaited))

    def publish(self, event: Event) -> None:
        """Hand *event* to all listeners. May be called in any thread, and does not wait."""
        for listener in self._queues:
            listener.put(event)

    def finish(self, event: RunFinished, then: Then) -> None:
        """Hand *event* to all, and call *then* in some thread once those that are awaited have handled it."""
        awaited = _Countdown(sum(listener.awaited for listener in self._queues), then)
        for listener in self._queues:
            listener.put(event, awaited.count if listener.awaited else None)

    def close(self) -> None:
        """Close all once they have taken what is on their queues. Those that take longer go on by themselves."""
        if self._closed:
            return
        self._closed = True
        for listener in self._queues:
            listener.end()
        until_s = time.monotonic() + CLOSE_S
        for listener in self._queues:
            listener.wait(max(0.0, until_s - time.monotonic()))


class _Queue:
    """The events that one listener has not taken yet, and the thread in which it takes them."""

    def __init__(self, listener: Listener, report: Callable[[str], None], *, awaited: bool) -> None:
        self.awaited = awaited
        self._listener = listener
        self._name = getattr(listener, "name", "") or type(listener).__qualname__
        self._report = report
        self._events: queue.SimpleQueue[tuple[Event, Then | None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._take_all, name=f"cdcperf-listener-{self._name}", daemon=True)
        self._starting = threading.Lock()
        self._handling = ""
        self._left_out = 0
        self._has_raised = False

    def put(self, event: Event, then: Then | None = None) -> None:
        if isinstance(event, WindowMerged) and self._events.qsize() >= MOST_WINDOWS:
            self._left_out += 1
            return
        if self._start():
            self._events.put((event, then))
        else:
            self._take(event, then)

    def _start(self) -> bool:
        """Return whether the thread runs. Where it cannot, the publishing thread handles events."""
        with self._starting, contextlib.suppress(RuntimeError, MemoryError):
            if self._thread.ident is None:
                self._thread.start()
        return self._thread.ident is not None

    def end(self) -> None:
        if self._thread.ident is None and not hasattr(self._listener, "close"):
            return
        if self._start():
            self._events.put(None)
        else:
            self._close()

    def wait(self, seconds: float) -> None:
        if self._thread.ident is not None:
            self._thread.join(seconds)
        if self._thread.is_alive():
            left = max(0, self._events.qsize() - 1)
            self._say(f"does not return from {self._handling}; {left} more events were to come")
        if self._left_out:
            self._say(f"was too slow: {self._left_out} windows were left out for it")

    def _say(self, what: str) -> None:
        self._report(one_line(f"listener {self._name} {what}"))

    def _take_all(self) -> None:
        while (item := self._events.get()) is not None:
            self._take(*item)
        self._close()

    def _take(self, event: Event, then: Then | None) -> None:
        self._handling = type(event).__name__
        fault = self._fault_of(lambda: self._listener.handle(event))
        if then is not None:
            then(fault)

    def _close(self) -> None:
        close = getattr(self._listener, "close", None)
        if close is not None:
            self._handling = "close()"
            self._fault_of(close)

    def _fault_of(self, call: Callable[[], object]) -> str:
        """Call *call*; return in words what it raised, "" where it did not. The first time it is also said."""
        try:
            call()
        except CdcperfError as error:  # a listener of ours, with words for the user
            return str(error)
        except BaseException as error:  # noqa: BLE001  # also pytest.fail() and SystemExit of a user's listener
            fault = f"raised {type(error).__name__}: {error}"
            if not self._has_raised:
                self._has_raised = True
                self._say(f"{fault} (at {self._handling})")
            return f"{self._name} {fault}"
        return ""


class _Countdown:
    """Calls *then* at the *number*-th call, with the first of the words that calls brought."""

    def __init__(self, number: int, then: Then) -> None:
        self._left = number
        self._then = then
        self._fault = ""
        self._lock = threading.Lock()
        if number == 0:
            then("")

    def count(self, fault: str) -> None:
        with self._lock:
            self._fault = self._fault or fault
            self._left -= 1
            is_last = self._left == 0
        if is_last:
            self._then(self._fault)
