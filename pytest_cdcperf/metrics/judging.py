"""Judges a run while it is under way and at its end, by the same code."""

from __future__ import annotations

import math
import operator
from collections import deque
from collections.abc import Sequence

from pytest_cdcperf.metrics.series import PhaseSpan, Timeline, Window, join
from pytest_cdcperf.metrics.snapshot import ALIASES, Snapshot
from pytest_cdcperf.metrics.threshold import Outcome, Threshold, ThresholdResult, evaluate

_UPPER = {"<", "<="}
_WORST_FIRST = (Outcome.FAILED, Outcome.PASSED)
_MOST_PIECES = 120
_PIECES_S = (1, 2, 3, 5, 6, 10, 15, 20, 30, 60)  # whole minutes are whole numbers of the one that is chosen


class Judging:
    """Takes the windows of a run in the order of time and knows at any time what its thresholds say."""

    def __init__(self, thresholds: Sequence[Threshold], phases: Sequence[PhaseSpan] = ()) -> None:
        apart: dict[str, set[tuple[str, str]]] = {}
        for threshold in thresholds:
            apart.setdefault(_metric(threshold), set()).update(threshold.tags)
        in_phases = {_metric(threshold) for threshold in thresholds if threshold.phase is not None}
        self.timeline = Timeline(phases, apart=apart, in_phases=in_phases)
        self._thresholds = thresholds
        self._sliding = {t: _WorstWindow(t, t.over_s) for t in thresholds if t.over_s is not None}

    def add(self, window: Window) -> Window:
        """Take the next window; return it by metric and by what the thresholds tell apart."""
        whole = self.timeline.add(window)
        for sliding in self._sliding.values():
            sliding.add(whole)
        return whole

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


def _metric(threshold: Threshold) -> str:
    return ALIASES.get(threshold.metric, threshold.metric)


def piece_s(length_s: float) -> int:
    """Return by how much a sliding window of *length_s* moves: a second up to two minutes."""
    least_s = length_s / _MOST_PIECES
    return next((piece for piece in _PIECES_S if piece >= least_s), math.ceil(least_s / 60) * 60)


class _WorstWindow:
    """A threshold on every window of some length: the worst counts. It is made of pieces that are few."""

    def __init__(self, threshold: Threshold, length_s: float) -> None:
        self._threshold = threshold
        self._length_s = length_s
        self._piece_s = piece_s(length_s)
        self._pieces: deque[Window] = deque()
        self._worst: ThresholdResult | None = None

    def add(self, window: Window) -> None:
        piece = Window(window.start_s, window.end_s, window.snapshot.only((_metric(self._threshold),)))
        if self._pieces and self._number(self._pieces[-1].start_s) == self._number(window.start_s):
            piece = join(self._pieces.pop(), piece)
        self._pieces.append(Window(piece.start_s, piece.end_s, piece.snapshot.packed()))
        while len(self._pieces) > 1 and window.end_s - self._pieces[1].start_s >= self._length_s - 1e-3:
            self._pieces.popleft()
        complete = self._piece_s == 1 or self._number(window.end_s) > self._number(window.start_s)
        if complete and window.end_s - self._pieces[0].start_s >= self._length_s - 1e-3:
            self._take(self._evaluated())

    def _number(self, at_s: float) -> int:
        """Return which piece begins next to a time: windows count from the common start, in seconds or nearly so."""
        return int((at_s + 0.5) // self._piece_s)

    def _evaluated(self) -> ThresholdResult:
        merged = Snapshot()
        for piece in self._pieces:
            merged.extend(piece.snapshot)
        return evaluate(self._threshold, merged, self._pieces[-1].end_s - self._pieces[0].start_s)

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
        return self._evaluated() if self._pieces else evaluate(self._threshold, Snapshot(), 0.0)
