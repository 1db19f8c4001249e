"""The runtime of ``def`` bodies: one daemon thread a VU."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from pytest_cdcperf.engine.iterations import Iterations, StopSignal
from pytest_cdcperf.engine.vu import acting_as


class ThreadRuntime:
    """Runs each VU's iterations in a thread of its own.

    Python cannot interrupt a thread: :meth:`cancel` asks the clients to, and who is still at it then is
    told by :meth:`busy`.
    """

    def __init__(self, body: Callable[[], object], stop: StopSignal) -> None:
        self._body = body
        self._stop = stop
        self._all: Sequence[Iterations] = ()
        self._busy: set[int] = set()
        self._lock = threading.Lock()
        self._done = threading.Event()

    def start(self, vus: Sequence[Iterations]) -> None:
        """Start a thread for each VU."""
        self._all = vus
        self._busy = {iterations.vu.id for iterations in vus}
        if not vus:
            self._done.set()
        for iterations in vus:
            name = f"cdcperf-vu-{iterations.vu.id}"
            threading.Thread(target=self._run, args=(iterations,), name=name, daemon=True).start()

    def wait(self, timeout_s: float) -> bool:
        """Wait until all VUs are through, at most *timeout_s*; return whether they are."""
        return self._done.wait(max(0.0, timeout_s))

    def busy(self) -> list[int]:
        """The ids of the VUs that are not through."""
        with self._lock:
            return sorted(self._busy)

    def cancel(self) -> None:
        """Cut short what the VUs are blocked in, as far as their clients can."""
        busy = set(self.busy())
        for iterations in self._all:
            if iterations.vu.id in busy:
                iterations.vu.own.cancel_all()

    def _run(self, iterations: Iterations) -> None:
        vu = iterations.vu
        vu.pause = self._stop.aborted.wait
        try:
            with acting_as(vu):
                self._iterate(iterations)
        finally:
            vu.own.close_all()
            with self._lock:
                self._busy.discard(vu.id)
                if not self._busy:
                    self._done.set()

    def _iterate(self, iterations: Iterations) -> None:
        body, next_wait, begin, end = self._body, iterations.next_wait, iterations.begin, iterations.end
        while (wait := next_wait()) is not None:
            if wait > 0:
                self._stop.ended.wait(wait)
                continue
            begin()
            try:
                body()
            except BaseException as error:  # noqa: BLE001  # pytest.fail and skip are BaseException: the rules tell
                end(error)
            else:
                end()
