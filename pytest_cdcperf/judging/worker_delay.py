"""The delay of one worker's load generator, over its run and in each of its phases, in fixed memory."""

from __future__ import annotations

from collections.abc import Collection

from pytest_cdcperf.judging.own_delay import lost_s, only_delays, own_delay_ms
from pytest_cdcperf.metrics import builtin
from pytest_cdcperf.metrics.delay_evidence import DelayEvidence
from pytest_cdcperf.metrics.snapshot import Snapshot
from pytest_cdcperf.metrics.timeline import Window

WHOLE_RUN = ""
_SHORTEST_S = 1.0  # a shorter run counts as this long, else one late beat would be most of it


class WorkerDelay:
    """The delays of *worker*, which runs on *host*: "" where that is not known."""

    def __init__(self, worker: str, host: str = "") -> None:
        self.worker = worker
        self.host = host
        self._delays = Snapshot()
        self._lost_s: dict[str, float] = {}
        self._time_s: dict[str, float] = {}
        self._evidence: dict[str, DelayEvidence] = {}

    def add(self, window: Window, phases: Collection[str] = (), evidence: DelayEvidence | None = None) -> None:
        """Take a window of the worker's, that lies in *phases*, with what it saw where it was late."""
        self._delays.extend(only_delays(window.snapshot).over_phases())
        for scope in {WHOLE_RUN, *phases}:
            self._lost_s[scope] = self._lost_s.get(scope, 0.0) + lost_s(window.snapshot)
            self._time_s[scope] = self._time_s.get(scope, 0.0) + window.duration_s
            if evidence is not None:
                self._evidence.setdefault(scope, DelayEvidence()).add(evidence)

    def lost(self, phase: str = WHOLE_RUN) -> float:
        """Return the share of the time, 0 to 1, in which the worker could not run, of the run or of a phase."""
        return self._lost_s.get(phase, 0.0) / max(_SHORTEST_S, self._time_s.get(phase, 0.0))

    def evidence(self, phase: str = WHOLE_RUN) -> DelayEvidence:
        """Return what the worker saw in the windows in which it was late."""
        return self._evidence.get(phase, DelayEvidence())

    def own_ms(self, aggregate: str) -> float | None:
        """Return the own delay at *aggregate*, over the run; None where no beat was heard."""
        known = self._delays.trend(builtin.GENERATOR_DELAY.name).count
        return own_delay_ms(self._delays, aggregate) if known else None

    def lag_p99_ms(self) -> float | None:
        """Return the p99 of generator_lag; None in a closed loop."""
        lag = self._delays.trend(builtin.GENERATOR_LAG.name)
        return lag.quantile(0.99) if lag.count else None
