"""The windows of a run in order, in fixed memory however long it lasts."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pytest_cdcperf.metrics.caps import Caps
from pytest_cdcperf.metrics.phases import Phase, PhaseOf
from pytest_cdcperf.metrics.snapshot import BY_TIME, FEW_BUCKETS, SeriesKey, Snapshot, State, merge_states

MAX_HISTORY = 600
MAX_HISTORY_STATES = 30_000  # in all windows together: 50 metrics in each of 600

# From a microsecond to an hour, in milliseconds, a histogram has 4,100 buckets.
_TOTAL_BUCKETS = 4_200


@dataclass(frozen=True)
class Window:
    """The figures measured from *start_s* to *end_s* after the start of the run.

    >>> Window(2.0, 3.5, Snapshot()).duration_s
    1.5
    """

    start_s: float
    end_s: float
    snapshot: Snapshot

    @property
    def duration_s(self) -> float:
        """The length of the window."""
        return self.end_s - self.start_s


class Timeline:
    """The windows of a run as they come in: totals, one a phase, a history. Its memory does not grow with time.

    *total* has each metric, and each sub-metric that is to be kept apart, in full. *series* has each set of
    tags; there a trend is less exact the wider its values are spread. The history is coarse (2.2 %), and where
    it would pass :data:`MAX_HISTORY` windows, or :data:`MAX_HISTORY_STATES`, neighbours are joined two by two. In the
    windows the phases of the metrics in *apart* are kept apart.

    :param phases: all phases of the plan
    :param apart: the (tag, value) pairs, by metric, of the sub-metrics to be kept apart
    :param in_phases: the metrics that have a total by the name of the phase: each of them is in *apart*
    """

    def __init__(
        self,
        phases: Sequence[Phase] = (),
        *,
        apart: Mapping[str, Collection[tuple[str, str]]] | None = None,
        in_phases: Collection[str] = (),
    ) -> None:
        self.total = Snapshot()
        self.series = Snapshot()
        self.by_phase: dict[str, Snapshot] = {}
        self.elapsed_s = 0.0
        self.history: list[Window] = []
        self._phases = [PhaseOf(name, phases) for name in dict.fromkeys(phase.name for phase in phases)]
        self._apart = apart or {}
        self._in_phases = in_phases
        self._caps = Caps()
        self._joined = 1
        self._filling = 0

    def add(self, window: Window) -> Window:
        """Take the next window, in the order of time; return it by metric, sub-metric and phase."""
        snapshot = Snapshot(dict(self._capped(window.snapshot)))
        whole = snapshot.kept_apart(self._apart)
        _extend(self.series, snapshot.over_phases(), FEW_BUCKETS)
        _extend(self.total, whole.over_phases(), _TOTAL_BUCKETS)
        self.elapsed_s = max(self.elapsed_s, window.end_s)
        if self._in_phases:
            in_phases = whole.only(self._in_phases)
            for phase in self._phases:
                if (belonging := in_phases.over_phases(phase.belonging(window))).series:
                    _extend(self.by_phase.setdefault(phase.name, Snapshot()), belonging, _TOTAL_BUCKETS)
        self._remember(Window(window.start_s, window.end_s, whole.coarse()))
        return Window(window.start_s, window.end_s, whole)

    def notes(self) -> list[str]:
        """Which caps were reached, one line each."""
        return self._caps.notes()

    def _capped(self, snapshot: Snapshot) -> Iterator[tuple[SeriesKey, State]]:
        # Each worker keeps to the caps, and so must all of them together.
        merged: dict[SeriesKey, list[State]] = {}
        for key, state in snapshot.series.items():
            if (kept := self._caps.series(key.in_phase(BY_TIME))) is not None:
                merged.setdefault(kept.in_phase(key.phase), []).append(state)
        return ((key, merge_states(key, states)) for key, states in merged.items())

    def _remember(self, coarse: Window) -> None:
        if self._filling and self.history:
            self.history[-1] = _join_coarse(self.history[-1], coarse)
        else:
            self.history.append(coarse)
        self._filling = (self._filling + 1) % self._joined
        while len(self.history) > MAX_HISTORY or (len(self.history) > 1 and self._states() > MAX_HISTORY_STATES):
            self._halve()

    def _states(self) -> int:
        return sum(len(window.snapshot.series) for window in self.history)

    def _halve(self) -> None:
        pairs = zip(self.history[::2], self.history[1::2], strict=False)
        odd = self.history[-1:] if len(self.history) % 2 else []
        self.history = [_join_coarse(first, second) for first, second in pairs] + odd
        self._filling = (self._filling or self._joined) if odd else 0
        self._joined *= 2


def join(first: Window, second: Window) -> Window:
    """Return what two windows, one after the other, are together."""
    joined = Snapshot()
    joined.extend(first.snapshot)
    joined.extend(second.snapshot)
    return Window(first.start_s, second.end_s, joined)


def _join_coarse(first: Window, second: Window) -> Window:
    joined = join(first, second)
    return Window(joined.start_s, joined.end_s, joined.snapshot.coarse())


def _extend(total: Snapshot, later: Snapshot, buckets: int) -> None:
    total.extend(later)
    total.limit(buckets, later.series)
