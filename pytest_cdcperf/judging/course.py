"""The course of a run: recovery after a spike, drift over a soak, the point where it broke."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import median

from pytest_cdcperf.checked import checked
from pytest_cdcperf.errors import ConfigError, UnitError, shown
from pytest_cdcperf.judging.threshold import Outcome, Threshold, ThresholdResult, evaluate
from pytest_cdcperf.metrics import builtin
from pytest_cdcperf.metrics.histogram import Histogram
from pytest_cdcperf.metrics.series import PhaseSpan, Window, phase_of
from pytest_cdcperf.metrics.snapshot import CounterState, GaugeState, RateState, Snapshot
from pytest_cdcperf.units import duration_s, format_duration

_CONSECUTIVE = 3
_ENOUGH_SAMPLES = 5
_ENOUGH_CHECKPOINTS = 4
_SHORTEST_CHECKPOINT_S = 60.0
_MOST_SHARE = 1000
_MOST_POINTS = 300  # 45,000 pairs


@checked
@dataclass(frozen=True)
class Recovery:
    """After the load has come down, *metric*'s p95 is back within *tolerance* of what it was before, in time.

    Before: the first hold. Back: in three windows running that have samples enough.

    :raises ConfigError: when a value cannot be meant
    """

    metric: str = "response_time"
    tolerance: float = 0.5
    within: str = "60s"

    def __post_init__(self) -> None:
        _check_metric(self, self.metric)
        _check_share(self, "tolerance", self.tolerance)
        _check_duration(self, "within", self.within)

    @property
    def selector(self) -> str:
        """The metric."""
        return self.metric

    @property
    def expression(self) -> str:
        """The rule in words."""
        return f"p(95) back within {self.tolerance:.0%} in {self.within}"

    def __str__(self) -> str:
        return f"{self.metric} {self.expression}"

    def judge(self, windows: Sequence[Window], phases: Sequence[PhaseSpan]) -> ThresholdResult:
        """Judge the rule on the course of a run; *observed* is the seconds that recovery took."""
        names = [phase.name for phase in phases]
        if "ramp-down" not in names or names[0] != "hold" or names[-1] != "hold":
            return ThresholdResult(self, Outcome.NOT_JUDGED, note="needs a hold before and after the ramps")
        before = _merged(windows, self.metric, phases[0].start_s, phases[0].end_s)
        if before is None or before.count < _ENOUGH_SAMPLES:
            return ThresholdResult(self, Outcome.TOO_FEW, note="too few samples in the hold before")
        limit = before.quantile(0.95) * (1 + self.tolerance)
        down_s = phases[-1].start_s
        after = [window for window in windows if window.start_s >= down_s]
        took_s = _seconds_until_below(after, self.metric, limit, down_s)
        allowed_s = duration_s(self.within)
        note = f"p(95) before {before.quantile(0.95):.4g}, so at most {limit:.4g}"
        if took_s is not None:
            words = format_duration(round(took_s, 1))  # of windows that are seconds long
            outcome = Outcome.PASSED if took_s <= allowed_s else Outcome.FAILED
            return ThresholdResult(self, outcome, took_s, note, words=words)
        seen_s = (after[-1].end_s if after else down_s) - down_s
        if seen_s < allowed_s:
            return ThresholdResult(
                self, Outcome.TOO_FEW, note=f"{note}; the hold after lasted {format_duration(seen_s)}"
            )
        return ThresholdResult(self, Outcome.FAILED, note=f"{note}; it never was")


@checked
@dataclass(frozen=True)
class Drift:
    """*metric* does not rise by more than *per_hour* of its own median in an hour.

    A trend's p95, or a gauge's value: the median of each checkpoint, *every* so long. By the slope of Theil and
    Sen (Sen, JASA 63, 1968), which single checkpoints cannot bend. Where the command line makes the run *scale*
    times as long, checkpoints scale alike, down to a minute; a run of less than four that long as stated is not
    judged.

    :raises ConfigError: when a value cannot be meant
    """

    metric: str = "response_time"
    per_hour: float = 0.10
    every: str = "5m"
    scale: float = 1.0

    def __post_init__(self) -> None:
        _check_metric(self, self.metric)
        _check_share(self, "per_hour", self.per_hour)
        _check_duration(self, "every", self.every)
        if duration_s(self.every) <= 0:
            raise ConfigError(f"Drift: every={shown(self.every)}; allowed: a duration above zero")

    @property
    def selector(self) -> str:
        """The metric."""
        return self.metric

    @property
    def expression(self) -> str:
        """The rule in words."""
        return f"rises at most {self.per_hour:.0%} an hour"

    def __str__(self) -> str:
        return f"{self.metric} {self.expression}"

    def judge(self, windows: Sequence[Window], _phases: Sequence[PhaseSpan]) -> ThresholdResult:
        """Judge the rule on the course of a run; *observed* is the rise an hour, as a share."""
        points = self._checkpoints(windows)
        seen = f"{len(points)} checkpoints of {format_duration(self._every_s)}"
        if len(points) < _ENOUGH_CHECKPOINTS:
            return ThresholdResult(self, Outcome.NOT_JUDGED, note=f"{seen}; needs {_ENOUGH_CHECKPOINTS}")
        level = median(value for _, value in points)
        rise = theil_sen(points) * 3600.0 / level if level else 0.0
        note = f"{seen}, {points[0][1]:.4g} at the first, {points[-1][1]:.4g} at the last"
        needed_s = _ENOUGH_CHECKPOINTS * duration_s(self.every)
        if windows[-1].end_s < needed_s:
            note += f"; a rise an hour is not told from less than {format_duration(needed_s)}"
            return ThresholdResult(self, Outcome.NOT_JUDGED, rise, note, words=f"{rise:+.1%}")
        outcome = Outcome.PASSED if rise <= self.per_hour else Outcome.FAILED
        return ThresholdResult(self, outcome, rise, note, words=f"{rise:+.1%}")

    @property
    def _every_s(self) -> float:
        stated_s = duration_s(self.every)
        return max(stated_s * self.scale, min(stated_s, _SHORTEST_CHECKPOINT_S))

    def _checkpoints(self, windows: Sequence[Window]) -> list[tuple[float, float]]:
        """Return (seconds from the start, level) of each checkpoint that is complete and has samples."""
        every_s = self._every_s
        complete = int(windows[-1].end_s // every_s) if windows else 0
        levels: dict[int, list[float]] = {}
        for window in windows:
            number = int((window.start_s + window.end_s) / 2 // every_s)
            if number < complete and math.isfinite(level := _level(window.snapshot, self.metric)):
                levels.setdefault(number, []).append(level)
        return [((number + 0.5) * every_s, median(values)) for number, values in levels.items()]


def theil_sen(points: Sequence[tuple[float, float]]) -> float:
    """Return the median of the slopes between all pairs of *points*, 0 without two of them."""
    step = max(1, math.ceil(len(points) / _MOST_POINTS))
    slopes = [(y2 - y1) / (x2 - x1) for (x1, y1), (x2, y2) in combinations(points[::step], 2) if x2 > x1]
    return median(slopes) if slopes else 0.0


def breaking_point(
    windows: Sequence[Window], thresholds: Sequence[Threshold], error_rate: float, phases: Sequence[PhaseSpan] = ()
) -> str:
    """Say where the load first crossed a limit, with its VUs and its rate, and from when on it did no more.

    Empty where it never did.
    """
    limits = [threshold for threshold in thresholds if threshold.quantile is not None]
    crossed = [(window, words) for window in windows if (words := _crossed(window, limits, error_rate, phases))]
    if not crossed:
        return ""
    (first, words), (last, _) = crossed[0], crossed[-1]
    after = [window for window in windows if window.start_s >= last.end_s and _iterations(window)]
    recovered = (
        f"within its limits again from {after[0].start_s:.0f} s on, {_vus(after[0])} VUs"
        if len(after) >= _CONSECUTIVE
        else "it did not recover"
    )
    rate = _iterations(first) / first.duration_s
    return f"breaking point at {first.start_s:.0f} s, {_vus(first)} VUs, {rate:.4g} iterations/s: {words}; {recovered}"


def _crossed(window: Window, limits: Sequence[Threshold], error_rate: float, phases: Sequence[PhaseSpan]) -> str:
    """Return the first limit that *window* crosses, in words, "" where it crosses none."""
    for limit in limits:
        if limit.phase in {None, phase_of(window, phases)}:
            result = evaluate(limit, window.snapshot, window.duration_s)
            if result.outcome is Outcome.FAILED and result.observed is not None:
                return f"{limit} (observed {result.observed:.4g})"
    failed = window.snapshot.select(builtin.ITERATION_FAILED.name)
    if isinstance(failed, RateState) and failed.total and failed.rate > error_rate:
        return f"{failed.rate:.0%} of the iterations failed"
    return ""


def _vus(window: Window) -> int:
    vus = window.snapshot.select(builtin.VUS.name)
    return int(vus.max) if isinstance(vus, GaugeState) else 0


def _iterations(window: Window) -> float:
    count = window.snapshot.select(builtin.ITERATIONS.name)
    return count.total if isinstance(count, CounterState) else 0.0


def _check_metric(rule: object, value: object) -> None:
    if not isinstance(value, str) or not value:
        allowed = "the name of a metric, such as 'response_time'"
        raise ConfigError(f"{type(rule).__name__}: metric={shown(value)}; allowed: {allowed}")


def _check_share(rule: object, name: str, value: object) -> None:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= _MOST_SHARE:
        raise ConfigError(
            f"{type(rule).__name__}: {name}={shown(value)}; allowed: a share of 0 to {_MOST_SHARE}, such as 0.5"
        )


def _check_duration(rule: object, name: str, value: str) -> None:
    try:
        duration_s(value)
    except UnitError as error:
        raise ConfigError(f"{type(rule).__name__}: {name}={error}") from None


def _merged(windows: Sequence[Window], metric: str, start_s: float, end_s: float) -> Histogram | None:
    merged = Snapshot()
    for window in windows:
        if start_s <= (window.start_s + window.end_s) / 2 < end_s:
            merged.extend(window.snapshot)
    state = merged.select(metric)
    return state if isinstance(state, Histogram) else None


def _seconds_until_below(windows: Sequence[Window], metric: str, limit: float, since_s: float) -> float | None:
    running: list[Window] = []
    for window in windows:
        state = window.snapshot.select(metric)
        if not isinstance(state, Histogram) or state.count < _ENOUGH_SAMPLES:
            continue
        running = [*running, window] if state.quantile(0.95) <= limit else []
        if len(running) >= _CONSECUTIVE:
            return max(0.0, running[0].start_s - since_s)
    return None


def _level(snapshot: Snapshot, metric: str) -> float:
    state = snapshot.select(metric)
    if isinstance(state, Histogram):
        return state.quantile(0.95) if state.count >= _ENOUGH_SAMPLES else math.nan
    return state.value if isinstance(state, GaugeState) else math.nan
