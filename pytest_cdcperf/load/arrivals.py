"""When the iterations of an open loop are meant to start: pure functions of the load."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator

from pytest_cdcperf.load.open import POISSON, ConstantArrivalRate, OpenLoad

# Rates times durations are sums of floats: 0.1/s for 30 s must be 3 starts, not 4.
_ROUNDING = 1e-9


def planned_starts(load: OpenLoad) -> Iterator[float]:
    """Yield the intended starts of *load* in seconds from its own start, in order.

    The n-th uniform start of a ramp is where the integral of the rate reaches n, computed in closed form: nothing
    accumulates. At a constant rate the first start is at once, and the n-th where the integral reaches n - 1. These
    are k6's. Poisson starts are where the integral reaches the n-th sum of seeded unit exponentials, which makes the
    process inhomogeneous by time change (Cinlar, Introduction to Stochastic Processes, 4.7).
    """
    ramp = load.ramp
    if load.arrivals == POISSON:
        draw = random.Random(load.seed)  # noqa: S311  # load, not secrets
        reached = draw.expovariate(1.0)
        while reached < ramp.area:
            yield ramp.time_of_area(reached)
            reached += draw.expovariate(1.0)
    elif isinstance(load, ConstantArrivalRate):
        yield from map(ramp.time_of_area, range(math.ceil(ramp.area - _ROUNDING)))
    else:
        yield from map(ramp.time_of_area, range(1, math.floor(ramp.area + _ROUNDING) + 1))
