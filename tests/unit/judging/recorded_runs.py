"""Runs that were recorded, second by second, in histograms of 2 %: what each worker sent, and the true p95."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from pytest_cdcperf.judging.fitness import Fitness, assess, measured
from pytest_cdcperf.judging.live import Judging
from pytest_cdcperf.judging.parser import parse_thresholds
from pytest_cdcperf.judging.worker_delay import WorkerDelay
from pytest_cdcperf.metrics.delay_evidence import DelayEvidence
from pytest_cdcperf.metrics.histogram import Histogram
from pytest_cdcperf.metrics.metric import Kind
from pytest_cdcperf.metrics.phases import Phase, phases_at
from pytest_cdcperf.metrics.snapshot import CounterState, SeriesKey, Snapshot
from pytest_cdcperf.metrics.timeline import Window

RECORDED = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
_TRENDS = ("response_time", "generator_delay", "generator_lag")


@dataclass
class RecordedRun:
    """One of them, by its name."""

    name: str

    @property
    def true_p95_ms(self):
        return RECORDED[self.name]["true_p95_ms"]

    def windows(self) -> list[Window]:
        """The seconds of the run, of all workers together."""
        return [self._together(parts) for parts in zip(*RECORDED[self.name]["workers"], strict=False)]

    def _together(self, parts) -> Window:
        merged = Snapshot()
        for part in parts:
            merged.merge(_window(part).snapshot)
        return Window(parts[0]["from_s"], parts[0]["to_s"], merged)

    def judged(self, **limits) -> Fitness:
        """Judge it by *limits*, as the coordinator does."""
        run = RECORDED[self.name]
        phases = [Phase(*phase) for phase in run["phases"]]
        judging = Judging(parse_thresholds(limits), phases)
        workers = [WorkerDelay(f"gw{number}", "here") for number in range(len(run["workers"]))]
        for together in zip(*run["workers"], strict=False):
            for worker, recorded in zip(workers, together, strict=True):
                window = _window(recorded)
                worker.add(window, phases_at(window, phases), _evidence(recorded.get("seen")))
            judging.add(self._together(together))
        found = []
        for result in judging.results():
            delays, seconds = judging.delays(result.threshold)
            found.append(measured(result, delays, seconds * len(workers)))
        return assess(found, workers)


def _histogram(schema, count, total, lowest, highest, zeros, positive, negative) -> Histogram:
    counts = (Counter(dict(zip(flat[::2], flat[1::2], strict=True))) for flat in (positive, negative))
    return Histogram(schema, count, total, lowest, highest, zeros, *counts)


def _window(recorded) -> Window:
    snapshot = Snapshot({SeriesKey("iterations", Kind.COUNTER): CounterState(recorded["iterations"])})
    snapshot.series[SeriesKey("generator_lost_s", Kind.COUNTER)] = CounterState(recorded["lost_s"])
    for name in _TRENDS:
        if name in recorded:
            snapshot.series[SeriesKey(name, Kind.TREND)] = _histogram(*recorded[name])
    return Window(recorded["from_s"], recorded["to_s"], snapshot)


def _evidence(seen) -> DelayEvidence | None:
    return None if seen is None else DelayEvidence(**seen | {"blocked": Counter(seen["blocked"])})
