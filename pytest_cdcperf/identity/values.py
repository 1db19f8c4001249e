"""Comparison of a value in the sink with the value that a test wrote.

The comparison knows both sides' types, and never the column's: so a number equals its text (numeric arrives as text),
a dict or a list equals its JSON (as json and jsonb arrive), and text equals nothing but the same text.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network, ip_interface
from typing import Any
from uuid import UUID

from pytest_cdcperf.identity import literals, spelling

_ADDRESSES = (IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network)


def same(written: Any, shown: Any) -> bool:
    """Whether *shown*, of a document of the sink, is the value that *written* became."""
    value = spelling.unwrapped(written)
    if hasattr(shown, "to_decimal"):  # BSON's Decimal128
        shown = shown.to_decimal()
    if value is None or isinstance(value, bool) or isinstance(shown, bool):
        return type(value) is type(shown) and bool(value == shown)
    if isinstance(value, int | float | Decimal):
        return _same_number(value, shown)
    if isinstance(value, str):
        return bool(value == _text_of(shown))
    if isinstance(value, Mapping | list | tuple):
        return _same_whole(value, shown)
    for kind, compare in _SCALARS:
        if isinstance(value, kind):
            return bool(compare(value, shown))
    if _is_range(value):
        return isinstance(shown, str) and _same_range(value, literals.read_range(shown))
    if type(value).__name__ == "Multirange":
        return isinstance(shown, str) and _same_multirange(value, literals.read_multirange(shown))
    return bool(value == shown) or (isinstance(shown, str) and str(value) == shown)


def _same_number(value: float | Decimal, shown: Any) -> bool:
    number = spelling.number_of(shown) if isinstance(shown, str) else shown
    if not isinstance(number, int | float | Decimal):
        return False
    if _is_nan(value) or _is_nan(number):
        return _is_nan(value) and _is_nan(number)
    if isinstance(value, float) and isinstance(number, float):
        return value == number
    return _decimal(value) == _decimal(number)


def _is_nan(number: float | Decimal) -> bool:
    return number.is_nan() if isinstance(number, Decimal) else math.isnan(number)


def _decimal(number: float | Decimal) -> Decimal:
    # repr: 1.1 is written as 1.1, not as the binary fraction next to it.
    return Decimal(repr(number)) if isinstance(number, float) else Decimal(number)


def _text_of(shown: Any) -> object:
    """Return what is text to PostgreSQL and a type of its own to a sink: UUIDs."""
    return str(_uuid_of(shown)) if isinstance(shown, UUID) or hasattr(shown, "as_uuid") else shown


def _same_whole(value: Mapping[str, Any] | Sequence[Any], shown: Any) -> bool:
    if isinstance(shown, str):
        return _same_text(value, shown)
    if isinstance(value, Mapping):
        return (
            isinstance(shown, Mapping)
            and {str(name) for name in value} == set(shown)
            and all(same(inner, shown[str(name)]) for name, inner in value.items())
        )
    return isinstance(shown, list) and len(value) == len(shown) and all(map(same, value, shown))


def _same_text(value: Mapping[str, Any] | Sequence[Any], shown: str) -> bool:
    if isinstance(value, tuple):
        fields = literals.read_row(shown)
        if fields is not None:
            return len(fields) == len(value) and all(map(_same_field, value, fields))
    try:
        return _same_json(value, json.loads(shown))
    except ValueError:
        return False


def _same_field(value: Any, text: str | None) -> bool:
    """Whether *text* in a row, which PostgreSQL writes as it prints, is *value*."""
    if isinstance(value, bool) and text is not None:
        return text == ("t" if value else "f")
    if isinstance(value, bytes) and text is not None:
        return text == f"\\x{value.hex()}"
    if isinstance(value, datetime) and text is not None:
        return _same_timestamp(value, text if value.tzinfo else f"{text}Z")
    return same(value, text)


def _same_json(value: Any, shown: Any) -> bool:
    """Compare what json.dumps would make of *value*: in JSON 5 is not "5"."""
    value = spelling.unwrapped(value)
    if isinstance(value, Mapping):
        return (
            isinstance(shown, dict)
            and {str(name) for name in value} == set(shown)
            and all(_same_json(inner, shown[str(name)]) for name, inner in value.items())
        )
    if isinstance(value, list | tuple):
        return isinstance(shown, list) and len(value) == len(shown) and all(map(_same_json, value, shown))
    if value is None or isinstance(value, str):
        return bool(value == shown)
    if isinstance(value, int | float):
        return not isinstance(shown, str) and same(value, shown)
    return same(value, shown)


def _same_timestamp(value: datetime, shown: Any) -> bool:
    if isinstance(shown, datetime):  # a BSON date, which has milliseconds
        value = value.replace(microsecond=value.microsecond // 1000 * 1000)
        seen: datetime | None = shown if shown.tzinfo else shown.replace(tzinfo=UTC)
    else:
        seen = _timestamp_of(shown)
    if seen is None or (value.tzinfo is not None and seen.tzinfo is None):
        return False
    if value.tzinfo is not None:
        return seen == value
    return (seen.astimezone(UTC).replace(tzinfo=None) if seen.tzinfo else seen) == value


def _timestamp_of(shown: Any) -> datetime | None:
    if not isinstance(shown, str) or len(shown) < len("2026-01-01T00:00"):
        return None
    try:
        return datetime.fromisoformat(shown)
    except ValueError:
        return None


def _same_date(value: date, shown: Any) -> bool:
    if isinstance(shown, str) and shown.removesuffix("Z") == value.isoformat():
        return True
    return _same_timestamp(datetime.combine(value, time()), shown)  # in a column of timestamps


def _same_time(value: time, shown: Any) -> bool:
    return isinstance(shown, str) and spelling.time_text(value) == spelling.trimmed_time(shown)


def _same_interval(value: timedelta, shown: Any) -> bool:
    return isinstance(shown, str) and spelling.interval_of(shown) == value


def _same_uuid(value: UUID, shown: Any) -> bool:
    return _uuid_of(shown) == value


def _uuid_of(shown: Any) -> UUID | None:
    if hasattr(shown, "as_uuid"):  # BSON's Binary
        try:
            return UUID(bytes=bytes(shown)) if shown.subtype in (3, 4) else None
        except ValueError:
            return None
    if isinstance(shown, UUID):
        return shown
    try:
        return UUID(shown) if isinstance(shown, str) and len(shown) == 36 else None
    except ValueError:
        return None


def _same_bytes(value: bytes | bytearray | memoryview, shown: Any) -> bool:
    if isinstance(shown, bytes):  # BSON's Binary among them
        return bytes(value) == bytes(shown)
    try:
        return isinstance(shown, str) and bytes(value) == base64.b64decode(shown, validate=True)
    except (binascii.Error, ValueError):
        return False


def _same_address(value: Any, shown: Any) -> bool:
    try:
        return isinstance(shown, str) and ip_interface(shown) == ip_interface(str(value))
    except ValueError:
        return False


_SCALARS: tuple[tuple[Any, Any], ...] = (
    (datetime, _same_timestamp),
    (date, _same_date),
    (time, _same_time),
    (timedelta, _same_interval),
    (UUID, _same_uuid),
    (bytes | bytearray | memoryview, _same_bytes),
    (_ADDRESSES, _same_address),
)


def _is_range(value: object) -> bool:
    return hasattr(value, "isempty") and hasattr(value, "bounds")


def _same_range(value: Any, shown: literals.RangeText | None) -> bool:
    if shown is None or not shown.bounds:
        return shown is not None and spelling.range_text(value) == "empty"
    if value.isempty:
        return False
    forms = [(value.lower, value.upper, value.bounds)]
    if spelling.is_discrete(value):  # int4range and daterange; a numrange of whole numbers keeps its bounds
        forms.append(spelling.half_open(*forms[0]))
    return any(_same_ends(*form, shown) for form in forms)


def _same_ends(lower: Any, upper: Any, bounds: str, shown: literals.RangeText) -> bool:
    bounds = ("(" if lower is None else bounds[0]) + (")" if upper is None else bounds[1])
    return (
        bounds == shown.bounds
        and (lower is None) == (shown.lower is None)
        and (upper is None) == (shown.upper is None)
        and (lower is None or _same_field(lower, shown.lower))
        and (upper is None or _same_field(upper, shown.upper))
    )


def _same_multirange(value: Any, shown: Sequence[literals.RangeText] | None) -> bool:
    return shown is not None and len(value) == len(shown) and all(map(_same_range, value, shown))
