from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_cdcperf.errors import ConfigError
from pytest_cdcperf.judging.evaluation import aggregate_of, evaluate
from pytest_cdcperf.judging.intervals import Precision, quantile_interval
from pytest_cdcperf.judging.parser import parse_threshold, parse_thresholds
from pytest_cdcperf.judging.threshold import Outcome, Threshold, merge_thresholds
from pytest_cdcperf.metrics import builtin
from pytest_cdcperf.metrics.metric import Counter, Gauge, Kind, Rate, Trend
from pytest_cdcperf.metrics.snapshot import GaugeState, SeriesKey, Snapshot, new_state

TIME = Trend("t_threshold_time", unit="ms")
SIZE = Trend("t_threshold_size", unit="bytes")
COUNT = Counter("t_threshold_count")
RATE = Rate("t_threshold_rate")
GAUGE = Gauge("t_threshold_gauge")
METRICS = {Kind.TREND: TIME, Kind.COUNTER: COUNT, Kind.RATE: RATE, Kind.GAUGE: GAUGE}


def snapshot_of(metric, values, tags=(), kind=None):
    state = new_state(kind or metric.kind)
    state.record([*enumerate(values)] if isinstance(state, GaugeState) else values)
    return Snapshot({SeriesKey(getattr(metric, "name", metric), kind or metric.kind, tags): state})


@pytest.mark.parametrize(
    ("selector", "expression", "wanted"),
    [
        ("x", "p(95)<2000", Threshold("x", "p(95)", "<", 2000)),
        (" x ", "  p(99.9)  <=  1.5  ", Threshold("x", "p(99.9)", "<=", 1.5)),
        ("x", "med>=1e3", Threshold("x", "med", ">=", 1000)),
        ("x", "rate===0.99", Threshold("x", "rate", "===", 0.99)),
        ("x", "count!=-3", Threshold("x", "count", "!=", -3)),
        ("t_threshold_time", "p(95)<2s", Threshold("t_threshold_time", "p(95)", "<", 2000)),
        ("t_threshold_time", "avg<1m30s", Threshold("t_threshold_time", "avg", "<", 90000)),
        ("unknown_yet", "max<250ms", Threshold("unknown_yet", "max", "<", 250)),
        ("x{table:orders}", "p(95)<1", Threshold("x", "p(95)", "<", 1, (("table", "orders"),))),
        ("x{ b:2 , a:1:2 }", "p(95)<1", Threshold("x", "p(95)", "<", 1, (("a", "1:2"), ("b", "2")))),
        ("x{name:/o/{id}/{n}}", "p(95)<1", Threshold("x", "p(95)", "<", 1, (("name", "/o/{id}/{n}"),))),
        ("x{group:::a}", "p(95)<1", Threshold("x", "p(95)", "<", 1, (("group", "a"),))),  # as in k6
        ("x{group:::a::b}", "p(95)<1", Threshold("x", "p(95)", "<", 1, (("group", "a::b"),))),
        ("x{check:::a}", "p(95)<1", Threshold("x", "p(95)", "<", 1, (("check", "::a"),))),
        ("x{}", "p(95)<1", Threshold("x", "p(95)", "<", 1)),
        ("x{a:1,}", "p(95)<1", Threshold("x", "p(95)", "<", 1, (("a", "1"),))),
    ],
)
def test_a_threshold_is_read(selector, expression, wanted):
    assert parse_threshold(selector, expression) == wanted


NO_METRIC = "is not a valid metric; allowed: a name such as 'pg_write_duration', or 'name{tag:value}'"
NO_THRESHOLD = "is not a valid threshold; allowed: aggregate, comparison, number, such as 'p(95)<2000'"
NO_LIMIT = "is not a valid limit; allowed: a number, or a duration for a metric of time"
NO_PERCENTILE = "is not a valid percentile; allowed: p(N) with N above 0 and at most 100"


