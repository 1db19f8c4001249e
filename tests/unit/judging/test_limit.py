"""Limits with where and when they are judged, in our form and in k6's."""

from __future__ import annotations

import pytest

from pytest_cdcperf.errors import ConfigError
from pytest_cdcperf.judging.parser import Limit, parse_thresholds
from pytest_cdcperf.judging.threshold import Threshold, merge_thresholds

PLAIN = Threshold("x", "p(95)", "<", 5)
DURATION = "is not a valid duration; allowed: a number with a unit, such as '500ms', '30s', '5m' or '1h30m'"
SECONDS = DURATION.replace("allowed: ", "allowed: seconds of at least 0, or ")
KEYS = "allowed keys: threshold, abortOnFail, delayAbortEval, expression, over, phase, abort_on_fail, delay"


def faults_of(spec):
    with pytest.raises(ConfigError) as refused:
        parse_thresholds(spec)
    return list(refused.value.faults)


@pytest.mark.parametrize(
    ("limit", "wanted"),
    [
        ("p(95)<5", PLAIN),
        (Limit("p(95)<5"), PLAIN),
        ({"expression": "p(95)<5"}, PLAIN),
        ({"threshold": "p(95)<5"}, PLAIN),
        ({"threshold": "p(95)<5", "abortOnFail": False}, PLAIN),
        (
            {"threshold": "p(95)<5", "abortOnFail": True, "delayAbortEval": "10s"},
            Threshold("x", "p(95)", "<", 5, abort_on_fail=True, delay_s=10),
        ),
        (
            {"expression": "p(95)<5", "abort_on_fail": True, "delay": "1m", "phase": "hold"},
            Threshold("x", "p(95)", "<", 5, phase="hold", abort_on_fail=True, delay_s=60),
        ),
        (Limit("p(95)<5", over="30s"), Threshold("x", "p(95)", "<", 5, over_s=30)),
        (Limit("p(95)<5", over=30, delay=0.5), Threshold("x", "p(95)", "<", 5, over_s=30, delay_s=0.5)),
        (Limit("p(95)<5", phase="ramp-up"), Threshold("x", "p(95)", "<", 5, phase="ramp-up")),
        (
            Limit("p(95)<5", over="1m", abort_on_fail=True, delay="5s"),
            Threshold("x", "p(95)", "<", 5, over_s=60, abort_on_fail=True, delay_s=5),
        ),
    ],
)
def test_a_limit_in_every_form(limit, wanted):
    assert parse_thresholds({"x": limit}) == parse_thresholds({"x": [limit]}) == (wanted,)


def test_several_limits_of_one_metric_may_have_several_forms():
    found = parse_thresholds({"x": ["avg<1", Limit("p(95)<5", over="30s"), {"threshold": "max<9"}]})
    assert [str(threshold) for threshold in found] == ["x avg<1", "x p(95)<5 over 30s", "x max<9"]


@pytest.mark.parametrize(
    ("limit", "fault"),
    [
        (Limit("p(95)<5", phase="middle"), "x: phase='middle'; allowed: ramp-up, hold, ramp-down"),
        (Limit("p(95)<5", over="5s", phase="hold"), "x: over= and phase= do not go together; allowed: one of them"),
        (Limit("p(95)<5", over="soon"), f"x: over='soon' {DURATION}"),
        (Limit("p(95)<5", delay=True), f"x: delay=True {SECONDS}"),
        ({"threshold": "p(95)<5", "delayAbortEval": "x"}, f"x: delay='x' {DURATION}"),
        ({"treshold": "p(95)<5"}, f"x: {{'treshold': 'p(95)<5'}} is not a valid threshold; {KEYS}"),
        (
            {"threshold": "p(95)<5", "abort": True},
            f"x: {{'threshold': 'p(95)<5', 'abort': True}} is not a valid threshold; {KEYS}",
        ),
        ({}, f"x: {{}} is not a valid threshold; {KEYS}"),
        (Limit("mean<5"), "'mean' is not a valid aggregate; allowed: p(N), avg, count, max, med, min, rate, value"),
        (5, "x: 5 is not a valid threshold; allowed: 'p(95)<2000', or Limit('p(95)<2000', ...)"),
        (None, "x: None is not a valid threshold; allowed: 'p(95)<2000', or Limit('p(95)<2000', ...)"),
    ],
)
def test_an_invalid_limit_is_refused(limit, fault):
    assert faults_of({"x": limit}) == [fault]


def test_the_faults_of_all_limits_are_said_at_once():
    spec = {"x": [Limit("p(95)<5", phase="p"), 7, "max<1", {"a": 1}], 5: "max<1", "y": Limit("p(0)<1")}
    assert [fault.split(" ")[0] for fault in faults_of(spec)] == ["x:", "x:", "x:", "5", "'p(0)'"]


@pytest.mark.parametrize("limit", [Limit(5), {"threshold": 5}, {"expression": None}])
def test_an_expression_that_is_no_text_is_refused(limit):
    assert faults_of({"x": limit})


def test_abort_on_fail_is_true_or_false():
    assert faults_of({"x": Limit("p(95)<5", abort_on_fail="false")})


def test_limits_of_another_scope_do_not_replace_each_other():
    merged = merge_thresholds(
        parse_thresholds({"x": ["p(95)<1", Limit("p(95)<2", over="5s"), Limit("p(95)<3", phase="hold")]}),
        parse_thresholds({"x": [Limit("p(95)<20", over="5s")]}),
    )
    assert [str(threshold) for threshold in merged] == ["x p(95)<1", "x p(95)<20 over 5s", "x p(95)<3 in hold"]
