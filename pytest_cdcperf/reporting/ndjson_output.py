"""``--perf-out=ndjson=FILE``: every sample, in the form of k6's JSON output.

https://grafana.com/docs/k6/latest/results-output/real-time/json/
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from pytest_cdcperf.events import Event
from pytest_cdcperf.metrics.metric import Kind, Metric
from pytest_cdcperf.metrics.timed_samples import TimedSamples
from pytest_cdcperf.printable import one_line, short_name

_CONTAINS = {"ms": "time", "bytes": "data"}
_CHUNK_LINES = 4_000  # about a megabyte


class NdjsonOutput:
    """Empties the file at the start of the session. A :class:`SampleFile` in each process adds the samples to it.

    :raises OSError: when *path* cannot be written
    """

    def __init__(self, path: Path) -> None:
        self.name = f"ndjson={path}"
        path.write_bytes(b"")

    def handle(self, event: Event) -> None:
        """Nothing: events do not carry single samples."""


class SampleFile:
    """Adds samples to *path*, whole lines at a time, so that several processes may write one file.

    :param tags: of every sample, beside its own
    :param say: called with one line when the file cannot be written any more; the samples from then on are left out
    """

    def __init__(self, path: Path, tags: Mapping[str, str], say: Callable[[str], object]) -> None:
        self._path = path
        self._tags = dict(tags)
        self._say = say
        self._declared: set[str] = set()
        self._is_broken = False

    def take(self, samples: Sequence[TimedSamples]) -> None:
        """Write *samples*, in the thread that calls."""
        if self._is_broken:
            return
        try:
            self._append([line for series in samples for line in self._lines(series)])
        except Exception as error:  # noqa: BLE001  # an output never ends a load
            self._is_broken = True
            fault = (error.strerror if isinstance(error, OSError) else "") or f"{type(error).__name__}: {error}"
            self._say(f"ndjson={self._path}: cannot be written: {fault}; further samples are left out of it")

    def _append(self, lines: Sequence[str]) -> None:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            for first in range(0, len(lines), _CHUNK_LINES):
                chunk = "".join(lines[first : first + _CHUNK_LINES]).encode()
                while chunk:  # a write is incomplete only where the disk is full: the next one then raises
                    chunk = chunk[os.write(descriptor, chunk) :]
        finally:
            os.close(descriptor)

    def _lines(self, series: TimedSamples) -> Iterator[str]:
        metric = series.metric
        if metric.name not in self._declared:
            self._declared.add(metric.name)
            yield _declaration(metric)
        tags = json.dumps({short_name(tag): one_line(text) for tag, text in (self._tags | dict(series.tags)).items()})
        name = json.dumps(short_name(metric.name))
        for value, time_ns in zip(series.values, series.times_ns, strict=True):
            figure = _figure(metric, value)
            if figure is not None:
                data = f'{{"time":"{_text(time_ns)}","value":{figure!r},"tags":{tags}}}'
                yield f'{{"type":"Point","data":{data},"metric":{name}}}\n'


def _declaration(metric: Metric) -> str:
    name = short_name(metric.name)
    data: dict[str, object] = {
        "name": name,
        "type": metric.kind.value,
        "contains": _CONTAINS.get(metric.unit, "default"),
        "thresholds": [],
        "submetrics": None,
    }
    return json.dumps({"type": "Metric", "data": data, "metric": name}) + "\n"


def _figure(metric: Metric, value: Any) -> float | None:
    """Return the number that a sample is, None where it is none: those are left out of the figures as well."""
    try:
        if metric.kind is Kind.RATE:
            return float(bool(value))
        figure = float(value[1] if metric.kind is Kind.GAUGE else value)
    except (TypeError, ValueError, OverflowError):
        return None
    return figure if math.isfinite(figure) else None


def _text(time_ns: int) -> str:
    second, ns = divmod(time_ns, 1_000_000_000)
    return f"{_second_text(second)}.{ns:09d}Z"


@lru_cache(maxsize=16)
def _second_text(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
