"""Python warns of a coroutine that nobody awaits; the iteration that dropped it fails."""

from __future__ import annotations

import warnings
from functools import partial

import pytest

from pytest_cdcperf.engine.current_vu import CurrentVU
from pytest_cdcperf.engine.failures import Failures
from pytest_cdcperf.engine.unawaited import failing_unawaited
from pytest_cdcperf.errors import NeverAwaitedError
from pytest_cdcperf.load.closed import PerVUIterations
from tests.unit.harness import Ran, Subject, new_vu

VU = CurrentVU()
LOAD = PerVUIterations(vus=1, iterations=3)


async def nothing() -> None:
    """Do nothing, if awaited."""


def drop() -> None:
    nothing()  # type: ignore[unused-awaitable]


LINE = f"{__file__.rpartition('/')[2]}:{drop.__code__.co_firstlineno + 1}"


def run_on(runtime: str, body) -> Ran:
    with failing_unawaited():
        return Subject(runtime).execute(body, LOAD)


@pytest.fixture(params=["threads", "tasks"])
def run(request):
    return partial(run_on, request.param)


def test_the_iteration_that_drops_a_coroutine_fails_and_no_other(run):
    ran = run(lambda: drop() if VU.iteration == 1 else None)
    (kind,) = ran.outcome.failures
    assert (kind.type, kind.where, kind.count) == ("NeverAwaitedError", LINE, 1)
    assert "coroutine 'nothing' was never awaited, so nothing of it ran;" in kind.sample
    assert kind.sample.endswith(f"(dropped at {LINE})")
    assert ran.figure("iteration_failed", "hits") == 1
    assert ran.figure("iterations") == 3


def hold():
    held = nothing()
    assert held


async def hold_async():
    held = nothing()
    assert held


@pytest.mark.parametrize(("runtime", "body"), [("threads", hold), ("tasks", hold_async)])
def test_one_that_is_held_to_the_end_fails_it_as_well(runtime, body):
    (kind,) = run_on(runtime, body).outcome.failures
    assert (kind.where, kind.count) == ("the end of the body", 3)


def test_what_the_body_raised_comes_first_and_the_next_iteration_is_its_own(run):
    def body():
        if VU.iteration == 0:
            held = nothing()  # freed with the traceback, when the iteration is over
            drop()
            raise KeyError(held)

    (kind,) = run(body).outcome.failures
    assert (kind.type, kind.count) == ("KeyError", 1)


def test_other_warnings_are_as_they_were(run):
    def body():
        warnings.warn("something else", RuntimeWarning, stacklevel=1)

    with pytest.warns(RuntimeWarning, match="something else"):
        assert run(body).outcome.failures == []


def test_outside_an_iteration_it_stays_a_warning():
    with pytest.warns(RuntimeWarning, match="was never awaited"), failing_unawaited():
        drop()


def test_the_lines_of_several_are_kept_apart():
    failures = Failures(str)
    for where in ("a.py:1", "b.py:2", "a.py:1"):
        failures.add(NeverAwaitedError("coroutine 'f' was never awaited", where), new_vu(), 0.0)
    assert [(kind.where, kind.count) for kind in failures.kinds()] == [("a.py:1", 2), ("b.py:2", 1)]
