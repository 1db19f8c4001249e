"""Saturation: starts of an open load were dropped because every VU was busy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pytest_cdcperf.metrics import builtin
from pytest_cdcperf.metrics.snapshot import Snapshot
from pytest_cdcperf.metrics.timeline import Window
from pytest_cdcperf.units import figure


@dataclass(frozen=True)
class Saturation:
    """The load that was asked for did not come, because every VU was busy.

    >>> Saturation(dropped=300, rate=57.2).words
    'saturated at 57.2/s: 300 starts were dropped because every VU was busy; raise max_vus or lower the rate'
    """

    dropped: float
    """The starts that were dropped."""
    rate: float | None
    """The iterations a second that were completed while starts were dropped."""

    @property
    def words(self) -> str:
        """That in a sentence."""
        at = "saturated" if self.rate is None else f"saturated at {figure(self.rate, '/s')}"
        count = figure(self.dropped)
        return f"{at}: {count} starts were dropped because every VU was busy; raise max_vus or lower the rate"


def saturation(total: Snapshot, windows: Sequence[Window]) -> Saturation | None:
    """Return how the run was saturated, None where it was not.

    :param windows: those of the run, in order
    """
    if not (dropped := _dropped_by_load(total)):
        return None
    full = _saturated_windows(windows)
    done = sum(window.snapshot.count(builtin.ITERATIONS.name) for window in full)
    span_s = sum(window.duration_s for window in full)
    return Saturation(dropped, done / span_s if span_s > 0 else None)


def _saturated_windows(windows: Sequence[Window]) -> Sequence[Window]:
    """Return the windows from the first to the last in which starts were dropped, but not the one the run ends in.

    That one ends with an iteration of each VU, so that its rate is too high.
    """
    dropping = [number for number, window in enumerate(windows) if _dropped_by_load(window.snapshot)]
    if not dropping:
        return ()
    full = windows[dropping[0] : dropping[-1] + 1]
    return full[:-1] if len(full) > 1 and full[-1] is windows[-1] else full


def _dropped_by_load(snapshot: Snapshot) -> float:
    ended = snapshot.count(builtin.DROPPED_ITERATIONS.name, dict(builtin.RUN_ENDED))
    return snapshot.count(builtin.DROPPED_ITERATIONS.name) - ended
