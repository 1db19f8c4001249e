"""One run of one body under one or several loads, in this process.

The thread that calls :meth:`Run.execute` becomes the supervisor: it starts the VUs, hands on a window of figures every
second, interrupts iterations at their deadlines, and ends the run. Beside it are the threads of the VUs, or the one of
the event loop that their tasks run on, one that hands out the starts of each open loop, the heartbeat's and one for
samplers. The supervisor never calls the body, and waits for none of them without a time limit.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import accumulate
from typing import cast

from pytest_cdcperf.clock import Clock, MonotonicClock
from pytest_cdcperf.engine.closed_loop import ClosedLoop
from pytest_cdcperf.engine.context import RunContext, StopSignal
from pytest_cdcperf.engine.failures import DEFAULT_RULES, ExceptionRules, Failures
from pytest_cdcperf.engine.heartbeat import Heartbeat
from pytest_cdcperf.engine.iteration_id import UNSEEDED, RandomSource
from pytest_cdcperf.engine.late_vus import LateVUs
from pytest_cdcperf.engine.load_phases import LoadPhases
from pytest_cdcperf.engine.loop import Loop, NewVU
from pytest_cdcperf.engine.open_loop import OpenLoop
from pytest_cdcperf.engine.overdue import OverdueIterations
from pytest_cdcperf.engine.resources import Resources
from pytest_cdcperf.engine.runtime import Runtime
from pytest_cdcperf.engine.sampling import sampling
from pytest_cdcperf.engine.stacks import Busy, lasting_threads
from pytest_cdcperf.engine.thread_start import thread_limits
from pytest_cdcperf.engine.threads import ThreadRuntime
from pytest_cdcperf.engine.vu import VU
from pytest_cdcperf.errors import ThreadLimitError
from pytest_cdcperf.load.base import Load, tags_of
from pytest_cdcperf.load.closed import ClosedLoad
from pytest_cdcperf.load.open import OpenLoad
from pytest_cdcperf.load.phases import plan_phases
from pytest_cdcperf.load.share import WHOLE, Share
from pytest_cdcperf.metrics import builtin
from pytest_cdcperf.metrics.failure import FailureKind
from pytest_cdcperf.metrics.metric import Tags
from pytest_cdcperf.metrics.recorder import Recorder
from pytest_cdcperf.metrics.scope import Scope
from pytest_cdcperf.metrics.timed_samples import Tap
from pytest_cdcperf.metrics.timeline import Window

TICK_S = 1.0
SLICE_S = 0.2  # at most: a signal whose handler asks for the end does not wake the supervisor
INTERRUPT_SLICE_S = 0.01  # where many VUs reach their deadlines one after the other, they are interrupted together
INTERRUPT_GRACE_S = 3.5  # of the 5 s in which Ctrl-C must have ended everything
CANCEL_GRACE_S = 1.0
CONNECT_GRACE_S = 5.0  # after a planned end: clients connect for 4 s at most, and cannot be interrupted in that


@dataclass(frozen=True)
class Body:
    """The function that one iteration calls."""

    call: Callable[[], object]
    is_async: bool = False


@dataclass
class RunOutcome:
    """The end of a run. The figures have gone to *on_window* as they came."""

    elapsed_s: float
    failures: list[FailureKind]
    timed_out: int = 0  # iterations that were under way at the end of their graceful stop: they failed
    interrupted: int = 0  # all that were interrupted, those included
    missing: int = 0
    fault: str = ""  # why the run could not go on
    stuck: list[Busy] = field(default_factory=list)
    left_behind: list[str] = field(default_factory=list)
    weaknesses: list[str] = field(default_factory=list)
    stop_reason: str = ""
    skip_reason: str = ""
    exit_request: BaseException | None = None
    notes: list[str] = field(default_factory=list)
    still_running: Callable[[], bool] = bool

    @property
    def stuck_vus(self) -> list[int]:
        """The ids of the VUs that could not be stopped."""
        return [busy.vu for busy in self.stuck]


class Run:
    """Starts the VUs, hands on a window of figures every second, and ends the run in bounded time."""

    def __init__(
        self,
        loads: Mapping[str, Load],
        body: Body,
        *,
        session_id: str,
        source: RandomSource = UNSEEDED,
        rules: ExceptionRules = DEFAULT_RULES,
        on_window: Callable[[Window], None],
        share: Share = WHOLE,
        samplers: Sequence[Callable[[], object]] = (),
        tap: Tap | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._loads = loads
        self._body = body
        self._session_id = session_id
        self._source = source
        self._rules = rules
        self._on_window = on_window
        self._share = share
        self._samplers = samplers
        self._clock = clock or MonotonicClock()
        self._recorder = Recorder(self._elapsed_s, tap)
        self._phases = plan_phases(loads)
        self._failures = Failures(rules.describe)
        self._shared = Resources()
        self._loops: list[Loop] = []
        self._starting: Iterator[None] = iter(())
        self._window_start_s = 0.0
        self._deadline_s = max(load.last_s for load in loads.values())
        self._deadline_is_final = False
        self._interrupted_before = self._ended_before = self._any_passed = False
        self.stop = StopSignal()
        self.heartbeat = Heartbeat(self._recorder, self._clock)
        self._context = RunContext(self._clock, self._clock.now_ns(), self.stop, self._failures, self._rules)
        self._overdue = OverdueIterations(self._context)

    def execute(self) -> RunOutcome:
        """Run to the end, however it comes."""
        self._context.start()
        runtime = self._new_runtime()
        firsts = accumulate((load.most_vus for load in self._loads.values()), initial=0)
        self._loops = [
            new_loop(load, self._share, self._context, self._new_vu(name, load, first))
            for (name, load), first in zip(self._loads.items(), firsts, strict=False)
        ]
        threads = threading.enumerate()
        self._context.start()  # again, and last: what is built or imported after it makes the first starts late
        self._starting = runtime.start(self._loops)
        self._supervise_to_the_end(runtime)
        stuck = []
        if not runtime.wait(0):
            stuck = runtime.busy()
            for loop in self._loops:
                loop.drop_unaccounted()
        self.stop.closed = True
        self._hand_on_window()
        late = LateVUs()
        if not self.stop.fault:
            late.take(self._loads, self._loops, ended_early=bool(self.stop.reason))
        return RunOutcome(
            elapsed_s=self._context.elapsed_s(),
            failures=self._failures.kinds(),
            timed_out=self._overdue.timed_out,
            interrupted=self._overdue.interrupted,
            missing=0 if self.stop.reason else sum(loop.missing() for loop in self._loops),
            fault=self._fault(),
            stuck=stuck,
            left_behind=runtime.left_behind(),
            weaknesses=late.weaknesses,
            stop_reason=self.stop.reason,
            skip_reason=self._failures.first_skip,
            exit_request=self.stop.exit_request,
            notes=[*late.notes, *self._recorder.notes(), *map(_lasting, lasting_threads(threads))],
            still_running=runtime.alive,
        )

    @property
    def only_failure(self) -> FailureKind | None:
        """The failure of all iterations until the window that was handed on last; None where they ended otherwise."""
        return None if self._any_passed else self._failures.only_kind()

    def interrupt(self, reason: str, request: BaseException | None = None) -> None:
        """End the run within seconds; *request*, where there is one, takes effect once its results are written.

        May be called from any thread. After a second call nothing is waited for any more.
        """
        grace_s = 0.0 if self._interrupted_before else INTERRUPT_GRACE_S
        self._interrupted_before = True
        self.stop.exit_request = self.stop.exit_request or request
        self.stop.abort(reason)
        self._set_deadline(grace_s)

    def _set_deadline(self, seconds: float) -> None:
        """Let the run end *seconds* from now at the latest. Only 0 changes a deadline that was set before."""
        if not self._deadline_is_final or seconds <= 0:
            self._deadline_is_final = True
            self._deadline_s = min(self._deadline_s, self._context.elapsed_s() + seconds)

    def _elapsed_s(self) -> float:
        return self._context.elapsed_s()

    def _new_runtime(self) -> Runtime:
        if self._body.is_async:
            from pytest_cdcperf.engine.tasks import TaskRuntime  # noqa: PLC0415  # asyncio costs 30 ms to import

            body = cast("Callable[[], Awaitable[object]]", self._body.call)
            return TaskRuntime(body, self._context, self._shared, self.heartbeat)
        return ThreadRuntime(self._body.call, self._context)

    def _new_vu(self, name: str, load: Load, first: int) -> NewVU:
        shared_tags = tags_of(load, name)
        phases = LoadPhases.of(name, self._phases)
        most = sum(self._share.part(other.most_vus) for other in self._loads.values())

        def new_vu(number: int) -> VU:
            return VU(
                first + number + 1,
                session_id=self._session_id,
                scope=Scope(self._recorder, shared_tags),
                vus=most,
                shared=self._shared,
                is_async=self._body.is_async,
                phases=phases,
                source=self._source,
                load=self._source.load_name(name),
            )

        return new_vu

    def _supervise_to_the_end(self, runtime: Runtime) -> None:
        with ExitStack() as beside:  # to the end, however it comes
            try:
                beside.enter_context(self.heartbeat)
                beside.enter_context(sampling(self._samplers, Scope(self._recorder)))
                self._supervise(runtime)
            except ThreadLimitError as error:
                self.stop.fail(str(error))
                self._supervise(runtime)
            except BaseException as error:  # noqa: BLE001  # a signal handler's, such as pytest-timeout's: VUs are running
                self.interrupt(f"{type(error).__name__}: {error}".removesuffix(": "), error)
                self._supervise(runtime)

    def _supervise(self, runtime: Runtime) -> None:
        tick_s, elapsed_s = TICK_S, self._context.elapsed_s
        while self._may_wait(runtime):
            until_s = min(tick_s, self._next_look_s())
            started = self._start_vus(until_s)
            self._sample_vus()
            if started and runtime.wait(until_s - elapsed_s()):
                return
            if elapsed_s() >= tick_s:
                self._hand_on_window()
                # At full seconds: the windows of several workers are joined by them.
                tick_s = (self._window_start_s // TICK_S + 1) * TICK_S
            if self.stop.exit_request is not None or self.stop.fault:
                self._set_deadline(INTERRUPT_GRACE_S)
            elif self.stop.ended.is_set() and not self._deadline_is_final:
                self._stop_gracefully()
            self._interrupt_overdue(runtime)

    def _interrupt_overdue(self, runtime: Runtime) -> None:
        is_over = self._context.elapsed_s() >= self._deadline_s
        if is_over:
            self.stop.abort("")  # without a reason, since it is the graceful stop that is over: pauses end as well
        if interrupted := self._overdue.interrupt(self._loops, runtime, run_is_over=is_over):
            self._recorder.pending(builtin.ITERATIONS_INTERRUPTED).append(float(interrupted))

    def _next_look_s(self) -> float:
        """Return when the supervisor must be awake next: at the latest when an iteration reaches its deadline."""
        now_s = self._context.elapsed_s()
        deadlines_s = (self._deadline_s, *(loop.next_deadline_s(now_s) for loop in self._loops))
        next_s = min((deadline_s for deadline_s in deadlines_s if deadline_s > now_s), default=math.inf)
        return min(max(next_s, now_s + INTERRUPT_SLICE_S), now_s + SLICE_S)

    def _stop_gracefully(self) -> None:
        if not self._ended_before:
            self._ended_before = True
            for loop in self._loops:
                loop.end_early(self._context.elapsed_s())
            self._deadline_s = max(loop.deadline_s for loop in self._loops)

    def _start_vus(self, until_s: float) -> bool:
        """Start VUs until *until_s* at most; return whether all there can be are started."""
        return all(self._context.elapsed_s() < until_s for _ in self._starting)

    def _may_wait(self, runtime: Runtime) -> bool:
        """Whether the VUs that have not ended by now have more time: past its deadline a run waits for the interrupted.

        Who is in a call of a client after a planned end has more of it: it may be connecting.
        """
        overdue_s = self._context.elapsed_s() - self._deadline_s
        if overdue_s < CANCEL_GRACE_S:
            return True
        if self._deadline_is_final or overdue_s >= CONNECT_GRACE_S:
            return False
        return any(busy.waits_for_server for busy in runtime.busy())

    def _sample_vus(self) -> None:
        now_s = self._context.elapsed_s()
        self._recorder.append_to(builtin.VUS)(sum(loop.active(now_s) for loop in self._loops))

    def _vus_there(self) -> int:
        return sum(loop.vus_there for loop in self._loops)

    def _fault(self) -> str:
        if not self.stop.fault:
            return ""
        planned = sum(self._share.part(load.most_vus) for load in self._loads.values())
        return (
            f"{self.stop.fault}; {self._vus_there()} of {planned} VUs were there; {thread_limits()}; "
            "use fewer VUs, an async def body, or more workers"
        )

    def _hand_on_window(self) -> None:
        self._recorder.append_to(builtin.VUS_MAX)(self._vus_there())
        for loop in self._loops:
            self._count_dropped(loop.take_dropped())
            self._count_dropped(loop.take_unstarted(), builtin.RUN_ENDED)
        end_s = self._context.elapsed_s()
        snapshot = self._recorder.drain()
        took = snapshot.trend(builtin.ITERATION_DURATION.name)
        ended = snapshot.rate(builtin.ITERATION_FAILED.name)
        self._any_passed = self._any_passed or ended.hits < ended.total
        self._overdue.longest_ms = max(self._overdue.longest_ms, took.max)
        self._on_window(Window(self._window_start_s, end_s, snapshot))
        self._window_start_s = end_s

    def _count_dropped(self, starts: int, tags: Tags = ()) -> None:
        if starts:
            self._recorder.pending(builtin.DROPPED_ITERATIONS, tags).append(float(starts))


def _lasting(thread: str) -> str:
    return f"the thread {thread} still runs, and pytest cannot end before it; give it a timeout"


def new_loop(load: Load, share: Share, context: RunContext, new_vu: NewVU) -> Loop:
    """Return the loop that runs this worker's share of *load*."""
    match load:
        case OpenLoad():
            return OpenLoop(load, share, context, new_vu)
        case ClosedLoad():
            return ClosedLoop(load, share, context, new_vu)
        case _:
            raise TypeError(f"{type(load).__name__} is not an executor")
