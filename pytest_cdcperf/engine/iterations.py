"""Records the iterations of one VU, whatever its loop and its runtime."""

from __future__ import annotations

from pytest_cdcperf.engine.context import RunContext
from pytest_cdcperf.engine.failures import Raised
from pytest_cdcperf.engine.thread_start import is_thread_limit
from pytest_cdcperf.engine.vu import VU
from pytest_cdcperf.metrics import builtin
from pytest_cdcperf.metrics.recorder import Recorder

_FIRST_BACKOFF_NS = 10_000_000
_LONGEST_BACKOFF_NS = 250_000_000


class IterationRecorder:
    """Records the iterations of one VU: each has one start and one end.

    Both are called by the VU's own thread or task; :meth:`interrupt` by the supervisor. Whether an iteration that ends
    while it is being interrupted counts is decided under one lock of the run, which an ordinary end does not take: it
    looks at the number of the iteration that is to be interrupted first.
    """

    def __init__(self, vu: VU, context: RunContext) -> None:
        self.vu = vu
        self.started = 0
        self.running = False
        self.is_there = False  # its thread or task is there
        self.pauses_after_failure = False  # after a failed iteration, in a closed loop
        self.pause_until_ns = 0
        self._failed_count = 0
        self._failed_think_ns = 0
        self._failed_last = 0  # the number of the latest failed iteration
        self._failed_in_a_row = 0
        self._interrupted = 0  # the number of the iteration that was interrupted
        self._context = context
        self._interrupting = 0  # the number of the one that is to be
        self._interrupt_lock = context.interrupting
        self._now_ns = context.clock.now_ns
        self._stop = context.stop
        self._failures = context.failures
        self._classify = context.rules.classify
        self._recorder = vu.scope.recorder
        self._begin_ns = 0
        self._intended_ns = 0
        self._enter_phase(context.start_ns)

    def start_iteration(self, intended_ns: int | None = None) -> None:
        """Note that the iteration starts; in a closed loop this is its intended start."""
        vu = self.vu
        vu.iteration = self.started
        vu.think_ns = 0
        vu.fault = None
        self.started += 1
        self._begin_ns = now_ns = self._now_ns()
        self._intended_ns = intended_ns = now_ns if intended_ns is None else intended_ns
        if intended_ns >= self._until_ns:
            self._enter_phase(intended_ns)
        self.running = True  # the last, since the supervisor looks at the others where it is set

    def enter_phase_at(self, intended_ns: int) -> None:
        """Let what is recorded from now on count in the phase of a start, also before it begins."""
        if intended_ns >= self._until_ns:
            self._enter_phase(intended_ns)

    def end_iteration(self, error: BaseException | None = None) -> int:
        """Note that the iteration is over, and how; return the time."""
        now_ns = self._now_ns()
        self.running = False
        if self._stop.closed or (self._interrupting == self.started and self._is_interrupted_by_now()):
            return now_ns
        if error is None:
            error = self.vu.fault
        if error is not None and not self._counts(error):
            return now_ns
        self._duration((now_ns - self._begin_ns) * 1e-6)
        self._response_time((now_ns - self._intended_ns - self.vu.think_ns) * 1e-6)
        self._count(1)
        if error is None:
            self._failed(False)
            return now_ns
        self._failed(True)
        if self.pauses_after_failure:
            self._pause_after_failure(now_ns)
        return now_ns

    def _pause_after_failure(self, now_ns: int) -> None:
        """Note a pause after a failed iteration: one that fails at once would load the server more than others.

        It is as long as the VU's passed iterations thought on average; from the second failure in a row at least 10 ms,
        doubled each time up to 250 ms. What the iteration itself thought is taken off.
        """
        vu = self.vu
        self._failed_in_a_row = self._failed_in_a_row + 1 if self._failed_last == self.started - 1 else 1
        self._failed_last = self.started
        self._failed_count += 1
        self._failed_think_ns += vu.think_ns
        passed = self.started - self._failed_count
        usual_ns = (vu.thought_ns - self._failed_think_ns) // passed if passed else 0
        doubled = min(self._failed_in_a_row - 2, 8)
        backoff_ns = min(_FIRST_BACKOFF_NS << doubled, _LONGEST_BACKOFF_NS) if doubled >= 0 else 0
        pause_ns = max(usual_ns, backoff_ns) - vu.think_ns
        if pause_ns > 0:
            self.pause_until_ns = now_ns + pause_ns
            vu.scope.appends[builtin.FAILURE_PAUSE](pause_ns * 1e-9)

    @property
    def under_way_s(self) -> float:
        """For how long the iteration has been under way by now, think time included."""
        return (self._now_ns() - self._begin_ns) * 1e-9

    def interrupt(self, failure: BaseException | None = None) -> bool:
        """Discard the iteration that is under way; return whether there is one that was not discarded before.

        With *failure* it counts as failed, and the time until now as the least that it took.
        """
        with self._interrupt_lock:
            if not self.running or self._interrupted == self.started:
                return False
            self._interrupting = self.started
            if not self.running:  # it ended before this: then its end has recorded it
                return False
            self._interrupted = self.started
            appends = self.vu.scope.appends  # those of its own phase
            self.vu.scope.divert(Recorder())  # not what clients record when they are cancelled
            self._until_ns = 0  # the next one records again
        if failure is not None:
            now_ns = self._now_ns()
            appends[builtin.ITERATION_DURATION]((now_ns - self._begin_ns) * 1e-6)
            appends[builtin.RESPONSE_TIME]((now_ns - self._intended_ns - self.vu.think_ns) * 1e-6)
            appends[builtin.ITERATION_FAILED](1)
            self._failures.add(failure, self.vu, self._context.elapsed_s())
        return True

    def _is_interrupted_by_now(self) -> bool:
        with self._interrupt_lock:  # the supervisor has looked by now whether it was still running
            return self._interrupted == self.started

    @property
    def is_interrupted(self) -> bool:
        """Whether the iteration that is under way was interrupted."""
        return self._interrupted == self.started

    def _enter_phase(self, intended_ns: int) -> None:
        start_ns = self._context.start_ns
        phase, until_ns = self.vu.phases.at(intended_ns - start_ns)
        self._until_ns = start_ns + until_ns  # first, since an interrupt meanwhile must win: it sets this to 0
        self.vu.scope.divert(self._recorder, phase)
        appends = self.vu.scope.appends
        self._response_time = appends[builtin.RESPONSE_TIME]
        self._duration = appends[builtin.ITERATION_DURATION]
        self._count = appends[builtin.ITERATIONS]
        self._failed = appends[builtin.ITERATION_FAILED]

    def _counts(self, error: BaseException) -> bool:
        if is_thread_limit(error):
            self._stop.fail(f"VU {self.vu.id} could not start a thread: {error}")
        raised = self._classify(error)
        if raised is Raised.FAILED:
            self._failures.add(error, self.vu, self._context.elapsed_s())
            return True
        if raised is Raised.SKIPPED:
            self.vu.scope.appends[builtin.ITERATIONS_SKIPPED](1)
            self._failures.skip(error)
        else:
            self._stop.exit_request = self._stop.exit_request or error
            self._stop.abort(f"{type(error).__name__}: {error}".removesuffix(": "))
        return False
