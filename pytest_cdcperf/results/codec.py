"""Frozen values to what JSON can hold, and back by their types.

A dataclass is an object with its fields, an enumeration its value, counts by bucket are runs of neighbouring buckets.
What is not a finite number is null, and reads as the field's default where that is not a finite number either.
"""

from __future__ import annotations

import math
import types
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

from pytest_cdcperf.errors import ConfigError
from pytest_cdcperf.judging.rules.drift import Drift
from pytest_cdcperf.judging.rules.recovery import Recovery
from pytest_cdcperf.judging.threshold import Rule, Threshold
from pytest_cdcperf.metrics.histogram import Histogram, PackedCounts
from pytest_cdcperf.metrics.metric import GaugeMerge, Kind, Tags
from pytest_cdcperf.metrics.snapshot import BY_TIME, CounterState, GaugeState, RateState, SeriesKey, Snapshot, State
from pytest_cdcperf.printable import printable, short_name

_LARGEST_WHOLE = 1e15
_RULES = {"threshold": Threshold, "recovery": Recovery, "drift": Drift}
_STATES: Mapping[Kind, type[State]] = {
    Kind.TREND: Histogram,
    Kind.COUNTER: CounterState,
    Kind.RATE: RateState,
    Kind.GAUGE: GaugeState,
}


class DecodeError(ValueError):
    """The value that was read is not one of its type: a line that names the place in the document."""


def encode(value: Any) -> Any:
    """Return *value* as what JSON can hold; text is harmless, as in every other output."""
    match value:
        case None | bool() | int():
            return value
        case Enum():
            return value.value
        case str():
            return printable(value)
        case float():
            return _number(value)
        case Snapshot():
            return [encode_series(key, state) for key, state in value.series.items()]
        case PackedCounts() | Counter():
            return encode(PackedCounts.of(value).buckets)
        case Mapping():
            return {short_name(str(name)): encode(part) for name, part in value.items()}
        case list() | tuple() if not hasattr(value, "_fields"):
            return [encode(part) for part in value]
        case _:
            return _encode_fields(value)


def encode_series(key: SeriesKey, state: State) -> dict[str, Any]:
    """Return one series of a snapshot."""
    phase = {} if key.phase == BY_TIME else {"phase": key.phase}
    return {
        "metric": short_name(key.name),
        "kind": key.kind.value,
        "tags": encode(dict(key.tags)),
        **phase,
        "state": encode(state),
    }


def _encode_fields(value: Any) -> dict[str, Any]:
    document = {}
    if isinstance(value, tuple(_RULES.values())):
        document["rule"] = next(name for name, kind in _RULES.items() if isinstance(value, kind))
    kind: Any = type(value)
    for name, hint, spec in _fields(kind):
        part = getattr(value, name)
        if spec is not None and spec.metadata.get("sparse") and part == spec.default:
            continue
        document[name] = encode(dict(part) if hint == Tags else part)
    return document


def _number(value: float) -> float | int | None:
    if not math.isfinite(value):
        return None
    whole = int(value)
    return whole if whole == value and abs(whole) < _LARGEST_WHOLE and (whole or math.copysign(1, value) > 0) else value


@cache
def _fields(kind: Any) -> list[tuple[str, Any, Field[Any] | None]]:
    """Return name, type and definition of each field of a dataclass or a named tuple."""
    hints = get_type_hints(kind)
    if is_dataclass(kind):
        return [(field.name, hints[field.name], field) for field in fields(kind) if field.init]
    return [(name, hints[name], None) for name in kind._fields]


def decode(kind: Any, plain: Any, where: str = "") -> Any:
    """Return the value of type *kind* that :func:`encode` wrote.

    :raises DecodeError: where *plain* is not one
    """
    special = _SPECIAL.get(kind)
    if special is not None:
        return special(plain, where)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in {Union, types.UnionType}:
        return _decode_union(arguments, plain, where)
    if origin is tuple:
        return _decode_tuple(arguments, _expect(list, plain, where), where)
    if origin is not None and issubclass(origin, Mapping):
        return {
            name: decode(arguments[1], part, f"{where}.{name}") for name, part in _expect(dict, plain, where).items()
        }
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _decode_enum(kind, plain, where)
    return _decode_fields(kind, plain, where)


