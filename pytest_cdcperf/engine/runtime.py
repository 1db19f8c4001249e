"""The interface of a runtime: the threads or the tasks that run the VUs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from pytest_cdcperf.engine.iterations import IterationRecorder
from pytest_cdcperf.engine.loop import Loop
from pytest_cdcperf.engine.stacks import Busy


class Runtime(Protocol):
    """Runs the VUs: in threads (``threads.py``) or in tasks of one event loop (``tasks.py``).

    All methods are called by the supervisor, which is the thread that called ``Run.execute``.
    """

    def start(self, loops: Sequence[Loop]) -> Iterator[None]:
        """Start all loops, a VU with each step. Where there can be no further thread, it ends the run."""

    def wait(self, timeout_s: float) -> bool:
        """Wait until all VUs have ended, at most *timeout_s*; return whether they have."""

    def busy(self) -> list[Busy]:
        """The VUs that have not ended."""

    def left_behind(self) -> list[str]:
        """What bodies have started and what does not end with the run, one line each."""

    def alive(self) -> bool:
        """Whether anything of the run is still going on."""

    def interrupt(self, recorders: Iterable[IterationRecorder]) -> None:
        """Interrupt the iterations of *recorders*, as far as that is possible."""
