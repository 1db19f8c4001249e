"""A result with something of everything in it, and names that need escaping."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from pytest_cdcperf.judging.evaluation import evaluate
from pytest_cdcperf.judging.intervals import Precision
from pytest_cdcperf.judging.parser import parse_thresholds
from pytest_cdcperf.judging.verdict import Verdict
from pytest_cdcperf.metrics.failure import FailureKind
from pytest_cdcperf.metrics.metric import Counter, Gauge, Rate, Trend
from pytest_cdcperf.metrics.recorder import Recorder
from pytest_cdcperf.metrics.scope import Scope, recording
from pytest_cdcperf.metrics.snapshot import Snapshot
from pytest_cdcperf.metrics.timeline import Window
from pytest_cdcperf.results.result import RunFacts, RunResult, WorkerPart
from pytest_cdcperf.results.windows import windows_of

NASTY = "<b>\"'&]]>ü"
FACTS = RunFacts(
    session_id="r1",
    test=f"tests/test_shop.py::test_order[{NASTY}]",
    title=NASTY,
    load="2 VUs for 10s",
    planned_s=10.0,
    profile="baseline",
    started_at="2026-01-01T00:00:00.000+00:00",
    error_rate=0.05,
    tags={"team": NASTY},
    services={"postgres": "postgresql://u@h:1/d"},
)


def measured(second):
    recorder = Recorder()
    with recording(Scope(recorder)):
        for n in range(1, 101):
            Trend("response_time", unit="ms").add(n + second)
            Trend("pg_write_duration", unit="ms", group="PostgreSQL").add(
                n / 10, {"table": NASTY, "ok": str(n > 1).lower()}
            )
            Counter("iterations").add()
            Rate("iteration_failed").add(n <= 2)
            Rate("checks").add(n != 5, {"check": NASTY})
        Gauge("vus").add(2 + second)
        Trend("t_reporting_custom").add(1.5)
        Counter("cdc_creates", group="change data capture").add(3)
    return recorder.drain()


@pytest.fixture
def result():
    total, history = Snapshot(), []
    for second in range(3):
        snapshot = measured(second)
        total.extend(snapshot)
        history.append(Window(float(second), second + 1.0, snapshot.coarse()))
    thresholds = parse_thresholds(
        {"response_time": ["p(95)<200", "max<50", "p(99.9)<1000"], "t_reporting_nobody": "avg<1"}
    )
    return RunResult(
        facts=FACTS,
        elapsed_s=3.0,
        verdict=Verdict.FAILED,
        reasons=("max of response_time 102 ms, limit 50 ms (max<50)", NASTY),
        thresholds=tuple(evaluate(threshold, total, 3.0, Precision(300, 1.0, 2.0, 3)) for threshold in thresholds),
        total=total,
        windows=windows_of(history, {"response_time"}),
        failures=(FailureKind("ValueError", "test_shop.py:7", 6, f"Traceback\n{NASTY}\n"),),
        notes=("something was left out: 3",),
        series=total,
    )


@pytest.fixture
def empty():
    """A run that measured nothing at all."""
    return RunResult(RunFacts("r2", "t", "1 VU for 1s", 1.0), 0.0, Verdict.INVALID)


@pytest.fixture
def unmeasurable(empty):
    """A run whose one metric got nothing but NaN."""
    recorder = Recorder()
    with recording(Scope(recorder)):
        Trend("t_reporting_nan").add(math.nan)
        Gauge("t_reporting_nan_gauge").add(math.nan)
    return replace(empty, total=recorder.drain())


@pytest.fixture
def by_three(result):
    """A run over three workers: one in an open loop, one without, one that died."""
    parts = (
        WorkerPart("gw0", "1 of 3", 1200, 60.04, 0.874, 1.25, "", 0.4, 3.0, 12.0, 0.002),
        WorkerPart("gw1", "2 of 3", 98, 60.0, 0.05),
        WorkerPart("gw2", "3 of 3", 7, 3.5, 0.0, None, "died"),
    )
    return replace(result, workers=parts)


@pytest.fixture
def by_one(by_three):
    """A run in one process."""
    return replace(by_three, workers=by_three.workers[:1])
