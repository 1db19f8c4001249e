"""The plans' own metrics, where a scenario measures what no client does."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from pytest_cdcperf import Counter, Rate, Trend


@contextmanager
def timed(duration: Trend, errors: Counter | Rate | None = None) -> Iterator[None]:
    """Add the milliseconds of the block to *duration* and whether it raised to *errors*; a failure is timed too."""
    begin_ns = time.perf_counter_ns()
    failed = True
    try:
        yield
        failed = False
    finally:
        duration.add((time.perf_counter_ns() - begin_ns) * 1e-6)
        if errors is not None:
            errors.add(failed)
