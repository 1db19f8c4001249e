from __future__ import annotations

import pytest

from pytest_cdcperf.errors import ConfigError
from pytest_cdcperf.load.base import Load
from pytest_cdcperf.load.closed import ConstantVUs, PerVUIterations
from pytest_cdcperf.load.executors import load_from_keys

DURATION_WORDS = "is not a valid duration; allowed: a number with a unit, such as '500ms', '30s', '5m' or '1h30m'"
NUMBER_WORDS = DURATION_WORDS.replace("allowed: ", "allowed: seconds of at least 0, or ")
COUNT_WORDS = "allowed: a whole number of at least 1"


@pytest.mark.parametrize(
    ("load", "planned_s", "most_vus", "words"),
    [
        (ConstantVUs(duration="5m"), 300, 1, "1 VU for 5m"),
        (ConstantVUs(vus=10, duration="30s", start_at="1m"), 90, 10, "10 VUs for 30s"),
        (PerVUIterations(), 600, 1, "1 VU, 1 iteration each"),
        (PerVUIterations(vus=2, iterations=3, max_duration="1m", start_at="2s"), 62, 2, "2 VUs, 3 iterations each"),
    ],
)
def test_what_a_load_plans(load, planned_s, most_vus, words):
    assert (load.planned_s, load.most_vus, load.describe()) == (planned_s, most_vus, words)


@pytest.mark.parametrize(
    ("executor", "keys", "faults"),
    [
        (ConstantVUs, {"duration": "30"}, [f"duration='30' {DURATION_WORDS}"]),
        (ConstantVUs, {"duration": "0s"}, ["duration='0s'; allowed: a duration above zero"]),
        (ConstantVUs, {"duration": -30}, [f"duration=-30 {NUMBER_WORDS}"]),
        (ConstantVUs, {"duration": 0}, ["duration=0; allowed: a duration above zero"]),
        (ConstantVUs, {"duration": "1s", "vus": 0}, [f"vus=0; {COUNT_WORDS}"]),
        (ConstantVUs, {"duration": "1s", "vus": True}, [f"vus=True; {COUNT_WORDS}"]),
        (ConstantVUs, {"duration": "1s", "vus": 1.5}, [f"vus=1.5; {COUNT_WORDS}"]),
        (ConstantVUs, {"duration": "1s", "vus": "5"}, [f"vus='5'; {COUNT_WORDS}"]),
        (
            ConstantVUs,
            {"duration": "x", "vus": -1, "start_at": "y", "graceful_stop": None},
            [
                f"start_at='y' {DURATION_WORDS}",
                f"graceful_stop=None {NUMBER_WORDS}",
                f"vus=-1; {COUNT_WORDS}",
                f"duration='x' {DURATION_WORDS}",
            ],
        ),
        (
            PerVUIterations,
            {"vus": 0, "iterations": 0, "max_duration": "0s"},
            [
                f"vus=0; {COUNT_WORDS}",
                f"iterations=0; {COUNT_WORDS}",
                "max_duration='0s'; allowed: a duration above zero",
            ],
        ),
    ],
)
def test_a_load_that_cannot_be_is_refused_with_every_fault(executor, keys, faults):
    with pytest.raises(ConfigError) as refused:
        executor(**keys)
    assert list(refused.value.faults) == [f"{executor.__name__}: {fault}" for fault in faults]


def test_no_graceful_stop_and_no_delay_are_allowed():
    load = ConstantVUs(duration="1s", graceful_stop="0s", start_at="0s")
    assert load.planned_s == 1


def test_the_common_part_is_no_executor():
    with pytest.raises(NotImplementedError):
        Load()


LONG = ConstantVUs(vus=10, duration="5m", tags={"a": "b"}, graceful_stop="3s")
COUNTED = PerVUIterations(vus=4, iterations=2)


def test_keys_lie_over_a_load():
    assert load_from_keys(LONG, {"vus": 3, "graceful_stop": "1s"}) == ConstantVUs(
        vus=3, duration="5m", tags={"a": "b"}, graceful_stop="1s"
    )
    assert load_from_keys(LONG, {}) == LONG


def test_keys_that_the_executor_does_not_have_are_all_named():
    with pytest.raises(ConfigError) as refused:
        load_from_keys(LONG, {"iterations": 5, "vus": 1, "max_duration": "1s"})
    known = "start_at, graceful_stop, tags, vus, duration"
    assert list(refused.value.faults) == [
        f"ConstantVUs: unknown key iterations=5; allowed: {known}",
        f"ConstantVUs: unknown key max_duration='1s'; allowed: {known}",
    ]


def test_a_key_with_a_value_that_cannot_be_is_refused():
    with pytest.raises(ConfigError, match=r"^PerVUIterations: iterations=0; allowed"):
        load_from_keys(COUNTED, {"iterations": 0})
