"""One VU's iterations: when the next one starts and what is written down of each, whatever the runtime."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from pytest_cdcperf.clock import Clock
from pytest_cdcperf.engine.failures import ExceptionRules, Failures, Raised
from pytest_cdcperf.engine.pacing import Pacing
from pytest_cdcperf.engine.vu import VU
from pytest_cdcperf.metrics import builtin


@dataclass
class StopSignal:
    """How a run is told to end.

    *ended*: no further iteration starts. *aborted*: pauses are cut short as well. *closed*: the run is
    accounted for; what a VU still does is recorded nowhere.
    """

    ended: threading.Event = field(default_factory=threading.Event)
    aborted: threading.Event = field(default_factory=threading.Event)
    closed: bool = False
    reason: str = ""
    exit_request: BaseException | None = None

    def end(self, reason: str) -> None:
        """Let every VU finish the iteration it is in. The first reason is kept."""
        self.reason = self.reason or reason
        self.ended.set()

    def abort(self, reason: str) -> None:
        """Like :meth:`end`, and wake those who think."""
        self.end(reason)
        self.aborted.set()


class Iterations:
    """The loop around a body without its waiting: both runtimes drive it the same way."""

    def __init__(
        self,
        vu: VU,
        pacing: Pacing,
        *,
        clock: Clock,
        start_ns: int,
        stop: StopSignal,
        failures: Failures,
        rules: ExceptionRules,
    ) -> None:
        self.vu = vu
        self._pacing = pacing
        self._now_ns = clock.now_ns
        self._start_ns = start_ns
        self._stop = stop
        self._ended = stop.ended.is_set
        self._failures = failures
        self._classify = rules.classify
        appends = vu.scope.appends
        self._response_time = appends[builtin.RESPONSE_TIME]
        self._duration = appends[builtin.ITERATION_DURATION]
        self._count = appends[builtin.ITERATIONS]
        self._failed = appends[builtin.ITERATION_FAILED]
        self._skipped = appends[builtin.ITERATIONS_SKIPPED]
        self._begin_ns = 0
        self._started = 0

    def next_wait(self) -> float | None:
        """Return the seconds until the next iteration starts, 0 for now, None when there is none."""
        if self._ended():
            return None
        return self._pacing((self._now_ns() - self._start_ns) * 1e-9, self._started)

    def begin(self) -> None:
        """Note that the iteration starts. In a closed loop this is its intended start."""
        vu = self.vu
        vu.iteration = self._started
        vu.think_ns = 0
        self._started += 1
        self._begin_ns = self._now_ns()

    def end(self, error: BaseException | None = None) -> None:
        """Note that the iteration is over, and how."""
        elapsed_ns = self._now_ns() - self._begin_ns
        if self._stop.closed:
            return
        if error is not None:
            raised = self._classify(error)
            if raised is Raised.SKIPPED:
                self._skipped(1)
                self._failures.skip(error)
                return
            if raised is Raised.EXIT:
                self._stop.exit_request = self._stop.exit_request or error
                self._stop.abort(f"{type(error).__name__}: {error}")
                return
            self._failures.add(error)
        self._duration(elapsed_ns * 1e-6)
        self._response_time((elapsed_ns - self.vu.think_ns) * 1e-6)
        self._count(1)
        self._failed(error is not None)
