"""The samples that a threshold is on, window by window and phase by phase: what their precision is worked out from."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_cdcperf.judging.intervals import PhaseWindows
from pytest_cdcperf.judging.threshold import Threshold
from pytest_cdcperf.metrics.histogram import Histogram
from pytest_cdcperf.metrics.phases import Phase, PhaseOf, Span, spans_of
from pytest_cdcperf.metrics.snapshot import BY_TIME
from pytest_cdcperf.metrics.timeline import Window


def phase_windows(windows: Sequence[Window], phases: Sequence[Phase], threshold: Threshold) -> list[PhaseWindows]:
    """Return the samples of *windows* by which *threshold*, on a trend, is judged, by the span that they are in.

    :param phases: all phases of the plan
    """
    tags, spans = dict(threshold.tags), spans_of(phases)
    by_span: dict[Span | None, list[Histogram]] = {}
    for window in windows:
        for span, numbers in _by_span(window, phases, spans, threshold).items():
            if (samples := window.snapshot.trend(threshold.metric, tags, numbers)).count:
                by_span.setdefault(span, []).append(samples)
    return [PhaseWindows(tuple(found), ramp=span is not None and span.is_ramp) for span, found in by_span.items()]


def _by_span(
    window: Window, phases: Sequence[Phase], spans: Sequence[Span], threshold: Threshold
) -> dict[Span | None, set[int]]:
    """Return the phases of the samples of *window* by which *threshold* is judged, by the span that they are in.

    So what several loads measured in the same seconds is one cluster: it depends on the same system.
    """
    found = window.snapshot.phases(threshold.metric)
    if threshold.phase is not None:
        found &= PhaseOf(threshold.phase, phases).belonging(window)
    by_span: dict[Span | None, set[int]] = {}
    for number in found:
        in_it = (s for s in spans if (s.covers(window) if number == BY_TIME else number in s.numbers))
        by_span.setdefault(next(in_it, None), set()).add(number)
    return by_span
