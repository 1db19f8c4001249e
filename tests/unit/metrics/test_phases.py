from __future__ import annotations

import pytest

from pytest_cdcperf.metrics.phases import Phase, PhaseOf, Span, phases_at, seconds_in, spans_of
from pytest_cdcperf.metrics.snapshot import BY_TIME
from tests.unit.metrics.windows import window

TWO = (
    Phase("ramp-up", 0, 10, "a"),
    Phase("hold", 0, 10, "b"),
    Phase("hold", 10, 20, "a"),
    Phase("hold", 10, 20, "b"),
    Phase("hold", 20, 30, "b"),
)


def test_what_several_loads_do_together_is_a_ramp_where_one_is():
    assert spans_of(TWO) == [
        Span("ramp-up", 0, 10, frozenset({0, 1})),
        Span("hold", 10, 20, frozenset({2, 3})),
        Span("hold", 20, 30, frozenset({4})),
    ]
    opposite = (Phase("ramp-up", 0, 10, "a"), Phase("ramp-down", 0, 10, "b"))
    assert [(span.name, span.is_ramp) for span in spans_of(opposite)] == [("ramp-down and ramp-up", True)]
    assert spans_of(()) == []


@pytest.mark.parametrize(
    ("start_s", "names"), [(0, {"ramp-up", "hold"}), (9.6, {"hold"}), (29, {"hold"}), (29.5, set()), (40, set())]
)
def test_a_window_lies_in_a_phase_of_each_load(start_s, names):
    assert phases_at(window(start_s), TWO) == names


@pytest.mark.parametrize(("until_s", "seconds"), [(5, 5), (15, 15), (60, 30)])
def test_phases_of_two_loads_at_once_count_once(until_s, seconds):
    holds = [phase for phase in TWO if phase.name == "hold"]
    assert seconds_in(holds, until_s) == seconds


def test_samples_belong_by_their_iterations_and_the_rest_by_time():
    hold = PhaseOf("hold", TWO[:1] + TWO[2:])
    assert hold.belonging(window(5)) == {1, 2, 3}
    assert hold.belonging(window(15)) == {1, 2, 3, BY_TIME}
    assert hold.belonging(window(40)) == {1, 2, 3}
