"""The figure of a limit window by window, and the spans in which it was crossed."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pytest_cdcperf.judging.evaluation import aggregate_of
from pytest_cdcperf.judging.threshold import Threshold
from pytest_cdcperf.metrics.phases import PhaseOf
from pytest_cdcperf.metrics.snapshot import State
from pytest_cdcperf.results.result import RunResult


@dataclass(frozen=True)
class Reading:
    """What a limit is on, in one window of a run: *value* is its figure, in the unit of the metric."""

    start_s: float
    end_s: float
    state: State
    value: float


@dataclass(frozen=True)
class Crossing:
    """A span of a run, in seconds from its start, in whose *windows* the figure of a limit was beyond it."""

    start_s: float
    end_s: float
    windows: int


def readings(result: RunResult, threshold: Threshold) -> list[Reading]:
    """Return the figure that *threshold* is on, for each window of *result* that has a sample of it.

    A window is short: its percentiles are those of few samples, and say when rather than how much.
    """
    tags = dict(threshold.tags)
    phase = None if threshold.phase is None else PhaseOf(threshold.phase, result.phases)
    found = []
    for window in result.windows.judged(threshold.metric):
        numbers = None if phase is None else phase.belonging(window)
        state = window.snapshot.select(threshold.metric, tags, numbers)
        value = None if state is None else aggregate_of(state, threshold.aggregate, window.end_s - window.start_s)
        if state is not None and value is not None and math.isfinite(value):
            found.append(Reading(window.start_s, window.end_s, state, value))
    return found


def crossings(result: RunResult, threshold: Threshold) -> list[Crossing]:
    """Return the spans of *result* in which *threshold* was crossed: windows without a sample do not end one.

    None for what only grows or is counted over the whole run, such as ``count``.
    """
    if threshold.aggregate == "count":
        return []
    spans: list[Crossing] = []
    goes_on = False
    for reading in readings(result, threshold):
        if threshold.holds(reading.value):
            goes_on = False
        elif goes_on:
            spans[-1] = Crossing(spans[-1].start_s, reading.end_s, spans[-1].windows + 1)
        else:
            spans.append(Crossing(reading.start_s, reading.end_s, 1))
            goes_on = True
    return spans
