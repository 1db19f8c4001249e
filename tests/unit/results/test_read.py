"""Results are read back exactly as they were written, and what is not a result is refused in one line."""

from __future__ import annotations

import gzip
import json
import math
import os
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_cdcperf.errors import ConfigError
from pytest_cdcperf.judging.intervals import Precision
from pytest_cdcperf.judging.rules.breaking_point import Breaking, BreakingPoint
from pytest_cdcperf.judging.rules.drift import Drift
from pytest_cdcperf.judging.rules.recovery import Recovery
from pytest_cdcperf.judging.saturation import Saturation
from pytest_cdcperf.judging.threshold import Levels, Outcome, Threshold, ThresholdResult
from pytest_cdcperf.judging.verdict import Verdict
from pytest_cdcperf.metrics.failure import FailureKind
from pytest_cdcperf.metrics.histogram import Histogram
from pytest_cdcperf.metrics.metric import GaugeMerge, Kind, definition
from pytest_cdcperf.metrics.phases import Phase
from pytest_cdcperf.metrics.snapshot import CounterState, GaugeState, RateState, SeriesKey, Snapshot
from pytest_cdcperf.metrics.timeline import Window
from pytest_cdcperf.printable import printable, short_name
from pytest_cdcperf.results import json as json_module
from pytest_cdcperf.results.environment import Environment
from pytest_cdcperf.results.json import read_result, result_from_json, result_to_json, write_result
from pytest_cdcperf.results.result import EventKind, RunEvent, RunFacts, RunResult, WorkerPart
from pytest_cdcperf.results.windows import windows_of

FLOATS = st.floats(allow_nan=False, allow_infinity=False)
SHARES = st.floats(0, 1)
COUNTS = st.integers(0, 2**40)
TEXTS = st.text(max_size=20).map(printable)
NAMES = st.text(max_size=20).map(short_name)
PAIRS = st.dictionaries(NAMES, TEXTS, max_size=3)
TAGS = st.dictionaries(NAMES, NAMES, max_size=3).map(lambda tags: tuple(sorted(tags.items())))
METRICS = st.sampled_from(["response_time", "pg_write_duration", "t_read_ü"])


def optional(strategy):
    return st.none() | strategy


@st.composite
def histograms(draw):
    histogram = Histogram(draw(st.integers(-2, 7)))
    histogram.record(draw(st.lists(FLOATS.filter(lambda value: abs(value) < 1e300), max_size=20)))
    return histogram


STATES = {
    Kind.TREND: histograms(),
    Kind.COUNTER: st.builds(CounterState, FLOATS),
    Kind.RATE: st.builds(RateState, COUNTS, COUNTS),
    Kind.GAUGE: st.just(GaugeState(GaugeMerge.MAX))
    | st.builds(GaugeState, st.sampled_from(GaugeMerge), FLOATS, FLOATS, FLOATS, FLOATS),
}


@st.composite
def snapshots(draw):
    series = {}
    for kind in draw(st.lists(st.sampled_from(Kind), max_size=5)):
        key = SeriesKey(f"{draw(METRICS)}_{kind}", kind, draw(TAGS), draw(st.integers(-1, 2)))
        series[key] = draw(STATES[kind])
    return Snapshot(series)


@st.composite
def windows(draw):
    parts = draw(st.lists(snapshots(), max_size=4))
    history = [Window(float(second), second + 1.0, part) for second, part in enumerate(parts)]
    return windows_of(history, {key.name for part in parts for key in part.series if draw(st.booleans())})