@pytest.mark.parametrize(
    ("selector", "expression", "fault"),
    [
        ("1x", "p(95)<1", f"'1x' {NO_METRIC}"),
        ("a b", "p(95)<1", f"'a b' {NO_METRIC}"),
        ("", "p(95)<1", f"'' {NO_METRIC}"),
        ("x{a:{b c}}", "p(95)<1", f"'x{{a:{{b c}}}}' {NO_METRIC}"),
        ("x{a}", "p(95)<1", "'x{a}' has a tag without a value; allowed: 'name{tag:value,tag:value}'"),
        ("x{a:}", "p(95)<1", "'x{a:}' has a tag without a value; allowed: 'name{tag:value,tag:value}'"),
        ("x{:b}", "p(95)<1", "'x{:b}' has a tag without a value; allowed: 'name{tag:value,tag:value}'"),
        ("x", "p(95)", f"'p(95)' {NO_THRESHOLD}"),
        ("x", "<5", f"'<5' {NO_THRESHOLD}"),
        ("x", "p(95)=5", f"'p(95)=5' {NO_THRESHOLD}"),
        ("x", "p(95)<5 and more", f"'p(95)<5 and more' {NO_THRESHOLD}"),
        ("x", "p(0)<5", f"'p(0)' {NO_PERCENTILE}"),
        ("x", "p(101)<5", f"'p(101)' {NO_PERCENTILE}"),
        ("x", "p()<5", f"'p()' {NO_PERCENTILE}"),
        ("x", "mean<5", "'mean' is not a valid aggregate; allowed: p(N), avg, count, max, med, min, rate, value"),
        ("x", "avg(5)<5", "'avg(5)' is not a valid aggregate; allowed: p(N), avg, count, max, med, min, rate, value"),
        ("x", "p(95)<nan", f"'nan' {NO_LIMIT}"),
        ("x", "p(95)<inf", f"'inf' {NO_LIMIT}"),
        (
            "x",
            "p(95)<fast",
            "'fast' is not a valid limit; allowed: milliseconds of at least 0, or a number with a unit, "
            "such as '500ms', '30s', '5m' or '1h30m'",
        ),
        ("x", "rate<5s", f"'5s' {NO_LIMIT}"),
        ("t_threshold_time", "count<5s", f"'5s' {NO_LIMIT}"),
        ("t_threshold_size", "p(95)<5s", f"'5s' {NO_LIMIT}"),
        (
            "t_threshold_time",
            "rate<5",
            "'rate' is not an aggregate of 't_threshold_time', which is a trend; "
            "allowed: p(N), med, avg, min, max, count",
        ),
        (
            "t_threshold_count",
            "p(95)<5",
            "'p(95)' is not an aggregate of 't_threshold_count', which is a counter; allowed: count, rate",
        ),
        (
            "t_threshold_rate",
            "count<5",
            "'count' is not an aggregate of 't_threshold_rate', which is a rate; allowed: rate",
        ),
        (
            "t_threshold_gauge",
            "avg<5",
            "'avg' is not an aggregate of 't_threshold_gauge', which is a gauge; allowed: value, min, max",
        ),
    ],
)
def test_a_fault_is_said_in_one_line(selector, expression, fault):
    with pytest.raises(ConfigError) as refused:
        parse_threshold(selector, expression)
    assert refused.value.faults == (fault,)


def test_all_faults_are_said_at_once():
    with pytest.raises(ConfigError) as refused:
        parse_thresholds({"1x": "p(95)<1", "x": ["p(0)<5", "p(95)<1", "mean<5"]})
    assert [fault.split(" ")[0] for fault in refused.value.faults] == ["'1x'", "'p(0)'", "'mean'"]


def test_a_metric_may_have_one_expression_or_several():
    assert parse_thresholds({"x": "p(95)<1", "y": ("min>0", "max<9")}) == (
        Threshold("x", "p(95)", "<", 1),
        Threshold("y", "min", ">", 0),
        Threshold("y", "max", "<", 9),
    )


def test_it_is_written_as_the_user_writes_it():
    threshold = parse_threshold("x{b:2,a:1}", "p(99.9) <= 1500")
    assert str(threshold) == "x{a:1,b:2} p(99.9)<=1500"
    assert (threshold.selector, threshold.expression) == ("x{a:1,b:2}", "p(99.9)<=1500")


