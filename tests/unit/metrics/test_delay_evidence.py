from __future__ import annotations

from collections import Counter

import pytest

from pytest_cdcperf.metrics.delay_evidence import DelayEvidence


def seen(**more):
    return DelayEvidence(**({"span_s": 2.0, "late_s": 0.8, "worst_ms": 240.0, "cpus": 2} | more))


def test_evidence_of_several_windows_adds_up_and_keeps_the_worst():
    total = DelayEvidence()
    total.add(seen(worst_from_s=3.0, worst_to_s=4.0, collecting_s=0.1, longest_collection_ms=50.0, on_loop=True))
    total.add(seen(worst_ms=90.0, worst_from_s=4.0, worst_to_s=5.0, blocked=Counter(x=1)))
    total.add(seen(worst_ms=10.0, cpu_s=0.5, others_cpu_s=0.25, blocked=Counter(x=2)))
    assert total == DelayEvidence(
        span_s=6.0,
        late_s=pytest.approx(2.4),
        worst_ms=240.0,
        worst_from_s=3.0,
        worst_to_s=4.0,
        collecting_s=0.1,
        longest_collection_ms=50.0,
        cpu_s=0.5,
        others_cpu_s=0.25,
        cpus=2,
        on_loop=True,
        blocked=Counter(x=3),
    )


def test_the_lines_that_are_kept_are_few():
    total = DelayEvidence()
    for number in range(100):
        total.add(DelayEvidence(blocked=Counter({f"line {number}": 1, "often": 1})))
    assert len(total.blocked) == 20
    assert total.blocked["often"] == 100
