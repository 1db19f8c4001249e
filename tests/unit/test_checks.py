"""Whatever a user writes where we take values: it is taken, or refused in lines that say what is allowed."""

from __future__ import annotations

import math
import traceback
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_cdcperf.engine.mix import Mix
from pytest_cdcperf.errors import ConfigError, shown
from pytest_cdcperf.judging.parser import Limit, parse_thresholds
from pytest_cdcperf.judging.rules.drift import Drift
from pytest_cdcperf.judging.rules.recovery import Recovery
from pytest_cdcperf.load.executors import EXECUTORS
from pytest_cdcperf.load.open import OpenLoad
from pytest_cdcperf.load.overrides import Overrides
from pytest_cdcperf.spec import MARKER_KEYS, parse_marker


class NoRepr:
    def __repr__(self):
        raise RuntimeError("no repr")


class Lines:
    def __repr__(self):
        return "first\nsecond\x1b[31m"


VALUES = [
    None,
    True,
    False,
    0,
    -1,
    1,
    7,
    10**6,
    10**18,
    10**400,
    10**5000,
    -(10**400),
    0.5,
    math.nan,
    math.inf,
    -math.inf,
    5e-324,
    1e300,
    "",
    "5",
    "30",
    "1s",
    "5m",
    "0s",
    "-5s",
    "1e5s",
    "9" * 400 + "d",
    "31d",
    "x" * 1000,
    "uniform",
    "poisson",
    "hold",
    "p(95)<100",
    "p(95)<1e999",
    "p(95)<nan",
    "avg<",
    "response_time",
    "a{b:c}",
    "\x1b[31m\n",
    b"5",
    [],
    {},
    (),
    set(),
    [1],
    ["5m"],
    [("5m", 10)],
    [("5m", 10**18)],
    [("0s", 1)],
    [["1s", 1], ["2m", 0]],
    [("1s", 1.5)],
    [("1s", math.nan)],
    [("1s",)],
    [None],
    [("1s", 1)] * 5000,
    {"a": "b"},
    {1: 2},
    {"a": {}},
    {"response_time": "p(95)<5"},
    {"x": ["avg<1", NoRepr()]},
    NoRepr(),
    Lines(),
    object,
    len,
    NoRepr,
]
ODD = st.sampled_from(VALUES)
CLASSES = (*EXECUTORS.values(), Recovery, Drift, Limit)


def assert_lines(error, *, start=""):
    assert error.faults
    for fault in error.faults:
        assert fault.startswith(start)
        assert fault.isprintable(), fault
        assert len(fault) < 700
        assert any(word in fault for word in ("allowed", "needs", "above 0")), fault


def assert_ends_here(error):
    frames = traceback.extract_tb(error.__traceback__)
    assert [frame.name for frame in frames] == ["test_executors_rules_and_limits_take_or_refuse_anything", "init"]
    assert error.__suppress_context__


def names_of(cls):
    return [name for name in cls.__dataclass_fields__ if name != "scale"] + ["vuz", "positional"]


@settings(max_examples=60)
@given(st.data())
@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_executors_rules_and_limits_take_or_refuse_anything(cls, data):
    values = data.draw(st.lists(ODD, max_size=2) if data.draw(st.booleans()) else st.just([]))
    keys = data.draw(st.dictionaries(st.sampled_from(names_of(cls)), ODD, max_size=6))
    try:
        made = cls(*values, **keys)
    except ConfigError as error:
        assert_lines(error, start=f"{cls.__name__}: ")
        assert_ends_here(error)
        return
    if cls in EXECUTORS.values():
        assert 0 < made.planned_s <= made.last_s < math.inf
        assert 0 < made.first_vus <= made.most_vus
        assert made.describe()
        assert made.phases
        if isinstance(made, OpenLoad):
            assert all(0 <= start_s <= made.planned_s for start_s in islice(made.starts(), 20))
    elif cls is Limit:
        try:
            assert parse_thresholds({"x": made})
        except ConfigError as error:
            assert_lines(error)
    else:
        assert str(made)


