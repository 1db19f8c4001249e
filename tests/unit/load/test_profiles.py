from __future__ import annotations

import pytest

from pytest_cdcperf.errors import ConfigError
from pytest_cdcperf.load.builtin_profiles import canonical, spellings
from pytest_cdcperf.load.closed import ConstantVUs, PerVUIterations, RampingVUs, SharedIterations
from pytest_cdcperf.load.executors import EXECUTORS
from pytest_cdcperf.load.open import ConstantArrivalRate, RampingArrivalRate
from pytest_cdcperf.load.profiles import (
    BUILTIN_PROFILES,
    DEFAULT_PROFILE,
    LONGEST_UNASKED_S,
    profiles_from_config,
)


def test_without_a_table_there_are_the_built_in_ones():
    profiles = profiles_from_config({})
    assert profiles == BUILTIN_PROFILES
    assert profiles is not BUILTIN_PROFILES
    assert profiles[DEFAULT_PROFILE] == ConstantVUs(vus=10, duration="5m")
    assert profiles["soak"] == ConstantVUs(vus=50, duration="2h")


def test_a_table_adds_and_replaces():
    profiles = profiles_from_config(
        {"night-run": {"vus": 3, "duration": "8h"}, "soak": {"vus": 5, "duration": "1h"}, "short": {"vus": 2}}
    )
    assert profiles["night_run"] == ConstantVUs(vus=3, duration="8h")
    assert profiles["soak"] == ConstantVUs(vus=5, duration="1h")
    assert profiles["short"] == ConstantVUs(vus=2, duration="5m")
    assert profiles["baseline"] == BUILTIN_PROFILES["baseline"]
    assert "night_run" not in BUILTIN_PROFILES


def test_a_name_is_one_with_dashes_and_without():
    assert canonical("e2e-latency") == canonical("e2e_latency") == "e2e_latency"


@pytest.mark.parametrize("name", ["skip", "perf", "xfail", "parametrize", "asyncio", "xdist-group", "a b", "1st", ""])
def test_a_name_that_means_something_else_is_refused(name):
    with pytest.raises(ConfigError) as refused:
        profiles_from_config({name: {}})
    assert refused.value.faults == (
        f"[tool.cdcperf.profiles.{name}]: a profile cannot be called {name!r}, marks of that name mean something else",
    )


def test_every_fault_is_said_at_once_with_its_place():
    with pytest.raises(ConfigError) as refused:
        profiles_from_config({"skip": {}, "a": 5, "b": {"vus": 0, "duration": "x"}, "c": {"speed": 3}, "d": {}})
    assert list(refused.value.faults) == [
        "[tool.cdcperf.profiles.skip]: a profile cannot be called 'skip', marks of that name mean something else",
        "[tool.cdcperf.profiles.a]: 5 is not a table; allowed: executor and its fields",
        "[tool.cdcperf.profiles.b]: ConstantVUs: vus=0; allowed: a whole number of at least 1",
        "[tool.cdcperf.profiles.b]: ConstantVUs: duration='x' is not a valid duration; allowed: a number with a unit, "
        "such as '500ms', '30s', '5m' or '1h30m'",
        "[tool.cdcperf.profiles.c]: ConstantVUs: unknown key speed=3; "
        "allowed: start_at, graceful_stop, tags, vus, duration",
    ]


def through(*stages):
    return RampingVUs(stages=list(stages))


@pytest.mark.parametrize(
    ("name", "load", "planned_s"),
    [
        ("baseline", ConstantVUs(vus=10, duration="5m"), 300),
        ("stress", through(("2m", 50), ("5m", 100), ("2m", 150), ("5m", 100), ("2m", 0)), 16 * 60),
        ("soak", ConstantVUs(vus=50, duration="2h"), 7200),
        ("e2e_latency", ConstantArrivalRate(rate=10, duration="5m", vus=20, max_vus=50), 300),
        ("mixed_workload", through(("1m", 20), ("3m", 50), ("3m", 50), ("1m", 20), ("1m", 0)), 9 * 60),
        (
            "spike",
            RampingVUs(
                start_vus=10,
                stages=[("60s", 10), ("1m", 500), ("30s", 10), ("2m", 10)],
                graceful_ramp_down="40s",
                graceful_stop="40s",
            ),
            270,
        ),
    ],
)
def test_the_built_in_shapes(name, load, planned_s):
    assert BUILTIN_PROFILES[name] == load
    assert load.planned_s == planned_s
    assert len(BUILTIN_PROFILES) == 6


