from __future__ import annotations

from collections import Counter

import pytest

from pytest_cdcperf.judging.delay_cause import cause
from pytest_cdcperf.metrics.delay_evidence import DelayEvidence


def seen(**more):
    return DelayEvidence(**({"span_s": 2.0, "late_s": 0.8, "worst_ms": 240.0, "cpus": 2} | more))


@pytest.mark.parametrize(
    ("evidence", "words"),
    [
        (
            seen(collecting_s=0.41, longest_collection_ms=190.4, cpu_s=1.9),
            "garbage collections, longest 190 ms: call gc.freeze() after the set-up, or keep a smaller heap",
        ),
        (
            seen(
                on_loop=True, thread_late_s=0.1, cpu_s=0.2, blocked=Counter({"t.py:12 in helper": 3, "a.py:1 in x": 1})
            ),
            "the event loop was blocked at t.py:12 in helper: await it, or write def instead of async def",
        ),
        (
            seen(on_loop=True),
            "the event loop was blocked: await it, or write def instead of async def",
        ),
        (
            seen(on_loop=True, others_cpu_s=3.6, cpu_s=0.16),
            "other processes had the CPUs (host 94%, ours 4%): use a quieter host; more workers do not help",
        ),
        (
            seen(on_loop=True, thread_late_s=0.2, others_cpu_s=0.1, cpu_s=1.8),
            "its own code used 0.9 of a CPU, and Python runs on one: use more workers, fewer VUs, or think time",
        ),
        (
            seen(others_cpu_s=3.8, cpu_s=0.16),
            "other processes had the CPUs (host 99%, ours 4%): use a quieter host; more workers do not help",
        ),
        (
            seen(others_cpu_s=2.0, cpu_s=0.42),
            "its own code used 0.21 of a CPU, and Python runs on one: use more workers, fewer VUs, or think time",
        ),
        (
            seen(others_cpu_s=2.4, cpu_s=1.6),
            "its own code used 0.8 of a CPU, and Python runs on one: use more workers, fewer VUs, or think time",
        ),
        (seen(worst_ms=1000.0, cpu_s=0.4), "the process was stopped or its host frozen, for 1 s at the longest"),
        (DelayEvidence(), ""),
    ],
)
def test_the_first_that_explains_it_is_the_cause(evidence, words):
    assert cause(evidence) == words


def test_more_workers_than_cpus_are_the_others():
    evidence = seen(others_cpu_s=3.0, cpu_s=0.8)
    assert cause(evidence, 4) == (
        "4 workers share the 2 CPUs of their host (busy for 95%): use -n 2 at most, or more hosts"
    )
    assert cause(evidence, 2).startswith("other processes had the CPUs")
