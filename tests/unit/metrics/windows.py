"""Windows made by hand."""

from __future__ import annotations

from pytest_cdcperf.metrics.histogram import Histogram
from pytest_cdcperf.metrics.metric import Kind
from pytest_cdcperf.metrics.snapshot import BY_TIME, CounterState, GaugeState, RateState, SeriesKey, Snapshot
from pytest_cdcperf.metrics.timeline import Window


def window(start_s, *, ms=(), seconds=1.0, metric="response_time", gauges=None, phase=BY_TIME, **counts):
    """A window with *ms* as samples of *metric*; counts by name, failed=(hits, total); all of one *phase*."""
    series = {}
    if ms:
        histogram = Histogram()
        histogram.record([float(value) for value in ms])
        series[SeriesKey(metric, Kind.TREND)] = histogram
    for name, value in (gauges or {}).items():
        series[SeriesKey(name, Kind.GAUGE)] = GaugeState(value=value, min=value, max=value)
    for name, value in counts.items():
        if isinstance(value, tuple):
            series[SeriesKey(name, Kind.RATE)] = RateState(*value)
        else:
            series[SeriesKey(name, Kind.COUNTER)] = CounterState(value)
    return Window(start_s, start_s + seconds, Snapshot({key.in_phase(phase): of for key, of in series.items()}))
