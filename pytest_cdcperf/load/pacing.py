"""When a closed-loop VU starts its next iteration: pure functions of elapsed time and count."""

from __future__ import annotations

from collections.abc import Callable
from functools import singledispatch

from pytest_cdcperf.load.closed import ClosedLoad, PerVUIterations, RampingVUs, SharedIterations
from pytest_cdcperf.load.share import Share

# (seconds since the common start, iterations this VU has started) -> seconds to wait, None to stop.
# Asked for an answer of 0 exactly once per start.
Pacing = Callable[[float, int], float | None]


@singledispatch
def pacing_by_vu(load: ClosedLoad, _share: Share) -> Callable[[int], Pacing]:
    """Return what gives the pacing of VU *number* (from 0) of *load*, in a worker that runs *share*."""
    begin_s, end_s = load.start_s, load.planned_s

    def pace(elapsed_s: float, _started: int) -> float | None:
        return _within(elapsed_s, begin_s, end_s)

    return lambda _number: pace


@pacing_by_vu.register
def _(load: PerVUIterations, _share: Share) -> Callable[[int], Pacing]:
    begin_s, end_s, iterations = load.start_s, load.planned_s, load.iterations

    def pace(elapsed_s: float, started: int) -> float | None:
        return None if started >= iterations else _within(elapsed_s, begin_s, end_s)

    return lambda _number: pace


@pacing_by_vu.register
def _(load: SharedIterations, share: Share) -> Callable[[int], Pacing]:
    begin_s, end_s = load.start_s, load.planned_s
    tickets = iter(share.among(load.vus).numbers(load.iterations))  # taking one is atomic

    def pace(elapsed_s: float, _started: int) -> float | None:
        wait_s = _within(elapsed_s, begin_s, end_s)
        return None if wait_s == 0 and next(tickets, None) is None else wait_s

    return lambda _number: pace


@pacing_by_vu.register
def _(load: RampingVUs, _share: Share) -> Callable[[int], Pacing]:
    def by_vu(number: int) -> Pacing:
        spans = vu_spans(load, number)

        def pace(elapsed_s: float, _started: int) -> float | None:
            for begin_s, end_s in spans:
                if elapsed_s < end_s:
                    return max(0.0, begin_s - elapsed_s)
            return None

        return pace

    return by_vu


def vu_spans(load: ClosedLoad, number: int) -> list[tuple[float, float]]:
    """Return the spans, in seconds from the common start, in which VU *number* (from 0) starts iterations."""
    if isinstance(load, RampingVUs):
        return [(load.start_s + begin, load.start_s + end) for begin, end in load.ramp.spans_at_least(number + 1)]
    return [(load.start_s, load.planned_s)]


def _within(elapsed_s: float, begin_s: float, end_s: float) -> float | None:
    if elapsed_s >= end_s:
        return None
    return begin_s - elapsed_s if elapsed_s < begin_s else 0.0