@given(
    st.sampled_from(["x", "x{a:1}", "x{a:1,b:2}"]),
    st.sampled_from(["p(95)", "p(99.9)", "med", "rate", "value"]),
    st.sampled_from(["<", "<=", ">", ">=", "==", "===", "!="]),
    st.integers(-999_999, 999_999),
)
def test_what_is_written_can_be_read_again(selector, aggregate, compare, limit):
    threshold = parse_threshold(selector, f"{aggregate}{compare}{limit}")
    assert parse_threshold(threshold.selector, threshold.expression) == threshold


@pytest.mark.parametrize("limit", ["1234567", "3600000", "20000.25"])
def test_a_limit_of_many_digits_is_written_in_full(limit):
    assert parse_threshold("x", f"p(95)<{limit}").expression == f"p(95)<{limit}"


def test_a_later_layer_replaces_the_same_metric_and_aggregate_only():
    def layer(**spec):
        return parse_thresholds(spec)

    merged = merge_thresholds(
        layer(x=["p(95)<1", "p(95)>0", "p(99)<2"], y="p(95)<3"),
        layer(x=["p(95)<10"], z="avg<4"),
        parse_thresholds({"x{a:1}": "p(95)<7"}),
        layer(z=["avg<40", "avg>4"]),
    )
    assert [str(threshold) for threshold in merged] == [
        "x p(95)<10",
        "x p(99)<2",
        "y p(95)<3",
        "z avg<40",
        "z avg>4",
        "x{a:1} p(95)<7",
    ]


def test_tags_in_another_order_are_the_same_metric():
    merged = merge_thresholds(parse_thresholds({"x{a:1,b:2}": "avg<1"}), parse_thresholds({"x{b:2,a:1}": "avg<2"}))
    assert [threshold.limit for threshold in merged] == [2]


@pytest.mark.parametrize(("aggregate", "quantile"), [("med", 0.5), ("p(95)", 0.95), ("avg", None), ("rate", None)])
def test_its_quantile(aggregate, quantile):
    assert Threshold("x", aggregate, "<", 1).quantile == quantile


ONE_TO_HUNDRED = [float(n) for n in range(1, 101)]


@pytest.mark.parametrize(
    ("kind", "values", "expression", "outcome", "observed"),
    [
        (Kind.TREND, ONE_TO_HUNDRED, "p(95)<96", Outcome.PASSED, 95),
        (Kind.TREND, ONE_TO_HUNDRED, "p(95)<94", Outcome.FAILED, 95),
        (Kind.TREND, ONE_TO_HUNDRED, "med<=51", Outcome.PASSED, 50),
        (Kind.TREND, ONE_TO_HUNDRED, "avg<50.5", Outcome.FAILED, 50.5),
        (Kind.TREND, ONE_TO_HUNDRED, "avg<=50.5", Outcome.PASSED, 50.5),
        (Kind.TREND, ONE_TO_HUNDRED, "min==1", Outcome.PASSED, 1),
        (Kind.TREND, ONE_TO_HUNDRED, "max>=100.1", Outcome.FAILED, 100),
        (Kind.TREND, ONE_TO_HUNDRED, "count>99", Outcome.PASSED, 100),
        (Kind.TREND, ONE_TO_HUNDRED, "count!=100", Outcome.FAILED, 100),
        (Kind.COUNTER, [1, 2, 3], "count<7", Outcome.PASSED, 6),
        (Kind.COUNTER, [1, 2, 3], "rate>=3", Outcome.PASSED, 3),
        (Kind.COUNTER, [1, 2, 3], "rate>3", Outcome.FAILED, 3),
        (Kind.RATE, [True, True, False, False], "rate===0.5", Outcome.PASSED, 0.5),
        (Kind.RATE, [True, False], "rate>0.99", Outcome.FAILED, 0.5),
        (Kind.GAUGE, [5, 9, 7], "value==7", Outcome.PASSED, 7),
        (Kind.GAUGE, [5, 9, 7], "min<5", Outcome.FAILED, 5),
        (Kind.GAUGE, [5, 9, 7], "max<=9", Outcome.PASSED, 9),
    ],
)
def test_every_aggregate_of_every_kind_is_judged(kind, values, expression, outcome, observed):
    metric = METRICS[kind]
    result = evaluate(parse_threshold(metric.name, expression), snapshot_of(metric, values), elapsed_s=2.0)
    assert result.outcome is outcome
    assert result.observed == pytest.approx(observed, rel=0.0028)


