from __future__ import annotations

import pytest

from pytest_cdcperf.errors import ConfigError
from pytest_cdcperf.judging.rules.drift import Drift
from pytest_cdcperf.judging.rules.recovery import Recovery
from pytest_cdcperf.load.closed import ConstantVUs, PerVUIterations, RampingVUs, SharedIterations
from pytest_cdcperf.spec import MARKER_KEYS, MarkerSpec, PerfSpec, parse_marker

PROFILE = ConstantVUs(vus=10, duration="5m")
RAMP = RampingVUs(stages=[("1m", 5)])


def written(spec):
    return [str(threshold) for threshold in spec.thresholds]


def refused(**keys):
    with pytest.raises(ConfigError) as error:
        parse_marker(keys)
    return list(error.value.faults)


def test_an_empty_marker_takes_the_profile_as_it_is():
    spec = parse_marker({})
    assert spec == MarkerSpec()
    assert not spec.states_a_load
    assert spec.loads_over(PROFILE) == {"": PROFILE}


@pytest.mark.parametrize(
    ("key", "value", "threshold"),
    [
        ("p95", "2s", "response_time p(95)<2000"),
        ("p99", 500, "response_time p(99)<500"),
        ("p99_9", 1.5, "response_time p(99.9)<1.5"),
        ("p5", 1, "response_time p(5)<1"),
        ("p100", 1, "response_time p(100)<1"),
        ("avg", "100ms", "response_time avg<100"),
        ("med", 50, "response_time med<50"),
        ("max", "1m", "response_time max<60000"),
    ],
)
def test_a_bare_limit_bounds_the_response_time(key, value, threshold):
    assert written(parse_marker({key: value})) == [threshold]


def test_a_bare_limit_is_not_rounded():
    assert parse_marker({"p95": 1234567.25}).thresholds[0].limit == 1234567.25


def test_bare_limits_replace_stated_ones_of_the_same_aggregate():
    spec = parse_marker(
        {"p95": 5, "thresholds": {"response_time": ["p(95)<7", "p(99)<9"], "pg_write_duration{table:a}": "avg<1"}}
    )
    assert written(spec) == ["response_time p(95)<5", "response_time p(99)<9", "pg_write_duration{table:a} avg<1"]


def test_all_keys_arrive():
    spec = parse_marker({"vus": 3, "duration": "10s", "error_rate": 0.05, "tags": {"team": "x"}, "gate": True})
    assert spec.load_keys == {"vus": 3, "duration": "10s"}
    assert (spec.error_rate, spec.tags, spec.gate, spec.states_a_load) == (0.05, {"team": "x"}, True, True)
    assert spec.loads_over(PROFILE) == {"": ConstantVUs(vus=3, duration="10s")}


@pytest.mark.parametrize("error_rate", [0, 0.5, 1, 1.0])
def test_an_error_rate_is_a_share(error_rate):
    assert parse_marker({"error_rate": error_rate}).error_rate == error_rate


def test_a_load_of_its_own_stands_above_the_profile():
    own = PerVUIterations(vus=2)
    spec = parse_marker({"load": own})
    assert spec.states_a_load
    assert spec.loads_over(PROFILE) == {"": own}


def test_a_key_that_the_profiles_executor_lacks_is_refused():

    with pytest.raises(ConfigError, match=r"^RampingVUs: unknown key duration='5s'; allowed: start_at, "):
        parse_marker({"duration": "5s"}).loads_over(RAMP)


@pytest.mark.parametrize(
    ("keys", "fault"),
    [
        ({"p96_": 1}, f"unknown key p96_=1; allowed: {', '.join(MARKER_KEYS)}"),
        ({"positional": (1,)}, f"(1,) has no name; allowed: {', '.join(MARKER_KEYS)}"),
        (
            {"p95": -1},
            "p95=-1 is not a valid limit; allowed: milliseconds of at least 0, or a number with a unit, "
            "such as '500ms', '30s', '5m' or '1h30m'",
        ),
        (
            {"load": "fast"},
            "load='fast'; allowed: an executor, such as ConstantVUs(vus=10, duration='5m'), "
            "or a mapping of scenario names to executors",
        ),
        ({"error_rate": 1.5}, "error_rate=1.5; allowed: the tolerated share of failed iterations, 0 to 1"),
        ({"error_rate": True}, "error_rate=True; allowed: the tolerated share of failed iterations, 0 to 1"),
        ({"error_rate": "1%"}, "error_rate='1%'; allowed: the tolerated share of failed iterations, 0 to 1"),
        ({"error_rate": float("nan")}, "error_rate=nan; allowed: the tolerated share of failed iterations, 0 to 1"),
        ({"tags": ["a"]}, "tags=['a']; allowed: a mapping of text to text"),
        ({"tags": {"a": 1}}, "tags={'a': 1}; allowed: a mapping of text to text"),
        ({"gate": 1}, "gate=1; allowed: True or False"),
        (
            {"thresholds": "p(95)<1"},
            "thresholds='p(95)<1'; allowed: {'metric': 'p(95)<100'} or {'metric': ['p(95)<100', ...]}",
        ),
        (
            {"thresholds": {"x": 5}},
            "thresholds: x: 5 is not a valid threshold; allowed: 'p(95)<2000', or Limit('p(95)<2000', ...)",
        ),
        (
            {"thresholds": {"x": ["p(95)<1", 5]}},
            "thresholds: x: 5 is not a valid threshold; allowed: 'p(95)<2000', or Limit('p(95)<2000', ...)",
        ),
        ({"load": PROFILE, "vus": 3}, "load= and vus both state the load; allowed: one of them"),
    ],
)
def test_a_fault_names_the_key_the_value_and_what_is_allowed(keys, fault):
    assert refused(**keys) == [fault]


