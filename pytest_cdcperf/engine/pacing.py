"""When a closed-loop VU starts its next iteration: pure functions of elapsed time and count."""

from __future__ import annotations

from collections.abc import Callable
from functools import singledispatch

from pytest_cdcperf.model.load import ConstantVUs, Load, PerVUIterations
from pytest_cdcperf.units import duration_s

# (seconds since the common start, iterations this VU has started) -> seconds to wait, None to stop
Pacing = Callable[[float, int], float | None]


@singledispatch
def closed_pacing(load: Load) -> Pacing:
    """Return the pacing of each VU of *load*."""
    raise TypeError(f"{type(load).__name__} is no closed-loop executor")


@closed_pacing.register
def _(load: ConstantVUs) -> Pacing:
    begin, end = duration_s(load.start_at), load.planned_s

    def pace(elapsed_s: float, _started: int) -> float | None:
        if elapsed_s >= end:
            return None
        return begin - elapsed_s if elapsed_s < begin else 0.0

    return pace


@closed_pacing.register
def _(load: PerVUIterations) -> Pacing:
    begin, end, iterations = duration_s(load.start_at), load.planned_s, load.iterations

    def pace(elapsed_s: float, started: int) -> float | None:
        if elapsed_s >= end or started >= iterations:
            return None
        return begin - elapsed_s if elapsed_s < begin else 0.0

    return pace
