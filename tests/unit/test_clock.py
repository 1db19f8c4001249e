from __future__ import annotations

from itertools import pairwise

from pytest_cdcperf.clock import FakeClock, MonotonicClock


def test_the_monotonic_clock_never_goes_back():
    readings = [MonotonicClock().now_ns() for _ in range(1000)]
    assert all(earlier <= later for earlier, later in pairwise(readings))


def test_the_fake_clock_moves_only_when_told_to():
    clock = FakeClock(5)
    assert clock.now_ns() == clock.now_ns() == 5
    clock.advance(0.25)
    clock.advance(1e-9)
    assert clock.now_ns() == 250_000_006
    clock.advance(1.001)  # times 1e9 it falls just below a whole number
    assert clock.now_ns() == 1_251_000_006
