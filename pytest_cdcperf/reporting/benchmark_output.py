"""``--perf-out=benchmark=FILE``: a figure for each upper limit, in the form that github-action-benchmark reads.

https://github.com/benchmark-action/github-action-benchmark, "customSmallerIsBetter"
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path

from pytest_cdcperf.events import Event, RunFinished
from pytest_cdcperf.judging.threshold import Outcome, Threshold
from pytest_cdcperf.judging.verdict import Verdict
from pytest_cdcperf.printable import one_line, short_name
from pytest_cdcperf.reporting.view import limit_view
from pytest_cdcperf.results.result import RunResult

_JUDGED = {Outcome.PASSED, Outcome.FAILED}
_UPPER = {"<", "<="}


class BenchmarkOutput:
    """A listener that adds the figures of each run to *path*, once it has finished.

    :raises OSError: when *path* cannot be written
    """

    def __init__(self, path: Path) -> None:
        self.name = f"benchmark={path}"
        self._path = path
        self._figures: list[dict[str, str | float]] = []
        self._write()

    def handle(self, event: Event) -> None:
        """Write the file anew where a run has finished."""
        if isinstance(event, RunFinished):
            self._figures += _figures(event.result)
            self._write()

    def _write(self) -> None:
        self._path.write_text(json.dumps(self._figures, indent=1) + "\n", encoding="utf-8")


def _figures(result: RunResult) -> Iterator[dict[str, str | float]]:
    """Yield what was judged. The figures of an invalid run are no trend."""
    for judged in result.thresholds if result.verdict is not Verdict.INVALID else ():
        limit, value = judged.threshold, judged.observed
        if not isinstance(limit, Threshold) or limit.operator not in _UPPER or judged.outcome not in _JUDGED:
            continue
        if value is not None and math.isfinite(value):
            view = limit_view(result, judged)
            yield {
                "name": one_line(f"{short_name(result.facts.test)}: {view.subject}"),
                "unit": limit.unit,
                "value": value * 100 if limit.unit == "%" else value,
                "range": view.interval,
                "extra": f"limit {view.bound}",
            }
