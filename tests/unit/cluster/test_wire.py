from __future__ import annotations

import collections
import enum
import os
import pickle
from typing import get_args

import pytest

from pytest_cdcperf.cluster.messages import (
    Answer,
    Arrived,
    Ask,
    Auditing,
    CallEnded,
    Collected,
    Concluded,
    Go,
    Gone,
    LoadTest,
    Plan,
    Refused,
    Released,
    ServicesWanted,
    Serving,
    ShareDone,
    Start,
    Stop,
    ToController,
    ToWorker,
    WindowDone,
)
from pytest_cdcperf.cluster.shared import OnceCall, PoolCall
from pytest_cdcperf.cluster.wire import pack, unpack
from pytest_cdcperf.engine.failures import FailureKind
from pytest_cdcperf.judging.rules.drift import Drift
from pytest_cdcperf.judging.rules.recovery import Recovery
from pytest_cdcperf.judging.threshold import Limit, evaluate, parse_thresholds
from pytest_cdcperf.judging.verdict import Verdict
from pytest_cdcperf.metrics.histogram import Histogram
from pytest_cdcperf.metrics.recorder import definitions
from pytest_cdcperf.metrics.snapshot import GaugeMerge, GaugeState, Kind, SeriesKey, Snapshot
from pytest_cdcperf.model.load import RampingVUs
from pytest_cdcperf.model.services import MongoAddress, PostgresAddress, Services
from pytest_cdcperf.model.share import Share
from pytest_cdcperf.reporting.result import RunFacts, RunResult, WorkerPart
from tests.unit.metrics.windows import window

FACTS = RunFacts("r1", "t.py::test", "2 VUs", 10.0, profile="spike", tags={"team": "ü"}, services={"postgres": "x"})
THRESHOLDS = tuple(
    parse_thresholds({"response_time{name:a}": [Limit("p(95)<5", abort_on_fail=True, delay="2s"), "p(99.9)<1"]})
)
PHASES = RampingVUs(start_vus=1, stages=[("2s", 5), ("3s", 5)]).phases
FULL = window(0.0, ms=[1.5, -3.0, 0.0], iterations=3, iteration_failed=(1, 3))
FULL.snapshot.series[SeriesKey("vus", Kind.GAUGE, (("scenario", "a"),))] = GaugeState(GaugeMerge.SUM, 1.0, 1.0, 2.0)
FAILURES = (FailureKind("ValueError", "t.py:1", 2, "Traceback"),)
RESULT = RunResult(
    FACTS,
    10.0,
    Verdict.INVALID,
    ("weak",),
    tuple(evaluate(threshold, FULL.snapshot, 1.0) for threshold in THRESHOLDS),
    FULL.snapshot,
    (FULL, window(1.0, ms=[2.0])),
    FAILURES,
    ("note",),
    "breaking point at 5 s",
    (WorkerPart("gw0", "1 of 1", 3, 10.0, 0.5, 1.5, "died"),),
)
SERVICES = Services(PostgresAddress("h", 5432, "u", password="p"), MongoAddress("mongodb://h/d"))  # noqa: S106
MESSAGES = [
    Collected((LoadTest(3, "t.py::test", "2 VUs", 2, gate=True),), ("a line",)),
    Arrived("t.py::test"),
    Plan("t.py::test", 2, FACTS, THRESHOLDS, (Recovery(), Drift("stack_memory_mb")), tuple(PHASES), definitions()),
    WindowDone("t.py::test", FULL),
    ShareDone("t.py::test", 10.0, 0.5, "Ctrl-C", "skipped", FAILURES, ("f",), ("w",), ("n",), definitions()),
    Auditing("t.py::test"),
    CallEnded("t.py::test", "failed", "stuck"),
    Ask(1, PoolCall("ids", "put", {"id": [1, 2.5, None, b"x", (True,)]})),
    Ask(2, OnceCall("schema", "done", "x")),
    Ask(3, ServicesWanted()),
    Go("t.py::test", takes_part=True, is_first=False, refused="no"),
    Start(Share(1, 3)),
    Refused("diverged", skips=True),
    Stop("Ctrl-C", at_once=True),
    Concluded(RESULT, "disk full", "skipped"),
    Released(reports=True, note="on gw0"),
    Answer(1, (7, {"id": 1})),
    Answer(2, Serving(SERVICES, {"postgres": "16"}, (1, 2)), "error"),
    Gone(),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_every_message_arrives_as_it_was_sent(message):
    data = pack(message)
    assert type(data) is bytes
    assert unpack(data) == message


def test_no_kind_of_message_is_left_out_above():
    assert {type(message) for message in MESSAGES} == {*get_args(ToController), *get_args(ToWorker)}


def test_a_result_that_arrived_can_be_asked_and_merged():
    arrived = unpack(pack(Concluded(RESULT))).result
    assert arrived["response_time"].p95 == RESULT["response_time"].p95
    assert arrived.verdict is Verdict.INVALID
    total = Snapshot()
    for part in arrived.history:
        total.extend(part.snapshot)
    assert total.select("response_time").count == 4
    assert isinstance(total.select("response_time"), Histogram)


class Runs:
    """What a far host might send instead of a message."""

    def __init__(self, function, *arguments):
        self._call = (function, arguments)

    def __reduce__(self):
        return self._call


class Whatever:
    """A class that both sides could import."""


@pytest.mark.parametrize(
    ("sent", "named"),
    [
        (Runs(os.system, "false"), "system"),
        (Runs(eval, "1"), "builtins.eval"),
        (Runs(getattr, Answer, "__init__"), "builtins.getattr"),
        (Runs(pack, None), "wire.pack"),
        (Answer(1, Whatever()), "test_wire.Whatever"),
        (Answer(1, Runs(os.system, "false")), "system"),
        (collections.OrderedDict(a=1), "collections.OrderedDict"),
        (Answer(1, {1, 2}.__class__), "builtins.set"),
    ],
)
def test_what_is_no_part_of_a_message_is_refused_by_name(sent, named):
    with pytest.raises(pickle.UnpicklingError, match=rf"{named} is no part of a message"):
        unpack(pickle.dumps(sent))


@pytest.mark.parametrize("name", ["Counter.__init__", "Counter.__init__.__globals__", "os.system", "abc"])
def test_no_way_leads_through_an_attribute_of_what_is_allowed(name):
    data = b"\x80\x04\x8c\x0bcollections\x8c" + bytes([len(name)]) + name.encode() + b"\x93."
    with pytest.raises(pickle.UnpicklingError, match="is no part of a message"):
        unpack(data)


class Team(enum.StrEnum):
    SHOP = "shop"


def test_what_users_name_by_an_enum_of_theirs_travels_as_text():
    arrived = unpack(pack(CallEnded(Team.SHOP, "passed")))
    assert arrived == CallEnded("shop", "passed")
    assert type(arrived.test) is str
