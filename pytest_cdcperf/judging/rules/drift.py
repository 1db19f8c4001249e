"""Drift: over a long run a latency or a memory does not creep up."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean
from typing import NamedTuple, TypeVar

from pytest_cdcperf.checks import by_key, checked, read_durations
from pytest_cdcperf.judging.intervals import FEWEST_CLUSTERS
from pytest_cdcperf.judging.rules.readings import (
    P95,
    TrendWindow,
    Undisturbed,
    absence,
    exp,
    merged,
    trend_windows,
)
from pytest_cdcperf.judging.rules.rule import RunRule, tolerance_fault
from pytest_cdcperf.judging.student import t_quantile
from pytest_cdcperf.judging.threshold import Levels, Outcome, ThresholdResult
from pytest_cdcperf.metrics.metric import Kind, with_unit
from pytest_cdcperf.metrics.phases import Phase, spans_of
from pytest_cdcperf.metrics.timeline import Window
from pytest_cdcperf.units import Duration, format_duration

CHECKPOINT_S = 60.0
_FEWEST_CHECKPOINTS = 30
_FEWEST_SAMPLES = 5
_MOST_LIKE_NEIGHBOURS = 0.95
_FEWEST_DEGREES = 1.5
_LONGEST_ADVICE = 10.0  # times the run


@checked
@dataclass(frozen=True)
class Drift(RunRule):
    """*metric* does not rise by more than *per_hour* of itself in an hour.

    Judged is the slope of a trend's p95, or of a gauge's mean, over checkpoints of one minute of the longest hold, by
    its 95 % interval, which counts how much neighbouring checkpoints resemble each other. PASSED: the upper end lies
    below *per_hour*. FAILED: the lower end lies above it. Anything else is "inconclusive", or "not judged" below 30
    checkpoints or below 5 samples in one; either makes a run INVALID that was not shortened. Windows that the load
    generator's own delay distorts are left out.

    :param metric: a trend or a gauge
    :param per_hour: a share: 0.1 allows a tenth more an hour
    :param every: a duration, the length of the spans that are shown, at the begin and at the end
    :raises ConfigError: when a value is not valid

    >>> str(Drift("soak_memory_indicator", per_hour=0.05))
    'soak_memory_indicator rises at most 5% an hour'
    """

    KINDS = (Kind.TREND, Kind.GAUGE)

    per_hour: float = 0.10
    every: Duration = 300.0

    def _read_fields(self) -> list[str]:
        return by_key(per_hour=tolerance_fault(self.per_hour)) + read_durations(self, "every", above_zero=True)

    @property
    def expression(self) -> str:
        """The rule in words."""
        return f"rises at most {self.per_hour:.0%} an hour"

    def judge(self, windows: Sequence[Window], phases: Sequence[Phase]) -> ThresholdResult:
        """Judge the rule on the windows of a run; *observed* is the rise an hour, as a share."""
        if missing := absence(windows, self.metric, self.KINDS):
            return ThresholdResult(self, Outcome.NO_SAMPLES, note=missing)
        judged = Undisturbed.of(_longest_hold(windows, phases), self.metric)
        points = self._checkpoints(judged.windows)
        found = judge_drift(points, self.per_hour)
        if found.rise is None:
            return ThresholdResult(self, found.outcome, note=judged.note(found.needs))
        levels = self._levels(points)
        note = self._levels_in_words(levels) + (f"; {found.needs}" if found.needs else "")
        ends = (found.rise.low, found.rise.high)
        return ThresholdResult(self, found.outcome, found.rise.per_hour, judged.note(note), ends, levels=levels)

    def in_words(self, observed: float, interval: tuple[float, float] | None) -> str:
        """Return the rise: "+3.0% an hour [+1.2% to +4.8%]"."""
        return _rise_in_words(observed) if interval is None else str(Rise(observed, *interval))

    def _checkpoints(self, windows: Sequence[Window]) -> list[Checkpoint]:
        readings = [
            Checkpoint(window.start_s, window.end_s, value)
            for window in windows
            if math.isfinite(value := window.snapshot.gauge(self.metric).value)
        ]
        return gauge_checkpoints(readings) if readings else trend_checkpoints(trend_windows(windows, self.metric))

    def _levels(self, points: Sequence[Checkpoint]) -> Levels:
        begin_s, end_s = points[0].start_s, points[-1].end_s
        span_s = min(float(self.every), (end_s - begin_s) / 2)
        first = fmean(point.level for point in points if point.start_s < begin_s + span_s)
        last = fmean(point.level for point in points if point.end_s > end_s - span_s)
        return Levels(first, last, end_s - span_s, end_s)

    def _levels_in_words(self, levels: Levels) -> str:
        first, last = with_unit(levels.before, self.metric), with_unit(levels.after, self.metric)
        return f"{first} in the first {format_duration(round(levels.to_s - levels.from_s))}, {last} in the last"


class Checkpoint(NamedTuple):
    """The level of a minute or so, and of how many samples it is the percentile: None where it is a gauge's mean."""

    start_s: float
    end_s: float
    level: float
    samples: int | None = None