def test_all_faults_are_said_at_once():
    faults = refused(
        p95="fast",
        speed=3,
        thresholds={"x": ["p(0)<1", "mean<1"]},
        error_rate=2,
        tags=5,
        gate="yes",
        load=PROFILE,
        duration="1s",
    )
    assert [fault.split(" ")[0].split("=")[0] for fault in faults] == [
        "p95",
        "unknown",
        "thresholds:",
        "thresholds:",
        "error_rate",
        "tags",
        "gate",
        "load",
    ]


def test_expressions_from_an_iterator_are_not_lost():
    assert written(parse_marker({"thresholds": {"x": iter(["p(95)<1"])}})) == ["x p(95)<1"]


def test_a_metric_that_is_no_text_is_refused():
    assert refused(thresholds={5: "p(95)<1"})


def test_no_load_is_what_none_says():
    assert not parse_marker({"load": None}).states_a_load


def test_a_percentile_key_of_nothing_is_named():
    assert refused(p0=5)[0].startswith("p0=5")


def test_a_faulty_value_of_a_load_key_is_said_with_the_others():
    assert len(refused(vus=0, speed=3)) == 2


BURST = ConstantVUs(duration="1m", start_at="5m")


def test_several_loads_have_names():
    loads = {"steady": PROFILE, "burst": BURST}
    spec = parse_marker({"load": loads})
    assert spec.loads_over(RAMP) == loads
    assert spec.states_a_load


def test_keys_lie_over_the_profile_and_iterations_replace_its_executor():
    assert parse_marker({"graceful_stop": "1s"}).loads_over(RAMP)[""].graceful_stop == 1
    assert parse_marker({"iterations": 5, "vus": 3}).loads_over(PROFILE) == {"": PerVUIterations(vus=3, iterations=5)}
    shared = SharedIterations(vus=9, iterations=90)
    assert parse_marker({"iterations": 5}).loads_over(shared) == {"": SharedIterations(vus=9, iterations=5)}


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ({}, "an executor, such as ConstantVUs(vus=10, duration='5m'), or a mapping of scenario names to executors"),
        ({"a": 5}, "a mapping of scenario names to executors"),
        ({"": PROFILE}, "a mapping of scenario names to executors"),
        ({1: PROFILE}, "a mapping of scenario names to executors"),
    ],
)
def test_loads_that_cannot_be_are_refused(value, fault):
    assert refused(load=value) == [f"load={value!r}; allowed: {fault}"]


def test_a_load_may_start_at_any_time():
    loads = {"a": PROFILE, "b": ConstantVUs(duration="1s", start_at="11m")}
    assert parse_marker({"load": loads}).loads == loads


def test_iterations_and_duration_both_say_when_it_ends():
    assert refused(iterations=3, duration="5s") == [
        "iterations and duration both say when it ends; allowed: one of them"
    ]


@pytest.mark.parametrize(
    ("keys", "rules"),
    [
        ({}, ()),
        ({"recovery": True, "drift": True}, (Recovery(), Drift())),
        ({"recovery": False, "drift": False}, ()),
        ({"recovery": Recovery("x")}, (Recovery("x"),)),
        ({"drift": [Drift("x"), Drift("y")]}, (Drift("x"), Drift("y"))),
    ],
)
def test_the_rules_about_the_whole_run(keys, rules):
    assert parse_marker(keys).run_rules == rules


@pytest.mark.parametrize(
    ("keys", "fault"),
    [
        ({"recovery": Drift()}, "recovery=Drift("),
        ({"recovery": 5}, "recovery=5; allowed: True, or Recovery(metric, ...), or a list of them"),
        ({"drift": [Drift(), 5]}, "drift=[Drift("),
        ({"drift": "x"}, "drift='x'; allowed: True, or Drift(metric, ...), or a list of them"),
    ],
)
def test_rules_of_another_kind_are_refused(keys, fault):
    (found,) = refused(**keys)
    assert found.startswith(fault)


def test_a_rule_on_a_metric_that_has_no_percentile_is_refused():
    assert refused(recovery=[Recovery(), Recovery("iterations")], drift=Drift("checks")) == [
        "recovery: 'iterations' is a counter; allowed: a trend",
        "drift: 'checks' is a rate; allowed: a trend or a gauge",
    ]
    assert parse_marker({"drift": Drift("soak_memory_indicator")}).run_rules == (Drift("soak_memory_indicator"),)


@pytest.mark.parametrize(
    ("loads", "planned_s", "counts"),
    [
        ({"": PROFILE}, 300, False),
        ({"a": PROFILE, "b": BURST}, 360, False),
        ({"a": PerVUIterations(max_duration="1m"), "b": SharedIterations(max_duration="2m")}, 120, True),
        ({"a": PerVUIterations(max_duration="1m"), "b": PROFILE}, 300, False),
    ],
)
def test_the_plan_of_all_loads(loads, planned_s, counts):
    spec = PerfSpec(loads=loads, profile=None, thresholds=(), run_rules=(), error_rate=0.0, tags={})
    assert (spec.planned_s, spec.counts_iterations) == (planned_s, counts)


@pytest.mark.parametrize(("drain", "seconds"), [("1m30s", 90), (90, 90), (0, 0)])
def test_a_drain_is_a_duration(drain, seconds):
    assert parse_marker({"drain": drain}).drain_s == seconds


def test_a_drain_that_is_not_a_duration_is_refused():
    assert parse_marker({}).drain_s == 0
    assert refused(drain="30") == [
        "drain='30' is not a valid duration; allowed: a number with a unit, such as '500ms', '30s', '5m' or '1h30m'"
    ]
