"""Around each of pytest-xdist's own schedulers."""

from __future__ import annotations

from itertools import chain

import pytest
from xdist.remote import Producer
from xdist.scheduler import (
    EachScheduling,
    LoadFileScheduling,
    LoadGroupScheduling,
    LoadScheduling,
    LoadScopeScheduling,
    WorkStealingScheduling,
)

from pytest_cdcperf.plugin.xdist.scheduler import FanOutScheduling
from tests.unit.plugin.dsession import SHUTDOWN, DSession, FanOut

SCHEDULERS = [
    LoadScheduling,
    LoadScopeScheduling,
    LoadFileScheduling,
    LoadGroupScheduling,
    WorkStealingScheduling,
    EachScheduling,
]
ORDINARY = [f"test_{n // 5}.py::{'TestX::' * (n % 2)}test_{n}{'@group' * (n % 3 == 0)}" for n in range(17)]
PERF = (0, 4, 5, 19)
MIXED = [f"perf_{n}" if n in PERF else None for n in range(len(ORDINARY) + len(PERF))]
_rest = iter(ORDINARY)
MIXED = [name or next(_rest) for name in MIXED]
ORDINARY_INDICES = [index for index in range(len(MIXED)) if index not in PERF]


@pytest.fixture(params=SCHEDULERS, ids=lambda scheduler: scheduler.__name__)
def new_inner(request, pytester):
    """Return a new scheduler of xdist's for so many nodes."""

    def new(nodes=2):
        config = pytester.parseconfig(f"--tx={nodes}*popen")
        return request.param(config, Producer("tests", enabled=False))

    new.is_each = request.param is EachScheduling
    return new


@pytest.fixture
def session(new_inner):
    """Begin a session whose scheduler is wrapped."""

    def begin(collection=MIXED, loads=PERF, *, nodes=2, agrees=True, seed=0):
        fan_out = FanOut(loads, agrees=agrees)
        return DSession(
            FanOutScheduling(new_inner(nodes), fan_out), collection, nodes=nodes, fan_out=fan_out, seed=seed
        )

    begin.is_each = new_inner.is_each
    return begin


def only_ordinary(nodes):
    return [[index for index in node.ran if index not in PERF] for node in nodes]


def only_perf(nodes):
    return [[index for index in node.ran if index in PERF] for node in nodes]


# --- Without perf tests


@pytest.mark.parametrize("collection", [ORDINARY, ORDINARY[:5], ORDINARY[:1]], ids=len)
@pytest.mark.parametrize("seed", range(3))
def test_without_perf_tests_the_nodes_are_told_what_xdist_tells_them(new_inner, session, collection, seed):
    bare = DSession(new_inner(3), collection, nodes=3, seed=seed)
    wrapped = session(collection, (), nodes=3, seed=seed)
    for one in (bare, wrapped):
        one.run()
    assert wrapped.log == bare.log
    assert [node.ran for node in wrapped.nodes] == [node.ran for node in bare.nodes]
    assert wrapped.scheduler.has_pending == bare.scheduler.has_pending is False


@pytest.mark.parametrize("before", [0, 1, 4, 9])
def test_without_perf_tests_a_crash_is_what_it_is_with_xdist(new_inner, session, before):
    bare = DSession(new_inner(3), ORDINARY, nodes=3)
    wrapped = session(ORDINARY, (), nodes=3)
    for one in (bare, wrapped):
        one.run(before)
        fresh = one.crash(one.nodes[1])
        one.run(2)
        one.replace(fresh)
        one.run()
    assert wrapped.log == bare.log
    assert wrapped.crashed == bare.crashed
    assert wrapped.crashed or before == 9


# --- With perf tests


@pytest.mark.parametrize("nodes", [1, 3])
def test_ordinary_tests_are_spread_as_xdist_has_it_and_perf_tests_follow_on_every_node(new_inner, session, nodes):
    bare = DSession(new_inner(nodes), ORDINARY, nodes=nodes)
    bare.run()
    wrapped = session(nodes=nodes)
    wrapped.run()
    ran = only_ordinary(wrapped.nodes)
    assert sorted(chain(*ran)) == sorted(ORDINARY_INDICES * (nodes if session.is_each else 1))
    for mine, of_bare in zip(wrapped.nodes, bare.nodes, strict=True):
        assert mine.first_told == ("run", *(ORDINARY_INDICES[index] for index in of_bare.first_told[1:]))
    if nodes == 1:
        assert ran == [[ORDINARY_INDICES[index] for index in bare.nodes[0].ran]]
    for node in wrapped.nodes:
        assert node.ran[-len(PERF) :] == list(PERF)
        assert set(node.queue) == {SHUTDOWN}
    assert wrapped.begun_beside == []
    assert wrapped.reported == [f"perf_{index}" for index in PERF]
    assert wrapped.fan_out.admitted == [[node.gateway.id for node in wrapped.nodes]]


@pytest.mark.parametrize("ordinary", [0, 1])
def test_perf_tests_run_on_all_nodes_where_ordinary_ones_are_few_or_none(session, ordinary):
    collection = ["test_it.py::test_1"] * ordinary + ["perf"] * 3
    loads = range(ordinary, ordinary + 3)
    one = session(collection, loads, nodes=3)
    one.run()
    assert [[index for index in node.ran if index in loads] for node in one.nodes] == [list(loads)] * 3
    assert len(one.reported) == 3


def test_nothing_is_finished_while_perf_tests_are_to_come(session):
    one = session(["perf"] * 3, range(3))
    finished = []
    while any(node.can_run for node in one.nodes):
        finished.append((min(len(node.ran) for node in one.nodes), one.scheduler.tests_finished))
        assert one.scheduler.has_pending
        one.run(1)
    assert all(is_finished == (ran >= 2) for ran, is_finished in finished)
    assert one.scheduler.tests_finished
    assert not one.scheduler.has_pending


