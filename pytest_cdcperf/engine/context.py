"""The state that all VUs of a run in one process share: the clock, the stop signal, the failures."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from pytest_cdcperf.clock import Clock
from pytest_cdcperf.engine.failures import ExceptionRules, Failures


@dataclass
class StopSignal:
    """The signal that ends a run.

    *ended*: no further iteration starts. *aborted*: pauses end as well. *closed*: the run is
    accounted for; what a VU still does is recorded nowhere. *fault*: why the run could not go on.
    """

    ended: threading.Event = field(default_factory=threading.Event)
    aborted: threading.Event = field(default_factory=threading.Event)
    closed: bool = False
    reason: str = ""
    fault: str = ""
    exit_request: BaseException | None = None

    def end(self, reason: str) -> None:
        """Let every VU finish the iteration it is in. The first reason is kept."""
        self.reason = self.reason or reason
        self.ended.set()

    def abort(self, reason: str) -> None:
        """Like :meth:`end`, and wake the VUs that pause."""
        self.end(reason)
        self.aborted.set()

    def fail(self, fault: str) -> None:
        """End the run at once, because it cannot go on. The first fault is kept."""
        self.fault = self.fault or fault
        self.abort("the run could not go on")


@dataclass
class RunContext:
    """The state that all VUs of a run in this process share."""

    clock: Clock
    start_ns: int
    stop: StopSignal
    failures: Failures
    rules: ExceptionRules
    interrupting: threading.Lock = field(default_factory=threading.Lock)  # held while an iteration is interrupted

    def start(self) -> None:
        """The common start is now."""
        self.start_ns = self.clock.now_ns()

    def elapsed_s(self) -> float:
        """The seconds since the common start."""
        return (self.clock.now_ns() - self.start_ns) * 1e-9
