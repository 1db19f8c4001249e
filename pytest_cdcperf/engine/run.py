"""One run of one body under one load, in this process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, cast

from pytest_cdcperf.clock import Clock, MonotonicClock
from pytest_cdcperf.engine.failures import ExceptionRules, FailureKind, Failures
from pytest_cdcperf.engine.iterations import Iterations, StopSignal
from pytest_cdcperf.engine.pacing import closed_pacing
from pytest_cdcperf.engine.sampling import sampling
from pytest_cdcperf.engine.threads import ThreadRuntime
from pytest_cdcperf.engine.vu import VU, Resources
from pytest_cdcperf.metrics import builtin
from pytest_cdcperf.metrics.recorder import Recorder, Scope
from pytest_cdcperf.metrics.series import Window
from pytest_cdcperf.model.load import Load
from pytest_cdcperf.units import duration_s

TICK_S = 1.0
SIGNAL_SLICE_S = 0.2  # a wait is not woken by a signal that its handler took
INTERRUPT_GRACE_S = 3.5  # of the 5 s in which Ctrl-C must have ended everything
CANCEL_GRACE_S = 1.0


@dataclass(frozen=True)
class Body:
    """What one iteration calls."""

    call: Callable[[], object]
    is_async: bool = False


@dataclass
class RunOutcome:
    """How a run ended. The figures have gone to *on_window* as they came."""

    elapsed_s: float
    failures: list[FailureKind]
    interrupted: int = 0
    stuck_vus: list[int] = field(default_factory=list)
    stop_reason: str = ""
    skip_reason: str = ""
    exit_request: BaseException | None = None
    notes: list[str] = field(default_factory=list)


class Runtime(Protocol):
    """Where VUs run: threads or tasks."""

    def start(self, vus: Sequence[Iterations]) -> None:
        """Start all VUs."""

    def wait(self, timeout_s: float) -> bool:
        """Wait until all are through, at most *timeout_s*; return whether they are."""

    def busy(self) -> list[int]:
        """The ids of those that are not."""

    def cancel(self) -> None:
        """Cut short what they are blocked in."""


class Run:
    """Starts the VUs, hands on a window of figures every second, and ends the run in bounded time."""

    def __init__(
        self,
        load: Load,
        body: Body,
        *,
        run_id: str,
        rules: ExceptionRules,
        on_window: Callable[[Window], None],
        vu_ids: Sequence[int] | None = None,
        samplers: Sequence[Callable[[], object]] = (),
        clock: Clock | None = None,
    ) -> None:
        self._load = load
        self._body = body
        self._run_id = run_id
        self._rules = rules
        self._on_window = on_window
        self._vu_ids = list(vu_ids) if vu_ids is not None else list(range(1, load.max_vus + 1))
        self._samplers = samplers
        self._clock = clock or MonotonicClock()
        self._recorder = Recorder()
        self._failures = Failures(rules.describe)
        self._shared = Resources()
        self._window_start_s = 0.0
        self._vus_limit = float(len(self._vu_ids))
        self._deadline_s = load.planned_s + duration_s(load.graceful_stop)
        self._cut_short = False
        self._start_ns = self._clock.now_ns()
        self.stop = StopSignal()

    def execute(self) -> RunOutcome:
        """Run to the end, however it comes."""
        runtime = self._new_runtime()
        self._start_ns = self._clock.now_ns()
        scope = Scope(self._recorder, tuple(sorted(self._load.tags.items())))
        runtime.start([self._iterations(number, scope) for number in self._vu_ids])
        self._recorder.pending(builtin.VUS).append(self._vus_limit)
        with sampling(self._samplers, scope):
            self._supervise(runtime)
        outcome = RunOutcome(0.0, [])
        if not runtime.wait(0):
            outcome.interrupted = len(runtime.busy())
            outcome.stuck_vus = self._cut_off(runtime)
        self.stop.closed = True
        self._hand_on_window(runtime, outcome.interrupted)
        outcome.elapsed_s = self._elapsed_s()
        outcome.failures = self._failures.kinds()
        outcome.skip_reason = self._failures.first_skip
        outcome.stop_reason = self.stop.reason
        outcome.exit_request = self.stop.exit_request
        outcome.notes = self._recorder.notes()
        return outcome

    def interrupt(self, reason: str, request: BaseException) -> None:
        """End the run within seconds; *request* takes effect once its results are written.

        Safe in a signal handler. A second call waits for nobody any more.
        """
        patience_s = INTERRUPT_GRACE_S if self.stop.exit_request is None else 0.0
        self.stop.exit_request = self.stop.exit_request or request
        self.stop.abort(reason)
        self._allow_only(patience_s)

    def _allow_only(self, seconds: float) -> None:
        if not self._cut_short or seconds <= 0:
            self._cut_short = True
            self._deadline_s = min(self._deadline_s, self._elapsed_s() + seconds)

    def _new_runtime(self) -> Runtime:
        if self._body.is_async:
            from pytest_cdcperf.engine.tasks import TaskRuntime  # noqa: PLC0415  # asyncio costs 30 ms to import

            return TaskRuntime(cast("Callable[[], Awaitable[object]]", self._body.call), self.stop, self._shared)
        return ThreadRuntime(self._body.call, self.stop)

    def _iterations(self, number: int, scope: Scope) -> Iterations:
        vu = VU(
            number,
            run_id=self._run_id,
            scope=scope,
            vus=len(self._vu_ids),
            shared=self._shared,
            is_async=self._body.is_async,
        )
        return Iterations(
            vu,
            closed_pacing(self._load),
            clock=self._clock,
            start_ns=self._start_ns,
            stop=self.stop,
            failures=self._failures,
            rules=self._rules,
        )

    def _elapsed_s(self) -> float:
        return (self._clock.now_ns() - self._start_ns) * 1e-9

    def _supervise(self, runtime: Runtime) -> None:
        tick_s = TICK_S
        while (now_s := self._elapsed_s()) < self._deadline_s:
            if runtime.wait(min(tick_s, self._deadline_s, now_s + SIGNAL_SLICE_S) - now_s):
                return
            if self._elapsed_s() >= tick_s:
                self._hand_on_window(runtime)
                tick_s = self._window_start_s + TICK_S
            if self.stop.exit_request is not None:
                self._allow_only(INTERRUPT_GRACE_S)

    def _cut_off(self, runtime: Runtime) -> list[int]:
        self.stop.closed = True  # what cancelling makes them raise is no failure of theirs
        self.stop.abort(self.stop.reason or "the graceful stop was over")
        runtime.cancel()
        runtime.wait(CANCEL_GRACE_S)
        return runtime.busy()

    def _hand_on_window(self, runtime: Runtime, interrupted: int = 0) -> None:
        self._recorder.pending(builtin.VUS).append(float(len(runtime.busy())))
        self._recorder.pending(builtin.VUS_MAX).append(self._vus_limit)
        if interrupted:
            self._recorder.pending(builtin.ITERATIONS_INTERRUPTED).append(float(interrupted))
        end_s = self._elapsed_s()
        self._on_window(Window(self._window_start_s, end_s, self._recorder.drain()))
        self._window_start_s = end_s
