from __future__ import annotations

import pytest

from pytest_cdcperf.load.closed import ConstantVUs
from pytest_cdcperf.plugin.settings import asked_by_expression

LOAD = ConstantVUs(duration="1s")
PROFILES = {"baseline": LOAD, "soak": LOAD, "e2e_latency": LOAD}


@pytest.mark.parametrize(
    ("expression", "asked"),
    [
        ("", set()),
        ("unit", set()),
        ("baseline", {"baseline"}),
        ("not baseline", set()),
        ("not not baseline", {"baseline"}),
        ("baseline or soak", {"baseline", "soak"}),
        ("baseline and not soak", {"baseline"}),
        ("baseline and soak", {"baseline", "soak"}),
        ("baseline and slow", {"baseline"}),
        ("not (baseline or soak)", set()),
        ("not (baseline and not soak)", {"soak"}),
        ("baseline or not baseline", set()),
        ("baseline and not baseline", set()),
        ("e2e_latency", {"e2e_latency"}),
        ("e2e-latency", {"e2e_latency"}),
        ("baselines", set()),
        ("slow(profile='baseline')", set()),
        ("baseline and", set()),
        ("(baseline", set()),
    ],
)
def test_a_profile_is_asked_for_by_naming_it_positively(expression, asked):
    assert asked_by_expression(expression, PROFILES) == asked
