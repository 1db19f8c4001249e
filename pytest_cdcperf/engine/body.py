"""The functions that a test's body calls: think, check and group."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from pytest_cdcperf.clock import real_time as time
from pytest_cdcperf.engine.current_vu import current_vu, refuse_blocking
from pytest_cdcperf.engine.vu import VU
from pytest_cdcperf.errors import ConfigError, UnitError, shown
from pytest_cdcperf.metrics import builtin
from pytest_cdcperf.metrics.scope import current_scope, recording
from pytest_cdcperf.units import Duration, duration_s


class _Think:
    """A user's pause: not part of response_time.

    >>> def test_orders(http):
    ...     http.get("/orders")
    ...     think(1, 3)
    ...     http.get("/orders/1")
    """

    def __call__(self, at_least: Duration, at_most: Duration | None = None) -> None:
        """Pause for *at_least*, or for a random time between it and *at_most*: seconds, or text such as "500ms".

        Outside a load run nothing is waited for. In a thread of the body's own it pauses that thread, and stays part
        of response_time.

        :raises ConfigError: for what is not a duration, or more than *at_most*
        """
        refuse_blocking("think()", "think.aio(...)")
        vu = current_vu()
        if vu is None:
            return
        seconds = _draw(vu, at_least, at_most)
        if threading.get_ident() == vu.thread:
            with _thinking(vu):
                vu.pause(seconds)
        else:
            vu.pause(seconds)

    async def aio(self, at_least: Duration, at_most: Duration | None = None) -> None:
        """The same in an async body.

        Inside a task of the body's own (gather) it pauses that task, and stays part of response_time.
        """
        import asyncio  # noqa: PLC0415  # 30 ms, and only async bodies need it

        vu = current_vu()
        if vu is None:
            return
        seconds = _draw(vu, at_least, at_most)
        if asyncio.current_task() is vu.task:
            with _thinking(vu):
                await vu.pause_aio(seconds)
        else:
            await vu.pause_aio(seconds)


@contextmanager
def _thinking(vu: VU) -> Iterator[None]:
    begin = time.perf_counter_ns()
    vu.is_thinking = True
    try:
        yield
    finally:
        vu.add_think_time(time.perf_counter_ns() - begin)
        vu.is_thinking = False


think = _Think()


def _draw(vu: VU, at_least: Duration, at_most: Duration | None) -> float:
    with suppress(UnitError):
        least_s = duration_s(at_least)
        most_s = least_s if at_most is None else duration_s(at_most)
        if least_s <= most_s:
            return least_s if at_most is None else vu.random.uniform(least_s, most_s)
    given = shown(at_least) if at_most is None else f"{shown(at_least)}, {shown(at_most)}"
    raise ConfigError(
        f"think({given}): allowed: seconds of at least 0, or text such as '500ms', alone or with the most, "
        "such as think(1, 3)"
    )


def check(name: str, passed: object) -> bool:
    """Record whether *passed* is true under the check's *name*; return it.

    As in k6 a false check fails no iteration under load: a threshold on ``checks`` does. In once mode it
    fails the test.

    >>> check("the order has lines", len(["a line"]) > 0)
    True

    :raises ConfigError: for a name that is not a text: the two are easily swapped
    """
    if not isinstance(name, str):
        raise ConfigError(f"check({shown(name)}, ...): allowed: first its name, a text, then what is to be true")
    ok = bool(passed)
    scope = current_scope()
    if scope is not None:
        scope.sink(builtin.CHECKS, (("check", str(name)),))(ok)
    return ok


@contextmanager
def group(name: str) -> Iterator[None]:
    """Tag what is measured inside the block with the group's *name*, and time it as group_duration.

    Groups nest: the inner one is called ``outer::inner``.

    >>> with group("checkout"):
    ...     with group("payment"):  # measured with the tag group:checkout::payment
    ...         pass

    :raises ConfigError: for a name that is not a text
    """
    if not isinstance(name, str):
        raise ConfigError(f"group({shown(name)}): allowed: its name, a text")
    outer = current_scope()
    if outer is None:
        yield
        return
    above = dict(outer.tags).get("group")
    scope = outer.child((("group", f"{above}::{name}" if above else name),))
    with recording(scope):
        begin = time.perf_counter_ns()
        try:
            yield
        finally:
            builtin.GROUP_DURATION.add((time.perf_counter_ns() - begin) * 1e-6)
