from __future__ import annotations

import pytest

from pytest_cdcperf.judging.parser import Limit, parse_thresholds
from pytest_cdcperf.judging.rules.drift import Drift
from pytest_cdcperf.judging.threshold import Outcome, ThresholdResult
from pytest_cdcperf.judging.words import limit_in_words, observed, reason
from pytest_cdcperf.metrics.metric import Counter, Gauge, Rate, Trend

TIME = Trend("t_words_time", unit="ms").name
PLAIN = Trend("t_words_plain").name
ROWS = Counter("t_words_rows").name
SENT = Counter("t_words_sent", unit="bytes").name
SHARE = Rate("t_words_share").name
MEMORY = Gauge("t_words_memory", unit="MB").name


def crossed(metric, limit, seen, outcome=Outcome.FAILED, note=""):
    return ThresholdResult(parse_thresholds({metric: limit})[0], outcome, seen, note)


@pytest.mark.parametrize(
    ("metric", "limit", "seen", "words"),
    [
        (TIME, "p(95)<2000", 2412.3, f"p(95) of {TIME} 2,412 ms, limit 2,000 ms (p(95)<2000)"),
        (TIME, "p(95)<2s", 2000.04, f"p(95) of {TIME} 2,000.04 ms, limit 2,000 ms (p(95)<2000)"),
        (TIME, "max<1", 1e300, f"max of {TIME} 1e+300 ms, limit 1 ms (max<1)"),
        (TIME, "count>=5000", 1234.0, f"count of {TIME} 1,234, limit 5,000 (count>=5000)"),
        (f"{TIME}{{table:a}}", "avg<5", 7.25, f"avg of {TIME}{{table:a}} 7.25 ms, limit 5 ms (avg<5)"),
        (TIME, Limit("p(99)<5", phase="hold"), 7.0, f"p(99) of {TIME} in hold 7 ms, limit 5 ms (p(99)<5)"),
        (TIME, Limit("p(99)<5", over="30s"), 7.0, f"p(99) of {TIME} over 30s 7 ms, limit 5 ms (p(99)<5)"),
        (PLAIN, "med<5", 7.0, f"med of {PLAIN} 7, limit 5 (med<5)"),
        (ROWS, "count<20000", 20000.0, f"count of {ROWS} 20,000, limit 20,000 (count<20000)"),
        (ROWS, "rate>100", 98.76, f"rate of {ROWS} 98.76/s, limit 100/s (rate>100)"),
        (SENT, "rate<1000", 1234.5, f"rate of {SENT} 1,234 bytes/s, limit 1,000 bytes/s (rate<1000)"),
        (SHARE, "rate>0.99", 0.9735, f"rate of {SHARE} 97.35%, limit 99% (rate>0.99)"),
        (SHARE, "rate>0.99", 0.989996, f"rate of {SHARE} 98.9996%, limit 99% (rate>0.99)"),
        (MEMORY, "value<800", 812.3, f"value of {MEMORY} 812.3 MB, limit 800 MB (value<800)"),
        ("nobody_knows", "p(95)<5", 7.0, "p(95) of nobody_knows 7, limit 5 (p(95)<5)"),
    ],
)
def test_a_reason_has_the_figure_and_the_limit_with_their_unit(metric, limit, seen, words):
    assert reason(crossed(metric, limit, seen)) == words


def test_a_reason_says_what_else_there_is_to_know():
    words = f"p(95) of {TIME} 7 ms, limit 5 ms (p(95)<5)"
    assert reason(crossed(TIME, "p(95)<5", 7.0, note="why")) == f"{words}: why"
    assert reason(crossed(TIME, "p(95)<5", 7.0, Outcome.UNFIT, "why")) == f"{words}: why"
    assert reason(crossed(TIME, "p(95)<5", 7.0, Outcome.TOO_FEW, "few")) == f"{words}: few; run longer"


def test_what_was_not_observed_has_a_limit_all_the_same():
    absent = crossed(TIME, "p(95)<5", None, Outcome.NO_SAMPLES, "it has others")
    assert reason(absent) == f"p(95) of {TIME}: no samples, limit 5 ms (p(95)<5): it has others"
    assert reason(crossed(TIME, "p(95)<5", None, note="x")) == f"p(95) of {TIME}: limit 5 ms (p(95)<5): x"
    assert observed(absent) == ""


def test_a_rule_about_the_whole_run_has_words_of_its_own():
    rule = "response_time rises at most 10% an hour"
    failed = ThresholdResult(Drift(), Outcome.FAILED, 0.2, "12 ms in the first 5m", (0.1, 0.3))
    assert reason(failed) == f"{rule}: +20.0% an hour [+10.0% to +30.0%] (12 ms in the first 5m)"
    assert reason(ThresholdResult(Drift(), Outcome.NOT_JUDGED, note="needs 30m")) == f"not judged: {rule} (needs 30m)"
    assert reason(ThresholdResult(Drift(), Outcome.NO_SAMPLES, note="x")) == f"{rule}: no samples (x)"


def test_a_limit_is_named_with_its_unit():
    (limit,) = parse_thresholds({TIME: Limit("p(95)<5000", phase="ramp-up")})
    assert limit_in_words(limit) == f"the limit of 5,000 ms on p(95) of {TIME} in ramp-up"
