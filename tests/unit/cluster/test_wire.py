from __future__ import annotations

import collections
import contextlib
import enum
import json
import pickle
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_cdcperf.cluster import wire
from pytest_cdcperf.cluster.messages import (
    Answer,
    Arrived,
    Ask,
    Broken,
    CallEnded,
    Checking,
    Collected,
    Concluded,
    Go,
    Gone,
    Interrupted,
    LoadTest,
    NoticeOnce,
    Plan,
    Refused,
    Released,
    ServicesWanted,
    Serving,
    ShareDone,
    Start,
    Stop,
    ToCoordinator,
    ToWorker,
    WindowDone,
)
from pytest_cdcperf.cluster.shared_state import OnceCall, PoolCall
from pytest_cdcperf.cluster.wire import pack, unpack
from pytest_cdcperf.judging.evaluation import evaluate
from pytest_cdcperf.judging.parser import Limit, parse_thresholds
from pytest_cdcperf.judging.rules.breaking_point import Breaking, BreakingPoint
from pytest_cdcperf.judging.rules.drift import Drift
from pytest_cdcperf.judging.rules.recovery import Recovery
from pytest_cdcperf.judging.saturation import Saturation
from pytest_cdcperf.judging.verdict import Verdict
from pytest_cdcperf.load.closed import RampingVUs
from pytest_cdcperf.load.share import Share
from pytest_cdcperf.metrics.delay_evidence import DelayEvidence
from pytest_cdcperf.metrics.failure import FailureKind
from pytest_cdcperf.metrics.metric import GaugeMerge, Kind, definitions
from pytest_cdcperf.metrics.snapshot import GaugeState, SeriesKey, Snapshot
from pytest_cdcperf.results.environment import Environment
from pytest_cdcperf.results.result import EventKind, RunEvent, RunFacts, RunResult, WorkerPart
from pytest_cdcperf.results.windows import windows_of
from pytest_cdcperf.servers import MongoAddress, PostgresAddress, Services
from tests.unit.metrics.windows import window

FACTS = RunFacts("r1", "t.py::test", "2 VUs", 10.0, profile="spike", tags={"team": "ü"}, services={"postgres": "x"})
THRESHOLDS = tuple(
    parse_thresholds({"response_time{name:a}": [Limit("p(95)<5", abort_on_fail=True, delay="2s"), "p(99.9)<1"]})
)
PHASES = RampingVUs(start_vus=1, stages=[("2s", 5), ("3s", 5)]).phases
FULL = window(0.0, ms=[1.5, -3.0, 0.0], iterations=3, iteration_failed=(1, 3))
GAUGED = SeriesKey("vus", Kind.GAUGE, (("scenario", "a"),), 2)
FULL.snapshot.series[GAUGED] = GaugeState(GaugeMerge.SUM, 1.0, 1.0, 2.0, 0.5)
FAILURES = (FailureKind("ValueError", "t.py:1", 2, "Traceback"),)
RESULT = RunResult(
    FACTS,
    10.0,
    Verdict.INVALID,
    ("weak",),
    tuple(evaluate(threshold, FULL.snapshot, 1.0) for threshold in THRESHOLDS),
    FULL.snapshot,
    windows_of([FULL, window(1.0, ms=[2.0])], {"response_time"}),
    FAILURES,
    ("note",),
    BreakingPoint(Breaking.FOUND, 5, THRESHOLDS[0], at_s=5.0),
    Saturation(3.0, None),
    (WorkerPart("gw0", "1 of 1", 3, 10.0, 0.5, 1.5, "died"),),
    events=(RunEvent(5.0, EventKind.WORKER_LOST, "died", "gw0"),),
    environment=Environment(cpus=2, versions={"pytest": "9"}),
)
SERVICES = Services(PostgresAddress("h", 5432, "u", password="p"), MongoAddress("mongodb://h/d"))  # noqa: S106
MESSAGES = [
    Collected((LoadTest(3, "t.py::test", "2 VUs", 2, gate=True),), ("a line",)),
    Arrived("t.py::test"),
    Plan("t.py::test", 2, FACTS, THRESHOLDS, (Recovery(), Drift("stack_memory_mb")), tuple(PHASES), definitions()),
    WindowDone("t.py::test", FULL),
    WindowDone("t.py::test", FULL, DelayEvidence(1.0, late_s=0.2, blocked=collections.Counter({"t.py:3 in ü": 2}))),
    ShareDone("t.py::test", 10.0, 0.5, "Ctrl-C", "skipped", FAILURES, ("f",), ("w",), ("n",), definitions(), "host"),
    Checking("t.py::test"),
    Broken("the slot is gone"),
    NoticeOnce("the stream", "it is refused"),
    CallEnded("t.py::test", "failed", "stuck"),
    Ask(1, PoolCall("ids", "put", {"id": [1, 2.5, None, b"x", (True,)]})),
    Ask(2, OnceCall("schema", "done", "x")),
    Ask(3, ServicesWanted()),
    Go("t.py::test", takes_part=True, is_first=False, refused="no"),
    Start(Share(1, 3)),
    Refused("diverged", skips=True),
    Stop("Ctrl-C", at_once=True),
    Interrupted("SIGTERM"),
    Concluded(RESULT, "disk full", "skipped"),
    Released(reports=True, note="on gw0"),
    Answer(1, (7, {"id": 1})),
    Answer(2, Serving(SERVICES, {"postgres": "16"}, (1, 2), ("mongo died",)), "error"),
    Gone(),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_every_message_arrives_as_it_was_sent(message):
    data = pack(message)
    assert type(data) is bytes
    assert unpack(data) == message


def test_no_kind_of_message_is_left_out_above():
    assert {type(message) for message in MESSAGES} == {*get_args(ToCoordinator), *get_args(ToWorker)}


def test_a_result_that_arrived_can_be_asked_and_merged():
    arrived = unpack(pack(Concluded(RESULT))).result
    assert arrived["response_time"].p95 == RESULT["response_time"].p95
    assert arrived.verdict is Verdict.INVALID
    total = Snapshot()
    total.extend(arrived.total)
    assert total.trend("response_time").count == 3
    assert sum(count for _, count in arrived.windows.points("response_time", "count")) == 4


@pytest.mark.parametrize("value", [object(), 1j, collections.OrderedDict(a=1), Answer, len])
def test_what_cannot_be_sent_is_named_where_it_is_sent(value):
    with pytest.raises(TypeError, match=r"is of \w+\.\w+, which cannot be sent to another process"):
        pack(Answer(1, [value]))


FAR = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.text(), inner)
        | st.builds(lambda number, parts: [number, *parts], st.integers(-1, 60), st.lists(inner, max_size=4))
    ),
)