def test_where_the_workers_disagree_nothing_runs_and_the_session_ends(session):
    one = session(agrees=False)
    assert [entry[1] for entry in one.log] == ["shutdown", "shutdown"]


# --- Crashes


@pytest.mark.parametrize("before", [0, 3, 10])
def test_a_crash_in_an_ordinary_test_is_reported_and_the_others_run_everything(session, before):
    one = session(nodes=3)
    one.run(before)
    crashing = one.nodes[0]
    lost = crashing.queue[0]
    fresh = one.crash(crashing)
    one.run(2)
    one.replace(fresh)
    one.run()
    survivors = [node for node in one.nodes if node is not fresh]
    assert one.crashed == [MIXED[lost]]
    ran = chain(*only_ordinary([crashing, *one.nodes]))
    assert {*ran, lost} == set(ORDINARY_INDICES)
    assert only_perf(survivors) == [list(PERF)] * 2
    assert only_perf([fresh]) == [[]]
    assert one.begun_beside == []
    assert one.reported == [f"perf_{index}" for index in PERF]
    assert SHUTDOWN in fresh.queue


def until_perf_test_begins(one, nodeid):
    for _ in range(1000):
        if one.fan_out.coordinator.has_begun(nodeid):
            return
        one.run(1)
    raise AssertionError(nodeid)


def test_a_crash_in_a_perf_test_is_reported_by_the_others(session):
    one = session(nodes=3)
    until_perf_test_begins(one, "perf_4")
    fresh = one.crash(one.nodes[2])
    one.replace(fresh)
    one.run()
    assert one.crashed == []
    assert only_perf(one.nodes) == [list(PERF), list(PERF), []]
    assert one.reported == [f"perf_{index}" for index in PERF]
    assert SHUTDOWN in fresh.queue


@pytest.mark.parametrize("collection", [MIXED, [*MIXED[:1], *["perf"] * 20]], ids=["mixed", "perf only"])
def test_where_all_crash_the_last_is_reported_and_who_replaces_them_runs_what_was_not_begun(session, collection):
    loads = PERF if collection is MIXED else range(len(collection))
    one = session(collection, loads)
    first, second, *rest = [test.nodeid for test in one.fan_out.loads]
    until_perf_test_begins(one, second)
    for node in list(one.nodes):
        one.crash(node)
    assert one.crashed == [second]
    assert not one.scheduler.tests_finished
    for node in list(one.nodes):
        one.replace(node)
    one.run()
    assert one.reported == [first, *rest]
    assert one.crashed == [second]
    assert one.begun_beside == []
    # The first to be there takes them over.
    assert [len(node.ran) for node in one.nodes] == [len(rest), 0]
    assert one.scheduler.tests_finished


def test_where_nothing_was_begun_who_replaces_a_crashed_worker_runs_all(session):
    # In one group: of several small ones loadgroup hands a replacement the first only, and hangs.
    ordinary = [f"test_it.py::test_{number}@group" for number in range(6)]
    one = session([*ordinary, "perf", "perf"], (6, 7), nodes=1)
    one.run(3)
    fresh = one.crash(one.nodes[0])
    one.replace(fresh)
    one.run()
    assert one.crashed == [ordinary[3]]
    assert fresh.ran[-2:] == [6, 7]
    assert one.begun_beside == []
    assert one.reported == ["perf_6", "perf_7"]


def test_a_crash_in_the_last_perf_test_ends_the_session(session):
    one = session(nodes=1)
    until_perf_test_begins(one, "perf_19")
    fresh = one.crash(one.nodes[0])
    one.replace(fresh)
    one.run()
    assert one.crashed == ["perf_19"]
    assert fresh.queue == [SHUTDOWN]


def test_a_node_that_was_too_many_for_the_ordinary_tests_may_crash_in_a_perf_test(session):
    one = session(["test_it.py::test_0", "perf"], (1,))
    until_perf_test_begins(one, "perf_1")
    for node in list(one.nodes):
        one.crash(node)
    assert one.crashed == ["perf_1"]


def test_a_perf_test_waits_for_the_completion_of_the_one_before(session):
    one = session(["perf"] * 2, range(2))
    until_perf_test_begins(one, "perf_1")
    assert all(0 in node.ran for node in one.nodes)


# --- What is only passed on


def test_to_other_plugins_it_is_the_scheduler_of_xdist(session):
    scheduler = session().scheduler
    inner = scheduler._inner
    assert isinstance(scheduler, type(inner))
    assert scheduler.__class__.__name__ == type(inner).__name__
    assert scheduler.config is inner.config
    scheduler.config = scheduler.of_a_plugin = object()
    assert inner.config is inner.of_a_plugin is scheduler.config
    assert not hasattr(scheduler, "of_nobody")


def test_what_xdist_keeps_by_node_is_found_by_the_node_itself(session):
    one = session()
    kept = getattr(one.scheduler, "node2pending", None) or one.scheduler.registered_collections
    assert all(node in kept for node in one.nodes)


def test_a_perf_test_is_not_run_again(session):
    with pytest.raises(NotImplementedError, match="perf_4"):
        session().scheduler.mark_test_pending("perf_4")


def test_reruns_that_plugins_ask_for_go_to_xdist(session):
    asked = []
    one = session()
    one.scheduler._inner.mark_test_pending = asked.append
    one.scheduler.mark_test_pending("test_x")
    assert asked == ["test_x"]
