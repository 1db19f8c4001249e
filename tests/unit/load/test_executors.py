"""Every executor: what it plans, and every fault with its words."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from pytest_cdcperf.errors import ConfigError
from pytest_cdcperf.load.base import Load
from pytest_cdcperf.load.closed import ClosedLoad, ConstantVUs, PerVUIterations, RampingVUs, SharedIterations
from pytest_cdcperf.load.executors import EXECUTORS
from pytest_cdcperf.load.open import ConstantArrivalRate, RampingArrivalRate
from pytest_cdcperf.load.overrides import Overrides, are_smaller
from pytest_cdcperf.load.phases import plan_phases
from pytest_cdcperf.load.share import WHOLE
from pytest_cdcperf.load.stages import Stage
from pytest_cdcperf.metrics.phases import Phase
from tests.unit.load.test_share import loop_of

DURATION = "is not a valid duration; allowed: a number with a unit, such as '500ms', '30s', '5m' or '1h30m'"
SECONDS = DURATION.replace("allowed: ", "allowed: seconds of at least 0, or ")
ABOVE = "allowed: a duration above zero"
COUNT = "allowed: a whole number of at least 1"
COUNT_OR_NONE = "allowed: a whole number of at least 0"
RATE = "allowed: a number above 0"
RATE_OR_NONE = "allowed: a number of at least 0"
STAGES = "allowed: (duration, target) pairs, such as [('2m', 50), ('30s', 0)]"
TAGS = "allowed: a mapping of text to text"


@pytest.mark.parametrize(
    ("load", "start_s", "active_s", "last_s", "first", "most", "words"),
    [
        (SharedIterations(vus=10, iterations=30), 0, 600, 630, 10, 10, "10 VUs, 30 iterations between them"),
        (SharedIterations(max_duration="9s"), 0, 9, 39, 1, 1, "1 VU, 1 iteration between them"),
        (RampingVUs(stages=[("2m", 50), ("1m", 0)]), 0, 180, 210, 50, 50, "VUs 0, to 50 in 2m, to 0 in 1m"),
        (
            RampingVUs(start_at="1m", start_vus=9, stages=[("1m", 1)], graceful_stop="0s"),
            *(60, 60, 120, 9, 9),
            "VUs 9, to 1 in 1m",
        ),
        (
            ConstantArrivalRate(start_at="6m", rate=200, duration="5m", vus=50, max_vus=100, graceful_stop="5s"),
            *(360, 300, 665, 50, 100),
            "200 starts per 1s for 5m, 50 to 100 VUs",
        ),
        (
            ConstantArrivalRate(rate=0.5, per="1m", duration="90s"),
            *(0, 90, 120, 10, 200),
            "0.5 starts per 1m for 1m30s, 10 to 200 VUs",
        ),
        (
            RampingArrivalRate(start_rate=10, stages=[("1m", 500), ("30s", 2.5)], vus=100, max_vus=200),
            *(0, 90, 120, 100, 200),
            "starts per 1s: 10, to 500 in 1m, to 2.5 in 30s; 100 to 200 VUs",
        ),
    ],
)
def test_what_a_load_plans(load, start_s, active_s, last_s, first, most, words):
    assert (load.start_s, load.active_s, load.last_s) == (start_s, active_s, last_s)
    assert load.planned_s == start_s + active_s
    assert (load.first_vus, load.most_vus, load.describe()) == (first, most, words)


@pytest.mark.parametrize(
    ("vus", "max_vus", "first", "most"),
    [(None, None, 10, 200), (5, None, 5, 5), (None, 4, 4, 4), (None, 40, 10, 40), (3, 9, 3, 9), (3, 3, 3, 3)],
)
def test_the_vus_of_an_open_loop(vus, max_vus, first, most):
    load = ConstantArrivalRate(rate=1, duration="1s", vus=vus, max_vus=max_vus)
    assert (load.first_vus, load.most_vus) == (first, most)


def test_a_rate_is_per_its_unit_of_time():
    load = RampingArrivalRate(start_rate=60, per="1m", stages=[("10s", 120)])
    assert (load.ramp.value(0), load.ramp.value(10)) == (1, 2)
    assert ConstantArrivalRate(rate=30, per="500ms", duration="2s").ramp.area == 120


def test_stages_are_kept_as_stages():
    load = RampingVUs(stages=[["10s", 5]])
    assert load.stages == (Stage(10, 5),)
    assert load == RampingVUs(stages=(("10s", 5),))


@pytest.mark.parametrize("executor", [RampingVUs, RampingArrivalRate])
def test_the_phases_of_a_ramp_are_its_stages_with_neighbours_of_one_kind_joined(executor):
    load = executor(start_at="5s", stages=[("10s", 5), ("10s", 50), ("20s", 50), ("5s", 20), ("5s", 0)])
    assert load.phases == (Phase("ramp-up", 5, 25), Phase("hold", 25, 45), Phase("ramp-down", 45, 55))


@pytest.mark.parametrize(
    "load", [ConstantVUs(start_at="5s", duration="10s"), ConstantArrivalRate(start_at="5s", rate=1, duration="10s")]
)
def test_a_constant_load_holds(load):
    assert load.phases == (Phase("hold", 5, 15),)


def test_the_executors_have_k6s_names():
    assert list(EXECUTORS) == [
        "constant-vus",
        "ramping-vus",
        "per-vu-iterations",
        "shared-iterations",
        "constant-arrival-rate",
        "ramping-arrival-rate",
    ]
    assert all(issubclass(executor, Load) for executor in EXECUTORS.values())


OPEN = {"rate": 1, "duration": "1s"}


@pytest.mark.parametrize(
    ("executor", "keys", "faults"),
    [
        (SharedIterations, {"iterations": 0, "vus": 1.5}, [f"vus=1.5; {COUNT}", f"iterations=0; {COUNT}"]),
        (SharedIterations, {"max_duration": "0s"}, [f"max_duration='0s'; {ABOVE}"]),
        (ConstantVUs, {"duration": "1s", "tags": {"a": 1}}, [f"tags={{'a': 1}}; {TAGS}"]),
        (ConstantVUs, {"duration": "1s", "tags": "a"}, [f"tags='a'; {TAGS}"]),
        (RampingVUs, {"stages": []}, [f"stages=[]; {STAGES}"]),
        (RampingVUs, {"stages": "10s"}, [f"stages='10s'; {STAGES}"]),
        (RampingVUs, {"stages": 5}, [f"stages=5; {STAGES}"]),
        (RampingVUs, {"stages": {"10s": 5}}, [f"stages={{'10s': 5}}; {STAGES}"]),
        (
            RampingVUs,
            {"stages": [("10s", 5), 7, "ab", ("1s",), ("1s", 2, 3), {"duration": "1s", "target": 1}]},
            [
                f"stage 2 is 7; {STAGES}",
                f"stage 3 is 'ab'; {STAGES}",
                f"stage 4 is ('1s',); {STAGES}",
                f"stage 5 is ('1s', 2, 3); {STAGES}",
                f"stage 6 is {{'duration': '1s', 'target': 1}}; {STAGES}",
            ],
        ),
        (
            RampingVUs,
            {"stages": [("0s", 5), (True, -1), ("1s", 1.5), ("1s", True)], "start_vus": -1},
            [
                f"stage 2: duration=True {SECONDS}",
                f"stage 2: target=-1; {COUNT_OR_NONE}",
                f"stage 3: target=1.5; {COUNT_OR_NONE}",
                f"stage 4: target=True; {COUNT_OR_NONE}",
                f"start_vus=-1; {COUNT_OR_NONE}",
            ],
        ),
        (
            RampingVUs,
            {"stages": [("0s", 5)]},
            ["stages=[('0s', 5)]; allowed: at least one stage longer than 0s"],
        ),
        (
            RampingVUs,
            {"stages": [("1s", 0)]},
            ["stages never reach a VU; allowed: at least one target, or start_vus, above 0"],
        ),
        (
            RampingVUs,
            {"stages": [("1s", 1)], "graceful_ramp_down": "soon", "graceful_stop": "x"},
            [f"graceful_stop='x' {DURATION}", f"graceful_ramp_down='soon' {DURATION}"],
        ),
        (ConstantArrivalRate, {**OPEN, "rate": 0}, [f"rate=0; {RATE}"]),
        (ConstantArrivalRate, {**OPEN, "rate": "5"}, [f"rate='5'; {RATE}"]),
        (ConstantArrivalRate, {**OPEN, "rate": True}, [f"rate=True; {RATE}"]),
        (ConstantArrivalRate, {**OPEN, "rate": float("nan")}, [f"rate=nan; {RATE}"]),
        (ConstantArrivalRate, {**OPEN, "duration": "0s"}, [f"duration='0s'; {ABOVE}"]),
        (ConstantArrivalRate, {**OPEN, "per": "0s"}, [f"per='0s'; {ABOVE}"]),
        (
            ConstantArrivalRate,
            {**OPEN, "vus": 10, "max_vus": 9},
            ["max_vus=9 is below vus=10; allowed: at least vus"],
        ),
        (
            ConstantArrivalRate,
            {**OPEN, "arrivals": "exponential"},
            ["arrivals='exponential'; allowed: uniform, poisson"],
        ),
        (
            ConstantArrivalRate,
            {
                "rate": -1,
                "duration": "x",
                "per": -1,
                "vus": 0,
                "max_vus": 2.5,
                "max_lateness": "y",
                "arrivals": "",
                "start_at": "z",
            },
            [
                f"start_at='z' {DURATION}",
                f"per=-1 {SECONDS}",
                f"max_lateness='y' {DURATION}",
                f"vus=0; {COUNT}",
                f"max_vus=2.5; {COUNT}",
                "arrivals=''; allowed: uniform, poisson",
                f"duration='x' {DURATION}",
                f"rate=-1; {RATE}",
            ],
        ),
        (
            RampingArrivalRate,
            {"stages": [("1s", -1), ("x", 2.5)], "start_rate": "x"},
            [
                f"stage 1: target=-1; {RATE_OR_NONE}",
                f"stage 2: duration='x' {DURATION}",
                f"start_rate='x'; {RATE_OR_NONE}",
            ],
        ),
        (
            RampingArrivalRate,
            {"stages": [("1s", 0)]},
            ["stages add up to 0 starts; allowed: at least 1; raise a target or a duration"],
        ),
        (
            RampingArrivalRate,
            {"stages": [("1s", 1)]},
            ["stages add up to 0.5 starts; allowed: at least 1; raise a target or a duration"],
        ),
        (
            RampingArrivalRate,
            {"stages": [("1s", 5)], "vus": 4, "max_vus": 1},
            ["max_vus=1 is below vus=4; allowed: at least vus"],
        ),
    ],
)
def test_every_fault_is_said_at_once_in_its_words(executor, keys, faults):
    with pytest.raises(ConfigError) as refused:
        executor(**keys)
    assert list(refused.value.faults) == [f"{executor.__name__}: {fault}" for fault in faults]


@pytest.mark.parametrize("executor", [ConstantVUs, RampingVUs, ConstantArrivalRate, RampingArrivalRate])
def test_what_an_executor_cannot_do_without_is_asked_for(executor):
    with pytest.raises(ConfigError, match=f"{executor.__name__}: needs "):
        executor()


def test_values_at_the_edge_are_allowed():
    assert RampingVUs(start_vus=1, stages=[("1ms", 0)]).most_vus == 1
    assert ConstantArrivalRate(**OPEN, vus=3, max_vus=3, max_lateness="0s").most_vus == 3
    assert RampingArrivalRate(start_rate=2, stages=[("1s", 0)]).ramp.area == 1
    assert PerVUIterations(start_at="0s").start_s == 0


def test_an_infinite_rate_is_refused():
    with pytest.raises(ConfigError):
        ConstantArrivalRate(rate=float("inf"), duration="1s")


def test_arrivals_that_are_no_text_are_refused():
    with pytest.raises(ConfigError):
        ConstantArrivalRate(rate=1, duration="1s", arrivals=["poisson"])


@dataclass(frozen=True, kw_only=True)
class Bursts(ClosedLoad):
    """An executor of a user's: one iteration of each VU a second."""

    vus: int = 1
    seconds: int = 3

    def _read_fields(self):
        return []

    @property
    def active_s(self):
        return float(self.seconds)

    @property
    def most_vus(self):
        return self.vus

    def pacing(self, _share):
        def pace(elapsed_s, started):
            return None if started >= self.seconds else max(0.0, started - elapsed_s)

        return lambda _number: pace

    def with_vus(self, vus):
        return replace(self, vus=vus)

    def describe(self):
        return f"{self.vus} bursts"


def test_a_further_executor_is_one_class():
    loop = loop_of(Bursts(vus=3), WHOLE)
    assert [loop.next_wait_of(recorder)() for recorder in loop.recorders] == [0.0, 0.0, 0.0]
    assert (loop.missing(), loop.deadline_s) == (0, 33)
    overrides = Overrides(vus=2)
    applied = overrides.apply({"": Bursts(vus=3)})
    assert applied == {"": Bursts(vus=2)}
    assert are_smaller(applied, {"": Bursts(vus=3)})
    assert overrides.without_effect(applied) == ()
    assert plan_phases({"a": Bursts()}) == (Phase("hold", 0, 3, "a"),)
