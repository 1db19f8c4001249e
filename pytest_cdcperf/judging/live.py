"""Judges a run while it is under way and at its end, by the same code."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from pytest_cdcperf.judging.intervals import PhaseWindows, Precision, quantile_precision
from pytest_cdcperf.judging.own_delay import only_delays
from pytest_cdcperf.judging.threshold import Outcome, Threshold, ThresholdResult, evaluate
from pytest_cdcperf.metrics.histogram import Histogram
from pytest_cdcperf.metrics.series import HOLD, PhaseSpan, Timeline, Window, phase_at
from pytest_cdcperf.metrics.snapshot import Snapshot

_UPPER = {"<", "<="}
_EQUAL = {"==", "===", "!="}


class Judging:
    """Takes the windows of a run in the order of time and knows at any time what its thresholds say."""

    def __init__(self, thresholds: Sequence[Threshold], phases: Sequence[PhaseSpan] = ()) -> None:
        self.timeline = Timeline(phases)
        self._thresholds = thresholds
        self._phases = phases
        self._sliding = {t: _WorstWindow(t, t.over_s) for t in thresholds if t.over_s is not None}

    def add(self, window: Window) -> None:
        """Take the next window."""
        self.timeline.add(window)
        for sliding in self._sliding.values():
            sliding.add(window)

    def results(self) -> list[ThresholdResult]:
        """Return what each threshold says of the run so far, with how exactly it is known."""
        return [self._result(threshold, self._precision(threshold)) for threshold in self._thresholds]

    def delays(self, threshold: Threshold) -> tuple[Snapshot, float]:
        """Return the figures of the windows by which *threshold* is judged, and their seconds, for its own delay.

        With ``over=`` these are the worst windows and the one before: a late beat is counted where it comes, and may
        have hurt those before it.
        """
        if threshold in self._sliding:
            return self._sliding[threshold].delays
        if threshold.phase is not None:
            by_phase, seconds = self.timeline.by_phase, self.timeline.phase_s
            return by_phase.get(threshold.phase, Snapshot()), seconds.get(threshold.phase, 0.0)
        return self.timeline.total, self.timeline.elapsed_s

    def reason_to_abort(self) -> ThresholdResult | None:
        """Return the first threshold that wants to end the run now, None without any."""
        due = (t for t in self._thresholds if t.abort_on_fail and self.timeline.elapsed_s >= t.delay_s)
        return next((result for t in due if (result := self._result(t)).outcome is Outcome.FAILED), None)

    def _result(self, threshold: Threshold, exact: Precision | None = None) -> ThresholdResult:
        if threshold in self._sliding:
            return self._sliding[threshold].result()
        if threshold.phase is not None:
            snapshot = self.timeline.by_phase.get(threshold.phase, Snapshot())
            return evaluate(threshold, snapshot, self.timeline.phase_s.get(threshold.phase, 0.0), exact)
        return evaluate(threshold, self.timeline.total, self.timeline.elapsed_s, exact)

    def _precision(self, threshold: Threshold) -> Precision | None:
        if threshold.quantile is None or threshold in self._sliding:
            return None
        by_phase: dict[PhaseSpan | None, list[Histogram]] = {}
        for window in self.timeline.history:
            phase = phase_at(window, self._phases)
            state = window.snapshot.select(threshold.metric, dict(threshold.tags))
            if isinstance(state, Histogram) and threshold.phase in {None, phase and phase.name}:
                by_phase.setdefault(phase, []).append(state)
        phases = [
            PhaseWindows(tuple(windows), ramp=phase is not None and phase.name != HOLD)
            for phase, windows in by_phase.items()
        ]
        return quantile_precision(phases, threshold.quantile)


class _WorstWindow:
    """A threshold on every window of some length: the worst counts."""

    def __init__(self, threshold: Threshold, length_s: float) -> None:
        self._threshold = threshold
        self._length_s = length_s
        self._windows: deque[Window] = deque()
        self._before: Window | None = None
        self._worst: ThresholdResult | None = None
        self.delays: tuple[Snapshot, float] = (Snapshot(), 0.0)

    def add(self, window: Window) -> None:
        self._windows.append(window)
        while len(self._windows) > 1 and window.end_s - self._windows[1].start_s >= self._length_s - 1e-3:
            self._before = self._windows.popleft()
        if window.end_s - self._windows[0].start_s >= self._length_s - 1e-3 and self._is_worst(self._evaluated()):
            result = self._evaluated(self._precision())
            if result.outcome is not Outcome.TOO_FEW:  # too few samples make no worst window
                self._worst = result
                self.delays = self._delays()

    def _delays(self) -> tuple[Snapshot, float]:
        windows = [window for window in (self._before, *self._windows) if window is not None]
        merged = Snapshot()
        for window in windows:
            merged.extend(only_delays(window.snapshot))
        return merged, sum(window.duration_s for window in windows)

    def result(self) -> ThresholdResult:
        if self._worst is not None:
            return self._worst
        if not self._windows:
            return evaluate(self._threshold, Snapshot(), 0.0)
        return self._evaluated(self._precision())

    def _evaluated(self, exact: Precision | None = None) -> ThresholdResult:
        merged = Snapshot()
        for window in self._windows:
            merged.extend(window.snapshot)
        length_s = self._windows[-1].end_s - self._windows[0].start_s
        return evaluate(self._threshold, merged, length_s, exact)

    def _is_worst(self, result: ThresholdResult) -> bool:
        worst = self._worst
        if result.observed is None or worst is None or worst.observed is None:
            return result.observed is not None
        if self._threshold.operator in _EQUAL:  # a value that is off is as bad as any other that is
            return result.outcome is Outcome.FAILED and worst.outcome is not Outcome.FAILED
        if self._threshold.operator in _UPPER:
            return result.observed > worst.observed
        return result.observed < worst.observed

    def _precision(self) -> Precision | None:
        threshold = self._threshold
        if threshold.quantile is None:
            return None
        found = (window.snapshot.select(threshold.metric, dict(threshold.tags)) for window in self._windows)
        windows = tuple(state.coarse() for state in found if isinstance(state, Histogram))
        return quantile_precision([PhaseWindows(windows, ramp=True)], threshold.quantile)  # it may lie on a ramp
