from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_cdcperf.errors import ConfigError
from pytest_cdcperf.load.closed import ConstantVUs, PerVUIterations, RampingVUs, SharedIterations
from pytest_cdcperf.load.open import ConstantArrivalRate, RampingArrivalRate
from pytest_cdcperf.load.overrides import Overrides, are_smaller

DURATION_WORDS = "is not a valid duration; allowed: a number with a unit, such as '500ms', '30s', '5m' or '1h30m'"
COUNT_WORDS = "allowed: a whole number of at least 1"

LONG = ConstantVUs(vus=10, duration="5m", tags={"a": "b"}, graceful_stop="3s")
COUNTED = PerVUIterations(vus=4, iterations=2)
STRESS = RampingVUs(stages=[("2m", 50), ("5m", 100), ("2m", 150), ("5m", 100), ("2m", 0)], tags={"a": "b"})
OPEN = ConstantArrivalRate(rate=100, duration="5m", vus=50, max_vus=100)
ADDER = RampingArrivalRate(
    start_at="6m", start_rate=10, stages=[("1m", 10), ("1m", 500), ("1m", 10)], vus=100, max_vus=200
)


def shortens(overrides, loads):
    return are_smaller(overrides.apply(loads), loads)


def one(overrides, load):
    return overrides.apply({"": load})[""]


@pytest.mark.parametrize(
    ("overrides", "load", "applied", "shortened"),
    [
        (Overrides(), LONG, LONG, False),
        (Overrides(vus=5), LONG, ConstantVUs(vus=5, duration="5m", tags={"a": "b"}, graceful_stop="3s"), True),
        (Overrides(vus=50), LONG, ConstantVUs(vus=50, duration="5m", tags={"a": "b"}, graceful_stop="3s"), False),
        (Overrides(duration="30s"), LONG, ConstantVUs(vus=10, duration="30s", tags={"a": "b"}, graceful_stop="3s"), 1),
        (
            Overrides(duration="1h"),
            LONG,
            ConstantVUs(vus=10, duration="3600s", tags={"a": "b"}, graceful_stop="3s"),
            0,
        ),
        (Overrides(duration="5m"), LONG, LONG, False),
        (Overrides(vus=50, duration="30s"), ConstantVUs(duration="1m"), ConstantVUs(vus=50, duration="30s"), True),
        (Overrides(rate=5), LONG, LONG, False),
        (Overrides(vus=1, duration="1s", rate=3), COUNTED, COUNTED, False),
        (Overrides(rate=30), OPEN, ConstantArrivalRate(rate=30, duration="5m", vus=50, max_vus=100), True),
        (Overrides(rate=300), OPEN, ConstantArrivalRate(rate=300, duration="5m", vus=50, max_vus=100), False),
        (Overrides(vus=20), OPEN, ConstantArrivalRate(rate=100, duration="5m", vus=20, max_vus=20), True),
        (Overrides(vus=120), OPEN, ConstantArrivalRate(rate=100, duration="5m", vus=120, max_vus=120), False),
    ],
)
def test_one_load_and_whether_it_is_shortened(overrides, load, applied, shortened):
    assert one(overrides, load) == applied
    assert shortens(overrides, {"": load}) is bool(shortened)


def test_the_stages_of_a_ramp_scale_alike():
    applied = one(Overrides(duration="96s"), STRESS)
    assert applied.stages == ((12, 50), (30, 100), (12, 150), (30, 100), (12, 0))
    assert applied.planned_s == 96
    assert applied.tags == {"a": "b"}


def test_vus_scale_a_ramp_to_that_peak_and_no_small_stage_vanishes():
    applied = one(Overrides(vus=3), RampingVUs(start_vus=2, stages=[("1m", 20), ("1m", 300), ("1m", 0), ("1m", 150)]))
    assert (applied.start_vus, [target for _, target in applied.stages]) == (1, [1, 3, 0, 2])
    assert applied.most_vus == 3
    assert shortens(Overrides(vus=3), {"": STRESS})
    assert one(Overrides(vus=300), STRESS).stages[2] == (120, 300)
    assert not shortens(Overrides(vus=300), {"": STRESS})


@given(st.integers(1, 500), st.lists(st.integers(0, 300), min_size=1, max_size=6), st.integers(0, 300))
def test_the_peak_of_a_ramp_is_what_was_asked_for(vus, targets, start):
    if not (start or any(targets)):
        return
    load = RampingVUs(start_vus=start, stages=[("1s", target) for target in targets])
    applied = one(Overrides(vus=vus), load)
    assert applied.most_vus == vus
    assert [target > 0 for _, target in applied.stages] == [target > 0 for target in targets]


def test_a_rate_scales_a_ramp_to_that_peak():
    applied = one(Overrides(rate=50), ADDER)
    assert applied.start_rate == pytest.approx(1)
    assert [target for _, target in applied.stages] == pytest.approx([1, 50, 1])
    assert (applied.vus, applied.max_vus, applied.start_at) == (100, 200, 360)
    assert shortens(Overrides(rate=50), {"": ADDER})
    assert not shortens(Overrides(rate=5000), {"": ADDER})


def test_the_peak_of_a_falling_rate_is_its_start():
    applied = one(Overrides(rate=10), RampingArrivalRate(start_rate=40, stages=[("1m", 20)]))
    assert (applied.start_rate, applied.stages) == (10, ((60, 5),))