def test_a_spike_has_a_hold_before_and_after():
    phases = BUILTIN_PROFILES["spike"].phases
    assert [phase.name for phase in phases] == ["hold", "ramp-up", "ramp-down", "hold"]
    assert [phase.end_s - phase.start_s for phase in phases] == [60, 60, 30, 120]


def test_only_the_soak_needs_to_be_asked_for():
    assert [name for name, load in BUILTIN_PROFILES.items() if load.planned_s > LONGEST_UNASKED_S] == ["soak"]


@pytest.mark.parametrize(
    ("written", "name"), [("mixed", "mixed_workload"), ("mixed-workload", "mixed_workload"), ("soak", "soak")]
)
def test_an_alias_is_the_profile(written, name):
    assert canonical(written) == name
    assert written in spellings(name)


def test_all_spellings_of_a_profile():
    assert spellings("mixed_workload") == ["mixed", "mixed-workload", "mixed_workload"]
    assert spellings("soak") == ["soak"]


def test_a_table_changes_a_built_in_profile_under_any_of_its_names():
    profiles = profiles_from_config(
        {
            "mixed": {"graceful_stop": "1s"},
            "e2e-latency": {"rate": 5},
            "stress": {"stages": [{"duration": "1m", "target": 5}, ["30s", 0]]},
        }
    )
    assert profiles["mixed_workload"].stages == BUILTIN_PROFILES["mixed_workload"].stages
    assert profiles["mixed_workload"].graceful_stop == 1
    assert profiles["e2e_latency"] == ConstantArrivalRate(rate=5, duration="5m", vus=20, max_vus=50)
    assert profiles["stress"] == through(("1m", 5), ("30s", 0))
    assert set(profiles) == set(BUILTIN_PROFILES)


@pytest.mark.parametrize(
    ("table", "load"),
    [
        ({"executor": "constant-vus", "vus": 2, "duration": "9s"}, ConstantVUs(vus=2, duration="9s")),
        ({"executor": "constant-vus"}, ConstantVUs(duration="5m")),
        (
            {"executor": "ramping-vus", "start_vus": 1, "stages": [{"target": 5, "duration": "2m"}]},
            RampingVUs(start_vus=1, stages=[("2m", 5)]),
        ),
        ({"executor": "per-vu-iterations", "iterations": 4}, PerVUIterations(iterations=4)),
        ({"executor": "shared-iterations", "vus": 2, "iterations": 4}, SharedIterations(vus=2, iterations=4)),
        (
            {"executor": "constant-arrival-rate", "rate": 3, "duration": "1m", "arrivals": "poisson", "seed": 9},
            ConstantArrivalRate(rate=3, duration="1m", arrivals="poisson", seed=9),
        ),
        (
            {"executor": "ramping-arrival-rate", "start_rate": 1, "stages": [{"duration": "1m", "target": 2.5}]},
            RampingArrivalRate(start_rate=1, stages=[("1m", 2.5)]),
        ),
    ],
)
@pytest.mark.parametrize("name", ["night", "soak"])
def test_a_table_with_an_executor_is_that_executor(name, table, load):
    assert profiles_from_config({name: table})[name] == load


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        ({"executor": "fast"}, f"executor='fast'; allowed: {', '.join(EXECUTORS)}"),
        ({"executor": 5}, f"executor=5; allowed: {', '.join(EXECUTORS)}"),
        ({"executor": "ramping-vus"}, "RampingVUs: needs stages"),
        ({"executor": "constant-arrival-rate"}, "ConstantArrivalRate: needs rate, duration"),
        ({"executor": "ramping-arrival-rate", "start_rate": 5}, "RampingArrivalRate: needs stages"),
        (
            {"executor": "ramping-vus", "stages": [{"duration": "1m", "goal": 5}]},
            "RampingVUs: stage 1 is {'duration': '1m', 'goal': 5}; "
            "allowed: (duration, target) pairs, such as [('2m', 50), ('30s', 0)]",
        ),
        (
            {"executor": "ramping-vus", "stages": 5},
            "RampingVUs: stages=5; allowed: (duration, target) pairs, such as [('2m', 50), ('30s', 0)]",
        ),
        (
            {"executor": "shared-iterations", "stages": []},
            "SharedIterations: unknown key stages=[]; "
            "allowed: start_at, graceful_stop, tags, vus, iterations, max_duration",
        ),
    ],
)
def test_a_table_that_is_no_load_is_refused(table, fault):
    with pytest.raises(ConfigError) as refused:
        profiles_from_config({"night": table})
    assert refused.value.faults == (f"[tool.cdcperf.profiles.night]: {fault}",)
