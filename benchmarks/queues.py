"""Simulated queues whose true percentiles are known, many runs at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def mm1(draw: np.random.Generator, *, runs: int, load: float, per_s: float, seconds: float) -> tuple[Floats, Floats]:
    """Return the arrival times and the response times of *runs* M/M/1 queues, in seconds, a row each.

    Lindley's recursion from a stationary start: arrivals and services are exponential, and a response time is too, with
    rate ``per_s - load * per_s``.

    :param load: the share of the time in which the server is busy, 0 to 1
    :param per_s: how many requests a second the server could serve
    :param seconds: arrivals beyond it are there too, to be left out by the caller
    """
    rate = load * per_s
    count = int(rate * seconds + 6 * (rate * seconds) ** 0.5) + 10
    waiting = np.where(draw.random(runs) < load, draw.exponential(1 / (per_s - rate), runs), 0.0)
    at = np.zeros(runs)
    arrivals, responses = np.empty((count, runs)), np.empty((count, runs))
    for number in range(count):
        gap = draw.exponential(1 / rate, runs)
        at = at + gap
        waiting = np.maximum(0.0, waiting - gap) + draw.exponential(1 / per_s, runs)
        arrivals[number], responses[number] = at, waiting
    return arrivals.T, responses.T


def mm1_quantile(q: float, *, load: float, per_s: float) -> float:
    """Return quantile *q* of the response time of such a queue, in seconds."""
    return float(-np.log(1 - q) / (per_s * (1 - load)))
