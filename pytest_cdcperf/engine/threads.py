"""The runtime of ``def`` bodies: one daemon thread a VU, and one that hands out the starts of an open loop."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue

from pytest_cdcperf.clock import real_time as time
from pytest_cdcperf.engine.closed_loop import ClosedLoop
from pytest_cdcperf.engine.context import RunContext
from pytest_cdcperf.engine.current_vu import acting_as, refuse_awaitable
from pytest_cdcperf.engine.iterations import IterationRecorder
from pytest_cdcperf.engine.loop import Loop
from pytest_cdcperf.engine.open_loop import OpenLoop
from pytest_cdcperf.engine.stacks import Busy, frames_by_thread
from pytest_cdcperf.engine.thread_start import start_thread
from pytest_cdcperf.errors import ThreadLimitError

_END_CHECK_S = 0.05
_SLICE_S = 0.2
_GATE_S = 1.0  # VUs that are started wait for the others, but no longer than this


def _sleep(seconds: float, unless: threading.Event, wait: Callable[[float], object] = time.sleep) -> None:
    # Not Event.wait(): 500 threads in one event's list of waiters cost 200 us each time one times out.
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0 and not unless.is_set():
        if wait(min(left, _SLICE_S)):
            return


_Due = SimpleQueue[tuple[int, int] | None]  # of each start: its intended time, and since when it waits for a busy VU


class ThreadRuntime:
    """Runs each VU's iterations in a thread of its own.

    Python cannot interrupt a thread: :meth:`interrupt` closes the connections that VUs block in, and :meth:`busy`
    names the VUs that do not end in spite of that.
    """

    def __init__(self, body: Callable[[], object], context: RunContext) -> None:
        self._body = body
        self._context = context
        self._stop = context.stop
        self._busy: dict[int, int | None] = {}  # the thread of each VU, by the VU's id
        self._awake: dict[int, threading.Event] = {}  # set where a VU's pause is to end at once
        self._dispatching = 0
        self._starting = True
        self._gate = threading.Event()  # threads that iterate keep others from being started
        self._lock = threading.Lock()
        self._done = threading.Event()

    def start(self, loops: Sequence[Loop]) -> Iterator[None]:
        """Start the threads of all loops, one with each step, until the run ends."""
        try:
            for loop in loops:
                if isinstance(loop, OpenLoop):
                    self._start_dispatcher(loop)
                    yield
            for loop in loops:
                if isinstance(loop, ClosedLoop):
                    yield from self._start_closed(loop)
        finally:
            self._starting = False
            self._gate.set()
            self._check_done()

    def wait(self, timeout_s: float) -> bool:
        """Wait until all VUs have ended, at most *timeout_s*; return whether they have."""
        return self._done.wait(max(0.0, timeout_s))

    def busy(self) -> list[Busy]:
        """The VUs that have not ended."""
        with self._lock:
            busy = sorted(self._busy.items())
        frames = frames_by_thread()
        return [Busy(number, frames.get(ident or 0, [])) for number, ident in busy]

    def left_behind(self) -> list[str]:
        """Return nothing: VUs are all that this runtime knows of."""
        return []

    def alive(self) -> bool:
        """Whether a VU still runs."""
        return not self.wait(0)

    def interrupt(self, recorders: Iterable[IterationRecorder]) -> None:
        """Cancel what the VUs of *recorders* are blocked in, as far as their clients can, and end their pauses."""
        for recorder in recorders:
            recorder.vu.own.cancel_all()
            self._awake[recorder.vu.id].set()

    def _start_dispatcher(self, loop: OpenLoop) -> None:
        with self._lock:
            self._dispatching += 1
        try:
            start_thread("the thread that hands out starts", "cdcperf-starts", self._dispatch, loop)
        except ThreadLimitError as error:
            self._stop.fail(str(error))
            loop.drop_rest()
            self._stop_dispatching()

    def _stop_dispatching(self) -> None:
        with self._lock:
            self._dispatching -= 1
        self._check_done()

    def _start_closed(self, loop: ClosedLoop) -> Iterator[None]:
        begin_s = self._context.elapsed_s()
        for recorder in loop.recorders:
            if self._stop.ended.is_set() or self._context.elapsed_s() >= loop.load.planned_s:
                return
            try:
                self._spawn(recorder, self._iterate_closed, loop, recorder)
            except ThreadLimitError as error:
                self._stop.fail(str(error))
                return
            loop.vu_joined(recorder)
            if self._context.elapsed_s() > begin_s + _GATE_S or loop.is_early(recorder):
                self._gate.set()
            yield

    def _spawn(self, recorder: IterationRecorder, loop_body: Callable[..., None], *arguments: object) -> None:
        number = recorder.vu.id
        with self._lock:  # before the thread runs: else a VU that ends quickly could leave the run looking done
            self._busy[number] = None
        self._awake[number] = threading.Event()
        try:
            start_thread(f"VU {number}", f"cdcperf-vu-{number}", self._run, recorder, loop_body, *arguments)
        except ThreadLimitError:
            with self._lock:
                self._busy.pop(number)
            raise

    def _run(self, recorder: IterationRecorder, loop_body: Callable[..., None], *arguments: object) -> None:
        vu = recorder.vu
        self._busy[vu.id] = threading.get_ident()
        vu.pause = partial(self._pause, recorder)
        try:
            with acting_as(vu):
                loop_body(*arguments)
        finally:
            vu.own.close_all()
            with self._lock:
                self._busy.pop(vu.id)
            self._check_done()

    def _pause(self, recorder: IterationRecorder, seconds: float) -> None:
        awake = self._awake[recorder.vu.id]
        if not recorder.is_interrupted:  # the event may still be set by the interruption of an earlier iteration
            awake.clear()
        _sleep(seconds, self._stop.aborted, awake.wait)

    def _check_done(self) -> None:
        with self._lock:
            if not (self._starting or self._busy or self._dispatching):
                self._done.set()

    def _iterate_closed(self, loop: ClosedLoop, recorder: IterationRecorder) -> None:
        body, next_wait = self._body, loop.next_wait_of(recorder)
        start, end = recorder.start_iteration, recorder.end_iteration
        vu, tidying = recorder.vu, recorder.vu.tidying
        self._gate.wait()
        while (wait := next_wait()) is not None:
            if wait > 0:
                _sleep(wait, self._stop.ended)
                continue
            start()
            try:
                if (answer := body()) is not None:
                    refuse_awaitable(answer)
            except BaseException as error:  # noqa: BLE001  # pytest.fail and skip are BaseException: the rules tell
                end(error)
                vu.tidy()
                _sleep(loop.pause_of(recorder), self._stop.ended)
            else:
                end()
                if tidying:
                    vu.tidy()

    def _iterate_open(self, loop: OpenLoop, recorder: IterationRecorder, due: _Due) -> None:
        body, start, end = self._body, recorder.start_iteration, recorder.end_iteration
        vu, tidying = recorder.vu, recorder.vu.tidying
        free_since_ns = 0
        while True:
            due_start = due.get()
            if due_start is None:
                return
            intended_ns, waits_from_ns = due_start
            if loop.accept_start(recorder, intended_ns, waits_from_ns, free_since_ns):
                start(intended_ns)
                try:
                    if (answer := body()) is not None:
                        refuse_awaitable(answer)
                except BaseException as error:  # noqa: BLE001  # as above
                    free_since_ns = end(error)
                else:
                    free_since_ns = end()
                if tidying:  # until that is done the VU cannot take a start either
                    vu.tidy()
                    free_since_ns = self._context.clock.now_ns()
            loop.vu_became_free()

    def _dispatch(self, loop: OpenLoop) -> None:
        due: _Due = SimpleQueue()
        try:
            for recorder in loop.first_vus():
                self._join(loop, recorder, due)
                if self._stop.ended.is_set():
                    break
            self._hand_out(loop, due)
            self._wait_until_taken(loop, due)
        except ThreadLimitError as error:
            self._stop.fail(str(error))
            loop.drop_rest()
            self._wait_until_taken(loop, due)
        finally:
            for _ in loop.recorders:  # each VU ends with the None that it takes
                due.put(None)
            self._stop_dispatching()

    def _join(self, loop: OpenLoop, recorder: IterationRecorder, due: _Due) -> None:
        self._spawn(recorder, self._iterate_open, loop, recorder, due)
        loop.vu_joined(recorder)

    def _hand_out(self, loop: OpenLoop, due: _Due) -> None:
        start_ns, now_ns, ended = self._context.start_ns, self._context.clock.now_ns, self._stop.ended
        for start_s in loop.starts:
            intended_ns = start_ns + round(start_s * 1e9)
            while (early_ns := intended_ns - now_ns()) > 0 and not ended.is_set():
                if early_ns > 20_000_000:  # the end of the run wakes us, but the event may be late: sleep the rest
                    ended.wait(early_ns * 1e-9 - 0.01)
                else:
                    time.sleep(early_ns * 1e-9)
            if ended.is_set():
                loop.drop_rest()
                return
            recorder, waits_from_ns = loop.hand_out()
            if recorder is not None:
                self._join(loop, recorder, due)
            if loop.queue_is_full:
                self._drop_oldest(due, loop.drop_queued)
            due.put((intended_ns, waits_from_ns))

    def _drop_oldest(self, due: _Due, drop: Callable[[], None]) -> None:
        with suppress(Empty):  # taken meanwhile
            due.get_nowait()
            drop()

    def _wait_until_taken(self, loop: OpenLoop, due: _Due) -> None:
        # Starts that were due in time may still be taken, in the grace period too; those that are not are counted.
        while not due.empty() and not self._stop.ended.wait(_END_CHECK_S):
            if self._context.elapsed_s() >= loop.deadline_s:
                break
        while not due.empty():
            self._drop_oldest(due, loop.drop_untaken)
