"""What is wrong with the fields of an executor: the value and what is allowed, "" or nothing where all is well."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from pytest_cdcperf.errors import UnitError
from pytest_cdcperf.units import duration_s


def count_fault(value: object, *, at_least: int = 1) -> str:
    """Say what is wrong with a value that must be a whole number."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= at_least:
        return ""
    return f"{value!r}; allowed: a whole number of at least {at_least}"


def rate_fault(value: object, *, zero: bool = False) -> str:
    """Say what is wrong with a value that must be a number above 0."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if number and (0 < value < math.inf or (zero and value == 0)):  # type: ignore[operator]
        return ""
    return f"{value!r}; allowed: a number {'of at least' if zero else 'above'} 0"


def duration_fault(value: object, *, above_zero: bool = False) -> str:
    """Say what is wrong with a value that must be a duration."""
    try:
        seconds = duration_s(value)
    except UnitError as error:
        return str(error)
    return f"{value!r}; allowed: a duration above zero" if above_zero and seconds <= 0 else ""


def tag_faults(tags: object) -> list[str]:
    """Say what is wrong with the tags of a load."""
    if isinstance(tags, Mapping) and all(isinstance(part, str) for pair in tags.items() for part in pair):
        return []
    return [f"tags={tags!r}; allowed: a mapping of text to text"]


def stage_faults(stages: object, *, whole: bool) -> list[str]:
    """Say what is wrong with the stages of a ramp, all faults at once."""
    form = "allowed: (duration, target) pairs, such as [('2m', 50), ('30s', 0)]"
    if not isinstance(stages, Sequence) or isinstance(stages, str) or not stages:
        return [f"stages={stages!r}; {form}"]
    faults = []
    for number, stage in enumerate(stages, 1):
        if not isinstance(stage, Sequence) or isinstance(stage, str) or len(stage) != 2:
            faults.append(f"stage {number} is {stage!r}; {form}")
            continue
        if fault := duration_fault(stage[0]):
            faults.append(f"stage {number}: duration={fault}")
        if fault := count_fault(stage[1], at_least=0) if whole else rate_fault(stage[1], zero=True):
            faults.append(f"stage {number}: target={fault}")
    if not faults and not any(duration_s(stage[0]) > 0 for stage in stages):
        faults.append(f"stages={stages!r}; allowed: at least one stage longer than 0s")
    return faults


def count_faults(load: object, *names: str) -> list[str]:
    """Say which fields of *load* are no counts."""
    return [f"{name}={fault}" for name in names if (fault := count_fault(getattr(load, name)))]


def duration_faults(load: object, *names: str, above_zero: bool = False) -> list[str]:
    """Say which fields of *load* are no durations."""
    return [
        f"{name}={fault}" for name in names if (fault := duration_fault(getattr(load, name), above_zero=above_zero))
    ]
