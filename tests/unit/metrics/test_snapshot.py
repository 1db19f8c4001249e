from __future__ import annotations

import math
from copy import deepcopy
from dataclasses import astuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_cdcperf.metrics.histogram import Histogram
from pytest_cdcperf.metrics.metric import GaugeMerge, Kind
from pytest_cdcperf.metrics.snapshot import BY_TIME, CounterState, GaugeState, RateState, SeriesKey, Snapshot, new_state

LAST, MAX, SUM = GaugeMerge.LAST, GaugeMerge.MAX, GaugeMerge.SUM


def state_of(kind, *values, merging=LAST):
    state = new_state(kind, merging)
    state.record([*enumerate(values)] if kind is Kind.GAUGE else values)
    return state


def counters(**totals):
    return Snapshot({SeriesKey("c", Kind.COUNTER, (("table", t),)): CounterState(n) for t, n in totals.items()})


@pytest.mark.parametrize(
    ("values", "total", "left_out"),
    [
        ([], 0, 0),
        ([1, 2.5, -1], 2.5, 0),
        ([0.1] * 10, 1.0, 0),
        ([1, math.nan, 2], 3, 1),
        ([1, "x", None, 4], 5, 2),
        ([math.inf, 1], 1, 1),
        ([math.inf, -math.inf], 0, 2),
        ([True, True], 2, 0),
    ],
)
def test_a_counter_sums_what_are_finite_numbers(values, total, left_out):
    counter = CounterState()
    assert counter.record(values) == left_out
    assert counter.total == total


@pytest.mark.parametrize("values", [[1e308, 1e308], [10**400]])
def test_a_counter_beyond_a_float_raises_nothing(values):
    CounterState().record(values)


def test_a_rate_counts_truth():
    rate = state_of(Kind.RATE, True, False, 1, 0, "yes", None)
    assert (rate.hits, rate.total, rate.rate) == (3, 6, 0.5)
    assert math.isnan(RateState().rate)


@pytest.mark.parametrize(
    ("values", "wanted", "left_out"),
    [
        ([3, 1, 2], (2, 1, 3), 0),
        ([5], (5, 5, 5), 0),
        ([5, math.nan, "x"], (5, 5, 5), 2),
        ([-1, math.inf], (-1, -1, -1), 1),
    ],
)
def test_a_gauge_keeps_the_last_reading_and_the_extremes(values, wanted, left_out):
    gauge = GaugeState()
    assert gauge.record([*enumerate(values)]) == left_out
    assert (gauge.value, gauge.min, gauge.max) == wanted


@pytest.mark.parametrize(
    ("merging", "wanted"), [(LAST, (2, 1, 9)), (MAX, (4, 1, 9)), (SUM, (6, 1 + 2, 9 + 5))], ids=str
)
def test_gauges_of_several_workers_merge_as_declared(merging, wanted):
    mine, theirs = GaugeState(merging, 4, 1, 9), GaugeState(merging, 2, 2, 5)
    mine.merge(theirs)
    assert (mine.value, mine.min, mine.max) == wanted


@pytest.mark.parametrize("merging", [LAST, MAX, SUM], ids=str)
def test_a_gauge_without_a_reading_changes_nothing_and_takes_everything(merging):
    full, empty = GaugeState(merging, 4, 1, 9), GaugeState(merging)
    full.merge(empty)
    assert full == GaugeState(merging, 4, 1, 9)
    empty.merge(full)
    assert empty == full


@pytest.mark.parametrize("merging", [LAST, MAX, SUM], ids=str)
def test_a_later_reading_of_the_same_worker_is_never_added(merging):
    gauge = GaugeState(merging, 4, 1, 9)
    gauge.follow(GaugeState(merging, 2, 2, 12))
    gauge.follow(GaugeState(merging))
    assert (gauge.value, gauge.min, gauge.max) == (2, 1, 12)


