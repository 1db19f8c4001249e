"""What is wrong with the fields of an executor: the value and what is allowed, "" or nothing where all is well."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from pytest_cdcperf.errors import UnitError, shown
from pytest_cdcperf.units import duration_s

MOST_VUS = 100_000
MOST_ITERATIONS = 10**12
MOST_RATE = 1_000_000  # starts a second
MOST_STAGES = 1000


def count_fault(value: object, *, at_least: int = 1, at_most: int = MOST_VUS) -> str:
    """Say what is wrong with a value that must be a whole number."""
    if isinstance(value, int) and not isinstance(value, bool) and at_least <= value <= at_most:
        return ""
    if isinstance(value, int) and not isinstance(value, bool) and value > at_most:
        return f"{shown(value)}; allowed: at most {at_most:,}"
    return f"{shown(value)}; allowed: a whole number of at least {at_least}"


def rate_fault(value: object, *, per_s: float = 1.0, zero: bool = False) -> str:
    """Say what is wrong with a value that must be a rate above 0, of starts per so many seconds."""
    if isinstance(value, int | float) and not isinstance(value, bool) and (value > 0 or (zero and value == 0)):
        return "" if value <= MOST_RATE * per_s else f"{shown(value)}; allowed: at most {MOST_RATE:,} starts a second"
    return f"{shown(value)}; allowed: a number {'of at least' if zero else 'above'} 0"


def duration_fault(value: object, *, above_zero: bool = False) -> str:
    """Say what is wrong with a value that must be a duration."""
    try:
        seconds = duration_s(value)
    except UnitError as error:
        return str(error)
    return f"{shown(value)}; allowed: a duration above zero" if above_zero and seconds <= 0 else ""


def tag_faults(tags: object) -> list[str]:
    """Say what is wrong with the tags of a load."""
    if isinstance(tags, Mapping) and all(isinstance(part, str) for pair in tags.items() for part in pair):
        return []
    return [f"tags={shown(tags)}; allowed: a mapping of text to text"]


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


def duration_faults(load: object, *names: str, above_zero: bool = False) -> list[str]:
    """Say which fields of *load* are no durations."""
    return [
        f"{name}={fault}" for name in names if (fault := duration_fault(getattr(load, name), above_zero=above_zero))
    ]
