"""Thresholds as users write them, in k6's syntax: ``p(95)<2000``, ``rate>0.99``, ``count<100``.

https://grafana.com/docs/k6/latest/using-k6/thresholds/
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace

from pytest_cdcperf.checks import by_key, checked, choice_fault, duration_fault, switch_fault
from pytest_cdcperf.errors import ConfigError, UnitError, shown
from pytest_cdcperf.judging.threshold import AGGREGATES, Threshold, kinds_of
from pytest_cdcperf.metrics.metric import Tags, definition
from pytest_cdcperf.metrics.phases import PHASES
from pytest_cdcperf.units import Duration, duration_s, limit_ms, percentile

_PLAIN = {name for names in AGGREGATES.values() for name in names} - {"p(N)"}
_EXPRESSION = re.compile(r"\s*([a-z]+(?:\([^()]*\))?)\s*(<=|>=|===|==|!=|<|>)\s*(\S+)\s*")
_SELECTOR = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)\s*(?:\{((?:[^{}]|\{\w+\})*)\})?\s*")
_PERCENTILE_KEY = re.compile(r"p(\d{1,2}|100)(?:[._](\d+))?")
_K6_KEYS = {"threshold": "expression", "abortOnFail": "abort_on_fail", "delayAbortEval": "delay"}


@checked
@dataclass(frozen=True)
class Limit:
    """An expression with where and when it is judged.

    >>> parse_thresholds({"response_time": Limit("p(95)<2s", over="30s")})[0].limit
    2000.0

    :param over: a duration: it must hold in every window of that length, so that the worst counts
    :param phase: it is judged in "ramp-up", "hold" or "ramp-down" only
    :param abort_on_fail: whether a failure ends the run, from *delay* on
    """

    expression: str
    over: Duration | None = None
    phase: str | None = None
    abort_on_fail: bool = False
    delay: Duration = 0.0


Limits = str | Limit | Mapping[str, object]


def parse_threshold(selector: str, expression: str) -> Threshold:
    """Return the threshold that *expression* puts on the metric that *selector* names.

    >>> str(parse_threshold("pg_write_duration{table:orders}", "p(99) < 1s"))
    'pg_write_duration{table:orders} p(99)<1000'

    :raises ConfigError: when either cannot be read, or the aggregate is not one of the metric's
    """
    name, tags = _parse_selector(selector)
    parts = _EXPRESSION.fullmatch(expression)
    if parts is None:
        raise ConfigError(
            f"{shown(expression)} is not a valid threshold; "
            "allowed: aggregate, comparison, number, such as 'p(95)<2000'"
        )
    aggregate, compare, number = parts.groups()
    _check_aggregate(name, aggregate)
    return Threshold(name, aggregate, compare, _parse_number(name, aggregate, number), tags)


def bound(selector: str, aggregate: str, operator: str, limit: float) -> Threshold:
    """Return the threshold that keeps an aggregate of the metric that *selector* names on one side of a number.

    :raises ConfigError: when the metric cannot be read, does not have the aggregate, or the number is not finite
    """
    name, tags = _parse_selector(selector)
    _check_aggregate(name, aggregate)
    return Threshold(name, aggregate, operator, _finite(limit), tags)


def percentile_of_key(key: str) -> str | None:
    """Return the aggregate that a key for a percentile names, None where it is not one.

    >>> percentile_of_key("p95"), percentile_of_key("p99_9"), percentile_of_key("avg")
    ('p(95)', 'p(99.9)', None)
    """
    match = _PERCENTILE_KEY.fullmatch(key)
    return None if match is None else f"p({match[1]}.{match[2]})" if match[2] else f"p({match[1]})"


def _parse_selector(selector: str) -> tuple[str, Tags]:
    match = _SELECTOR.fullmatch(selector)
    if match is None:
        raise ConfigError(
            f"{shown(selector)} is not a valid metric; "
            "allowed: a name such as 'pg_write_duration', or 'name{tag:value}'"
        )
    name, tag_text = match.groups()
    return name, _parse_tags(selector, tag_text or "")


def _parse_tags(selector: str, text: str) -> Tags:
    pairs = [part.partition(":") for part in text.split(",") if part.strip()]
    if any(not (name.strip() and colon and value.strip()) for name, colon, value in pairs):
        raise ConfigError(f"{shown(selector)} has a tag without a value; allowed: 'name{{tag:value,tag:value}}'")
    return tuple(sorted((name.strip(), _tag_value(name.strip(), value.strip())) for name, _, value in pairs))


def _tag_value(name: str, value: str) -> str:
    return (value.removeprefix("::") or value) if name == "group" else value  # k6 begins the names of groups so


def _check_aggregate(name: str, aggregate: str) -> None:
    if aggregate.startswith("p("):
        percentile(aggregate)
    elif aggregate not in _PLAIN:
        raise ConfigError(f"{shown(aggregate)} is not a valid aggregate; allowed: p(N), {', '.join(sorted(_PLAIN))}")
    metric = definition(name)
    if metric is not None and metric.kind not in kinds_of(aggregate):
        allowed = ", ".join(AGGREGATES[metric.kind])
        raise ConfigError(
            f"{shown(aggregate)} is not an aggregate of {shown(name)}, which is a {metric.kind}; allowed: {allowed}"
        )


def _parse_number(name: str, aggregate: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        metric = definition(name)
        if aggregate not in {"count", "rate"} and (metric is None or metric.unit == "ms"):
            return limit_ms(text)
        raise _not_a_limit(text) from None
    return _finite(number, text)


def _finite(number: float, text: object = None) -> float:
    if abs(number) <= sys.float_info.max:
        return float(number)
    raise _not_a_limit(number if text is None else text)


def _not_a_limit(value: object) -> UnitError:
    return UnitError(f"{shown(value)} is not a valid limit; allowed: a number, or a duration for a metric of time")


def parse_thresholds(spec: Mapping[str, Limits | Iterable[Limits]]) -> tuple[Threshold, ...]:
    """Return all thresholds of *spec*, a mapping of metrics to one or several limits.

    A limit is an expression, a :class:`Limit`, or a mapping of its fields, by our names or by k6's.

    :raises ConfigError: with every fault in it at once
    """
    faults: list[str] = []
    found: list[Threshold] = []
    for selector, limits in spec.items():
        single = isinstance(limits, str | Limit | Mapping) or not isinstance(limits, Iterable)
        for limit in [limits] if single else list(limits):  # type: ignore[arg-type]
            try:
                found.append(_parse_limit(selector, limit))
            except ConfigError as error:
                faults += error.faults
    if faults:
        raise ConfigError(*faults)
    return tuple(found)


def _parse_limit(selector: object, limit: object) -> Threshold:
    if not isinstance(selector, str):
        raise ConfigError(f"{shown(selector)} is not a valid metric; allowed: text")
    if isinstance(limit, Mapping):
        limit = _limit_from_keys(selector, limit)
    if isinstance(limit, str):
        return parse_threshold(selector, limit)
    if not isinstance(limit, Limit):
        raise ConfigError(
            f"{selector}: {shown(limit)} is not a valid threshold; allowed: 'p(95)<2000', or Limit('p(95)<2000', ...)"
        )
    if not isinstance(limit.expression, str):
        raise ConfigError(f"{selector}: expression={shown(limit.expression)}; allowed: text such as 'p(95)<2000'")
    faults = by_key(
        abort_on_fail=switch_fault(limit.abort_on_fail),
        phase="" if limit.phase is None else choice_fault(limit.phase, PHASES),
        over="" if limit.over is None else duration_fault(limit.over),
        delay=duration_fault(limit.delay),
    )
    if faults:
        raise ConfigError(*(f"{selector}: {fault}" for fault in faults))
    if limit.over is not None and limit.phase is not None:
        raise ConfigError(f"{selector}: over= and phase= do not go together; allowed: one of them")
    return replace(
        parse_threshold(selector, limit.expression),
        over_s=None if limit.over is None else duration_s(limit.over),
        phase=limit.phase,
        abort_on_fail=limit.abort_on_fail,
        delay_s=duration_s(limit.delay),
    )


def _limit_from_keys(selector: str, keys: Mapping[str, object]) -> Limit:
    known = {_K6_KEYS.get(key, key): value for key, value in keys.items()}
    allowed = [f.name for f in fields(Limit)]
    unknown = [key for key in known if key not in allowed]
    if unknown or "expression" not in known:
        names = ", ".join([*_K6_KEYS, *allowed])
        raise ConfigError(f"{selector}: {shown(dict(keys))} is not a valid threshold; allowed keys: {names}")
    return Limit(**known)  # type: ignore[arg-type]  # _parse_limit looks at each
