"""An event loop whose threads, those of ``asyncio.to_thread()``, keep no process from ending."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from queue import SimpleQueue
from typing import Any, ParamSpec, TypeVar

from pytest_cdcperf.clock import real_time as time
from pytest_cdcperf.engine.thread_start import start_thread

_P = ParamSpec("_P")
_T = TypeVar("_T")
_Work = tuple[Future[Any], "partial[Any]"]


class DaemonExecutor(ThreadPoolExecutor):
    """As many threads as asyncio's own executor has, but daemons.

    Python waits at its exit for the threads of every other ThreadPoolExecutor, which is what an event loop demands.
    """

    def __init__(self) -> None:
        self._most = min(32, (os.cpu_count() or 1) + 4)
        super().__init__(self._most)
        self._work: SimpleQueue[_Work | None] = SimpleQueue()
        self._guard = threading.Lock()
        self._started = self._idle = 0
        self._closed = False
        self._working: dict[threading.Thread, partial[Any]] = {}

    def working(self) -> dict[threading.Thread, str]:
        """Return the threads that are in the middle of something, with the name of the function they call."""
        return {thread: _name(call) for thread, call in self._working.copy().items()}

    def submit(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Future[_T]:
        """Have *fn* called in a thread.

        :raises ThreadLimitError: where there is no thread for it, and none can be started
        """
        future: Future[_T] = Future()
        with self._guard:
            if self._closed:
                raise RuntimeError("cannot schedule new futures after shutdown")
            if self._idle:
                self._idle -= 1
            elif self._started < self._most:
                start_thread("a thread for asyncio.to_thread()", f"asyncio_{self._started}", self._run)
                self._started += 1
            self._work.put((future, partial(fn, *args, **kwargs)))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002  # no thread is waited for
        """Take nothing more, and let the threads end."""
        with self._guard:
            self._closed = True
            for _ in range(self._started):
                self._work.put(None)

    def _run(self) -> None:
        thread = threading.current_thread()
        while (work := self._work.get()) is not None:
            future, call = work
            if future.set_running_or_notify_cancel():
                self._working[thread] = call
                try:
                    future.set_result(call())
                except BaseException as error:  # noqa: BLE001  # whatever it is, it is the future's
                    future.set_exception(error)
                self._working.pop(thread)
            del work, future, call  # which would keep alive what the caller has dropped
            with self._guard:
                self._idle += 1


def _name(call: partial[Any]) -> str:
    # asyncio.to_thread() hands in Context.run with the user's function as its first argument.
    function = next(filter(callable, call.args), call.func)
    return getattr(function, "__qualname__", repr(function))


def new_event_loop(executor: DaemonExecutor | None = None) -> asyncio.AbstractEventLoop:
    """Return a new event loop, uvloop's where it is installed, whose threads keep no process from ending."""
    try:
        import uvloop  # noqa: PLC0415  # an extra
    except ImportError:
        loop = asyncio.new_event_loop()
        loop.time = time.monotonic  # type: ignore[method-assign]  # it would heed a test that fakes time
    else:
        loop = uvloop.new_event_loop()
    loop.set_default_executor(executor or DaemonExecutor())
    return loop