def test_snapshots_add_series_by_series():
    first = counters(orders=1, customer=2)
    first.merge(counters(orders=10, address=5))
    assert {key.tags[0][1]: state.total for key, state in first.series.items()} == {
        "orders": 11,
        "customer": 2,
        "address": 5,
    }


@pytest.mark.parametrize(("method", "wanted"), [("merge", 7), ("extend", 4)])
def test_workers_at_one_time_sum_and_times_of_one_worker_follow(method, wanted):
    key = SeriesKey("vus", Kind.GAUGE)
    first = Snapshot({key: GaugeState(SUM, 3, 3, 3)})
    getattr(first, method)(Snapshot({key: GaugeState(SUM, 4, 4, 4)}))
    assert first.series[key].value == wanted


@pytest.mark.parametrize("method", ["merge", "extend"])
def test_what_is_taken_in_is_copied(method):
    other = Snapshot(
        {
            SeriesKey("t", Kind.TREND): state_of(Kind.TREND, 1.0),
            SeriesKey("c", Kind.COUNTER): CounterState(1),
            SeriesKey("r", Kind.RATE): RateState(1, 2),
            SeriesKey("g", Kind.GAUGE): GaugeState(MAX, 1, 1, 1),
        }
    )
    before = deepcopy(other)
    mine = Snapshot()
    getattr(mine, method)(other)
    assert mine == other
    getattr(mine, method)(other)
    assert other == before
    assert mine.series[SeriesKey("t", Kind.TREND)].count == 2


def test_select_joins_the_series_that_carry_the_tags():
    snapshot = counters(orders=1, customer=2)
    assert snapshot.select("c").total == 3
    assert snapshot.select("c", {"table": "orders"}).total == 1
    assert snapshot.select("c", {"table": "address"}) is None
    assert snapshot.select("d") is None
    assert snapshot.select("c").total == 3


def test_by_tag_goes_through_the_values_in_order():
    assert [(value, state.total) for value, state in counters(orders=1, customer=2).by_tag("c", "table")] == [
        ("customer", 2),
        ("orders", 1),
    ]
    assert list(counters(orders=1).by_tag("c", "other")) == []


def test_a_coarse_copy_leaves_the_original_fine():
    key = SeriesKey("t", Kind.TREND)
    snapshot = Snapshot({key: state_of(Kind.TREND, 1.0, 2.0), SeriesKey("c", Kind.COUNTER): CounterState(3)})
    coarse = snapshot.coarse()
    assert (coarse.series[key].schema, snapshot.series[key].schema) == (4, 7)
    assert coarse.select("c").total == 3


@given(st.lists(st.lists(st.floats(0, 1e6), max_size=5), min_size=3, max_size=3))
def test_merging_is_associative_and_commutative_over_all_kinds(parts):
    def snapshot(values):
        return Snapshot({SeriesKey(k.value, k): state_of(k, *values, merging=MAX) for k in Kind if values})

    def of(*snapshots):
        whole = Snapshot()
        for part in snapshots:
            whole.merge(part)
        return {
            key.name: [state.positive, state.min, state.max, state.zeros]
            if isinstance(state, Histogram)
            else [pytest.approx(part) if isinstance(part, float) else part for part in astuple(state)]
            for key, state in whole.series.items()
        }

    a, b, c = map(snapshot, parts)
    both = Snapshot()
    both.merge(b)
    both.merge(c)
    assert of(a, b, c) == of(c, b, a) == of(a, both)


@pytest.mark.parametrize(("merging", "wanted"), [(MAX, 5), (SUM, 7)], ids=str)
def test_select_merges_the_series_of_a_gauge_as_it_declares(merging, wanted):
    series = {
        SeriesKey("g", Kind.GAUGE, (("table", t),)): GaugeState(merging, v, v, v) for t, v in (("a", 5), ("b", 2))
    }
    assert Snapshot(series).select("g").value == wanted


