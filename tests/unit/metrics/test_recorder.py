from __future__ import annotations

import math
import threading

import pytest

from pytest_cdcperf.errors import ConfigError
from pytest_cdcperf.metrics.metric import Counter, Gauge, GaugeMerge, Kind, Rate, Trend, definition
from pytest_cdcperf.metrics.recorder import Recorder
from pytest_cdcperf.metrics.scope import Scope, current_scope, recording
from pytest_cdcperf.metrics.snapshot import CounterState, SeriesKey, Snapshot

TREND = Trend("t_recorder_trend", unit="ms")
COUNTER = Counter("t_recorder_counter")
RATE = Rate("t_recorder_rate")
GAUGE = Gauge("t_recorder_gauge", merging=GaugeMerge.SUM)
LAST = Gauge("t_recorder_last")


def test_every_kind_arrives_in_the_state_of_its_kind(recorder):
    TREND.add(12.5)
    COUNTER.add()
    COUNTER.add(4)
    RATE.add(True)
    RATE.add(False)
    GAUGE.add(7)
    GAUGE.add(3)
    drained = recorder.drain()
    assert drained.names() == ["t_recorder_counter", "t_recorder_gauge", "t_recorder_rate", "t_recorder_trend"]
    assert drained.select("t_recorder_trend").sum == 12.5
    assert drained.select("t_recorder_counter").total == 5
    rate = drained.select("t_recorder_rate")
    assert (rate.hits, rate.total) == (1, 2)
    gauge = drained.series[SeriesKey("t_recorder_gauge", Kind.GAUGE)]
    assert (gauge.value, gauge.min, gauge.max, gauge.merging) == (3, 3, 7, GaugeMerge.SUM)


def test_what_was_drained_is_gone(recorder):
    COUNTER.add()
    assert recorder.drain().series
    assert recorder.drain() == Snapshot()
    COUNTER.add(2)
    assert recorder.drain().select("t_recorder_counter") == CounterState(2)


def test_outside_an_iteration_nothing_is_recorded(recorder):
    TREND.add(1)
    recorder.drain()
    with recording(Scope(Recorder())):
        TREND.add(1)
    assert recorder.drain() == Snapshot()
    seen = []
    thread = threading.Thread(target=lambda: (TREND.add(1), seen.append(current_scope())))
    thread.start()
    thread.join()
    assert seen == [None]
    assert recorder.drain() == Snapshot()


def test_no_sample_is_lost_while_threads_append_and_another_drains():
    recorder = Recorder()
    threads, each = 4, 20_000
    begin = threading.Barrier(threads + 1)

    def append(number):
        with recording(Scope(recorder)):
            begin.wait()
            for value in range(each):
                TREND.add(value + 1)
                if value % 4 == 0:
                    COUNTER.add(1, {"thread": str(number)})

    workers = [threading.Thread(target=append, args=(n,)) for n in range(threads)]
    for worker in workers:
        worker.start()
    begin.wait()
    total, drains = Snapshot(), 0
    while any(worker.is_alive() for worker in workers):
        total.extend(recorder.drain())
        drains += 1
    total.extend(recorder.drain())
    assert drains
    assert total.select(TREND.name).count == threads * each
    assert total.select(TREND.name).sum == threads * each * (each + 1) / 2
    assert total.select(COUNTER.name).total == threads * each / 4


def test_a_scopes_tags_are_carried_and_the_samples_own_win():
    recorder = Recorder()
    scope = Scope(recorder, (("run", "r1"), ("table", "none")))
    with recording(scope):
        COUNTER.add(1)
        COUNTER.add(2, {"table": "orders"})
    with recording(scope.child((("group", "g"),))):
        COUNTER.add(4)
    tags = {state.total: dict(key.tags) for key, state in recorder.drain().series.items()}
    assert tags == {
        1: {"run": "r1", "table": "none"},
        2: {"run": "r1", "table": "orders"},
        4: {"run": "r1", "table": "none", "group": "g"},
    }


def test_tags_are_one_series_in_whatever_order_they_stand(recorder):
    COUNTER.add(1, {"a": "1", "b": "2"})
    COUNTER.add(1, {"b": "2", "a": "1"})
    assert [state.total for state in recorder.drain().series.values()] == [2]


def test_a_scope_is_left_with_its_block(recorder):
    outer = current_scope()
    with recording(Scope(Recorder())) as inner:
        assert current_scope() is inner
    assert current_scope() is outer


def test_scopes_of_one_recorder_and_the_same_tags_look_up_once():
    recorder = Recorder()
    first, second, other = Scope(recorder), Scope(recorder), Scope(recorder, (("scenario", "b"),))
    assert first.sink(TREND, (("table", "a"),)) is second.sink(TREND, (("table", "a"),))
    assert first.sink(TREND, (("table", "a"),)) is not other.sink(TREND, (("table", "a"),))
    first.divert(Recorder())
    first.appends[COUNTER](1)
    second.appends[COUNTER](2)
    assert recorder.drain().select(COUNTER.name).total == 2


