"""The breaking point: the load from which on a limit is crossed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple, TypeVar

from pytest_cdcperf.judging.intervals import Cluster, Stratum, precision
from pytest_cdcperf.judging.own_delay import distorts
from pytest_cdcperf.judging.rules.readings import left_out_in_words
from pytest_cdcperf.judging.student import t_quantile
from pytest_cdcperf.judging.threshold import Threshold
from pytest_cdcperf.judging.words import limit_in_words
from pytest_cdcperf.metrics import builtin
from pytest_cdcperf.metrics.phases import RAMP_DOWN, RAMP_UP, Phase, Span, middle_s, spans_of
from pytest_cdcperf.metrics.timeline import Window
from pytest_cdcperf.units import figure

_CONFIDENCE = 0.995
_ROUNDING = 1e-12  # of 1 - 0.95
_FEWEST_WINDOWS = 10
_LEAST_SHARE_OF_RAMP = 0.05
_FEWEST_SAMPLES = 20
_FEWEST_ABOVE = 5
_AROUND_S = 3.0  # the rate of a single second is chance
_LEAST_FAILED = 0.01  # where none are tolerated: a single failure is not where a system breaks
_UPPER = {"<", "<="}


class Counts(NamedTuple):
    """How many samples one window has, and how many of them lie above a limit, or failed.

    It is *left_out*, and none of its samples counted, where the generator's own delay distorts it.
    """

    start_s: float
    end_s: float
    samples: int
    above: int
    left_out: bool = False


class Watched(NamedTuple):
    """A limit, the share of samples that may lie above it, and how many did, window by window."""

    limit: Threshold
    allowed: float
    counts: Sequence[Counts]


class Breaking(StrEnum):
    """Whether a limit broke while the load rose. Where the ramp is too short to decide that is uncertain."""

    FOUND = "found"
    UNCERTAIN = "uncertain"
    NONE = "none"


@dataclass(frozen=True)
class BreakingPoint:
    """The load at which a run whose load rose breaks, as far as it shows that."""

    outcome: Breaking
    vus: int
    """The VUs at that load; where no limit broke, the most that the run came to."""
    limit: Threshold | None = None
    """The limit that broke first."""
    at_s: float | None = None
    """From when on it is crossed."""
    rate: float | None = None
    """Iterations a second around that time."""
    observed: float | None = None
    """The share of samples above the limit from there to the end of the ramp, 0 to 1."""
    allowed: float | None = None
    """The share that may lie above it."""
    load_fell: bool = False
    """Whether the load came down again."""
    recovered_at_s: float | None = None
    """From when on the limit is kept again to the end, once the load has fallen."""
    recovered_vus: int | None = None
    """The VUs at that time."""
    windows: int = 0
    """The windows in which the load rose."""
    windows_left_out: int = 0
    """Those of them that are not judged, since the generator itself was late."""

    @property
    def words(self) -> str:
        """All of that in a sentence."""
        left_out = left_out_in_words(self.windows_left_out, self.windows)
        return self._found_in_words() + (f"; {left_out}" if left_out else "")

    def _found_in_words(self) -> str:
        if self.outcome is Breaking.NONE or self.limit is None:
            return f"no breaking point up to {self.vus} VUs"
        limit = limit_in_words(self.limit)
        if self.outcome is Breaking.UNCERTAIN:
            return f"it may break from {self.vus} VUs on, by {limit}; needs a longer ramp to decide"
        when = figure(self.at_s or 0.0, "s", 1)
        share, allowed = figure(self.observed or 0.0, "%", 3), figure(self.allowed or 0.0, "%", 3)
        return (
            f"breaking point at {when}, {self.vus} VUs, {figure(self.rate or 0.0)} iterations/s: {limit} is "
            f"crossed and stays above to the end of the ramp ({share} of the samples, {allowed} allowed)"
            f"{self._return_in_words()}"
        )

    def _return_in_words(self) -> str:
        if not self.load_fell:
            return ""
        if self.recovered_at_s is None:
            return "; it did not recover"
        return f"; within the limit again from {figure(self.recovered_at_s, 's', 1)} on, {self.recovered_vus} VUs"


class Break(NamedTuple):
    """The window *at* which the share above a limit passes what is allowed, and that share from there on."""

    at: Counts
    share: float
    certain: bool


def breaking_point(
    watched: Sequence[Watched], windows: Sequence[Window], phases: Sequence[Phase]
) -> BreakingPoint | None:
    """Return at which load the first of the *watched* limits broke, and whether the run came back once the load fell.

    None where the load did not rise.

    :param windows: any that have the VUs and the iterations over time; they need not be those of the counts
    """
    spans = spans_of(phases)
    rises = _rises(spans)
    if not rises:
        return None
    broken = [
        (found, limit, rise)
        for limit in watched
        for rise in rises
        if (found := find_break(_between(limit.counts, *rise), limit.allowed)) is not None
    ]
    certain = [one for one in broken if one[0].certain]
    if not broken:
        return _unbroken(watched, windows, rises)
    found, limit, (_, end_s) = min(certain or broken, key=lambda one: one[0].at.start_s)
    at_s = found.at.start_s
    seen, left_out = _windows_seen([limit], rises)
    point = BreakingPoint(
        Breaking.FOUND if certain else Breaking.UNCERTAIN,
        _vus(windows, at_s),
        limit.limit,
        at_s,
        _rate_at(windows, at_s),
        found.share,
        limit.allowed,
        windows=seen,
        windows_left_out=left_out,
    )
    falls = [span.start_s for span in spans if span.name == RAMP_DOWN and span.start_s >= end_s]
    if not falls:
        return point
    back = find_return(_between(limit.counts, falls[0], spans[-1].end_s), limit.allowed)
    if back is None:
        return replace(point, load_fell=True)
    return replace(point, load_fell=True, recovered_at_s=back.start_s, recovered_vus=_vus(windows, back.start_s))


def _unbroken(
    watched: Sequence[Watched], windows: Sequence[Window], rises: Sequence[tuple[float, float]]
) -> BreakingPoint:
    left_out = {(counts.start_s, counts.end_s) for limit in watched for counts in limit.counts if counts.left_out}
    rising = [window for rise in rises for window in _between(windows, *rise)]
    most = max((_most_vus(window) for window in rising if (window.start_s, window.end_s) not in left_out), default=0)
    seen, not_judged = _windows_seen(watched, rises)
    return BreakingPoint(Breaking.NONE, most, windows=seen, windows_left_out=not_judged)


def find_break(ramp: Sequence[Counts], allowed: float) -> Break | None:
    """Return where on *ramp*, whose load rises, the share above comes to lie above *allowed* and stays there.

    That is the first window at which the rising fit of the shares passes *allowed*, with five samples above from there
    on: fewer are nothing to go by. It is certain where ten windows and a twentieth of the ramp follow, and the share in
    them lies above *allowed* by more than chance would have it in 1 of 200 runs.
    """
    ramp = [window for window in ramp if window.samples]
    first = next((at for at, fit in enumerate(rising_fit(ramp)) if fit > allowed + _ROUNDING), len(ramp))
    tail = ramp[first:]
    samples, above = sum(window.samples for window in tail), sum(window.above for window in tail)
    if samples < _FEWEST_SAMPLES or above < _FEWEST_ABOVE:
        return None
    enough = len(tail) >= max(_FEWEST_WINDOWS, _LEAST_SHARE_OF_RAMP * len(ramp))
    return Break(tail[0], above / samples, enough and _is_beyond_chance(tail, allowed))


def find_return(fall: Sequence[Counts], allowed: float) -> Counts | None:
    """Return the window from which on, to the end of *fall*, no more samples lie above the limit than *allowed*."""
    backwards = [window for window in reversed(fall) if window.samples]
    fit = rising_fit(backwards)
    kept = [window for window, share in zip(backwards, fit, strict=True) if share <= allowed + _ROUNDING]
    enough = len(kept) >= _FEWEST_WINDOWS and sum(window.samples for window in kept) >= _FEWEST_SAMPLES
    return kept[-1] if enough else None


def rising_fit(windows: Sequence[Counts]) -> list[float]:
    """Return the shares above that never fall and lie nearest to those of *windows*, weighted by their samples.

    Pool adjacent violators: Ayer et al., Annals of Mathematical Statistics 26 (1955) 641.

    :param windows: each with at least one sample
    """
    pools: list[tuple[int, int, int]] = []  # samples, above, windows
    for window in windows:
        samples, above, joined = window.samples, window.above, 1
        while pools and pools[-1][1] * samples >= above * pools[-1][0]:
            before = pools.pop()
            samples, above, joined = samples + before[0], above + before[1], joined + before[2]
        pools.append((samples, above, joined))
    return [above / samples for samples, above, joined in pools for _ in range(joined)]


def _is_beyond_chance(windows: Sequence[Counts], allowed: float) -> bool:
    exact = precision([Stratum(tuple(Cluster(window.samples, window.above) for window in windows))])
    share = sum(window.above for window in windows) / exact.samples
    spread = math.sqrt(share * (1 - share) * exact.factor / exact.samples)
    return share - allowed > t_quantile(_CONFIDENCE, len(windows) - 1) * spread


def watched_in(windows: Sequence[Window], thresholds: Sequence[Threshold], error_rate: float) -> list[Watched]:
    """Return what may break of *thresholds*, the upper limits of percentiles, and failed iterations, by *windows*."""
    watched = [
        Watched(limit, 1.0 - limit.quantile, [_above(window, limit) for window in windows])
        for limit in thresholds
        if limit.quantile is not None and limit.quantile < 1 and limit.operator in _UPPER
        if limit.phase in {None, RAMP_UP}
    ]
    allowed = max(error_rate, _LEAST_FAILED)
    limit = Threshold(builtin.ITERATION_FAILED.name, "rate", "<=", allowed)
    failed = Watched(limit, allowed, [_failed(window) for window in windows])
    return [*watched, failed]


def _above(window: Window, limit: Threshold) -> Counts:
    samples = window.snapshot.trend(limit.metric, dict(limit.tags))
    if samples.count and distorts(window.snapshot, limit.metric):
        return Counts(window.start_s, window.end_s, 0, 0, left_out=True)
    return Counts(window.start_s, window.end_s, samples.count, samples.count_above(limit.limit))


def _failed(window: Window) -> Counts:
    failed = window.snapshot.rate(builtin.ITERATION_FAILED.name)
    return Counts(window.start_s, window.end_s, failed.total, failed.hits)


def _rises(spans: Sequence[Span]) -> list[tuple[float, float]]:
    """Return when the load rises, with the holds between two rises."""
    rises: list[tuple[float, float]] = []
    goes_on = False
    for span in spans:
        if span.name == RAMP_UP:
            begin_s = rises.pop()[0] if goes_on else span.start_s
            rises.append((begin_s, span.end_s))
        goes_on = span.name != RAMP_DOWN and (goes_on or span.name == RAMP_UP)
    return rises


def _windows_seen(watched: Sequence[Watched], rises: Sequence[tuple[float, float]]) -> tuple[int, int]:
    """Return how many windows there are while the load rises, and how many of them are left out."""
    seen = {
        (counts.start_s, counts.left_out)
        for limit in watched
        for rise in rises
        for counts in _between(limit.counts, *rise)
    }
    return len({start_s for start_s, _ in seen}), sum(left_out for _, left_out in seen)


_Timed = TypeVar("_Timed", Counts, Window)


def _between(windows: Sequence[_Timed], start_s: float, end_s: float) -> list[_Timed]:
    return [window for window in windows if start_s <= middle_s(window) < end_s]


def _rate_at(windows: Sequence[Window], at_s: float) -> float:
    near = _between(windows, at_s - _AROUND_S, at_s + _AROUND_S)
    span_s = sum(window.duration_s for window in near)
    return sum(window.snapshot.count(builtin.ITERATIONS.name) for window in near) / span_s if span_s else 0.0


def _vus(windows: Sequence[Window], at_s: float) -> int:
    return next((_most_vus(window) for window in windows if window.end_s > at_s), 0)


def _most_vus(window: Window) -> int:
    vus = window.snapshot.gauge(builtin.VUS.name)
    return 0 if vus.is_empty else int(vus.max)