class Rise(NamedTuple):
    """A rise an hour, as a share, with the ends of its 95 % interval."""

    per_hour: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{_rise_in_words(self.per_hour)} [{self.low:+.1%} to {self.high:+.1%}]"


def _rise_in_words(share: float) -> str:
    return f"{share:+.1%} an hour" if math.isfinite(share) else "-"


class DriftFinding(NamedTuple):
    """The drift that was found, and what a judgement would need."""

    outcome: Outcome
    rise: Rise | None = None
    needs: str = ""


def trend_checkpoints(windows: Sequence[TrendWindow]) -> list[Checkpoint]:
    """Return the p95 of each minute of *windows*; of each window where these are longer than that."""
    found = []
    for minute in _minutes(windows):
        samples = merged(minute)
        found.append(Checkpoint(minute[0].start_s, minute[-1].end_s, samples.interpolated(P95), samples.count))
    return found


def gauge_checkpoints(readings: Sequence[Checkpoint]) -> list[Checkpoint]:
    """Return the mean of each minute of *readings*."""
    return [
        Checkpoint(minute[0].start_s, minute[-1].end_s, fmean(reading.level for reading in minute))
        for minute in _minutes(readings)
    ]


def judge_drift(checkpoints: Sequence[Checkpoint], per_hour: float) -> DriftFinding:
    """Judge whether the level of *checkpoints* rises by more than *per_hour*, a share.

    The width of the interval falls with the length of a run to the power of 3/2, which shows what a longer one needs.
    """
    if needs := _missing(checkpoints):
        return DriftFinding(Outcome.NOT_JUDGED, needs=needs)
    slope, width = slope_with_half_width(
        [((at.start_s + at.end_s) / 7200.0, math.log(at.level) if at.level > 0 else 0.0) for at in checkpoints]
    )
    rise = Rise(exp(slope) - 1, exp(slope - width) - 1, exp(slope + width) - 1)
    limit = math.log1p(per_hour)
    if slope - width > limit:
        return DriftFinding(Outcome.FAILED, rise)
    if slope + width < limit:
        return DriftFinding(Outcome.PASSED, rise)
    times = (width / abs(limit - slope)) ** (2 / 3) if limit != slope else math.inf
    if times > _LONGEST_ADVICE:
        return DriftFinding(Outcome.INCONCLUSIVE, rise, f"it lies too near {per_hour:.0%} to be distinguished from it")
    needed_s = (checkpoints[-1].end_s - checkpoints[0].start_s) * times
    return DriftFinding(Outcome.INCONCLUSIVE, rise, f"needs about {_roughly(needed_s)}")


