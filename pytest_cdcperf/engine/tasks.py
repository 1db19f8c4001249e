"""The runtime of ``async def`` bodies: one asyncio task a VU, on uvloop where it is installed."""

from __future__ import annotations

import asyncio
import threading
import types
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterable, Iterator, Sequence
from contextlib import suppress

from pytest_cdcperf.clock import real_time as time
from pytest_cdcperf.engine.closed_loop import ClosedLoop
from pytest_cdcperf.engine.context import RunContext
from pytest_cdcperf.engine.current_vu import acting_as
from pytest_cdcperf.engine.event_loop import DaemonExecutor, new_event_loop
from pytest_cdcperf.engine.heartbeat import Heartbeat
from pytest_cdcperf.engine.iterations import IterationRecorder
from pytest_cdcperf.engine.loop import Loop
from pytest_cdcperf.engine.open_loop import OpenLoop
from pytest_cdcperf.engine.resources import Resources
from pytest_cdcperf.engine.source_lines import at_user_line
from pytest_cdcperf.engine.stacks import Busy, frames_of_task, frames_of_thread
from pytest_cdcperf.engine.thread_start import start_thread
from pytest_cdcperf.errors import ThreadLimitError

_LONGEST_SLEEP_S = 0.1  # so that the end of the run is noticed
_END_CHECK_S = 0.05
_CANCEL_S = 0.5
_CLOSE_S = 1.0


_Due = asyncio.Queue[tuple[int, int] | None]  # of each start: its intended time, and since when it waits for a busy VU


