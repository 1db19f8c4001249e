from __future__ import annotations

import pytest

from pytest_cdcperf.engine.load_phases import FOREVER_NS, LoadPhases
from pytest_cdcperf.metrics.phases import Phase
from pytest_cdcperf.metrics.snapshot import BY_TIME

S = 10**9
PLAN = (Phase("ramp-up", 5, 10, "a"), Phase("hold", 5, 10, "b"), Phase("hold", 10, 20, "a"))


@pytest.mark.parametrize(
    ("load", "at_s", "number", "until_ns"),
    [
        ("a", 0, 0, 10 * S),
        ("a", 9.999, 0, 10 * S),
        ("a", 10, 2, FOREVER_NS),
        ("a", 25, 2, FOREVER_NS),  # a start that comes late
        ("b", 7, 1, FOREVER_NS),
    ],
)
def test_a_time_lies_in_one_phase_of_a_load(load, at_s, number, until_ns):
    assert LoadPhases.of(load, PLAN).at(round(at_s * S)) == (number, until_ns)


def test_without_phases_samples_go_by_time():
    assert LoadPhases().at(7) == LoadPhases.of("c", PLAN).at(7) == (BY_TIME, FOREVER_NS)