@pytest.mark.parametrize(
    ("count", "expression", "outcome"),
    [
        (58, "p(95)<2", Outcome.TOO_FEW),
        (59, "p(95)<2", Outcome.PASSED),
        (58, "p(95)<1", Outcome.FAILED),
        (298, "p(99)<2", Outcome.TOO_FEW),
        (299, "p(99)<2", Outcome.PASSED),
        (2994, "p(99.9)<2", Outcome.TOO_FEW),
        (2995, "p(99.9)<2", Outcome.PASSED),
        (4, "med<2", Outcome.TOO_FEW),
        (5, "med<2", Outcome.PASSED),
        (1, "max<2", Outcome.PASSED),
    ],
)
def test_too_few_samples_judge_only_what_would_pass(count, expression, outcome):
    result = evaluate(parse_threshold(TIME.name, expression), snapshot_of(TIME, [1.0] * count), 1.0)
    assert result.outcome is outcome
    assert result.observed == 1.0


def test_too_few_samples_say_how_many_are_needed():
    result = evaluate(parse_threshold(TIME.name, "p(99)<2"), snapshot_of(TIME, [1.0] * 50), 1.0)
    assert result.note == "50 samples; p(99) needs 299, which takes about 6s"


@pytest.mark.parametrize(("limit", "near"), [(93, False), (94, True), (96, True), (100.5, False)])
def test_a_limit_inside_the_interval_is_said(limit, near):
    snapshot, exact = snapshot_of(TIME, [n / 10 for n in range(1, 1001)]), Precision(1000, 1.0, 59, 60)
    result = evaluate(parse_threshold(TIME.name, f"p(95)<{limit}"), snapshot, 60.0, exact)
    assert ("confidence interval" in result.note) is near
    assert result.interval == quantile_interval(snapshot.select(TIME.name), 0.95, exact)
    assert evaluate(parse_threshold(TIME.name, "avg<5"), snapshot, 60.0, exact).interval is None


def test_samples_that_resemble_each_other_are_worth_fewer():
    limit, snapshot = parse_threshold(TIME.name, "p(95)<5"), snapshot_of(TIME, [1.0] * 1000)
    result = evaluate(limit, snapshot, 60.0, Precision(1000, 20.0, 59, 60))
    assert (result.outcome, result.interval) == (Outcome.TOO_FEW, None)
    assert result.note == "1,000 samples are worth 50 independent ones; p(95) needs 59, which takes about 1m11s"
    assert evaluate(limit, snapshot, 60.0, Precision(1000, 15.0, 59, 60)).outcome is Outcome.PASSED
    crossed = evaluate(parse_threshold(TIME.name, "p(95)<0.5"), snapshot, 60.0, Precision(1000, 20.0, 59, 60))
    assert crossed.outcome is Outcome.FAILED


@pytest.mark.parametrize(
    ("metric", "expression", "outcome", "note"),
    [
        (TIME.name, "p(95)<5", Outcome.NO_SAMPLES, ""),
        (GAUGE.name, "value<5", Outcome.NO_SAMPLES, ""),
        (RATE.name, "rate<0.1", Outcome.PASSED, "no samples, so nothing exceeded it"),
        (RATE.name, "rate<=0", Outcome.PASSED, "no samples, so nothing exceeded it"),
        (RATE.name, "rate>0.9", Outcome.NO_SAMPLES, ""),
        (RATE.name, "rate==1", Outcome.NO_SAMPLES, ""),
        (COUNT.name, "count<1", Outcome.PASSED, ""),
        (COUNT.name, "count>0", Outcome.FAILED, ""),
        (COUNT.name, "rate<1", Outcome.PASSED, ""),
        ("t_threshold_nobody", "rate<1", Outcome.NO_SAMPLES, ""),
    ],
)
def test_without_samples(metric, expression, outcome, note):
    result = evaluate(parse_threshold(metric, expression), Snapshot(), 1.0)
    assert (result.outcome, result.note) == (outcome, note)


