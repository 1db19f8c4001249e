"""VUs of closed loads that came late, or never: then it was another load than the plan's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from pytest_cdcperf.engine.closed_loop import ClosedLoop
from pytest_cdcperf.engine.loop import Loop
from pytest_cdcperf.units import format_duration

LATE_S = 1.0
LATE_SHARE = 0.1  # of what the load takes: beyond, it was another load
_ADVICE = "use fewer VUs, an async def body, or more workers"


@dataclass
class LateVUs:
    """The lines of a result about late VUs: weaknesses of the load, and notes."""

    weaknesses: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def take(self, names: Iterable[str], loops: Sequence[Loop], *, ended_early: bool) -> None:
        """Look at *loops*, which are called *names*, at the end of their run."""
        for name, loop in zip(names, loops, strict=True):
            if isinstance(loop, ClosedLoop):
                self._take(f"{name}: " if name else "", loop, ended_early=ended_early)

    def _take(self, name: str, loop: ClosedLoop, *, ended_early: bool) -> None:
        there = loop.vus_there
        late = format_duration(round(loop.late_s, 2))
        if there < loop.planned_vus and not ended_early:
            words = f"only {there} of {loop.planned_vus} VUs were there when the load ended"
            self.weaknesses.append(f"{name}{words}: starting them took {late}; {_ADVICE}")
        elif loop.late_s > LATE_S:
            line = f"{name}the last of {there} VUs came {late} late: starting them took so long"
            if loop.late_s > LATE_SHARE * (loop.load.planned_s - loop.load.start_s):
                self.weaknesses.append(f"{line}; {_ADVICE}")
            else:
                self.notes.append(line)