def test_series_are_kept_apart_by_what_is_asked_for_only():
    snapshot = Snapshot(
        {
            SeriesKey("c", Kind.COUNTER, (("op", op), ("table", table))): CounterState(amount)
            for op, table, amount in (("read", "a", 1), ("read", "b", 2), ("write", "a", 4), ("write", "c", 8))
        }
        | {SeriesKey("d", Kind.COUNTER, (("table", "a"),)): CounterState(16)}
    )
    apart = snapshot.kept_apart({"c": {("table", "a"), ("op", "write")}})
    assert {(key.name, key.tags): state.total for key, state in apart.series.items()} == {
        ("c", (("table", "a"),)): 1,
        ("c", ()): 2,
        ("c", (("op", "write"), ("table", "a"))): 4,
        ("c", (("op", "write"),)): 8,
        ("d", ()): 16,
    }
    for tags in ({}, {"table": "a"}, {"op": "write"}, {"op": "write", "table": "a"}):
        assert apart.select("c", tags).total == snapshot.select("c", tags).total
    assert apart.select("c", {"table": "b"}) is None


def calls(metric, tag):
    """Successful calls of 1 and 2 ms, a failed one of 4 and one of 8 that ended at its time limit."""
    ends = ((1, "a", "true"), (2, "b", "true"), (4, "a", "false"), (8, "a", "false"))
    return Snapshot(
        {
            SeriesKey(metric, Kind.TREND, ((("error", "timeout"),) if ms == 8 else ()) + ((tag, ok), ("table", table))):
            state_of(Kind.TREND, ms)
            for ms, table, ok in ends
        }
    )  # fmt: skip


@pytest.mark.parametrize(
    ("metric", "tag"),
    [("pg_read_duration", "ok"), ("mongo_read_duration", "ok"), ("http_req_waiting", "expected_response")],
)
def test_a_trend_of_calls_is_of_successful_ones_and_those_that_took_too_long(metric, tag):
    for snapshot in (calls(metric, tag), calls(metric, tag).kept_apart({metric: {("table", "a"), (tag, "true")}})):
        assert snapshot.select(metric).sum == 11
        assert snapshot.select(metric, {"table": "a"}).sum == 9
        assert snapshot.select(metric, {tag: "true"}).sum == 3
        assert snapshot.select(metric, {tag: "false"}).sum == 12
        assert snapshot.select(metric, {"error": "timeout"}).sum == 8
        assert snapshot.select(metric, {"table": "a", tag: "false"}).sum == 12


def test_a_bodys_own_trend_is_of_all():
    assert calls("t_snapshot_own", "ok").select("t_snapshot_own").sum == 15
    assert calls("response_time", "ok").select("response_time").sum == 15


def test_gauges_are_kept_apart_always():
    series = {SeriesKey("g", Kind.GAUGE, (("part", part),)): GaugeState(GaugeMerge.SUM, 1, 1, 1) for part in "ab"}
    assert Snapshot(series).kept_apart({}).series == series


def test_only_some_metrics():
    snapshot = Snapshot({SeriesKey(name, Kind.COUNTER): CounterState(1) for name in "abc"})
    assert snapshot.only({"a", "c", "x"}).names() == ["a", "c"]


class Walked(dict):
    """Counts how often all of it was walked over."""

    times = 0

    def __iter__(self):
        self.times += 1
        return super().__iter__()

    def items(self):
        self.times += 1
        return super().items()


def test_each_of_many_metrics_is_found_without_looking_at_all():
    series = Walked({SeriesKey(f"m{number}", Kind.COUNTER): CounterState(number) for number in range(20_000)})
    snapshot = Snapshot(series)
    names = snapshot.names()
    assert sum(snapshot.select(name).total for name in names) == 20_000 * 19_999 / 2
    assert series.times == 1


def test_what_comes_later_is_found():
    snapshot = counters(orders=1)
    assert snapshot.select("d") is None
    snapshot.series[SeriesKey("d", Kind.COUNTER)] = CounterState(7)
    assert snapshot.select("d").total == 7
    assert snapshot.names() == ["c", "d"]


