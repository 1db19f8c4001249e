"""When the iterations of an open loop are meant to start: pure functions of the load."""

from __future__ import annotations

import random
from collections.abc import Iterator

from pytest_cdcperf.model.load import POISSON, OpenLoad

# Rates times durations are sums of floats: 0.1/s for 30 s must be 3 starts, not 4.
_ROUNDING = 1e-9


def planned_starts(load: OpenLoad) -> Iterator[float]:
    """Yield the intended starts of *load* in seconds from its own start, in order.

    The n-th uniform start is where the integral of the rate reaches n, computed in closed form: nothing
    accumulates. Poisson starts are where it reaches the n-th sum of seeded unit exponentials, which makes
    the process inhomogeneous by time change (Cinlar, Introduction to Stochastic Processes, 4.7).
    """
    ramp = load.ramp
    draw = random.Random(load.seed)  # noqa: S311  # load, not secrets
    reached = draw.expovariate(1.0) if load.arrivals == POISSON else 0.0
    while reached < ramp.area - _ROUNDING:
        yield ramp.time_of_area(reached)
        reached += draw.expovariate(1.0) if load.arrivals == POISSON else 1.0
