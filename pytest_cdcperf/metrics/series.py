"""The course of a run over time, in fixed memory however long it lasts."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pytest_cdcperf.metrics.snapshot import Snapshot

HOLD = "hold"
MAX_HISTORY = 600
RECENT_WINDOWS = 120


@dataclass(frozen=True)
class Window:
    """What was measured from *start_s* to *end_s* after the start of the run."""

    start_s: float
    end_s: float
    snapshot: Snapshot

    @property
    def duration_s(self) -> float:
        """How long the window is."""
        return self.end_s - self.start_s


class PhaseSpan(Protocol):
    """A named span of the plan; seconds from the start."""

    @property
    def name(self) -> str:
        """Its kind: "ramp-up", "hold" or "ramp-down"."""

    @property
    def start_s(self) -> float:
        """When it begins."""

    @property
    def end_s(self) -> float:
        """When it ends."""


class Timeline:
    """The windows of a run as they come in: the total, one a phase, the latest ones in full, a history.

    The history is coarse (2.2 %), and where it would pass :data:`MAX_HISTORY` windows, neighbours are
    joined two by two; so an hour takes no more memory than ten minutes.
    """

    def __init__(self, phases: Sequence[PhaseSpan] = ()) -> None:
        self.total = Snapshot()
        self.by_phase: dict[str, Snapshot] = {}
        self.phase_s: dict[str, float] = {}
        self._phases = phases
        self.elapsed_s = 0.0
        self.recent: deque[Window] = deque(maxlen=RECENT_WINDOWS)
        self.history: list[Window] = []
        self._joined = 1
        self._filling = 0

    def add(self, window: Window) -> None:
        """Take the next window, in the order of time."""
        self.total.extend(window.snapshot)
        self.elapsed_s = max(self.elapsed_s, window.end_s)
        self.recent.append(window)
        if phase := phase_of(window, self._phases):
            self.by_phase.setdefault(phase, Snapshot()).extend(window.snapshot)
            self.phase_s[phase] = self.phase_s.get(phase, 0.0) + window.duration_s
        coarse = Window(window.start_s, window.end_s, window.snapshot.coarse())
        if self._filling and self.history:
            self.history[-1] = _join(self.history[-1], coarse)
        else:
            self.history.append(coarse)
        self._filling = (self._filling + 1) % self._joined
        if len(self.history) > MAX_HISTORY:
            self._halve()

    def _halve(self) -> None:
        pairs = zip(self.history[::2], self.history[1::2], strict=False)
        odd = self.history[-1:] if len(self.history) % 2 else []
        self.history = [_join(first, second) for first, second in pairs] + odd
        self._filling = (self._filling or self._joined) if odd else 0
        self._joined *= 2


def phase_at(window: Window, phases: Sequence[PhaseSpan]) -> PhaseSpan | None:
    """Return the phase that the middle of *window* lies in, None outside all."""
    middle_s = (window.start_s + window.end_s) / 2
    return next((phase for phase in phases if phase.start_s <= middle_s < phase.end_s), None)


def phase_of(window: Window, phases: Sequence[PhaseSpan]) -> str:
    """Return the name of the phase that the middle of *window* lies in, "" outside all."""
    phase = phase_at(window, phases)
    return "" if phase is None else phase.name


def _join(first: Window, second: Window) -> Window:
    joined = Snapshot()
    joined.extend(first.snapshot)
    joined.extend(second.snapshot)
    return Window(first.start_s, second.end_s, joined.coarse())
