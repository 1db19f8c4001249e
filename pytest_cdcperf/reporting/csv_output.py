"""``--perf-out=csv=FILE``: a line for each window and metric."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pytest_cdcperf.events import Event, RunStarted, WindowMerged
from pytest_cdcperf.judging.evaluation import aggregate_of
from pytest_cdcperf.metrics.metric import Kind
from pytest_cdcperf.metrics.snapshot import SeriesKey, State
from pytest_cdcperf.metrics.timeline import Window
from pytest_cdcperf.printable import one_line, short_name
from pytest_cdcperf.results.result import RunFacts

# The columns of figures by the aggregate of thresholds that each holds; empty where a kind of metric has none such.
_AGGREGATES: Mapping[str, str] = {
    "count": "count",
    "rate": "rate",
    "value": "value",
    "min": "min",
    "avg": "avg",
    "med": "med",
    "max": "max",
    "p90": "p(90)",
    "p95": "p(95)",
    "p99": "p(99)",
}
COLUMNS = ("time", "start_s", "end_s", "session_id", "test", "load", "metric", "kind", "tags", *_AGGREGATES)


class CsvOutput:
    """A listener that adds the windows of each run to *path*, as they are merged.

    :raises OSError: when *path* cannot be written
    """

    def __init__(self, path: Path) -> None:
        self.name = f"csv={path}"
        self._file = path.open("w", newline="", encoding="utf-8")
        self._writer = csv.writer(self._file)
        self._writer.writerow(COLUMNS)
        self._file.flush()
        self._started_at = datetime.now(UTC)

    def handle(self, event: Event) -> None:
        """Write a window where one is merged."""
        if isinstance(event, RunStarted):
            self._started_at = event.started_at
        elif isinstance(event, WindowMerged):
            self._writer.writerows(_rows(event.facts, event.window, self._started_at))
            self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _rows(facts: RunFacts, window: Window, started_at: datetime) -> Iterator[list[str]]:
    time = (started_at + timedelta(seconds=window.end_s)).isoformat(timespec="milliseconds")
    span = [f"{window.start_s:.3f}", f"{window.end_s:.3f}"]
    for key, state in sorted(window.snapshot.over_phases().series.items()):
        tags = " ".join(f"{name}={value}" for name, value in key.tags)
        of_users = [short_name(facts.test), one_line(facts.load), short_name(key.name), key.kind.value, one_line(tags)]
        yield [time, *span, facts.session_id, *of_users, *_figures(key, state, window)]


def _figures(key: SeriesKey, state: State, window: Window) -> Iterator[str]:
    for aggregate in _AGGREGATES.values():
        if key.kind is not Kind.TREND and aggregate.startswith("p("):
            yield ""
            continue
        value = aggregate_of(state, aggregate, window.duration_s)
        yield "" if value is None or not math.isfinite(value) else f"{value:.6g}"
