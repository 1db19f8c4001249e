"""Figures that could grow without end are capped, and a note says what to do."""

from __future__ import annotations

import gc
from itertools import islice

import pytest

from pytest_cdcperf.engine.body import group
from pytest_cdcperf.metrics import metric as registry
from pytest_cdcperf.metrics.caps import MAX_GROUPS, MAX_METRICS, MAX_SERIES, MAX_SERIES_PER_METRIC
from pytest_cdcperf.metrics.metric import Counter, Trend, definition
from pytest_cdcperf.metrics.recorder import _MOST_KEPT, Recorder
from pytest_cdcperf.metrics.scope import Scope, current_scope, recording

COUNTER, TREND = Counter("t_caps_counter"), Trend("t_caps_trend")


@pytest.fixture(autouse=True)
def definitions(monkeypatch):
    """Metrics of these tests are not there in others."""
    monkeypatch.setattr(registry, "_definitions", dict(registry._definitions))


def test_series_beyond_the_cap_are_lumped_together_and_noted(recorder):
    for number in range(MAX_SERIES_PER_METRIC + 5):
        COUNTER.add(1, {"id": str(number)})
    drained = recorder.drain()
    assert len(drained.series) == MAX_SERIES_PER_METRIC + 1
    assert drained.select(COUNTER.name, {"overflow": "true"}).total == 5
    assert drained.select(COUNTER.name).total == MAX_SERIES_PER_METRIC + 5
    assert recorder.notes() == [
        "t_caps_counter: more than 200 sets of tags; further ones are lumped together: give calls a name= without ids,"
        " or use fewer tags"
    ]


def test_failed_calls_stand_apart_beyond_the_cap_too(recorder):
    calls = Trend("pg_read_duration", unit="ms")
    for number in range(MAX_SERIES_PER_METRIC + 5):
        calls.add(9, {"id": str(number), "ok": "true"})
    for outcome in ({"ok": "false"}, {"ok": "false", "error": "timeout"}):
        calls.add(1, {"id": "x"} | outcome)
    drained = recorder.drain()
    assert drained.select("pg_read_duration").count == MAX_SERIES_PER_METRIC + 6
    assert drained.select("pg_read_duration", {"ok": "false"}).count == 2


def test_a_metric_at_its_cap_takes_nothing_from_another(recorder):
    for number in range(MAX_SERIES_PER_METRIC + 1):
        COUNTER.add(1, {"id": str(number)})
    TREND.add(1, {"id": "x"})
    assert recorder.drain().select(TREND.name, {"id": "x"}) is not None


def test_all_series_together_are_capped_and_every_metric_has_its_first_few(recorder):
    crowd = [Counter(f"t_caps_crowd_{number}") for number in range(MAX_SERIES // 100)]
    for number in range(100):
        for counter in crowd:
            counter.add(1, {"id": str(number)})
    for number in range(10):
        TREND.add(1, {"id": str(number)})
    drained = recorder.drain()
    assert sum(key.name == TREND.name for key in drained.series) == 5 + 1
    assert drained.select(TREND.name, {"overflow": "true"}).count == 5
    assert all(drained.select(counter.name).total == 100 for counter in crowd)
    assert recorder.notes() == [
        "more than 1500 sets of tags in all; further ones of t_caps_trend are lumped together: give calls a name="
        " without ids, or use fewer tags"
    ]


def test_of_too_many_metrics_the_first_are_kept(recorder):
    for number in range(MAX_METRICS + 50):
        Trend(f"t_caps_{number}").add(1)
    drained = recorder.drain()
    assert len(drained.series) == MAX_METRICS
    assert drained.select(f"t_caps_{MAX_METRICS - 1}").count == 1
    assert recorder.notes() == [
        "more than 300 metrics; samples of further ones are not kept, 't_caps_300' the first of them: use one metric"
        " with tags"
    ]


def test_metrics_without_end_are_defined_no_more(recorder, monkeypatch):
    monkeypatch.setattr(registry, "MAX_DEFINITIONS", len(registry._definitions) + 10)
    for number in range(100):
        metric = Counter(f"t_caps_endless_{number}")
        metric.add(1)
        metric.add(1, {"a": "b"})
    gc.collect()
    alive = [thing for thing in gc.get_objects() if isinstance(thing, Counter) and "endless" in thing.name]
    assert len(alive) == 10 + 1  # and the one of this very frame
    assert definition("t_caps_endless_10") is None
    assert len(recorder.drain().series) == 20
    assert "'t_caps_endless_10' the first of them" in recorder.notes()[0]


def test_groups_beyond_the_cap_are_lumped_together_with_what_is_measured_in_them(recorder):
    for number in range(MAX_GROUPS + 7):
        with group(f"order {number}"), group("pay"):
            COUNTER.add(1)
    drained = recorder.drain()
    groups = [dict(key.tags).get("group") for key in drained.series if key.name == "group_duration"]
    assert len(groups) == MAX_GROUPS + 1
    assert drained.select("t_caps_counter").total == MAX_GROUPS + 7
    assert drained.select("t_caps_counter", {"overflow": "true"}).total == MAX_GROUPS + 7 - MAX_GROUPS // 2
    assert drained.select("t_caps_counter", {"group": "order 3::pay"}).total == 1
    assert recorder.notes() == ["more than 200 groups; further ones are lumped together: name groups without ids"]


def scopes_of(scope):
    yield scope
    for child in scope._children.values():
        yield from scopes_of(child)


def test_what_vus_look_up_is_shared_and_capped():
    recorder = Recorder()
    scopes = [Scope(recorder) for _ in range(3)]
    for number in range(_MOST_KEPT + 100):
        with recording(scopes[number % 3]), group(f"order {number}"):
            COUNTER.add(1, {"id": str(number)})
    assert sum(recorder.kept.values()) == _MOST_KEPT
    assert sum(len(lookups.found) for lookups in recorder._lookups.values()) == _MOST_KEPT
    assert len(recorder._lookups) <= MAX_GROUPS + 2
    assert max(len(list(islice(scopes_of(scope), 1000))) for scope in scopes) <= MAX_GROUPS + 2
    assert recorder.drain().select(COUNTER.name).total == _MOST_KEPT + 100


def test_a_scope_that_is_diverted_in_a_lumped_group_records_elsewhere(recorder):
    for number in range(MAX_GROUPS + 1):
        with group(f"order {number}"):
            pass
    recorder.drain()
    elsewhere = Recorder()
    outer = current_scope()
    with group("one more"):
        outer.divert(elsewhere)
        COUNTER.add(1)
    outer.divert(recorder)
    assert elsewhere.drain().select(COUNTER.name).total == 1
    assert not recorder.drain().series