def readings(*readings, merging=LAST):
    """A snapshot of a gauge, from (phase, tag, value, time) of each reading."""
    snapshot = Snapshot()
    for phase, tag, value, at_s in readings:
        state = GaugeState(merging, value, value, value, at_s)
        snapshot.merge(Snapshot({SeriesKey("g", Kind.GAUGE, (("table", tag),), phase): state}))
    return snapshot


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_last_reading_in_time_is_the_value_of_whichever_worker(order):
    pair = [GaugeState(LAST, 100, 100, 100, 3.0), GaugeState(LAST, 5, 5, 5, 2.0)]
    first, second = (pair[at] for at in order)
    first.merge(second)
    assert first == GaugeState(LAST, 100, 5, 100, 3.0)


@pytest.mark.parametrize("order", [("a", "b"), ("b", "a")])
def test_the_last_reading_in_time_is_the_value_over_all_sets_of_tags(order):
    at = {"a": (100, 3.0), "b": (5, 2.0)}
    snapshot = readings(*((0, tag, *at[tag]) for tag in order))
    assert (snapshot.select("g").value, snapshot.select("g", {"table": "b"}).value) == (100, 5)


def test_a_gauge_that_adds_up_over_tags_does_not_over_phases():
    snapshot = readings((0, "a", 3, 1.0), (1, "a", 4, 2.0), (0, "b", 7, 1.5), merging=SUM)
    wanted = GaugeState(SUM, 4 + 7, 3 + 7, 4 + 7, 2.0)
    assert snapshot.select("g") == snapshot.over_phases().select("g") == wanted
    assert snapshot.kept_apart({}).select("g") == wanted
    assert snapshot.select("g", phases={0}).value == 3 + 7


def test_phases_are_kept_apart_of_what_is_asked_for_only():
    snapshot = Snapshot(
        {SeriesKey(name, Kind.COUNTER, (), phase): CounterState(1 + phase) for name in "cd" for phase in (0, 1)}
    )
    assert snapshot.kept_apart({"c": ()}).phases("c") == {0, 1}
    assert snapshot.kept_apart({"c": ()}).phases("d") == {BY_TIME}
    assert snapshot.over_phases().series == {SeriesKey(name, Kind.COUNTER): CounterState(3) for name in "cd"}
    assert snapshot.over_phases({1}).select("c").total == snapshot.select("c", phases={1}).total == 2
    assert snapshot.select("c", phases={7}) is None
    assert snapshot.phases("x") == set()


def test_a_figure_is_read_by_the_name_of_its_metric_and_by_tags():
    tagged = (("table", "a"),)
    snapshot = Snapshot(
        {
            SeriesKey("c", Kind.COUNTER, tagged): CounterState(1),
            SeriesKey("c", Kind.COUNTER): CounterState(2),
            SeriesKey("r", Kind.RATE, tagged): RateState(1, 2),
            SeriesKey("t", Kind.TREND): state_of(Kind.TREND, 1.0, 3.0),
            SeriesKey("t", Kind.TREND, (), 1): state_of(Kind.TREND, 5.0),
            SeriesKey("g", Kind.GAUGE): GaugeState(MAX, 4, 1, 9),
        }
    )
    assert snapshot.count("c") == 3
    assert snapshot.count("c", {"table": "a"}) == 1
    assert snapshot.rate("r").rate == 0.5
    assert (snapshot.trend("t").count, snapshot.trend("t", phases={1}).max) == (3, 5.0)
    assert snapshot.gauge("g").max == 9


def test_what_was_never_recorded_or_is_of_another_kind_reads_as_empty():
    for snapshot in (Snapshot(), Snapshot({SeriesKey("m", kind): new_state(kind) for kind in [Kind.COUNTER]})):
        assert snapshot.count("x") == 0
        assert snapshot.rate("m").total == 0
        assert snapshot.trend("m").count == 0
        assert snapshot.gauge("m").is_empty
    assert Snapshot({SeriesKey("m", Kind.RATE): RateState(1, 1)}).count("m") == 0
