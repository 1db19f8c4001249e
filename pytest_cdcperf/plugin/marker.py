"""The marker ``@perf(...)``, which is ``@pytest.mark.perf(...)`` with typed keys."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar, overload

import pytest

from pytest_cdcperf.judging.parser import Limits
from pytest_cdcperf.judging.rules.drift import Drift
from pytest_cdcperf.judging.rules.recovery import Recovery
from pytest_cdcperf.load.base import Load
from pytest_cdcperf.spec import MarkerSpec, parse_marker
from pytest_cdcperf.units import Duration

_Test = TypeVar("_Test", bound=Callable[..., Any])
_Limit = str | float  # milliseconds, or text with a unit


@overload
def perf(test: _Test, /) -> _Test: ...


@overload
def perf(
    *,
    load: Load | Mapping[str, Load] | None = ...,
    vus: int = ...,
    duration: Duration = ...,
    iterations: int = ...,
    graceful_stop: Duration = ...,
    p50: _Limit = ...,
    p75: _Limit = ...,
    p80: _Limit = ...,
    p85: _Limit = ...,
    p90: _Limit = ...,
    p95: _Limit = ...,
    p96: _Limit = ...,
    p97: _Limit = ...,
    p98: _Limit = ...,
    p99: _Limit = ...,
    p99_5: _Limit = ...,
    p99_9: _Limit = ...,
    p99_95: _Limit = ...,
    p99_99: _Limit = ...,
    avg: _Limit = ...,
    med: _Limit = ...,
    max: _Limit = ...,
    thresholds: Mapping[str, Limits | Iterable[Limits]] = ...,
    error_rate: float = ...,
    recovery: bool | Recovery | list[Recovery] = ...,
    drift: bool | Drift | list[Drift] = ...,
    drain: Duration = ...,
    tags: Mapping[str, str] = ...,
    gate: bool = ...,
) -> pytest.MarkDecorator: ...


def perf(*tests: Any, **keys: Any) -> Any:
    """Mark a test as a perf test: its body is one iteration of the load.

    >>> @perf(vus=10, duration="5m", p95=2000, error_rate=0.01)
    ... def test_order(pg): ...

    :param load: the executor, or several by scenario name; without it the profile's, changed by *vus*, *duration*,
        *iterations* and *graceful_stop*
    :param duration: seconds, or text with a unit; so are *graceful_stop* and *drain*
    :param p95: the limit of this percentile of response_time, in milliseconds or as text: ``p95="2s"``,
        ``p99_9=5000``; so are *avg*, *med* and *max*
    :param thresholds: k6's thresholds by metric: ``{"pg_write_duration": "p(95)<100"}``, or a ``Limit``; also of
        percentiles that have no key: ``{"response_time": "p(42)<100"}``
    :param error_rate: the tolerated share of failed iterations, 0 to 1
    :param recovery: the latency must come back after a spike: True, or a ``Recovery`` or several
    :param drift: a latency or the memory must not creep up: True, or a ``Drift`` or several
    :param drain: how long after the load late arrivals are looked for, such as "30s": every write that ``cdc.expect``
        did not see in time must be in the sink by then. The rows that the body wrote have to stay until then
    :param tags: carried by every sample
    :param gate: the test runs before any load of the session; where it fails, no load starts

    A wrong key is refused when the test is collected.
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
