"""Differences between what workers collected are named, with both sides."""

from __future__ import annotations

from pytest_cdcperf.cluster.messages import LoadTest
from pytest_cdcperf.plugin.xdist.agreement import CollectedTests, Disagreement, disagreements
from pytest_cdcperf.plugin.xdist.protocol import Handshake, installed

SAME = Handshake(installed(), "box")


def collected(worker, nodeids, *specs, handshake=SAME):
    tests = tuple(LoadTest(index, nodeids[index], spec, 1) for index, spec in enumerate(specs))
    return CollectedTests(worker, handshake, nodeids, tests)


def words(*collections):
    return [(found.about, found.words) for found in disagreements(collections)]


def test_workers_that_see_the_same_agree():
    assert words(collected("gw0", ["a", "b"], "1 VU"), collected("gw1", ["a", "b"], "1 VU")) == []


def test_without_load_workers_may_see_what_they_like():
    assert words(collected("gw0", ["a"]), collected("gw1", ["b"])) == []


def test_a_test_that_one_lacks_is_named_with_both():
    said = "worker gw1 collected c, worker gw0 did not (and 1 more): all must see the same tests"
    assert words(collected("gw0", ["a"], "1 VU"), collected("gw1", ["a", "d", "c"], "1 VU")) == [("c", said)]


def test_another_order_is_named():
    said = "worker gw1 collected in another order than gw0: all must see the tests in the same"
    found = words(collected("gw0", ["a", "b"], "1 VU", "1 VU"), collected("gw1", ["b", "a"], "1 VU", "1 VU"))
    assert found == [("gw1", said)]


def test_loads_that_differ_are_named_with_both():
    (found,) = disagreements([collected("gw0", ["a"], "1 VU"), collected("gw1", ["a"], "2 VUs")])
    assert found.about == "a"
    assert "worker gw0 would run 1 VU; worker gw1 2 VUs" in found.words


def test_another_version_is_named_before_what_follows_from_it():
    old = Handshake("pytest-cdcperf 0.0.9", "far")
    found = list(disagreements([collected("gw0", ["a"], "1 VU"), collected("gw1", ["b"], "2 VUs", handshake=old)]))
    here = installed()
    said = f"worker gw1 on far has pytest-cdcperf 0.0.9, here it is {here}: install the same there"
    assert found == [Disagreement("gw1", said)]


def test_a_worker_without_the_plugin_is_named_where_there_is_load():
    (found,) = disagreements([collected("gw0", ["a"], "1 VU"), collected("gw1", ["a"], handshake=None)])
    assert found.words.startswith("worker gw1 on its host has no pytest-cdcperf, here it is ")
