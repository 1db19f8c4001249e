from __future__ import annotations

import math
from collections import Counter as Counted

import pytest

from pytest_cdcperf.engine.current_vu import acting_as
from pytest_cdcperf.engine.mix import Mix, shares
from pytest_cdcperf.engine.vu import VU
from pytest_cdcperf.errors import ConfigError
from pytest_cdcperf.metrics.recorder import Recorder
from pytest_cdcperf.metrics.scope import Scope
from pytest_cdcperf.metrics.snapshot import Snapshot


def create():
    pass


def update():
    pass


def drawn_of(mix, skipping=None):
    with mix.draw() as operation:
        if operation is skipping:
            mix.skip()
        return operation


@pytest.fixture
def recorder():
    return Recorder()


@pytest.fixture
def acting(recorder):
    with acting_as(VU(1, session_id="r", scope=Scope(recorder))):
        yield


@pytest.mark.usefixtures("acting")
def test_operations_are_drawn_by_their_weights():
    mix = Mix({create: 3, update: 1})
    drawn = Counted(drawn_of(mix) for _ in range(2000))
    assert drawn[create] + drawn[update] == 2000
    assert 1400 < drawn[create] < 1600


@pytest.mark.usefixtures("acting")
def test_realised_shares_stand_beside_the_planned(recorder):
    mix = Mix({create: 1, update: 1})
    drawn = Counted(drawn_of(mix, skipping=number < 50 and update) for number in range(100))
    left = drawn[update]
    done = drawn[create] + left
    assert 0 < drawn[None] < 50
    snapshot = recorder.drain()
    assert shares(snapshot) == (
        f"create {drawn[create] / done:.1%} (planned 50%), "
        f"update {left / done:.1%} (planned 50%, {drawn[None]} skipped)"
    )
    assert snapshot.select("group_duration", {"group": "create"}).count == drawn[create]


@pytest.mark.usefixtures("acting")
def test_a_run_in_which_everything_was_skipped_has_no_shares(recorder):
    mix = Mix({create: 1})
    assert drawn_of(mix, skipping=create) is None
    assert shares(recorder.drain()) == shares(Snapshot()) == ""


@pytest.mark.parametrize(
    ("weights", "fault"),
    [
        ({}, "Mix: no operation"),
        ({create: 0, update: 1}, "Mix: create: 0"),
        ({create: "1", update: math.nan}, "Mix: create: '1', update: nan"),
        ({create: True, update: math.inf}, "Mix: create: True, update: inf"),
        ({create: 0, update: 0}, "Mix: create: 0, update: 0"),
        ({create: None}, "Mix: create: None"),
    ],
)
def test_invalid_weights_are_refused(weights, fault):
    with pytest.raises(ConfigError) as refused:
        Mix(weights)
    assert str(refused.value) == f"{fault}; allowed: functions with weights above 0, at most 1e9"


@pytest.mark.parametrize("weights", [[create], create, None])
def test_what_is_no_mapping_is_refused(weights):
    with pytest.raises(
        ConfigError,
        match=r"Mix: .* is not a mapping; allowed: functions with weights above 0, at most 1e9, such",
    ):
        Mix(weights)


def test_nothing_is_drawn_outside_an_iteration():
    with pytest.raises(AttributeError, match="inside the body"):
        drawn_of(Mix({create: 1}))
