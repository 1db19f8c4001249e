"""Results that an output may meet though nobody expects them: every text and every figure is odd."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from enum import Enum

from pytest_cdcperf.judging.rules.breaking_point import Breaking, BreakingPoint
from pytest_cdcperf.judging.rules.drift import Drift
from pytest_cdcperf.judging.rules.recovery import Recovery
from pytest_cdcperf.judging.saturation import Saturation
from pytest_cdcperf.judging.threshold import Levels, Outcome, Threshold, ThresholdResult
from pytest_cdcperf.judging.verdict import Verdict
from pytest_cdcperf.metrics.failure import FailureKind
from pytest_cdcperf.metrics.histogram import Histogram
from pytest_cdcperf.metrics.metric import GaugeMerge, Kind
from pytest_cdcperf.metrics.phases import Phase
from pytest_cdcperf.metrics.snapshot import CounterState, GaugeState, RateState, SeriesKey, Snapshot
from pytest_cdcperf.metrics.timeline import Window
from pytest_cdcperf.results.environment import Environment
from pytest_cdcperf.results.result import EventKind, RunEvent, RunFacts, RunResult, WorkerPart
from pytest_cdcperf.results.windows import windows_of

_PLAIN = {"operator", "aggregate", "on_unfit"}  # no text of users': what is read is checked


def with_text(value, text):
    """Return *value* with *text* added to every text in it, wherever that may come from users or servers."""
    match value:
        case Enum() | None | bool() | int() | float() | Histogram():
            return value
        case str():
            return value + text
        case Snapshot():
            return _snapshot_with_text(value, text)
        case Mapping():
            return {name + text: with_text(part, text) for name, part in value.items()}
        case tuple() if not hasattr(value, "_fields"):
            return tuple(with_text(part, text) for part in value)
        case _ if is_dataclass(value):
            names = (field.name for field in fields(value) if field.init and field.name not in _PLAIN)
            return replace(value, **{name: with_text(getattr(value, name), text) for name in names})
        case _:
            return value


def _snapshot_with_text(snapshot, text):
    """Return *snapshot* with each series twice: of the metric, with *text* in its tags, and of one that is odd."""
    series = {}
    for key, state in snapshot.series.items():
        tags = tuple((name + text, value + text) for name, value in key.tags)
        series[SeriesKey(key.name, key.kind, tags, key.phase)] = state
        series[SeriesKey(key.name + text, key.kind, tags, key.phase)] = state
    return Snapshot(series)


def full(elapsed_s=3.0):
    """Return a result that has something in every field."""
    times = Histogram()
    times.record([float(n) for n in range(1, 301)])
    tags = (("method", "GET"), ("name", "/items/{id}"), ("url", "http://h:1/items/{id}"))
    total = Snapshot(
        {
            SeriesKey("response_time", Kind.TREND): times,
            SeriesKey("http_req_duration", Kind.TREND, tags): times,
            SeriesKey("http_reqs", Kind.COUNTER, (*tags, ("status", "404"))): CounterState(300.0),
            SeriesKey("group_duration", Kind.TREND, (("group", "basket"),)): times,
            SeriesKey("checks", Kind.RATE, (("check", "status is 200"),)): RateState(290, 300),
            SeriesKey("iterations", Kind.COUNTER): CounterState(300.0),
            SeriesKey("iteration_failed", Kind.RATE): RateState(10, 300),
            SeriesKey("cdc_success_rate", Kind.RATE): RateState(290, 300),
            SeriesKey("vus", Kind.GAUGE): GaugeState(GaugeMerge.SUM, 2.0, 2.0, 2.0, 1.0),
            SeriesKey("generator_delay", Kind.TREND): times,
        }
    )
    history = [Window(float(second), second + 1.0, total.coarse()) for second in range(3)]
    limit = Threshold("response_time", "p(95)", "<", 200.0, phase="hold")
    return RunResult(
        facts=RunFacts(
            *(
                "0a1b2c3d",
                "tests/test_shop.py::test_order",
                "2 VUs for 3s",
                3.0,
                "baseline",
                "An order.",
                "test_shop.py:7",
            ),
            *("8c41f0aa", "pytest -m baseline", "2026-01-01T00:00:00.000+00:00"),
            tags={"team": "shop"},
            services={"postgres": "postgresql://u@h:1/d"},
            plan_notes=("a ramp",),
            asked_rate=100.0,
        ),
        elapsed_s=elapsed_s,
        verdict=Verdict.FAILED,
        reasons=("p(95) of response_time 285 ms, limit 200 ms (p(95)<200)",),
        thresholds=(
            ThresholdResult(limit, Outcome.FAILED, 285.0, "near", (270.0, 299.0)),
            ThresholdResult(replace(limit, tags=tags), Outcome.NO_SAMPLES, note="recorded are others"),
            ThresholdResult(Recovery(), Outcome.INCONCLUSIVE, 1.2, "too few", levels=Levels(1.0, 1.2, 1.0, 2.0)),
            ThresholdResult(Drift(), Outcome.PASSED, 0.01, levels=Levels(1.0, 1.2, 1.0, 2.0)),
        ),
        total=total,
        windows=windows_of(history, {"response_time", "http_req_duration"}),
        failures=(
            FailureKind("KeyError", "test_shop.py:7", 10, "Traceback\nKeyError: 'price'\n", 1.0, 2.0, "a:0:1:2"),
        ),
        notes=("something was left out",),
        breaking_point=BreakingPoint(Breaking.FOUND, 10, limit, 1.5),
        saturation=Saturation(50.0, 100.0),
        workers=(WorkerPart("gw0", "1 of 2", 150, 3.0, 0.5), WorkerPart("gw1", "2 of 2", 150, 2.0, 0.9, 1.0, "died")),
        series=total,
        generator_fit=False,
        warnings=("it was late",),
        phases=(Phase("ramp-up", 0.0, 1.0, "browse"), Phase("hold", 1.0, 3.0, "browse")),
        events=(RunEvent(1.0, EventKind.WORKER_LOST, "gw1 died", "gw1"), RunEvent(2.0, EventKind.STOPPED, "Ctrl-C")),
        environment=Environment(
            *("Xeon", 2, 4096, "CPython 3.11", "Linux", {"pytest": "9.0"}, "1f2e3d4c5b6a7988", "main"),
            dirty=True,
            ci_url="https://github.com/shop/web/actions/runs/7",
        ),
    )


def with_figure(value, number):
    """Return *value* with *number* for every float in it, but for the times of windows and phases."""
    match value:
        case bool() | Enum() | Threshold() | Phase() | Recovery() | Drift():
            return value
        case float():
            return number
        case Histogram():
            return replace(value, sum=number, min=number, max=number)
        case Snapshot():
            return Snapshot({key: with_figure(state, number) for key, state in value.series.items()})
        case tuple() if not hasattr(value, "_fields"):
            return tuple(with_figure(part, number) for part in value)
        case _ if is_dataclass(value) and not isinstance(value, type):
            names = (field.name for field in fields(value) if field.init and field.name != "windows")
            return replace(value, **{name: with_figure(getattr(value, name), number) for name in names})
        case _:
            return value


def unusual():
    """Return results by what is unusual in them."""
    whole = full()
    bare = RunResult(RunFacts("", "", "", 0.0), 0.0, Verdict.INVALID)
    kinds = tuple(FailureKind(f"Error{n}", f"test.py:{n}", 1, "Traceback\n" * 20) for n in range(50))
    empty_windows = tuple(Window(float(n), n + 1.0, Snapshot()) for n in range(3))
    return {
        "nothing": bare,
        "NaN": with_figure(whole, math.nan),
        "infinite": with_figure(whole, math.inf),
        "negative": with_figure(whole, -1.0),
        "zero": with_figure(whole, 0.0),
        "huge": with_figure(whole, 1e300),
        "no time": replace(whole, elapsed_s=0.0),
        "no windows": replace(whole, windows=windows_of(())),
        "empty windows": replace(whole, windows=windows_of(empty_windows)),
        "windows of no length": replace(whole, windows=windows_of([Window(0.0, 0.0, whole.total.coarse())] * 2)),
        "one window": replace(whole, windows=windows_of([Window(0.0, 1.0, whole.total.coarse())], {"response_time"})),
        "no environment": replace(whole, environment=None),
        "an empty environment": replace(whole, environment=Environment()),
        "many failures": replace(whole, failures=kinds),
        "many workers": replace(whole, workers=whole.workers * 100),
        "many limits": replace(whole, thresholds=whole.thresholds * 40),
        "many events": replace(whole, events=whole.events * 200),
        "a phase after its end": replace(whole, elapsed_s=0.5),
        "failed without a reason": replace(whole, reasons=()),
    }
