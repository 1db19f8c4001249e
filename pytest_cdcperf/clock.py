"""The one monotonic clock that every latency of a host is read from, and a fake one for tests."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """The clock that the engine reads. All latencies are differences of one clock's readings."""

    def now_ns(self) -> int:
        """Return the nanoseconds since an arbitrary, fixed point. Never goes back."""


class RealTime:
    """Python's time as it is when this is imported: what a test fakes later, with freezegun say, is for its own code.

    An attribute of a class: code that fakes time replaces the attributes of modules.
    """

    monotonic = staticmethod(time.monotonic)
    monotonic_ns = staticmethod(time.monotonic_ns)
    perf_counter = staticmethod(time.perf_counter)
    perf_counter_ns = staticmethod(time.perf_counter_ns)
    process_time = staticmethod(time.process_time)
    sleep = staticmethod(time.sleep)
    thread_time = staticmethod(time.thread_time)
    time_ns = staticmethod(time.time_ns)
    time = staticmethod(time.time)  # last: it hides the module


real_time = RealTime


class MonotonicClock:
    """The host's monotonic clock, shared by its processes (CLOCK_MONOTONIC on Linux)."""

    now_ns = staticmethod(time.perf_counter_ns)


class FakeClock:
    """A clock that moves only when told to."""

    def __init__(self, start_ns: int = 0) -> None:
        self._now_ns = start_ns

    def now_ns(self) -> int:
        """Return the time as last set."""
        return self._now_ns

    def advance(self, seconds: float) -> None:
        """Move the clock on by *seconds*."""
        self._now_ns += round(seconds * 1e9)
