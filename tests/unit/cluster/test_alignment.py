from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_cdcperf.cluster.alignment import LAG_ALLOWED_S, Alignment
from pytest_cdcperf.metrics.metric import GaugeMerge, Kind
from pytest_cdcperf.metrics.snapshot import GaugeState, SeriesKey
from tests.unit.metrics.windows import window


def counted(windows):
    return sum(part.snapshot.select("iterations").total for part in windows)


def seconds(start, end):
    return [window(float(second), iterations=1) for second in range(start, end)]


def test_the_windows_of_a_single_worker_pass_through_as_they_are():
    alignment = Alignment(["main"])
    for part in (window(0.0, iterations=1), window(1.0, seconds=0.2), window(1.2, seconds=30.0)):
        assert alignment.add("main", part) == [part]
    assert alignment.leave("main") == []


def test_a_second_is_given_out_once_all_are_through_with_it():
    alignment = Alignment(["gw0", "gw1"])
    assert alignment.add("gw0", window(0.0, iterations=1)) == []
    assert alignment.add("gw0", window(1.0, iterations=10)) == []
    (first,) = alignment.add("gw1", window(0.0, iterations=100, seconds=1.02))
    assert (first.start_s, first.end_s, counted([first])) == (0.0, 1.02, 101)
    (second,) = alignment.add("gw1", window(1.02, iterations=1000, seconds=0.98))
    assert (second.start_s, second.end_s, counted([second])) == (1.0, 2.0, 1010)


def test_nobody_waits_for_a_worker_that_left():
    alignment = Alignment(["gw0", "gw1"])
    assert alignment.add("gw0", window(0.0, iterations=1)) == []
    assert counted(alignment.leave("gw1")) == 1
    assert counted(alignment.add("gw0", window(1.0, iterations=1))) == 1


def test_what_is_left_comes_out_when_all_have_left():
    alignment = Alignment(["gw0", "gw1"])
    alignment.add("gw0", window(0.0, iterations=1))
    alignment.add("gw1", window(0.0, iterations=1, seconds=0.3))
    assert alignment.leave("gw0") == []
    assert counted(alignment.leave("gw1")) == 2


def test_two_windows_of_one_worker_in_one_second_follow_each_other():
    alignment = Alignment(["gw0", "gw1"])
    alignment.add("gw0", window(0.0, gauges={"vus": 5}, seconds=0.2, iterations=1))
    alignment.add("gw0", window(0.2, gauges={"vus": 3}, seconds=0.8, iterations=1))
    (joined,) = alignment.add("gw1", window(0.0, iterations=1))
    assert (joined.start_s, joined.end_s, counted([joined])) == (0.0, 1.0, 3)
    assert joined.snapshot.select("vus").value == 3


def test_what_several_workers_have_at_one_time_adds_up():
    alignment = Alignment(["gw0", "gw1"])
    for worker, vus in (("gw0", 5.0), ("gw1", 3.0)):
        part = window(0.0)
        part.snapshot.series[SeriesKey("vus", Kind.GAUGE)] = GaugeState(GaugeMerge.SUM, vus, vus, vus)
        joined = alignment.add(worker, part)
    assert joined[0].snapshot.select("vus").value == 8


def test_a_worker_that_is_behind_holds_up_the_others_for_so_long_only():
    alignment = Alignment(["gw0", "gw1"])
    given_out = [len(alignment.add("gw0", part)) for part in seconds(0, 10)]
    allowed = int(LAG_ALLOWED_S)
    assert given_out == [0] * allowed + [1] * (10 - allowed)


def test_what_comes_late_is_counted_in_a_second_to_come_and_does_not_stretch_it():
    alignment = Alignment(["gw0", "gw1"])
    for part in seconds(0, 10):
        alignment.add("gw0", part)
    late = window(0.0, iterations=100)
    assert alignment.add("gw1", late) == []
    alignment.leave("gw0")
    first, *rest = alignment.leave("gw1")
    assert (first.start_s, first.end_s, counted([first])) == (5.0, 6.0, 101)
    assert [part.start_s for part in rest] == [6.0, 7.0, 8.0, 9.0]


def test_what_comes_from_a_worker_that_has_left_is_not_lost():
    alignment = Alignment(["gw0", "gw1"])
    alignment.leave("gw1")
    for part in seconds(0, 10):
        alignment.add("gw0", part)
    assert alignment.add("gw1", window(0.0, iterations=100)) == []
    assert counted(alignment.leave("gw0")) == 100


@st.composite
def _sendings(draw):
    """What several workers send, each in its order and mixed with the others'; None is its leaving."""
    queues = {}
    for worker in range(draw(st.integers(2, 4))):
        start_s, queue = 0.0, []
        for length_s in draw(st.lists(st.sampled_from([0.05, 0.2, 0.97, 1.0, 1.03, 2.6]), max_size=15)):
            queue.append(window(start_s, seconds=length_s, iterations=1))
            start_s += length_s
        queues[f"gw{worker}"] = [*queue, None]
    if draw(st.booleans()):  # lost, with words of it still on their way
        lost = queues["gw0"]
        lost.insert(draw(st.integers(0, len(lost) - 1)), lost.pop())
    order = draw(st.permutations([worker for worker, queue in queues.items() for _ in queue]))
    return list(queues), [(worker, queues[worker].pop(0)) for worker in order]


@given(_sendings())
def test_whatever_the_order_nothing_is_lost_and_time_goes_on(sendings):
    workers, sent = sendings
    alignment, received, there = Alignment(workers), [], set(workers)
    for worker, part in sent:
        if part is None:
            there.discard(worker)
            received += alignment.leave(worker)
        elif there:
            received += alignment.add(worker, part)
    expected, there = 0, set(workers)
    for worker, part in sent:
        there -= {worker} if part is None else set()
        expected += part is not None and bool(there)
    assert counted(received) == expected
    starts = [part.start_s for part in received]
    assert starts == sorted(starts)
    assert all(part.end_s >= part.start_s for part in received)


@given(st.integers(1, 60), st.integers(0, 60))
def test_no_second_waits_longer_than_the_allowed_lag(seconds_of_first, seconds_of_other):
    alignment = Alignment(["gw0", "gw1"])
    out = [part for sent in seconds(0, seconds_of_other) for part in alignment.add("gw1", sent)]
    out += [part for sent in seconds(0, seconds_of_first) for part in alignment.add("gw0", sent)]
    ahead, behind = max(seconds_of_first, seconds_of_other), min(seconds_of_first, seconds_of_other)
    assert max((part.end_s for part in out), default=0.0) == max(behind, ahead - LAG_ALLOWED_S, 0.0)


@pytest.mark.parametrize("left_by", [["gw0", "gw1"], ["gw1", "gw0"]])
def test_leaving_without_a_word_gives_out_nothing(left_by):
    alignment = Alignment(["gw0", "gw1"])
    assert [alignment.leave(worker) for worker in left_by] == [[], []]
