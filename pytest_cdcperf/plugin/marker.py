"""The marker: ``@perf(...)`` and ``@pytest.mark.perf(...)`` are the same thing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar, overload

import pytest

from pytest_cdcperf.judging.rules.drift import Drift
from pytest_cdcperf.judging.rules.recovery import Recovery
from pytest_cdcperf.judging.threshold import Limits
from pytest_cdcperf.load.base import Load
from pytest_cdcperf.spec import MarkerSpec, parse_marker

_Test = TypeVar("_Test", bound=Callable[..., Any])


@overload
def perf(test: _Test, /) -> _Test: ...


@overload
def perf(
    *,
    load: Load | Mapping[str, Load] | None = ...,
    vus: int = ...,
    duration: str = ...,
    iterations: int = ...,
    graceful_stop: str = ...,
    thresholds: Mapping[str, Limits | Iterable[Limits]] = ...,
    error_rate: float = ...,
    recovery: bool | Recovery | list[Recovery] = ...,
    drift: bool | Drift | list[Drift] = ...,
    drain: str = ...,
    tags: Mapping[str, str] = ...,
    gate: bool = ...,
    **limits: str | float,
) -> pytest.MarkDecorator: ...


def perf(*tests: Any, **keys: Any) -> Any:
    """Mark a test as a perf test.

    :param load: the executor and its figures, or several by scenario name; without it the profile's, changed
        by *vus*, *duration*, *iterations* and *graceful_stop*
    :param thresholds: k6's thresholds by metric: ``{"pg_write_duration": "p(95)<100"}``, or a ``Limit``
    :param error_rate: the tolerated share of failed iterations, 0 to 1
    :param recovery: the latency comes back after a spike: True, or a ``Recovery`` or several
    :param drift: a latency or a memory does not creep up: True, or a ``Drift`` or several
    :param drain: how long after the load late arrivals are looked for, such as "30s": every write that
        ``cdc.expect`` did not see in time must be in the sink by then. What the body wrote has to stay until then
    :param tags: carried by every sample
    :param gate: the test runs before any load of the session; where it fails, no load starts
    :param limits: upper bounds of response_time: ``p95="2s"``, ``p99_9=5000`` (milliseconds), ``avg``,
        ``med``, ``max``

    A key that is wrong is refused when the test is collected.
    """
    mark = pytest.mark.perf(**keys)
    if len(tests) == 1 and callable(tests[0]):
        return mark(tests[0])
    return mark.with_args(*tests) if tests else mark


def marker_spec(item: pytest.Function) -> MarkerSpec | None:
    """Return what the ``perf`` marks of *item* say, the closest one last, or None without any.

    :raises ConfigError: with every fault at once
    """
    marks = list(item.iter_markers("perf"))
    if not marks:
        return None
    keys: dict[str, object] = {}
    for mark in reversed(marks):
        keys |= mark.kwargs
        if mark.args:
            keys["positional"] = mark.args
    return parse_marker(keys)
