"""The shares of all workers add up to the plan, whatever the executor."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_cdcperf.clock import FakeClock
from pytest_cdcperf.engine.context import RunContext, StopSignal
from pytest_cdcperf.engine.failures import Failures
from pytest_cdcperf.engine.open_loop import OpenLoop
from pytest_cdcperf.engine.run import new_loop
from pytest_cdcperf.engine.vu import VU
from pytest_cdcperf.load.base import Load
from pytest_cdcperf.load.closed import ConstantVUs, PerVUIterations, RampingVUs, SharedIterations
from pytest_cdcperf.load.open import ConstantArrivalRate, RampingArrivalRate
from pytest_cdcperf.load.share import WHOLE, Share
from pytest_cdcperf.metrics.recorder import Recorder
from pytest_cdcperf.metrics.scope import Scope
from tests.unit.harness import RULES

LOADS = [
    ConstantVUs(vus=7, duration="10s"),
    PerVUIterations(vus=5, iterations=3),
    SharedIterations(vus=4, iterations=11),
    RampingVUs(start_vus=2, stages=[("10s", 6), ("10s", 0)]),
    ConstantArrivalRate(rate=7, duration="5s", vus=3, max_vus=8),
    RampingArrivalRate(stages=[("5s", 9), ("5s", 0)], vus=6),
    ConstantArrivalRate(rate=7, duration="5s", vus=3, max_vus=8, arrivals="poisson", start_at="9s"),
]


def loop_of(load, share):
    context = RunContext(FakeClock(), 0, StopSignal(), Failures(RULES.describe), RULES)
    return new_loop(load, share, context, lambda number: VU(number, session_id="r", scope=Scope(Recorder())))


@given(st.integers(0, 300), st.integers(1, 40))
def test_the_parts_add_up_and_are_of_one_size_but_for_one(count, of):
    shares = [Share(index, of) for index in range(of)]
    parts = [share.part(count) for share in shares]
    assert sum(parts) == count
    assert max(parts) - min(parts) <= 1
    assert sorted(number for share in shares for number in share.numbers(count)) == list(range(count))


def test_a_number_belongs_to_the_worker_of_its_remainder():
    assert list(Share(1, 3).numbers(9)) == [1, 4, 7]
    assert list(Share(1, 3).filter(iter([0.0, 0.1, 0.2, 0.3, 0.4]))) == [0.1, 0.4]


def test_the_whole_is_everything():
    assert WHOLE.part(9) == 9
    assert list(WHOLE.filter(iter([1.0, 2.0]))) == [1.0, 2.0]


@pytest.mark.parametrize("load", LOADS, ids=lambda load: type(load).__name__)
@pytest.mark.parametrize("of", [1, 2, 3, 20])
def test_the_vus_of_all_workers_are_those_of_the_plan(load, of):
    numbers = []
    for index in range(of):
        loop = loop_of(load, Share(index, of))
        if isinstance(loop, OpenLoop):
            while loop.add_vu() is not None:
                pass
            assert loop.add_vu() is None
        numbers += [recorder.vu.id for recorder in loop.recorders]
    assert sorted(numbers) == list(range(load.most_vus))


@pytest.mark.parametrize("load", [load for load in LOADS if hasattr(load, "rate") or hasattr(load, "start_rate")])
@pytest.mark.parametrize("of", [1, 2, 3, 20])
def test_first_vus_and_starts_of_open_loops_interleave_to_the_plan(load, of):
    loops = [loop_of(load, Share(index, of)) for index in range(of)]
    assert sorted(m.vu.id for loop in loops for m in loop.first_vus()) == list(range(load.first_vus))
    plan = list(loop_of(load, WHOLE).starts)
    parts = [list(loop.starts) for loop in loops]
    with_a_vu = min(of, load.most_vus)
    assert [parts[number % with_a_vu][number // with_a_vu] for number in range(len(plan))] == plan
    assert sum(map(len, parts)) == len(plan)
    assert plan[0] >= load.start_s


def everybody_there(loop):
    for recorder in loop.recorders:
        loop.vu_joined(recorder)
    return loop


@pytest.mark.parametrize("elapsed_s", [0.0, 3.0, 9.9, 12.0, 19.0])
@pytest.mark.parametrize("of", [2, 5, 9])
def test_the_active_vus_of_a_ramp_add_up_at_any_time(elapsed_s, of):
    load = RampingVUs(start_vus=2, stages=[("10s", 6), ("10s", 0)])
    whole = everybody_there(loop_of(load, WHOLE)).active(elapsed_s)
    assert whole > 0
    assert sum(everybody_there(loop_of(load, Share(index, of))).active(elapsed_s) for index in range(of)) == whole


def test_no_start_belongs_to_a_worker_without_a_vu():
    load = ConstantArrivalRate(rate=10, duration="1s", vus=2, max_vus=2)
    loop = loop_of(load, Share(2, 3))
    assert loop.first_vus() == []
    assert list(loop.starts) == []


def test_what_is_no_executor_has_no_loop():
    class Odd(Load):
        def _read_fields(self):
            return []

    with pytest.raises(TypeError, match="Odd is not an executor"):
        loop_of(Odd(), WHOLE)