THRESHOLDS = st.builds(
    Threshold,
    METRICS,
    st.sampled_from(["p(95)", "avg", "count"]),
    st.sampled_from(["<", ">="]),
    FLOATS,
    TAGS,
    over_s=optional(st.floats(1, 1e6)),
    phase=optional(st.just("hold")),
    abort_on_fail=st.booleans(),
    delay_s=st.floats(0, 1e6),
)
RULES = THRESHOLDS | st.builds(Recovery, METRICS, SHARES) | st.builds(Drift, METRICS, SHARES)
RESULTS = st.builds(
    ThresholdResult,
    RULES,
    st.sampled_from(Outcome),
    optional(FLOATS),
    TEXTS,
    optional(st.tuples(FLOATS, FLOATS | st.just(math.inf))),
    optional(st.builds(Precision, COUNTS, FLOATS, FLOATS, COUNTS)),
    optional(st.builds(Levels, FLOATS, FLOATS, FLOATS, FLOATS)),
)
FACTS = st.builds(
    RunFacts,
    *(TEXTS, TEXTS, TEXTS, FLOATS),
    profile=optional(TEXTS),
    tags=PAIRS,
    services=PAIRS,
    plan_notes=st.tuples(TEXTS),
    asked_rate=optional(FLOATS),
)
RUNS = st.builds(
    RunResult,
    FACTS,
    FLOATS,
    st.sampled_from(Verdict),
    st.lists(TEXTS, max_size=2).map(tuple),
    st.lists(RESULTS, max_size=3).map(tuple),
    snapshots(),
    windows(),
    st.lists(st.builds(FailureKind, TEXTS, TEXTS, COUNTS, TEXTS), max_size=2).map(tuple),
    breaking_point=optional(
        st.builds(BreakingPoint, st.sampled_from(Breaking), COUNTS, optional(THRESHOLDS), optional(FLOATS))
    ),
    saturation=optional(st.builds(Saturation, FLOATS, optional(FLOATS))),
    workers=st.lists(
        st.builds(WorkerPart, TEXTS, TEXTS, COUNTS, FLOATS, FLOATS, optional(FLOATS), TEXTS), max_size=2
    ).map(tuple),
    series=snapshots(),
    generator_fit=st.booleans(),
    phases=st.lists(st.builds(Phase, TEXTS, FLOATS, FLOATS, TEXTS), max_size=2).map(tuple),
    events=st.lists(st.builds(RunEvent, FLOATS, st.sampled_from(EventKind), TEXTS, TEXTS), max_size=2).map(tuple),
    environment=optional(
        st.builds(
            Environment, TEXTS, COUNTS, optional(COUNTS), TEXTS, TEXTS, PAIRS, optional(TEXTS), dirty=st.booleans()
        )
    ),
)


@given(RUNS)
def test_a_result_is_read_as_it_was_written(run):
    text = json.dumps(result_to_json(run), allow_nan=False)
    read = result_from_json(json.loads(text))
    assert read == run
    assert json.dumps(result_to_json(read)) == text


def test_of_gauges_set_at_the_same_time_the_same_one_counts_when_it_is_read(result):
    keys = [SeriesKey("t_read_gauge", Kind.GAUGE, (("worker", name),)) for name in ("b", "a")]
    states = [GaugeState(GaugeMerge.LAST, value, value, value, 1.0) for value in (7.0, 8.0)]
    run = replace(result, total=Snapshot(dict(zip(keys, states, strict=True))))
    assert run["t_read_gauge"].value == result_from_json(result_to_json(run))["t_read_gauge"].value


def test_a_file_is_read_plain_or_compressed(result, tmp_path):
    path = write_result(result, tmp_path)
    assert read_result(path) == result
    packed = tmp_path / "x.json.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert read_result(packed) == result


def test_a_result_that_was_read_can_be_asked_and_cannot_be_changed(result, tmp_path):
    read = read_result(write_result(result, tmp_path))
    assert read["response_time"].p95 == result["response_time"].p95
    assert (read.iterations, read.failed_checks, read.passed) == (300, 3, False)
    with pytest.raises(TypeError):
        read.total.extend(Snapshot({SeriesKey("fresh", Kind.COUNTER): CounterState(1)}))
    with pytest.raises(TypeError):
        read.facts.tags["team"] = "other"


def test_the_metrics_of_a_file_have_their_unit_and_group_in_this_process(result, tmp_path):
    document = result_to_json(result)
    document["metrics"]["t_read_far"] = {
        "kind": "gauge",
        "unit": "km",
        "group": "trips",
        "merging": "sum",
        "values": {},
    }
    document["metrics"]["response_time"]["kind"] = "counter"  # this process knows better
    result_from_json(document)
    far = definition("t_read_far")
    assert (far.kind, far.unit, far.group, far.merging) == ("gauge", "km", "trips", "sum")
    assert definition("response_time").kind == "trend"


