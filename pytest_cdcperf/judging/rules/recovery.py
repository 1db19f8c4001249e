"""Recovery: after the load has come down, the latency is what it was before."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from pytest_cdcperf.checks import by_key, checked, read_durations
from pytest_cdcperf.judging.intervals import Cluster, Precision, Stratum, interval_ranks, precision
from pytest_cdcperf.judging.rules.readings import (
    P95,
    TrendWindow,
    Undisturbed,
    absence,
    exp,
    merged,
    trend_windows_of,
)
from pytest_cdcperf.judging.rules.rule import RunRule, tolerance_fault
from pytest_cdcperf.judging.threshold import Levels, Outcome, ThresholdResult
from pytest_cdcperf.metrics.histogram import Histogram
from pytest_cdcperf.metrics.metric import Kind, with_unit
from pytest_cdcperf.metrics.phases import RAMP_DOWN, Phase, spans_of
from pytest_cdcperf.metrics.timeline import Window
from pytest_cdcperf.units import Duration, figure, format_duration

_SIXTHS = 6
_SHOWN = 0.95  # two-sided: both ends of the interval that is shown, the upper one of which a recovery must keep
_PROVEN = 0.98  # two-sided: 99 % for the lower end, which must lie above the tolerance for a failure
_MOST_TIMES = 100.0


@checked
@dataclass(frozen=True)
class Recovery(RunRule):
    """After the load has come down, *metric*'s p95 is back within *tolerance* of what it was before, in time.

    Judged is the ratio of the p95 in the hold after the ramps to that in the hold before them, by its interval. An
    iteration belongs to the hold in which it began. Windows that the load generator's own delay distorts are left out.

    PASSED: in the last part of the hold after, which begins at the latest *within* after the load came down, the
    ratio is at most ``1 + tolerance`` and the upper end of its 95 % interval at most ``1 + 2 * tolerance``. FAILED:
    the 99 % lower bound of the ratio lies above ``1 + tolerance``, in the last third of *within* or in all that
    follows it. Anything else is "not judged", which makes a run INVALID that was not shortened. The hold before
    should last a minute, the hold after a minute longer than *within*.

    :param metric: a trend
    :param tolerance: a share: 0.5 allows half as much again
    :param within: a duration: a number of seconds, or text such as "60s"
    :raises ConfigError: when a value is not valid

    >>> str(Recovery("http_req_duration", tolerance=0.2, within="90s"))
    'http_req_duration p(95) back within 20% in 1m30s'
    """

    KINDS = (Kind.TREND,)

    tolerance: float = 0.5
    within: Duration = 60.0

    def _read_fields(self) -> list[str]:
        return by_key(tolerance=tolerance_fault(self.tolerance)) + read_durations(self, "within")

    @property
    def expression(self) -> str:
        """The rule in words."""
        return f"p(95) back within {self.tolerance:.0%} in {format_duration(float(self.within))}"

    def judge(self, windows: Sequence[Window], phases: Sequence[Phase]) -> ThresholdResult:
        """Judge the rule on the windows of a run; *observed* is the ratio of the p95 after to that before."""
        spans = spans_of(phases)
        if all(s.name != RAMP_DOWN for s in spans) or spans[0].is_ramp or spans[-1].is_ramp:
            return ThresholdResult(self, Outcome.NOT_JUDGED, note="needs a hold before and after the ramps")
        if missing := absence(windows, self.metric, self.KINDS):
            return ThresholdResult(self, Outcome.NO_SAMPLES, note=missing)
        holds = spans[0], spans[-1]
        of_holds = [w for w in windows if any(s.covers(w) or s.numbers & w.snapshot.phases(self.metric) for s in holds)]
        judged = Undisturbed.of(of_holds, self.metric)
        before, after = (trend_windows_of(hold, judged.windows, self.metric) for hold in holds)
        found = judge_recovery(before, after, spans[-1].start_s, self.tolerance, float(self.within))
        if found.ratio is None:
            return ThresholdResult(self, found.outcome, note=judged.note(found.needs))
        span = f"{format_duration(round(found.from_s))} to {format_duration(round(found.to_s))}"
        earlier, later = (with_unit(level, self.metric) for level in (found.before, found.after))
        note = f"p(95) {earlier} before, {later} from {span} after the load came down"
        note += f"; {found.needs}" if found.needs else ""
        ends = (found.ratio.low, found.ratio.high)
        levels = Levels(found.before, found.after, found.from_s, found.to_s)
        return ThresholdResult(self, found.outcome, found.ratio.point, judged.note(note), ends, levels=levels)

    def in_words(self, observed: float, interval: tuple[float, float] | None) -> str:
        """Return the ratio: "1.7 times [1.2 to 2.4]"."""
        return _times_in_words(observed) if interval is None else str(Ratio(observed, *interval))


class Ratio(NamedTuple):
    """A ratio with the ends of its interval: 0 and infinity where the samples show no end."""

    point: float
    low: float
    high: float

    def __str__(self) -> str:
        high = f"{self.high:.3g}" if math.isfinite(self.high) else "?"
        return f"{_times_in_words(self.point)} [{self.low:.3g} to {high}]"


class RecoveryFinding(NamedTuple):
    """The finding: the ratio, with the two levels and the seconds after the load came down; what it needs."""

    outcome: Outcome
    ratio: Ratio | None = None
    before: float = math.nan
    after: float = math.nan
    from_s: float = math.nan
    to_s: float = math.nan
    needs: str = ""


def judge_recovery(
    before: Sequence[TrendWindow], after: Sequence[TrendWindow], down_s: float, tolerance: float, within_s: float
) -> RecoveryFinding:
    """Judge by the windows of the hold *before* the ramps, and of that *after* them, which begins at *down_s*.

    The parts of the hold after that may show the recovery all last to its end, and begin 0 to 6 sixths of *within_s*
    after *down_s*; the shortest is tried first.
    """
    level = _Part(tuple(before))
    if not level.samples.count or level.p95 <= 0:
        return RecoveryFinding(Outcome.NOT_JUDGED, needs="needs samples above 0 in the hold before the ramps")
    hold = _Hold(after, down_s)

    def finding(outcome: Outcome, part: _Part, needs: str = "") -> RecoveryFinding:
        ratio = _ratio(level, part, _SHOWN)
        from_s, to_s = part.windows[0].start_s - down_s, part.windows[-1].end_s - down_s
        return RecoveryFinding(outcome, ratio, level.p95, part.p95, from_s, to_s, needs)

    for late in hold.late_parts(within_s):
        if _ratio(level, late, _PROVEN).low > 1 + tolerance:
            return finding(Outcome.FAILED, late)
    parts = hold.parts(within_s)
    if not parts:
        needs = f"a hold of {format_duration(within_s * 4 / 3)} after the ramps, with samples"
        return RecoveryFinding(Outcome.NOT_JUDGED, needs=f"needs {needs}; it lasted {format_duration(hold.lasted_s)}")
    open_part = parts[0]
    for part in parts:
        ratio = _ratio(level, part, _SHOWN)
        if ratio.point > 1 + tolerance:
            break
        if ratio.high <= 1 + 2 * tolerance:
            return finding(Outcome.PASSED, part)
        open_part = part
    return finding(Outcome.NOT_JUDGED, open_part, _needs(level, open_part, tolerance))


@dataclass(frozen=True)
class _Part:
    """Some windows that are judged as one."""

    windows: tuple[TrendWindow, ...]

    @cached_property
    def samples(self) -> Histogram:
        return merged(self.windows)

    @cached_property
    def p95(self) -> float:
        return self.samples.interpolated(P95)

    @cached_property
    def factor(self) -> float:
        edge = self.samples.edge_at(P95)
        clusters = (Cluster(window.samples.count, window.samples.count_above(edge)) for window in self.windows)
        return precision([Stratum(tuple(clusters))]).factor


class _Hold:
    """The windows of the hold after the ramps, and its parts."""

    def __init__(self, windows: Sequence[TrendWindow], down_s: float) -> None:
        self._windows = windows
        self._down_s = down_s
        self._parts: dict[tuple[float, float], _Part] = {}

    @property
    def lasted_s(self) -> float:
        """The seconds for which it was seen."""
        return self._windows[-1].end_s - self._down_s if self._windows else 0.0

    def late_parts(self, within_s: float) -> list[_Part]:
        """Return the part that shows a failure: the last third of *within_s*, and all that follows it."""
        if not self._lasts(within_s):
            return []
        return _with_samples([self._part(within_s * 2 / 3, within_s), self._part(within_s)])

    def parts(self, within_s: float) -> list[_Part]:
        """Return what may show a recovery, the shortest first."""
        begins = [within_s * number / _SIXTHS for number in range(_SIXTHS, -1, -1)]
        return _with_samples([self._part(begin) for begin in begins if self._lasts(begin + within_s / 3)])

    def _lasts(self, seconds: float) -> bool:
        # Windows end a little early or late: half of the last one may be missing.
        last_s = self._windows[-1].end_s - self._windows[-1].start_s if self._windows else 0.0
        return bool(self._windows) and self.lasted_s >= seconds - last_s / 2

    def _part(self, begin_s: float, end_s: float = math.inf) -> _Part:
        if (begin_s, end_s) not in self._parts:
            inside = tuple(w for w in self._windows if begin_s <= w.middle_s - self._down_s < end_s)
            self._parts[begin_s, end_s] = _Part(inside)
        return self._parts[begin_s, end_s]


def _with_samples(parts: Iterable[_Part]) -> list[_Part]:
    return [part for part in parts if any(window.samples.count for window in part.windows)]


def _ratio(before: _Part, after: _Part, confidence: float) -> Ratio:
    """Return the ratio of two p95 with the ends of its interval, of *confidence* on both sides together.

    The logarithms of the two are independent: their distances to the ends add up by squares (MOVER: Zou and Donner,
    Statistics in Medicine 27 (2008) 1693). Both sides are taken for as dependent as the more dependent one.
    """
    if after.p95 <= 0:
        return Ratio(0.0, 0.0, 0.0)
    factor = max(before.factor, after.factor)
    (before_low, before_high), (after_low, after_high) = (_ends(part, factor, confidence) for part in (before, after))
    x = _ln(after.p95) - _ln(before.p95)
    low = x - math.hypot(_ln(after.p95) - _ln(after_low), _ln(before_high) - _ln(before.p95))
    high = x + math.hypot(_ln(after_high) - _ln(after.p95), _ln(before.p95) - _ln(before_low))
    return Ratio(exp(x), exp(low), exp(high))


def _ends(part: _Part, factor: float, confidence: float) -> tuple[float, float]:
    """Return the ends of the interval of the p95 of *part*: 0 and infinity where they do not exist."""
    count = part.samples.count
    if len(part.windows) < 2:
        return 0.0, math.inf
    exact = Precision(count, factor, len(part.windows) - 1.0)
    low, high = interval_ranks(count, P95, exact, confidence)
    lowest, highest = part.samples.values_at(max(1, low), min(high, count))
    return lowest if low >= 1 else 0.0, highest if count >= factor * _effective_needed(confidence) else math.inf


def _effective_needed(confidence: float) -> float:
    """Return how many independent samples an upper end of the p95 needs: 72 at 95 % on both sides, 90 at 98 %."""
    return math.log((1 - confidence) / 2) / math.log(P95)


def _ln(value: float) -> float:
    return math.log(value) if value > 0 else -math.inf


def _needs(before: _Part, after: _Part, tolerance: float) -> str:
    """Say how many times the samples would tell: the width of an interval falls with the square root of them."""
    ratio = _ratio(before, after, _SHOWN)
    x = _ln(ratio.point)
    if ratio.low <= 0 or not math.isfinite(ratio.high):
        needed = _effective_needed(_SHOWN) * max(before.factor, after.factor)
        least = max(2, math.ceil(needed / min(before.samples.count, after.samples.count)))
        return f"needs at least {least} times the rate or longer holds"
    if ratio.point > 1 + tolerance:
        times = _times(x - math.log(ratio.low), x - math.log1p(tolerance))
    else:
        times = _times(math.log(ratio.high) - x, math.log1p(2 * tolerance) - x)
    if times is None:
        return f"it lies too near {1 + tolerance:.3g} times to be distinguished from it"
    return f"needs about {times} times the rate or longer holds"


def _times_in_words(ratio: float) -> str:
    return f"{figure(ratio, digits=3)} times"


def _times(width: float, room: float) -> int | None:
    times = (width / room) ** 2 if room > 0 else math.inf
    return max(2, math.ceil(times)) if times <= _MOST_TIMES else None
