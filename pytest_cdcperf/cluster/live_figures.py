"""The figures of a run while it is under way: totals so far, and how it goes in its last ten windows."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from pytest_cdcperf.events import Live
from pytest_cdcperf.judging.threshold import ThresholdResult
from pytest_cdcperf.metrics import builtin
from pytest_cdcperf.metrics.snapshot import Snapshot
from pytest_cdcperf.metrics.timeline import Timeline, Window

_LATEST = 10
_METRICS = (builtin.ITERATIONS.name, builtin.RESPONSE_TIME.name)


class LiveFigures:
    """Takes the merged windows of a run, in the order of time."""

    def __init__(self, planned_s: float) -> None:
        self._planned_s = planned_s
        self._latest: deque[Window] = deque(maxlen=_LATEST)

    def add(self, window: Window, timeline: Timeline, limits: Sequence[ThresholdResult] = ()) -> Live:
        """Return the figures of the run up to *window*, which is the last that *timeline* has taken.

        :param limits: what they say of the run up to it
        """
        self._latest.append(Window(window.start_s, window.end_s, window.snapshot.only(_METRICS)))
        span_s = sum(part.duration_s for part in self._latest)
        latest = Snapshot()
        for part in self._latest:
            latest.extend(part.snapshot)
        checks = timeline.total.rate(builtin.CHECKS.name)
        vus = timeline.total.gauge(builtin.VUS.name)
        return Live(
            elapsed_s=timeline.elapsed_s,
            planned_s=self._planned_s,
            vus=0 if vus.is_empty else int(vus.value),
            iterations=int(timeline.total.count(builtin.ITERATIONS.name)),
            iterations_per_s=latest.count(builtin.ITERATIONS.name) / span_s if span_s > 0 else 0.0,
            p95_ms=latest.trend(builtin.RESPONSE_TIME.name).quantile(0.95),
            failed=timeline.total.rate(builtin.ITERATION_FAILED.name).hits,
            limits=tuple(limits),
            failed_checks=checks.total - checks.hits,
        )