def test_fields_that_a_later_version_added_are_passed_over(result):
    document = result_to_json(result)
    document |= {"scenarios": [], "later": {"a": 1}}
    document["workers"] = [{"name": "gw0", "share": "1 of 1", "iterations": 1, "elapsed_s": 1, "cpu": 1, "later": 2}]
    assert result_from_json(document).workers == (WorkerPart("gw0", "1 of 1", 1, 1.0, 1.0),)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (b"", "is cut off: the JSON in it does not end"),
        (b'{"schema_version": 3, "te', "is not JSON: line 1, column 23: Unterminated string starting at"),
        (b'{"schema_version": 3,', "is cut off: the JSON in it does not end"),
        (b"{]", "is not JSON: line 1, column 2: Expecting property name enclosed in double quotes"),
        (b"\xff", "is not JSON: byte 0 is not UTF-8"),
        (b"[1]", "is not a result of pytest-cdcperf: it has no schema_version"),
        (b'{"verdict": "PASSED"}', "is not a result of pytest-cdcperf: it has no schema_version"),
        (b'{"schema_version": 2}', "has schema version 2; only 3 can be read: run the test again"),
        (b'{"schema_version": 4}', "has schema version 4, newer than 3: read it with a newer pytest-cdcperf"),
        (b'{"schema_version": 3}', "is not a whole result: session_id is missing"),
        (b"[" * 100_000, "is not a result of pytest-cdcperf: it is nested too deeply"),
        (b'{"elapsed_s": NaN}', "is not JSON: NaN is not a number of it"),
        pytest.param(
            b"1" * 5000, "is not a result of pytest-cdcperf: it has a number of thousands of digits", id="a long number"
        ),
        (b'<?xml version="1.0"?><testsuites/>', "is not JSON: line 1, column 1: Expecting value"),
        pytest.param(
            gzip.compress(b'{"schema_version": 3}')[:-9], "is cut off, or not compressed as a whole", id="half a gzip"
        ),
    ],
)
def test_what_is_not_a_result_is_said_in_one_line(tmp_path, text, fault):
    path = tmp_path / "x.json"
    path.write_bytes(text)
    with pytest.raises(ConfigError) as caught:
        read_result(path)
    assert [*caught.value.faults] == [f"{path}: {fault}"]


def test_what_is_no_file_is_said_in_one_line(tmp_path):
    (tmp_path / "latest").symlink_to("20260101-000000-0a1b2c3d")
    os.mkfifo(tmp_path / "pipe")
    for name, fault in {
        "latest": "is a link to 20260101-000000-0a1b2c3d, which is not there",
        "pipe": "is not a file",
        ".": "is a directory",
    }.items():
        with pytest.raises(ConfigError) as caught:
            read_result(tmp_path / name)
        assert [*caught.value.faults] == [f"{tmp_path / name}: {fault}"]


@pytest.mark.parametrize("packed", [False, True])
def test_a_file_larger_than_any_result_is_not_read_to_its_end(tmp_path, monkeypatch, packed):
    monkeypatch.setattr(json_module, "_LARGEST", 2**20)
    content = b" " * (2**20 + 1)
    path = tmp_path / "large.json"
    path.write_bytes(gzip.compress(content) if packed else content)
    with pytest.raises(ConfigError, match=r"large\.json: is not a result of pytest-cdcperf: it has more than 1 MiB"):
        read_result(path)


def test_a_file_that_is_not_there_is_said_in_one_line(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.json: cannot be read: No such file or directory"):
        read_result(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"verdict": "GOOD"}, "verdict: 'GOOD' is not valid; allowed: PASSED, FAILED, INVALID"),
        ({"elapsed_s": "long"}, "elapsed_s: 'long' is not a number"),
        ({"elapsed_s": 1e999}, "elapsed_s: the number is too large"),
        ({"elapsed_s": 10**400}, "elapsed_s: the number is too large"),
        ({"reasons": "x"}, "reasons: 'x' is not an array"),
        ({"total": [{"metric": "x", "kind": "trend", "tags": {}}]}, "total[0].state: None is not an object"),
        ({"workers": [{"name": "gw0"}]}, "workers[0].share is missing"),
        ({"workers": [3]}, "workers[0]: 3 is not an object"),
        ({"tags": {"a": 1}}, "tags.a: 1 is not a text"),
    ],
)
def test_a_field_that_is_not_valid_is_named(result, change, fault):
    with pytest.raises(ConfigError, match=re.escape(f"is not a whole result: {fault}")):
        result_from_json(result_to_json(result) | change)


def test_a_rule_that_is_not_known_is_named(result):
    document = result_to_json(result)
    document["thresholds"][0]["threshold"]["rule"] = "luck"
    fault = "thresholds[0].threshold.rule: 'luck' is not valid; allowed: threshold, recovery, drift"
    with pytest.raises(ConfigError, match=re.escape(fault)):
        result_from_json(document)


def test_a_rule_that_refuses_its_own_values_is_said(result):
    drift = ThresholdResult(Drift(), Outcome.PASSED)
    document = result_to_json(replace(result, thresholds=(drift,)))
    document["thresholds"][0]["threshold"]["per_hour"] = -1
    with pytest.raises(ConfigError, match=r"thresholds\[0\]\.threshold: Drift: per_hour=-1"):
        result_from_json(document)
