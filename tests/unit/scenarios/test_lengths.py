"""The benchmark of the scenarios' lengths reads a result."""

from __future__ import annotations

from benchmarks.scenarios import rows


def judged(expression, samples, effective):
    return {"metric": "m", "expression": expression, "samples": samples, "effective_samples": effective}


def test_samples_are_scaled_to_the_full_length_and_their_dependence_is_not():
    thresholds = [judged("p(95)<5 in hold", 1000, 50.0), judged("med<5", 30, 30.0), judged("max<5", None, None)]
    first, second = rows("soak", 600.0, {"planned_s": 60.0, "thresholds": thresholds})
    assert first == ("soak", "hold", "m p(95)<5", 10_000, 20.0, 59)
    assert (first.effective, first.carries) == (500, True)
    assert second == ("soak", "all", "m med<5", 300, 1.0, 5)


def test_too_few_samples_do_not_carry_a_percentile():
    (row,) = rows("baseline", 60.0, {"planned_s": 60.0, "thresholds": [judged("p(99)<5", 2980, 298.0)]})
    assert not row.carries
    (empty,) = rows("baseline", 60.0, {"planned_s": 60.0, "thresholds": [judged("p(99)<5", 0, 0.0)]})
    assert not empty.carries