@given(FAR)
def test_whatever_a_far_worker_sends_makes_values_of_the_listed_types_or_is_refused(sent):
    classes = {kind: dict(vars(kind)) for kind in wire._CODECS if kind.__module__ != "builtins"}
    with contextlib.suppress(wire.WireError):
        assert type(unpack(json.dumps(sent).encode())) in {*wire._CODECS, *wire._SIMPLE}
    assert {kind: dict(vars(kind)) for kind in classes} == classes


@pytest.mark.parametrize(
    "data",
    [
        pickle.dumps(Answer(1)),
        b"",
        b"[[[",
        b"[" * 100_000 + b"]" * 100_000,
        b"[1e9]",
        b"[]",
        b'["Answer", 1]',
        json.dumps([wire._TYPES[Answer][0], 1, 2, 3, 4]).encode(),
        json.dumps([wire._TYPES[Verdict][0], "won"]).encode(),
        json.dumps([wire._TYPES[Verdict][0], [0, "passed"]]).encode(),
        json.dumps([wire._TYPES[dict][0], [wire._TYPES[list][0]], 1]).encode(),
        json.dumps([wire._TYPES[bytes][0], 5]).encode(),
    ],
    ids=range(12),
)
def test_bytes_that_are_no_message_are_refused(data):
    with pytest.raises(wire.WireError, match="not a valid message: "):
        unpack(data)


@pytest.mark.parametrize(
    "value", [{"a": {1: (2, [3])}}, {1, 2}, b"\x00\xff", "\ud800", 10**300, -0.0, float("inf"), [], ()]
)
def test_values_of_users_arrive_as_they_were(value):
    arrived = unpack(pack(Answer(1, value))).value
    assert arrived == value
    assert type(arrived) is type(value)


class Team(enum.StrEnum):
    SHOP = "shop"


def test_what_users_name_by_an_enum_of_theirs_travels_as_text():
    arrived = unpack(pack(CallEnded(Team.SHOP, "passed")))
    assert arrived == CallEnded("shop", "passed")
    assert type(arrived.test) is str