def slope_with_half_width(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Return the slope of *points*, (time, value) each, by least squares, and the half-width of its 95 % interval.

    Neighbours may resemble each other: the residuals' autocorrelation at lag 1, corrected for its bias in short series
    (Kendall, Biometrika 41 (1954) 403), says how many independent points they are worth (Santer et al., Journal of
    Geophysical Research 105 (2000) 7337). What resembles itself over longer times shows where neighbours are joined
    two by two, while ten remain: the widest interval counts.
    """
    slope, width = _regression(points)
    while len(points) >= 2 * FEWEST_CLUSTERS:
        points = [((t1 + t2) / 2, (y1 + y2) / 2) for (t1, y1), (t2, y2) in zip(points[::2], points[1::2], strict=False)]
        width = max(width, _regression(points)[1])
    return slope, width


def _regression(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    count = len(points)
    mean_t, mean_y = sum(t for t, _ in points) / count, sum(y for _, y in points) / count
    centred = [(t - mean_t, y - mean_y) for t, y in points]
    sxx = sum(t * t for t, _ in centred)
    slope = sum(t * y for t, y in centred) / sxx
    residuals = [y - slope * t for t, y in centred]
    squares = sum(residual * residual for residual in residuals)
    factor = 1.0
    if squares and count >= _FEWEST_CHECKPOINTS:
        lag_1 = sum(a * b for a, b in pairwise(residuals)) / squares
        rho = min(max(0.0, (count * lag_1 + 2) / (count - 4)), _MOST_LIKE_NEIGHBOURS)
        factor = (1 + rho) / (1 - rho)
    degrees = max(_FEWEST_DEGREES, count / factor - 2)
    return slope, t_quantile(0.975, max(3.0, degrees)) * math.sqrt(squares / degrees / sxx)


def _missing(checkpoints: Sequence[Checkpoint]) -> str:
    count = len(checkpoints)
    if count < _FEWEST_CHECKPOINTS:
        return f"{count} checkpoint{'s' * (count != 1)} of a minute; needs {_FEWEST_CHECKPOINTS} minutes"
    fewest = min((at.samples for at in checkpoints if at.samples is not None), default=_FEWEST_SAMPLES)
    if fewest < _FEWEST_SAMPLES:
        return f"{fewest} sample{'s' * (fewest != 1)} in one minute; needs {_FEWEST_SAMPLES} in each"
    if min(at.level for at in checkpoints) <= 0 and len({at.level for at in checkpoints}) > 1:
        return "needs levels above 0: a rise from 0 has no share"
    return ""


_Timed = TypeVar("_Timed", TrendWindow, Checkpoint)


def _minutes(windows: Sequence[_Timed]) -> Iterator[list[_Timed]]:
    """Yield as many neighbours as make a minute. What a gap of a minute leaves incomplete is left out."""
    minute: list[_Timed] = []
    seen_s = 0.0
    for window in windows:
        if minute and window.start_s - minute[-1].end_s > CHECKPOINT_S:
            minute, seen_s = [], 0.0
        minute.append(window)
        length_s = window.end_s - window.start_s
        seen_s += length_s
        if seen_s >= CHECKPOINT_S - length_s / 2:
            yield minute
            minute, seen_s = [], 0.0


def _longest_hold(windows: Sequence[Window], phases: Sequence[Phase]) -> Sequence[Window]:
    """Return the windows of the longest hold, all without any: a level that follows the load is not drift.

    They are those in which samples ended, as in every minute: what begins in the hold and ends after it would have
    the last minute hold more long iterations than the others.
    """
    holds = [span for span in spans_of(phases) if not span.is_ramp]
    if not holds:
        return windows
    longest = max(holds, key=lambda span: span.end_s - span.start_s)
    return [window for window in windows if longest.covers(window)]


def _roughly(seconds: float) -> str:
    """Return *seconds* rounded up to ten minutes: "3h20m"."""
    return format_duration(math.ceil(seconds / 600) * 600)
