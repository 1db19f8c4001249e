"""Judges a run while it is under way and at its end, by the same code."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import replace

from pytest_cdcperf.judging.evaluation import evaluate
from pytest_cdcperf.judging.intervals import PhaseWindows, Precision, quantile_precision
from pytest_cdcperf.judging.names import absence
from pytest_cdcperf.judging.own_delay import TELLING, only_delays
from pytest_cdcperf.judging.phase_windows import phase_windows
from pytest_cdcperf.judging.threshold import Outcome, Threshold, ThresholdResult
from pytest_cdcperf.metrics.metric import ALIASES
from pytest_cdcperf.metrics.phases import Phase, PhaseOf, seconds_in
from pytest_cdcperf.metrics.snapshot import BY_TIME, Snapshot
from pytest_cdcperf.metrics.timeline import Timeline, Window, join

_UPPER = {"<", "<="}
_EQUAL = {"==", "===", "!="}
_MOST_PIECES = 120
LOAD_TAG = "scenario"  # of what one of several loads measured
_PIECES_S = (1, 2, 3, 5, 6, 10, 15, 20, 30, 60)  # whole minutes are whole numbers of the one that is chosen


class Judging:
    """Takes the windows of a run in the order of time and knows at any time what its thresholds say.

    :param phases: all phases of the plan
    :param of_run: the metrics that rules about the whole run judge
    """

    def __init__(
        self, thresholds: Sequence[Threshold], phases: Sequence[Phase] = (), of_run: Collection[str] = ()
    ) -> None:
        apart: dict[str, set[tuple[str, str]]] = {ALIASES.get(metric, metric): set() for metric in of_run}
        for threshold in thresholds:
            apart.setdefault(_metric(threshold), set()).update(threshold.tags)
        in_phases = {_metric(threshold) for threshold in thresholds if threshold.phase is not None}
        self.timeline = Timeline(phases, apart=apart, in_phases=in_phases)
        self.metrics = frozenset(apart)  # that are judged
        self._thresholds = thresholds
        self._phases = phases
        self._delays = {t.phase: _Delays(PhaseOf(t.phase, phases)) for t in thresholds if t.phase is not None}
        self._sliding = {t: _WorstWindow(t, t.over_s) for t in thresholds if t.over_s is not None}

    def add(self, window: Window) -> Window:
        """Take the next window; return it by metric and by what the thresholds keep apart."""
        whole = self.timeline.add(window)
        for sliding in self._sliding.values():
            sliding.add(whole)
        for delays in self._delays.values():
            delays.add(whole)
        return whole

    def results(self) -> list[ThresholdResult]:
        """Return what each threshold says of the run so far, with how exactly it is known."""
        found = (self._result(threshold, self._precision(threshold)) for threshold in self._thresholds)
        return [self._with_names(result) for result in found]

    def so_far(self) -> list[ThresholdResult]:
        """Return what each threshold says of the run so far; an interval takes samples as independent."""
        return [self._result(threshold) for threshold in self._thresholds]

    def _with_names(self, result: ThresholdResult) -> ThresholdResult:
        threshold = result.threshold
        if not isinstance(threshold, Threshold) or result.observed is not None:
            return result
        if result.outcome is Outcome.NO_SAMPLES:
            return replace(result, note=result.note or absence(threshold, self.timeline.series))
        if result.outcome is Outcome.PASSED and threshold.tags:  # a rate: its tags may be misspelt all the same
            return replace(result, note=f"{result.note}: {absence(threshold, self.timeline.series)}")
        return result

    def delays(self, threshold: Threshold) -> tuple[Snapshot, float]:
        """Return the figures of the windows by which *threshold* is judged, and their seconds, for its own delay.

        With ``over=`` these are the worst windows and the one before: a late beat is counted where it comes, and may
        have hurt those before it. With ``phase=`` they are those of the phase, and those in which its last iterations
        ended.
        """
        if threshold in self._sliding:
            return self._sliding[threshold].delays
        if threshold.phase is not None:
            return self._delays[threshold.phase].seen
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
            return evaluate(threshold, snapshot, self._phase_s(threshold), exact)
        return evaluate(threshold, self.timeline.total, self.timeline.elapsed_s, exact)

    def _phase_s(self, threshold: Threshold) -> float:
        """Return how long the run was in the phase of *threshold*: of its own load, where its tags name one."""
        phases = [phase for phase in self._phases if phase.name == threshold.phase]
        own = [phase for phase in phases if phase.load == dict(threshold.tags).get(LOAD_TAG)]
        return seconds_in(own or phases, self.timeline.elapsed_s)

    def _precision(self, threshold: Threshold) -> Precision | None:
        if threshold.quantile is None or threshold in self._sliding:
            return None
        return quantile_precision(phase_windows(self.timeline.history, self._phases, threshold), threshold.quantile)


class _Delays:
    """The generator's own delays in the windows of a phase, and in those in which its iterations ended."""

    def __init__(self, phase: PhaseOf) -> None:
        self._phase = phase
        self.seen: tuple[Snapshot, float] = (Snapshot(), 0.0)

    def add(self, window: Window) -> None:
        belonging = self._phase.belonging(window)
        if BY_TIME in belonging or any(key.phase in belonging for key in window.snapshot.series):
            merged, seconds = self.seen
            merged.extend(only_delays(window.snapshot).over_phases())
            self.seen = merged, seconds + window.duration_s


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
        self._before: Window | None = None
        self._worst: ThresholdResult | None = None
        self.delays: tuple[Snapshot, float] = (Snapshot(), 0.0)

    def add(self, window: Window) -> None:
        piece = Window(window.start_s, window.end_s, window.snapshot.only({_metric(self._threshold), *TELLING}))
        if self._pieces and self._number(self._pieces[-1].start_s) == self._number(window.start_s):
            piece = join(self._pieces.pop(), piece)
        self._pieces.append(Window(piece.start_s, piece.end_s, piece.snapshot.packed()))
        while len(self._pieces) > 1 and window.end_s - self._pieces[1].start_s >= self._length_s - 1e-3:
            self._before = self._pieces.popleft()
        complete = self._piece_s == 1 or self._number(window.end_s) > self._number(window.start_s)
        long_enough = window.end_s - self._pieces[0].start_s >= self._length_s - 1e-3
        if complete and long_enough and self._is_worst(self._evaluated()):
            result = self._evaluated(self._precision())
            if result.outcome is not Outcome.TOO_FEW:  # too few samples make no worst window
                self._worst = result
                self.delays = self._delays()

    def _delays(self) -> tuple[Snapshot, float]:
        pieces = [piece for piece in (self._before, *self._pieces) if piece is not None]
        merged = Snapshot()
        for piece in pieces:
            merged.extend(only_delays(piece.snapshot))
        return merged, sum(piece.duration_s for piece in pieces)

    def result(self) -> ThresholdResult:
        if self._worst is not None:
            return self._worst
        if not self._pieces:
            return evaluate(self._threshold, Snapshot(), 0.0)
        return self._evaluated(self._precision())

    def _number(self, at_s: float) -> int:
        """Return which piece begins next to a time: windows count from the common start, in seconds or nearly so."""
        return int((at_s + 0.5) // self._piece_s)

    def _evaluated(self, exact: Precision | None = None) -> ThresholdResult:
        merged = Snapshot()
        for piece in self._pieces:
            merged.extend(piece.snapshot.only((_metric(self._threshold),)))
        length_s = self._pieces[-1].end_s - self._pieces[0].start_s
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
        found = (piece.snapshot.trend(threshold.metric, dict(threshold.tags)) for piece in self._pieces)
        windows = tuple(samples.coarse() for samples in found if samples.count)
        return quantile_precision([PhaseWindows(windows, ramp=True)], threshold.quantile)  # it may lie on a ramp