@settings(max_examples=150)
@given(st.dictionaries(st.sampled_from([key.split(" ")[0] for key in MARKER_KEYS] + ["p95", "p99_9", "x"]), ODD))
def test_a_marker_is_taken_or_refused_in_lines(keys):
    try:
        parse_marker(keys)
    except ConfigError as error:
        assert_lines(error)


def test_a_marker_of_values_that_show_nothing_is_refused_in_lines():
    keys = ("tags", "load", "recovery", "drift", "p95", "drain", "thresholds", "vus", "error_rate", "gate", "x")
    with pytest.raises(ConfigError) as refused:
        parse_marker({key: NoRepr() for key in keys})
    assert_lines(refused.value)
    assert len(refused.value.faults) == len(keys)


@settings(max_examples=100)
@given(ODD, ODD, ODD)
def test_overrides_are_taken_or_refused_in_lines(vus, duration, rate):
    try:
        Overrides(vus=vus, duration=duration, rate=rate)
    except ConfigError as error:
        assert_lines(error, start="--perf-")


@pytest.mark.parametrize("weight", [10**400, 10**5000, math.nan, math.inf, 0, -1, "1", None, NoRepr()], ids=shown)
def test_weights_are_bounded(weight):
    with pytest.raises(ConfigError) as refused:
        Mix({test_weights_are_bounded: 0.5, assert_lines: weight})
    assert_lines(refused.value, start="Mix: assert_lines: ")


@pytest.mark.parametrize(
    ("write", "faults"),
    [
        (
            lambda: EXECUTORS["constant-vus"](10, vuz=1),
            [
                "ConstantVUs: 10 has no name; allowed: start_at, graceful_stop, tags, vus, duration",
                "ConstantVUs: unknown key vuz=1; allowed: start_at, graceful_stop, tags, vus, duration",
                "ConstantVUs: needs duration",
            ],
        ),
        (lambda: Drift("a", 1, per_hour=2), ["Drift: per_hour is stated twice; allowed: once"]),
        (Limit, ["Limit: needs expression"]),
        (lambda: Recovery(metric=5), ["Recovery: metric=5; allowed: the name of a metric, such as 'response_time'"]),
        (
            lambda: EXECUTORS["constant-vus"](vus=10**9, duration="99d"),
            [
                "ConstantVUs: vus=1000000000; allowed: at most 100,000",
                "ConstantVUs: duration='99d' is too long; allowed: at most 30d",
            ],
        ),
        (
            lambda: EXECUTORS["per-vu-iterations"](iterations=10**5000),
            ["PerVUIterations: iterations=<int that has no repr>; allowed: at most 1,000,000,000,000"],
        ),
        (
            lambda: EXECUTORS["constant-arrival-rate"](rate=61_000_000, per="1m", duration="1s", seed=None),
            [
                "ConstantArrivalRate: seed=None; allowed: a whole number",
                "ConstantArrivalRate: rate=61000000; allowed: at most 1,000,000 starts a second",
            ],
        ),
        (
            lambda: EXECUTORS["ramping-vus"](stages=[("1s", 10**18)]),
            ["RampingVUs: stage 1: target=1000000000000000000; allowed: at most 100,000"],
        ),
        (
            lambda: EXECUTORS["ramping-arrival-rate"](stages=[("1s", 1)] * 1001),
            ["RampingArrivalRate: stages: 1001 of them; allowed: at most 1,000"],
        ),
    ],
)
def test_a_mistake_is_told_with_what_is_allowed(write, faults):
    with pytest.raises(ConfigError) as refused:
        write()
    assert list(refused.value.faults) == faults


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (5, "5"),
        ("a\n", "'a\\n'"),
        (Lines(), "first\\nsecond\\x1b[31m"),
        (NoRepr(), "<NoRepr that has no repr>"),
        ("x" * 300, "'" + "x" * 196 + "..."),
    ],
    ids=["number", "text", "lines", "none", "long"],
)
def test_a_value_is_shown_in_one_line(value, text):
    assert shown(value) == text