class TaskRuntime:
    """Runs each VU's iterations in a task, all on one loop in a thread of its own.

    The loop has its own thread so that the supervisor is the same for both runtimes, and Ctrl-C reaches
    it whatever the tasks do.
    """

    def __init__(
        self, body: Callable[[], Awaitable[object]], context: RunContext, shared: Resources, heartbeat: Heartbeat
    ) -> None:
        self._body = body
        self._heartbeat = heartbeat
        self._context = context
        self._stop = context.stop
        self._shared = shared
        self._thinking: set[asyncio.Future[None]] = set()
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._done = threading.Event()
        self._latest: IterationRecorder | None = None  # whose iteration was the last to begin
        self._executor = DaemonExecutor()
        self._loop = new_event_loop(self._executor)
        self._ident: int | None = None
        self._abandoned: list[str] = []

    def start(self, loops: Sequence[Loop]) -> Iterator[None]:
        """Start the event loop, which starts a task for each VU."""
        try:
            start_thread("the event loop", "cdcperf-loop", self._run_loop, loops)
        except ThreadLimitError as error:
            self._stop.fail(str(error))
            self._loop.close()
            self._done.set()
            return
        for loop in loops:
            if isinstance(loop, ClosedLoop):
                for recorder in loop.recorders:
                    loop.vu_joined(recorder)
        yield

    def wait(self, timeout_s: float) -> bool:
        """Wait until all VUs have ended and the event loop is closed; return whether they have."""
        return self._done.wait(max(0.0, timeout_s))

    def busy(self) -> list[Busy]:
        """The VUs that have not ended."""
        running = asyncio.current_task(self._loop)
        return [
            Busy(number, frames_of_thread(self._ident))
            if task is running
            else Busy(number, frames_of_task(task), was_cancelled=True)
            for number, task in sorted(self._tasks.copy().items())
            if not task.done()
        ]

    def left_behind(self) -> list[str]:
        """What bodies have started and what does not end with the run, one line each."""
        calls = Counter(
            f"in {name}(){at_user_line(frames_of_thread(thread.ident))}"
            for thread, name in self._executor.working().items()
        )
        lines = [
            f"{count} threads of asyncio.to_thread() still run, {where}: "
            "they cannot be cancelled; give the call a timeout"
            for where, count in calls.items()
        ]
        if not self._done.is_set() and not self.busy():
            where = at_user_line(frames_of_thread(self._ident))
            lines.append(f"the event loop could not be ended: it is blocked{where}")
        return [*self._abandoned, *lines]

    def alive(self) -> bool:
        """Whether a VU, or what one has called in a thread, still runs."""
        return not self._done.is_set() or bool(self._executor.working())

    def interrupt(self, recorders: Iterable[IterationRecorder]) -> None:
        """Cancel the iterations that *recorders* are in."""
        if not self._done.is_set():
            with suppress(RuntimeError):  # closed meanwhile
                self._loop.call_soon_threadsafe(self._cancel, list(recorders))

    def _cancel(self, recorders: list[IterationRecorder]) -> None:
        for recorder in recorders:
            task = self._tasks[recorder.vu.id]
            if recorder.is_interrupted and recorder.running and not task.cancelling():
                task.cancel()

    def _run_loop(self, loops: Sequence[Loop]) -> None:
        self._ident = threading.get_ident()
        loop = self._loop
        asyncio.set_event_loop(loop)
        try:
            loop.run_until_complete(self._main(loops))
            loop.run_until_complete(self._end_others())
            loop.run_until_complete(loop.shutdown_asyncgens())
        finally:
            asyncio.set_event_loop(None)
            loop.close()
            self._heartbeat.loop_ends()
            self._done.set()

    async def _end_others(self) -> None:
        """Cancel the tasks that bodies have left behind, and wait a little for their threads."""
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        until = time.monotonic() + _CANCEL_S
        alive = (await asyncio.wait(others, timeout=_CANCEL_S))[1] if others else set()
        while self._executor.working() and time.monotonic() < until:  # noqa: ASYNC110  # threads set no event
            await asyncio.sleep(_END_CHECK_S)
        places = Counter(at_user_line(frames_of_task(task)) for task in alive)
        self._abandoned = [
            f"{count} tasks that the body started swallow their cancellation{where}; they were abandoned"
            for where, count in places.items()
        ]

    async def _main(self, loops: Sequence[Loop]) -> None:
        self._heartbeat.beat_on(asyncio.get_running_loop())
        waking = asyncio.create_task(self._wake_on_abort())
        dispatchers = []
        for loop in loops:
            if isinstance(loop, OpenLoop):
                dispatchers.append(asyncio.create_task(self._dispatch(loop)))
            elif isinstance(loop, ClosedLoop):
                for recorder in loop.recorders:
                    self._spawn(recorder, self._iterate_closed(loop, recorder))
        await asyncio.gather(*dispatchers)  # first, since they add VUs while they hand out starts
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        waking.cancel()
        await _close(self._shared.close_all())

    async def _pause(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        over: asyncio.Future[None] = loop.create_future()
        timer = loop.call_later(seconds, _resolve, over)
        self._thinking.add(over)
        try:
            await over
        finally:
            timer.cancel()
            self._thinking.discard(over)

    async def _wake_on_abort(self) -> None:
        while not self._stop.aborted.is_set():  # noqa: ASYNC110  # it is set from other threads and signal handlers
            await asyncio.sleep(_LONGEST_SLEEP_S)
        while True:
            for over in list(self._thinking):
                _resolve(over)
            await asyncio.sleep(_LONGEST_SLEEP_S)

    def _spawn(self, recorder: IterationRecorder, iterating: Coroutine[None, None, None]) -> None:
        self._tasks[recorder.vu.id] = asyncio.create_task(self._run(recorder, iterating))

    async def _run(self, recorder: IterationRecorder, iterating: Coroutine[None, None, None]) -> None:
        vu = recorder.vu
        vu.task = asyncio.current_task()
        vu.pause_aio = self._pause
        try:
            with acting_as(vu):
                await iterating
        finally:
            await _close(vu.own.close_all())

    async def _iterate_closed(self, loop: ClosedLoop, recorder: IterationRecorder) -> None:
        body, next_wait = self._body, loop.next_wait_of(recorder)
        start, end = recorder.start_iteration, recorder.end_iteration
        vu, tidying, ended = recorder.vu, recorder.vu.tidying, self._stop.ended.is_set
        while (wait := next_wait()) is not None:
            if wait > 0:
                await asyncio.sleep(min(wait, _LONGEST_SLEEP_S))
                continue
            if self._latest is recorder:  # no other VU had a turn since
                await _yield_once()
            self._latest = recorder
            start()
            try:
                await body()
            except BaseException as error:  # noqa: BLE001  # pytest.fail and skip are BaseException: the rules tell
                self._end_raised(recorder, error)
                await vu.tidy_aio()
                while (rest_s := loop.pause_of(recorder)) > 0 and not ended():  # noqa: ASYNC110  # set by threads
                    await asyncio.sleep(min(rest_s, _LONGEST_SLEEP_S))
            else:
                end()
                if tidying:
                    await vu.tidy_aio()

    def _end_raised(self, recorder: IterationRecorder, error: BaseException) -> int:
        if isinstance(error, asyncio.CancelledError):
            if recorder.is_interrupted:
                # The VU goes on, and _cancel passes over a task that counts as being cancelled: the next
                # iteration of this VU could not be interrupted.
                task = asyncio.current_task()
                if task is not None:
                    task.uncancel()
            else:
                error = RuntimeError("the body was cancelled from within")
        return recorder.end_iteration(error)

    async def _iterate_open(self, loop: OpenLoop, recorder: IterationRecorder, due: _Due) -> None:
        body, start, end = self._body, recorder.start_iteration, recorder.end_iteration
        vu, tidying = recorder.vu, recorder.vu.tidying
        free_since_ns = 0
        while True:
            due_start = await due.get()
            if due_start is None:
                return
            intended_ns, waits_from_ns = due_start
            if loop.accept_start(recorder, intended_ns, waits_from_ns, free_since_ns):
                self._latest = recorder
                start(intended_ns)
                try:
                    await body()
                except BaseException as error:  # noqa: BLE001  # as above
                    free_since_ns = self._end_raised(recorder, error)
                else:
                    free_since_ns = end()
                if tidying:  # until that is done the VU cannot take a start either
                    await vu.tidy_aio()
                    free_since_ns = self._context.clock.now_ns()
                if self._latest is recorder:
                    await _yield_once()
            loop.vu_became_free()

    async def _dispatch(self, loop: OpenLoop) -> None:
        due: _Due = asyncio.Queue()
        for recorder in loop.first_vus():
            self._join(loop, recorder, due)
        await self._hand_out(loop, due)
        while not due.empty() and not self._stop.ended.is_set():
            if (left_s := loop.deadline_s - self._context.elapsed_s()) <= 0:
                break
            await asyncio.sleep(min(left_s, _END_CHECK_S))
        while not due.empty():
            due.get_nowait()
            loop.drop_untaken()
        for _ in loop.recorders:  # each VU ends with the None that it takes
            due.put_nowait(None)

    def _join(self, loop: OpenLoop, recorder: IterationRecorder, due: _Due) -> None:
        loop.vu_joined(recorder)
        self._spawn(recorder, self._iterate_open(loop, recorder, due))

    async def _hand_out(self, loop: OpenLoop, due: _Due) -> None:
        start_ns, now_ns, ended = self._context.start_ns, self._context.clock.now_ns, self._stop.ended.is_set
        for start_s in loop.starts:
            intended_ns = start_ns + round(start_s * 1e9)
            while (early_ns := intended_ns - now_ns()) > 0 and not ended():  # noqa: ASYNC110  # set by threads
                await asyncio.sleep(min(early_ns * 1e-9, _LONGEST_SLEEP_S))
            if ended():
                loop.drop_rest()
                return
            recorder, waits_from_ns = loop.hand_out()
            if recorder is not None:
                self._join(loop, recorder, due)
            if loop.queue_is_full:
                due.get_nowait()
                loop.drop_queued()
            due.put_nowait((intended_ns, waits_from_ns))


@types.coroutine
def _yield_once() -> Generator[None, None, None]:
    # A body that never waits would keep the loop to itself. (asyncio.sleep(0) costs three times as much.)
    yield


def _resolve(over: asyncio.Future[None]) -> None:
    if not over.done():
        over.set_result(None)


async def _close(closing: Iterable[Awaitable[object]]) -> None:
    with suppress(TimeoutError):  # a server that hangs is not waited for
        async with asyncio.timeout(_CLOSE_S):
            await asyncio.gather(*closing, return_exceptions=True)
