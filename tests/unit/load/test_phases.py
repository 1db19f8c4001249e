from __future__ import annotations

from pytest_cdcperf.load.closed import ConstantVUs, RampingVUs
from pytest_cdcperf.load.phases import plan_phases
from pytest_cdcperf.metrics.phases import Phase


def test_a_single_load_has_its_own_phases():
    load = RampingVUs(stages=[("10s", 5), ("20s", 5)])
    assert plan_phases({"": load}) == load.phases


def test_phases_of_several_loads_are_cut_at_each_others_edges():
    spike = RampingVUs(stages=[("10s", 5), ("5s", 5)])
    assert plan_phases({"spike": spike, "beside": ConstantVUs(vus=1, duration="12s", start_at="5s")}) == (
        Phase("ramp-up", 0, 5, "spike"),
        Phase("ramp-up", 5, 10, "spike"),
        Phase("hold", 5, 10, "beside"),
        Phase("hold", 10, 15, "spike"),
        Phase("hold", 10, 15, "beside"),
        Phase("hold", 15, 17, "beside"),
    )


def test_edges_that_differ_by_rounding_only_are_one():
    loads = {
        "a": ConstantVUs(vus=1, duration="0.3s"),
        "b": ConstantVUs(vus=1, duration="0.2s", start_at="0.1s"),
    }
    assert [(phase.start_s, phase.end_s, phase.load) for phase in plan_phases(loads)] == [
        (0, 0.1, "a"),
        (0.1, 0.3, "a"),
        (0.1, 0.3, "b"),
    ]
