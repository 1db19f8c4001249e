"""What agents tell the coordinator."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_cdcperf.engine.failures import FailureKind
from pytest_cdcperf.metrics.series import Window


@dataclass(frozen=True)
class WindowDone:
    """A second of one worker's figures."""

    worker: str
    window: Window


@dataclass(frozen=True)
class ShareDone:
    """A worker is through with its share. *core* is the CPU it used, 1 for a full core."""

    worker: str
    elapsed_s: float
    core: float = 0.0
    failures: tuple[FailureKind, ...] = ()
    faults: tuple[str, ...] = ()
    weaknesses: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


Message = WindowDone | ShareDone
