"""Finds what workers see differently: a load is shared by all of them, so all must have come to the same tests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from pytest_cdcperf.plugin.xdist.protocol import Handshake, installed

if TYPE_CHECKING:  # every session with workers imports this module: nothing that only perf tests need
    from pytest_cdcperf.cluster.messages import LoadTest

_WITHOUT_US = Handshake("no pytest-cdcperf", "its host")


class CollectedTests(NamedTuple):
    """The tests that *worker* has collected, and of these the ones under load."""

    worker: str
    handshake: Handshake | None
    nodeids: Sequence[str]
    load_tests: Sequence[LoadTest]


class Disagreement(NamedTuple):
    """One difference, and the test or the worker that it is about."""

    about: str
    words: str


def disagreements(collections: Sequence[CollectedTests]) -> Iterator[Disagreement]:
    """Yield what differs between *collections*, of which the first is what the others are compared with."""
    here, runs_load = installed(), any(collection.load_tests for collection in collections)
    for collection in collections:
        name, theirs = collection.worker, collection.handshake or _WITHOUT_US
        if theirs.installed != here:
            words = f"worker {name} on {theirs.host} has {theirs.installed}, here it is {here}: install the same there"
            yield Disagreement(name, words)
        elif runs_load:
            yield from _different_tests(collections[0], collection)
            yield from _different_loads(collections[0], collection)


def _different_tests(first: CollectedTests, other: CollectedTests) -> Iterator[Disagreement]:
    if apart := sorted(set(first.nodeids) ^ set(other.nodeids)):
        has, lacks = (first, other) if apart[0] in first.nodeids else (other, first)
        more = f" (and {len(apart) - 1} more)" if len(apart) > 1 else ""
        yield Disagreement(
            apart[0],
            f"worker {has.worker} collected {apart[0]}, worker {lacks.worker} did not{more}: "
            "all must see the same tests",
        )
    elif first.nodeids != other.nodeids:
        yield Disagreement(
            other.worker,
            f"worker {other.worker} collected in another order than {first.worker}: all must see the tests in the same",
        )


def _different_loads(first: CollectedTests, other: CollectedTests) -> Iterator[Disagreement]:
    mine, others = ({test.nodeid: test.spec for test in each.load_tests} for each in (first, other))
    for nodeid in mine.keys() & others.keys():
        if mine[nodeid] != others[nodeid]:
            yield Disagreement(
                nodeid,
                f"{nodeid}: worker {first.worker} would run {mine[nodeid]}; worker {other.worker} {others[nodeid]}; "
                "all must come to the same: look for what differs between them, such as the environment",
            )
