"""Costs of several sides, measured in turns: a busy machine is so for all, and a ratio is of one and the same turn."""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable, Mapping


def first_core() -> None:
    """Keep this process to the first core, the server's, where the system allows it."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def last_core() -> None:
    """Keep this process, and what it starts from now on, to the last core, the generator's."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def marginal_us(cpu_s: Callable[[int], float], few: int, many: int) -> float:
    """Return the microseconds of CPU of one operation more: what starting and connecting cost is left out."""
    return (cpu_s(many) - cpu_s(few)) / (many - few) * 1e6


def compare(what: str, sides: Mapping[str, Callable[[], float]], *, beside: str, rounds: int) -> None:
    """Measure all *sides* in each of *rounds*; print their costs, in microseconds, and their ratios to *beside*."""
    costs: dict[str, list[float]] = {side: [] for side in sides}
    for _ in range(rounds):
        for side, cost_us in sides.items():
            costs[side].append(cost_us())
    width = max(map(len, sides))
    for side, found in costs.items():
        shown = f"{what}, {side:<{width}} {statistics.median(found):6.1f} us ({min(found):.1f}-{max(found):.1f})"
        if beside in costs and side != beside:
            ratios = [ours / theirs for ours, theirs in zip(found, costs[beside], strict=True)]
            shown += f", {statistics.median(ratios):.2f} x {beside} ({min(ratios):.2f}-{max(ratios):.2f})"
        print(shown)
