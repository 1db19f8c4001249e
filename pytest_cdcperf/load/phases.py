"""The phases of several loads at once."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

from pytest_cdcperf.load.base import Load
from pytest_cdcperf.metrics.phases import Phase

_DIGITS = 6  # of the edges of two loads that are sums of other floats


def plan_phases(loads: Mapping[str, Load]) -> tuple[Phase, ...]:
    """Return the phases of all *loads*, by name, in the order of their begin.

    They are cut where a phase of another load begins or ends: any two of them cover the same span or none together.
    A phase is known by its place in this order, on all workers alike.
    """
    whole = [
        Phase(phase.name, round(phase.start_s, _DIGITS), round(phase.end_s, _DIGITS), name)
        for name, load in loads.items()
        for phase in load.phases
    ]
    edges = sorted({edge_s for phase in whole for edge_s in (phase.start_s, phase.end_s)})
    cut = [
        phase._replace(start_s=start_s, end_s=end_s)
        for phase in whole
        for start_s, end_s in pairwise(edges)
        if phase.start_s <= start_s and end_s <= phase.end_s
    ]
    return tuple(sorted(cut, key=lambda phase: phase.start_s))