def test_failed_calls_are_judged_only_where_the_tag_is_named():
    calls = Trend("pg_read_duration", unit="ms")
    snapshot = snapshot_of(calls, [1.0] * 100, (("ok", "false"),))
    found = evaluate(parse_threshold("pg_read_duration", "max<100"), snapshot, 1.0)
    assert (found.outcome, found.note) == (
        Outcome.NO_SAMPLES,
        "all 100 calls failed, which are in {ok:false}",
    )
    assert evaluate(parse_threshold("pg_read_duration{ok:false}", "max<100"), snapshot, 1.0).observed == 1
    snapshot.extend(snapshot_of(calls, [50.0] * 100, (("ok", "true"),)))
    assert evaluate(parse_threshold("pg_read_duration", "min<100"), snapshot, 1.0).observed == 50


def test_tags_select_the_sub_metric():
    snapshot = snapshot_of(TIME, [1.0] * 100, (("group", "g"), ("table", "orders")))
    snapshot.extend(snapshot_of(TIME, [9.0] * 100, (("table", "customer"),)))

    def observed(selector):
        return evaluate(parse_threshold(selector, "max<100"), snapshot, 1.0).observed

    assert observed("t_threshold_time{table:orders}") == 1
    assert observed("t_threshold_time{table:customer}") == observed("t_threshold_time") == 9
    assert observed("t_threshold_time{table:address}") is None


def test_a_limit_inside_the_bucket_of_the_percentile_is_said():
    values = [100.0] * 50 + [100.1] * 50 + [100.2] * 50
    note = evaluate(parse_threshold(TIME.name, "p(50)<100.15"), snapshot_of(TIME, values), 1.0).note
    assert note.startswith("the limit lies within the bucket of the percentile, 100 to 100.")
    assert evaluate(parse_threshold(TIME.name, "p(50)<150"), snapshot_of(TIME, values), 1.0).note == ""
    assert evaluate(parse_threshold(TIME.name, "p(50)<=5"), snapshot_of(TIME, [5.0] * 100), 1.0).note == ""


def test_an_aggregate_that_a_late_metric_turns_out_not_to_have_fails():
    snapshot = snapshot_of("t_threshold_foreign", [True], kind=Kind.RATE)
    result = evaluate(parse_threshold("t_threshold_foreign", "p(95)<5"), snapshot, 1.0)
    assert (result.outcome, result.observed, result.note) == (Outcome.FAILED, None, "p(95) is not an aggregate of it")


def test_a_rate_per_second_of_no_time_is_zero():
    state = new_state(Kind.COUNTER)
    state.record([5])
    assert aggregate_of(state, "rate", 0.0) == 0.0


def test_a_trend_without_a_finite_sample_has_no_samples():
    result = evaluate(parse_threshold(TIME.name, "p(95)<5"), snapshot_of(TIME, [float("nan")]), 1.0)
    assert result.outcome is Outcome.NO_SAMPLES


def test_the_plans_names_stand_for_ours():
    snapshot = snapshot_of(builtin.ITERATIONS, [1.0] * 7)
    result = evaluate(parse_threshold("test_iterations", "count>6"), snapshot, 1.0)
    assert (result.outcome, result.observed, str(result.threshold)) == (Outcome.PASSED, 7, "test_iterations count>6")
    with pytest.raises(ConfigError, match="'rate' is not an aggregate of 'test_vus', which is a gauge"):
        parse_threshold("test_vus", "rate<1")


def test_a_metric_cannot_be_called_like_an_alias():
    with pytest.raises(ConfigError, match="metric 'test_vus' is another name of 'vus'; choose another name"):
        Gauge("test_vus")