def _decode_union(kinds: tuple[Any, ...], plain: Any, where: str) -> Any:
    if plain is None and type(None) in kinds:
        return None
    *others, last = (kind for kind in kinds if kind is not type(None))
    for kind in others:
        with suppress(DecodeError):
            return decode(kind, plain, where)
    return decode(last, plain, where)


def _decode_tuple(kinds: tuple[Any, ...], parts: list[Any], where: str) -> tuple[Any, ...]:
    if kinds[-1] is Ellipsis:
        return tuple([decode(kinds[0], part, f"{where}[{number}]") for number, part in enumerate(parts)])
    if len(parts) != len(kinds):
        raise DecodeError(f"{where}: {len(parts)} values; allowed: {len(kinds)}")
    return tuple(
        decode(kind, part, f"{where}[{number}]") for number, (kind, part) in enumerate(zip(kinds, parts, strict=True))
    )


def _decode_enum(kind: type[Enum], plain: Any, where: str) -> Enum:
    try:
        return kind(plain)
    except ValueError:
        allowed = ", ".join(str(member.value) for member in kind)
        raise DecodeError(f"{where}: {plain!r:.60} is not valid; allowed: {allowed}") from None


def _decode_fields(kind: Any, plain: Any, where: str) -> Any:
    document = _expect(dict, plain, where)
    values = {}
    for name, hint, spec in _fields(kind):
        at = f"{where}.{name}" if where else name
        default = MISSING if spec is None else spec.default
        if name in document:
            null_default = document[name] is None and isinstance(default, float) and not math.isfinite(default)
            values[name] = default if null_default else decode(hint, document[name], at)
        elif spec is None or (default is MISSING and spec.default_factory is MISSING):
            raise DecodeError(f"{at} is missing")
    try:
        return kind(**values)
    except ConfigError as error:  # of a value that checks itself
        raise DecodeError(f"{where}: {error.faults[0]}") from None


def _decode_snapshot(plain: Any, where: str) -> Snapshot:
    series = {}
    for number, entry in enumerate(_expect(list, plain, where)):
        at = f"{where}[{number}]"
        document = _expect(dict, entry, at)
        key = decode(SeriesKey, {**document, "name": document.get("metric")}, at)
        series[key] = decode(_STATES[key.kind], document.get("state"), f"{at}.state")
    return Snapshot(series)


def _decode_rule(plain: Any, where: str) -> Rule:
    document = _expect(dict, plain, where)
    kind = _RULES.get(document.get("rule", ""))
    if kind is None:
        raise DecodeError(f"{where}.rule: {document.get('rule')!r:.60} is not valid; allowed: {', '.join(_RULES)}")
    rule: Rule = _decode_fields(kind, document, where)
    return rule


def _decode_tags(plain: Any, where: str) -> Tags:
    return tuple(decode(Mapping[str, str], plain, where).items())


def _decode_counts(plain: Any, where: str) -> PackedCounts:
    return PackedCounts.of_buckets(decode(tuple[tuple[int, ...], ...], plain, where))


def _decode_interval(plain: Any, where: str) -> tuple[float, float]:
    low, high = decode(tuple[float | None, float | None], plain, where)
    return -math.inf if low is None else low, math.inf if high is None else high


def _decode_float(plain: Any, where: str) -> float:
    if plain is None:
        return math.nan
    try:
        value = float(_expect(int | float, plain, where))
    except OverflowError:
        value = math.inf
    if not math.isfinite(value):
        raise DecodeError(f"{where}: the number is too large")
    return value


def _expect(kind: Any, plain: Any, where: str) -> Any:
    if not isinstance(plain, kind) or (isinstance(plain, bool) and kind is not bool):
        raise DecodeError(f"{where or 'it'}: {plain!r:.60} is not {_CALLED.get(kind, 'a number')}")
    return plain


def _of(kind: Any) -> Callable[[Any, str], Any]:
    return lambda plain, where: _expect(kind, plain, where)


_CALLED = {dict: "an object", list: "an array", str: "a text", bool: "true or false", int: "a whole number"}
_SPECIAL: Mapping[Any, Callable[[Any, str], Any]] = {
    str: _of(str),
    bool: _of(bool),
    int: _of(int),
    float: _decode_float,
    Tags: _decode_tags,
    Rule: _decode_rule,
    Snapshot: _decode_snapshot,
    Counter[int]: _decode_counts,
    tuple[float, float]: _decode_interval,
    GaugeMerge: lambda plain, where: _decode_enum(GaugeMerge, plain, where),
}
