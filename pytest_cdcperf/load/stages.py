"""The stages of a ramp: how users write them, and the phases that they make."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from pytest_cdcperf.checks import duration_fault
from pytest_cdcperf.errors import shown
from pytest_cdcperf.load.ramp import Ramp
from pytest_cdcperf.metrics.phases import HOLD, RAMP_DOWN, RAMP_UP, Phase
from pytest_cdcperf.units import Duration, duration_s, format_duration

MOST_STAGES = 1000


class Stage(NamedTuple):
    """A piece of a ramp: reach *target* in *duration*. One of no length is a step.

    >>> RampingVUs(stages=[Stage("2m", 50), Stage("30s", 0)]) == RampingVUs(stages=[("2m", 50), ("30s", 0)])
    True
    """

    duration: Duration
    target: float


def stage_faults(stages: object, target_fault: Callable[[object], str]) -> list[str]:
    """Say what is wrong with the stages of a ramp, all faults at once; *target_fault* says it of a target."""
    form = "allowed: (duration, target) pairs, such as [('2m', 50), ('30s', 0)]"
    if not isinstance(stages, Sequence) or isinstance(stages, str | bytes) or not stages:
        return [f"stages={shown(stages)}; {form}"]
    if len(stages) > MOST_STAGES:
        return [f"stages: {len(stages)} of them; allowed: at most {MOST_STAGES:,}"]
    faults = []
    for number, stage in enumerate(stages, 1):
        if not isinstance(stage, Sequence) or isinstance(stage, str | bytes) or len(stage) != 2:
            faults.append(f"stage {number} is {shown(stage)}; {form}")
            continue
        if fault := duration_fault(stage[0]):
            faults.append(f"stage {number}: duration={fault}")
        if fault := target_fault(stage[1]):
            faults.append(f"stage {number}: target={fault}")
    if not faults and not any(duration_s(stage[0]) > 0 for stage in stages):
        faults.append(f"stages={stages!r}; allowed: at least one stage longer than 0s")
    return faults


def read_stages(stages: Iterable[tuple[Duration, float]]) -> tuple[Stage, ...]:
    """Return *stages* with their durations in seconds."""
    return tuple(Stage(duration_s(duration), target) for duration, target in stages)


def stretched(stages: Iterable[tuple[Duration, float]], scale: float) -> list[Stage]:
    """Return *stages*, which have been read, *scale* times as long."""
    return [Stage(float(duration) * scale, target) for duration, target in stages]


def ramp_through(start: float, stages: Iterable[tuple[Duration, float]], per_s: float = 1.0) -> Ramp:
    """Return the ramp from *start* through *stages*, which have been read, of values per *per_s* seconds."""
    return Ramp.through(start / per_s, [(float(duration), target / per_s) for duration, target in stages])


def stages_in_words(stages: Iterable[tuple[Duration, float]]) -> str:
    """Return "to 50 in 2m, to 0 at once"."""
    return ", ".join(f"to {target:g} {_in_time(float(duration))}" for duration, target in stages)


def _in_time(seconds: float) -> str:
    return f"in {format_duration(seconds)}" if seconds else "at once"


def ramp_phases(ramp: Ramp, start_s: float) -> tuple[Phase, ...]:
    """Return the phases of *ramp*, a piece each; neighbours of one kind without a step between them are joined."""
    phases: list[Phase] = []
    reached = None
    for segment in ramp.segments:
        name = HOLD if segment.slope == 0 else RAMP_UP if segment.slope > 0 else RAMP_DOWN
        steady, reached = segment.start_value == reached, segment.end_value
        if phases and phases[-1].name == name and steady:
            phases[-1] = phases[-1]._replace(end_s=start_s + segment.end_s)
        else:
            phases.append(Phase(name, start_s + segment.start_s, start_s + segment.end_s))
    return tuple(phases)
