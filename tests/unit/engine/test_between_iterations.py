"""A VU between two iterations, on both runtimes."""

from __future__ import annotations

import time

import pytest

from pytest_cdcperf.engine.current_vu import CurrentVU, current_vu
from pytest_cdcperf.load.closed import PerVUIterations
from tests.unit.harness import Subject

VU = CurrentVU()


@pytest.fixture(params=["threads", "tasks"])
def subject(request):
    return Subject(request.param)


def test_failures_in_a_row_are_farther_and_farther_apart(subject):
    begun = []

    def body():
        begun.append(time.monotonic())
        raise ValueError("nobody listens")

    ran = subject.execute(body, PerVUIterations(iterations=4))
    assert begun[2] - begun[1] >= 0.009
    assert begun[3] - begun[2] >= 0.018
    assert ran.figure("failure_pause_s") > 0.06


def test_clients_clean_up_behind_each_iteration_passed_or_failed(subject):
    cleaned = []

    def clean():
        cleaned.append(VU.iteration)

    async def clean_aio():
        cleaned.append(VU.iteration)

    def body():
        vu = current_vu()
        vu.tidying["client"] = clean_aio if vu.is_async else clean
        assert vu.iteration != 1

    ran = subject.execute(body, PerVUIterations(iterations=3))
    assert cleaned == [0, 1, 2]
    assert ran.figure("iteration_failed", "hits") == 1
