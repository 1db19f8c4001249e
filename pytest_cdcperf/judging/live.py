"""Judges a run while it is under way and at its end, by the same code."""

from __future__ import annotations

import operator
from collections import deque
from collections.abc import Sequence

from pytest_cdcperf.judging.threshold import Outcome, Threshold, ThresholdResult, evaluate
from pytest_cdcperf.metrics.series import PhaseSpan, Timeline, Window
from pytest_cdcperf.metrics.snapshot import Snapshot

_UPPER = {"<", "<="}
_WORST_FIRST = (Outcome.FAILED, Outcome.PASSED)


class Judging:
    """Takes the windows of a run in the order of time and knows at any time what its thresholds say."""

    def __init__(self, thresholds: Sequence[Threshold], phases: Sequence[PhaseSpan] = ()) -> None:
        self.timeline = Timeline(phases)
        self._thresholds = thresholds
        self._sliding = {t: _WorstWindow(t, t.over_s) for t in thresholds if t.over_s is not None}

    def add(self, window: Window) -> None:
        """Take the next window."""
        self.timeline.add(window)
        for sliding in self._sliding.values():
            sliding.add(window)

    def results(self) -> list[ThresholdResult]:
        """Return what each threshold says of the run so far."""
        return [self._result(threshold) for threshold in self._thresholds]

    def reason_to_abort(self) -> ThresholdResult | None:
        """Return the first threshold that wants to end the run now, None without any."""
        due = (t for t in self._thresholds if t.abort_on_fail and self.timeline.elapsed_s >= t.delay_s)
        return next((result for t in due if (result := self._result(t)).outcome is Outcome.FAILED), None)

    def _result(self, threshold: Threshold) -> ThresholdResult:
        if threshold in self._sliding:
            return self._sliding[threshold].result()
        if threshold.phase is not None:
            snapshot = self.timeline.by_phase.get(threshold.phase, Snapshot())
            return evaluate(threshold, snapshot, self.timeline.phase_s.get(threshold.phase, 0.0))
        return evaluate(threshold, self.timeline.total, self.timeline.elapsed_s)


class _WorstWindow:
    """A threshold on every window of some length: the worst counts."""

    def __init__(self, threshold: Threshold, length_s: float) -> None:
        self._threshold = threshold
        self._length_s = length_s
        self._windows: deque[Window] = deque()
        self._worst: ThresholdResult | None = None

    def add(self, window: Window) -> None:
        self._windows.append(window)
        while len(self._windows) > 1 and window.end_s - self._windows[1].start_s >= self._length_s - 1e-3:
            self._windows.popleft()
        if window.end_s - self._windows[0].start_s >= self._length_s - 1e-3:
            self._take(self._evaluated())

    def _evaluated(self) -> ThresholdResult:
        merged = Snapshot()
        for window in self._windows:
            merged.extend(window.snapshot)
        return evaluate(self._threshold, merged, self._windows[-1].end_s - self._windows[0].start_s)

    def _take(self, result: ThresholdResult) -> None:
        if result.observed is None or result.outcome not in _WORST_FIRST:
            return
        worse = operator.gt if self._threshold.operator in _UPPER else operator.lt
        worst = self._worst
        if worst is None or worst.observed is None or worse(result.observed, worst.observed):
            self._worst = result

    def result(self) -> ThresholdResult:
        if self._worst is not None:
            return self._worst
        return self._evaluated() if self._windows else evaluate(self._threshold, Snapshot(), 0.0)