def test_a_child_is_made_once():
    scope = Scope(Recorder())
    assert scope.child((("group", "a"),)) is scope.child((("group", "a"),))


def test_values_that_are_no_numbers_are_noted_with_their_number(recorder):
    for value in (1.0, math.nan, "fast", None):
        TREND.add(value)
    COUNTER.add(math.inf)
    assert recorder.drain().select(TREND.name).count == 1
    TREND.add(math.nan)
    recorder.drain()
    assert recorder.notes() == [
        "t_recorder_trend: 4 values were no finite numbers and are left out",
        "t_recorder_counter: 1 values were no finite numbers and are left out",
    ]


class NoTruth:
    def __bool__(self):
        raise ValueError("the truth of an array is ambiguous")


def test_what_has_no_truth_costs_no_other_sample(recorder):
    for value in (True, NoTruth(), False):
        RATE.add(value)
    COUNTER.add(2)
    drained = recorder.drain()
    assert (drained.select(RATE.name).hits, drained.select(RATE.name).total) == (1, 2)
    assert drained.select(COUNTER.name).total == 2
    assert recorder.notes() == ["t_recorder_rate: 1 values were no finite numbers and are left out"]


@pytest.mark.parametrize("tags", [5, "table", ["table"]])
def test_tags_that_are_no_mapping_are_refused(recorder, tags):
    with pytest.raises(ConfigError) as refused:
        TREND.add(1, tags)
    words = "allowed: a mapping, such as {'table': 'orders'}"
    assert str(refused.value) == f"Trend('t_recorder_trend'): the tags {tags!r} are not a mapping; {words}"
    assert not recorder.drain().series


@pytest.mark.parametrize("name", [5, None, ""])
def test_a_metric_needs_a_name(name):
    with pytest.raises(ConfigError, match=f"metric {name!r}: allowed: a name, such as 'orders_total'"):
        Trend(name)


def test_how_a_gauge_merges_may_be_text():
    assert Gauge("t_recorder_text", merging="sum").merging is GaugeMerge.SUM
    with pytest.raises(ConfigError, match="gauge 't_recorder_avg': merging='avg'; allowed: last, max, sum"):
        Gauge("t_recorder_avg", merging="avg")


def test_a_name_belongs_to_one_kind():
    with pytest.raises(ConfigError) as refused:
        Counter("t_recorder_trend")
    assert str(refused.value) == (
        "metric 't_recorder_trend' is a trend already, it cannot be a counter too; choose another name"
    )
    assert definition("t_recorder_trend") is TREND


def test_two_metrics_of_one_name_are_the_same_metric(recorder):
    twin = Trend("t_recorder_trend", unit="s")
    twin.add(1)
    TREND.add(2)
    assert recorder.drain().select("t_recorder_trend").count == 2
    assert twin is TREND
    assert TREND.unit == "ms"
    assert definition("t_recorder_trend") is TREND


def test_a_name_nobody_defined_has_no_definition():
    assert definition("t_recorder_nobody") is None


def test_a_tag_may_be_a_number_beside_a_text(recorder):
    COUNTER.add(1, {"status": 200})
    COUNTER.add(1, {"status": "refused"})
    drained = recorder.drain()
    assert len(sorted(drained.series)) == len(list(drained.by_tag(COUNTER.name, "status"))) == 2


def test_the_last_of_all_readings_of_a_gauge_counts_whatever_its_tags():
    clock = iter(range(1, 10))
    recorder = Recorder(lambda: next(clock))
    with recording(Scope(recorder)):
        for value, table in ((100, "a"), (5, "b"), (100, "a")):
            LAST.add(value, {"table": table})
    gauge = recorder.drain().select(LAST.name)
    assert (gauge.value, gauge.at_s) == (100, 3)


def test_what_a_scope_records_is_of_its_phase_in_groups_as_well():
    recorder = Recorder()
    scope = Scope(recorder, (("load", "a"),), 3)
    with recording(scope):
        COUNTER.add()
        with recording(scope.child((("group", "g"),))):
            COUNTER.add(2)
        scope.divert(recorder, 4)
        with recording(scope.child((("group", "g"),))):
            COUNTER.add(4)
        with recording(scope.child((("group", "new"),))):
            COUNTER.add(8)
    drained = recorder.drain()
    assert [drained.select(COUNTER.name, phases={phase}).total for phase in (3, 4)] == [1 + 2, 4 + 8]
    assert drained.select(COUNTER.name, {"group": "g"}).total == 2 + 4


def test_each_phase_has_room_for_what_is_looked_up(monkeypatch):
    monkeypatch.setattr("pytest_cdcperf.metrics.recorder._MOST_KEPT", 1)
    recorder = Recorder()
    for phase in range(3):
        with recording(Scope(recorder, (), phase)):
            COUNTER.add()
            TREND.add(1)
    assert recorder.kept == {0: 1, 1: 1, 2: 1}