def test_vus_set_both_bounds_of_a_ramping_rate():
    applied = one(Overrides(vus=7), ADDER)
    assert (applied.first_vus, applied.most_vus) == (7, 7)


def test_the_duration_is_that_of_several_loads_together():
    loads = {"steady": OPEN, "burst": ADDER, "counted": COUNTED}
    applied = Overrides(duration="54s").apply(loads)
    assert applied["steady"].duration == pytest.approx(30)
    assert applied["burst"].start_at == pytest.approx(36)
    assert [duration for duration, _ in applied["burst"].stages] == pytest.approx([6, 6, 6])
    assert [target for _, target in applied["burst"].stages] == [10, 500, 10]
    assert max(applied["steady"].planned_s, applied["burst"].planned_s) == pytest.approx(54)
    assert applied["counted"] == COUNTED
    assert shortens(Overrides(duration="54s"), loads)
    assert not shortens(Overrides(duration="9m"), loads)
    assert Overrides(duration="9m").apply(loads) == loads


@pytest.mark.parametrize(
    "load", [ConstantVUs(start_at="6m", duration="5m"), ConstantArrivalRate(start_at="6m", duration="5m", rate=3)]
)
def test_a_start_scales_with_the_duration(load):
    applied = one(Overrides(duration="66s"), load)
    assert (applied.start_at, applied.duration) == pytest.approx((36, 30))


@pytest.mark.parametrize("executor", [PerVUIterations, SharedIterations])
def test_the_start_of_a_counted_load_scales_with_the_others(executor):
    applied = Overrides(duration="30s").apply({"a": LONG, "b": executor(start_at="5m", iterations=3)})
    assert applied["b"].start_at == 30
    assert applied["b"].iterations == 3


def test_two_loads_may_overlap_and_scale_by_the_longer():
    applied = Overrides(duration="10s").apply(
        {"a": ConstantVUs(duration="100s"), "b": ConstantVUs(duration="10s", start_at="50s")}
    )
    assert [(load.start_s, load.planned_s) for load in applied.values()] == [(0, 10), (5, 6)]


@pytest.mark.parametrize(
    ("keys", "faults"),
    [
        ({"vus": 0}, [f"--perf-vus=0; {COUNT_WORDS}"]),
        ({"vus": "ten"}, [f"--perf-vus='ten'; {COUNT_WORDS}"]),
        ({"rate": 0}, ["--perf-rate=0; allowed: a number above 0"]),
        ({"rate": "x"}, ["--perf-rate='x'; allowed: a number above 0"]),
        ({"duration": "30"}, [f"--perf-duration='30' {DURATION_WORDS}"]),
        (
            {"duration": "0s", "vus": -2, "rate": -1.5},
            [
                f"--perf-vus=-2; {COUNT_WORDS}",
                "--perf-rate=-1.5; allowed: a number above 0",
                "--perf-duration='0s'; allowed: a duration above zero",
            ],
        ),
    ],
)
def test_overrides_that_cannot_be_are_refused_by_the_names_of_their_options(keys, faults):
    with pytest.raises(ConfigError) as refused:
        Overrides(**keys)
    assert list(refused.value.faults) == faults


COUNTS = "a load counts its iterations; change vus and iterations in the test"
CLOSED = "the VUs of a closed loop start as they can; change --perf-vus"


@pytest.mark.parametrize(
    ("overrides", "loads", "said"),
    [
        (Overrides(), [LONG], []),
        (Overrides(rate=5), [LONG], [f"--perf-rate=5 changes nothing where {CLOSED}"]),
        (Overrides(rate=2.5), [STRESS, COUNTED], [f"--perf-rate=2.5 changes nothing where {CLOSED}"]),
        (Overrides(rate=5), [LONG, OPEN], []),
        (Overrides(rate=100, vus=100, duration="5m"), [OPEN], []),  # what it states anyway
        (Overrides(vus=10, duration="5m"), [LONG], []),
        (Overrides(vus=7, duration="1s"), [ADDER], []),
        (Overrides(vus=7, duration="1s"), [LONG, COUNTED], []),
        (
            Overrides(vus=7, rate=5, duration="1s"),
            [COUNTED, SharedIterations(iterations=3)],
            [f"--perf-{option} changes nothing where {COUNTS}" for option in ("vus=7", "rate=5", "duration=1s")],
        ),
    ],
)
def test_what_changes_nothing_says_so_and_what_would(overrides, loads, said):
    stated = {str(number): load for number, load in enumerate(loads)}
    assert list(overrides.without_effect(stated)) == said
    assert (overrides.apply(stated) == stated) or not said


def test_options_are_told_as_they_are_written():
    assert Overrides(vus=7, duration="1s").options == {"vus": "--perf-vus=7", "duration": "--perf-duration=1s"}


def test_the_options_that_a_load_has_something_for():
    options = Overrides(vus=5, rate=50, duration="1m")
    assert options.with_effect({"": ConstantVUs(duration="5m")}) == ("--perf-vus=5", "--perf-duration=1m")
    assert options.with_effect({"": PerVUIterations()}) == ()
    assert len(options.with_effect({"a": PerVUIterations(), "b": ConstantArrivalRate(rate=1, duration="1m")})) == 3
