"""The runtime of ``async def`` bodies: one asyncio task a VU, on uvloop where it is installed."""

from __future__ import annotations

import asyncio
import threading
import types
from collections.abc import Awaitable, Callable, Generator, Iterable, Sequence

from pytest_cdcperf.engine.iterations import Iterations, StopSignal
from pytest_cdcperf.engine.vu import Resources, acting_as

_LONGEST_SLEEP_S = 0.1  # so that the end of the run is noticed


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Return a new event loop: uvloop's where it is installed."""
    try:
        import uvloop  # noqa: PLC0415  # an extra
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


class TaskRuntime:
    """Runs each VU's iterations in a task, all on one loop in a thread of its own.

    The loop has its own thread so that the supervisor is the same for both runtimes, and Ctrl-C reaches
    it whatever the tasks do.
    """

    def __init__(self, body: Callable[[], Awaitable[object]], stop: StopSignal, shared: Resources) -> None:
        self._body = body
        self._stop = stop
        self._shared = shared
        self._busy: set[int] = set()
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._done = threading.Event()

    def start(self, vus: Sequence[Iterations]) -> None:
        """Start the loop and a task for each VU."""
        self._busy = {iterations.vu.id for iterations in vus}
        threading.Thread(target=self._run_loop, args=(vus,), name="cdcperf-loop", daemon=True).start()

    def wait(self, timeout_s: float) -> bool:
        """Wait until all VUs are through and the loop is closed; return whether they are."""
        return self._done.wait(max(0.0, timeout_s))

    def busy(self) -> list[int]:
        """The ids of the VUs that are not through."""
        return sorted(self._busy)

    def cancel(self) -> None:
        """Cancel every task that is not through."""
        loop = self._loop
        if loop is not None and not self._done.is_set():
            try:
                loop.call_soon_threadsafe(self._cancel_tasks)
            except RuntimeError:  # closed meanwhile
                return

    def _cancel_tasks(self) -> None:
        for task in self._tasks.values():
            task.cancel()

    def _run_loop(self, vus: Sequence[Iterations]) -> None:
        try:
            with asyncio.Runner(loop_factory=new_event_loop) as runner:
                self._loop = runner.get_loop()
                runner.run(self._main(vus))
        finally:
            self._done.set()

    async def _main(self, vus: Sequence[Iterations]) -> None:
        for iterations in vus:
            self._tasks[iterations.vu.id] = asyncio.create_task(self._run(iterations))
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        await _close(self._shared.close_all())

    async def _run(self, iterations: Iterations) -> None:
        vu = iterations.vu
        vu.task = asyncio.current_task()
        try:
            with acting_as(vu):
                await self._iterate(iterations)
        finally:
            await _close(vu.own.close_all())
            self._busy.discard(vu.id)

    async def _iterate(self, iterations: Iterations) -> None:
        body, next_wait, begin, end = self._body, iterations.next_wait, iterations.begin, iterations.end
        while (wait := next_wait()) is not None:
            if wait > 0:
                await asyncio.sleep(min(wait, _LONGEST_SLEEP_S))
                continue
            await _yield_once()
            begin()
            try:
                await body()
            except asyncio.CancelledError:
                if self._stop.closed:
                    raise
                end(RuntimeError("the body was cancelled from within"))
            except BaseException as error:  # noqa: BLE001  # pytest.fail and skip are BaseException: the rules tell
                end(error)
            else:
                end()


@types.coroutine
def _yield_once() -> Generator[None, None, None]:
    # A body that never waits would keep the loop to itself. (asyncio.sleep(0) costs three times as much.)
    yield


async def _close(closing: Iterable[Awaitable[object]]) -> None:
    await asyncio.gather(*closing, return_exceptions=True)
