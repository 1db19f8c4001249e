"""The readings of one metric that a rule judges, window by window."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pytest_cdcperf.judging.names import names_for
from pytest_cdcperf.judging.own_delay import distorts
from pytest_cdcperf.metrics.histogram import Histogram
from pytest_cdcperf.metrics.metric import Kind, definition
from pytest_cdcperf.metrics.phases import Span, middle_s
from pytest_cdcperf.metrics.snapshot import BY_TIME, SeriesKey
from pytest_cdcperf.metrics.timeline import Window

P95 = 0.95
_MOST_LOGARITHM = 709.0


class TrendWindow(NamedTuple):
    """The samples of one window, in seconds from the start of the run. Windows may be left out between two."""

    start_s: float
    end_s: float
    samples: Histogram

    @property
    def middle_s(self) -> float:
        """The middle of the window, which decides the span that it belongs to."""
        return middle_s(self)


def trend_windows(windows: Iterable[Window], metric: str) -> list[TrendWindow]:
    """Return the windows of *metric*, an empty histogram where a window has no sample of it."""
    return [TrendWindow(window.start_s, window.end_s, window.snapshot.trend(metric)) for window in windows]


def trend_windows_of(span: Span, windows: Sequence[Window], metric: str) -> list[TrendWindow]:
    """Return the windows of *span* with the samples of *metric* whose iterations began in it.

    What ended after it is counted in its last window.
    """
    inside = [number for number, window in enumerate(windows) if span.covers(window)]
    if not inside:
        return []
    parts: dict[int, list[Histogram]] = {number: [] for number in inside}
    for number, window in enumerate(windows):
        phases = span.numbers | {BY_TIME} if number in parts else span.numbers
        if (samples := window.snapshot.trend(metric, phases=phases)).count:
            parts[min(max(number, inside[0]), inside[-1])].append(samples)
    return [TrendWindow(windows[at].start_s, windows[at].end_s, _merged(samples)) for at, samples in parts.items()]


class Undisturbed(NamedTuple):
    """The windows that can be judged, and how many were *left_out* since the generator's own delay distorts them."""

    windows: Sequence[Window]
    left_out: int = 0

    @classmethod
    def of(cls, windows: Sequence[Window], metric: str) -> Undisturbed:
        """Take the *windows* by which *metric* would be judged."""
        kept = [window for window in windows if not distorts(window.snapshot, metric)]
        return cls(kept, len(windows) - len(kept))

    def note(self, said: str) -> str:
        """Return *said*, with how many windows were left out where there are any."""
        return "; ".join(filter(None, (said, left_out_in_words(self.left_out, self.left_out + len(self.windows)))))


def left_out_in_words(left_out: int, of: int) -> str:
    """Say that *left_out* of some windows are not judged, "" where all are."""
    were = "window was" if of == 1 else "windows were"
    return f"{left_out} of {of} {were} left out, in which the load generator itself was late" if left_out else ""


def merged(windows: Sequence[TrendWindow]) -> Histogram:
    """Return the samples of all *windows* in one histogram."""
    return _merged([window.samples for window in windows])


def _merged(samples: Sequence[Histogram]) -> Histogram:
    if len(samples) == 1:
        return samples[0]
    total = Histogram()
    for part in samples:
        total.merge(part)
    return total


def exp(value: float) -> float:
    """Return e to the *value*, infinity where that is beyond the floats."""
    return math.exp(value) if value < _MOST_LOGARITHM else math.inf


def absence(windows: Sequence[Window], metric: str, allowed: Sequence[Kind]) -> str:
    """Return why *windows* hold nothing of *metric* to judge, with the names that they do hold; "" where they do."""
    keys: set[SeriesKey] = {key for window in windows for key in window.snapshot.series}
    name = known.name if (known := definition(metric)) is not None else metric
    kinds = {key.kind for key in keys if key.name == name}
    if kinds & set(allowed):
        return ""
    names = names_for(metric, {key.name for key in keys if key.kind in allowed})
    reason = f"it is a {kinds.pop()}" if kinds else f"the run recorded no {metric}"
    return f"{reason}; the {' and '.join(f'{kind}s' for kind in allowed)} of the run: {names}"
