"""Values as Debezium spells them in JSON, with times as ISO strings and decimals as strings.

The functions are pure and know no driver: what a driver wraps around a value is taken off by :func:`unwrapped`.
"""

from __future__ import annotations

import base64
import re
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from ipaddress import IPv4Interface, IPv6Interface
from numbers import Integral
from typing import Any

_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_NOT_FINITE = {"nan": "NaN", "infinity": "Infinity", "-infinity": "-Infinity", "inf": "Infinity", "-inf": "-Infinity"}
_INTERVAL = re.compile(
    r"P(?P<years>-?\d+)Y(?P<months>-?\d+)M(?P<days>-?\d+)DT(?P<hours>-?\d+)H(?P<minutes>-?\d+)M(?P<seconds>-?\d+(\.\d+)?)S"
)


def unwrapped(value: Any) -> Any:
    """Return what a database is sent for *value*: the object in psycopg's Json and Jsonb, an enum's name or value.

    An enum that is a str or an int as well stands for its value, any other one for its name, as psycopg has it.
    """
    if isinstance(value, Enum):
        return unwrapped(value.value) if isinstance(value, str | int) else value.name
    if type(value).__module__ == "numpy" and hasattr(value, "item"):
        return value.item()
    if type(value).__name__ in {"Json", "Jsonb"} and type(value).__module__.startswith("psycopg"):
        return value.obj
    if isinstance(value, Integral) and not isinstance(value, bool):
        return int(value)
    return value


def number_text(value: float | Decimal) -> str:
    """Return the one text for a number: ``1``, ``1.0`` and ``1.00`` are the same one, as PostgreSQL compares them."""
    number = value if isinstance(value, Decimal) else Decimal(repr(value))
    if not number.is_finite():
        return "NaN" if number.is_nan() else "Infinity" if number > 0 else "-Infinity"
    text = f"{number:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in {"-0", ""} else text


def number_of(text: str) -> Decimal | None:
    """Return the number that *text* is, as PostgreSQL writes numbers; None where it is not one."""
    if _NUMBER.fullmatch(text):
        return Decimal(text)
    return Decimal(_NOT_FINITE[text.lower()]) if text.lower() in _NOT_FINITE else None


def timestamp_text(value: datetime) -> str:
    """Return a timestamp: in UTC with six digits where *value* is aware, else with no more digits than it needs."""
    if value.tzinfo is not None:
        return f"{value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='microseconds')}Z"
    return f"{without_zeros(value.isoformat())}Z"


def date_text(value: date) -> str:
    """Return a date."""
    return f"{value.isoformat()}Z"


def time_text(value: time) -> str:
    """Return a time of day, in UTC where *value* is aware."""
    offset = value.utcoffset()
    if offset is not None:
        value = (datetime.combine(date(2000, 1, 2), value.replace(tzinfo=None)) - offset).time()
    return f"{without_zeros(value.isoformat())}Z"


def trimmed_time(text: str) -> str:
    """Return the time of day *text* with no more digits than it needs."""
    return f"{without_zeros(text.removesuffix('Z'))}Z"


def interval_text(value: timedelta) -> str:
    """Return an interval, whose days are not made hours."""
    minutes, seconds = divmod(value.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    fraction = without_zeros(f"{seconds}.{value.microseconds:06}")
    return f"P0Y0M{value.days}DT{hours}H{minutes}M{fraction}S"


def interval_of(text: str) -> timedelta | None:
    """Return the interval that *text* is; None where it is not one, or has months, which have no fixed length."""
    match = _INTERVAL.fullmatch(text)
    if match is None or int(match["years"]) or int(match["months"]):
        return None
    seconds, _, fraction = match["seconds"].partition(".")
    micros = int(fraction.ljust(6, "0")[:6] or "0") * (-1 if seconds.startswith("-") else 1)
    return timedelta(
        days=int(match["days"]),
        hours=int(match["hours"]),
        minutes=int(match["minutes"]),
        seconds=int(seconds),
        microseconds=micros,
    )


def bytes_text(value: bytes | bytearray | memoryview) -> str:
    """Return bytes as base64."""
    return base64.b64encode(bytes(value)).decode()


def address_text(value: object) -> str:
    """Return an IP address or network as PostgreSQL writes it: a single host of type inet has no prefix."""
    if isinstance(value, IPv4Interface | IPv6Interface) and value.network.prefixlen == value.max_prefixlen:
        return str(value.ip)
    return str(value)


def without_zeros(text: str) -> str:
    """Return a number or a time without the zeros that end its fraction."""
    return text.rstrip("0").rstrip(".") if "." in text else text


def range_text(value: Any) -> str:
    """Return psycopg's Range *value* as PostgreSQL writes it; whole numbers and days without their upper end."""
    if value.isempty:
        return "empty"
    lower, upper, bounds = value.lower, value.upper, value.bounds
    if is_discrete(value):
        lower, upper, bounds = half_open(lower, upper, bounds)
    if lower is not None and lower == upper and bounds != "[]":
        return "empty"
    bounds = ("(" if lower is None else bounds[0]) + (")" if upper is None else bounds[1])
    return f"{bounds[0]}{_end_text(lower)},{_end_text(upper)}{bounds[1]}"


def is_discrete(value: Any) -> bool:
    """Whether the ends of psycopg's Range *value* are whole numbers or days."""
    ends = (value.lower, value.upper)
    return all(end is None or (isinstance(end, int | date) and not isinstance(end, datetime)) for end in ends)


def half_open(lower: Any, upper: Any, bounds: str) -> tuple[Any, Any, str]:
    """Return a range of whole numbers or days as PostgreSQL keeps it: with its lower and without its upper end."""
    one: Any = timedelta(days=1) if isinstance(lower, date) or isinstance(upper, date) else 1
    if lower is not None and bounds[0] == "(":
        lower, bounds = lower + one, "[" + bounds[1]
    if upper is not None and bounds[1] == "]":
        upper, bounds = upper + one, bounds[0] + ")"
    return lower, upper, bounds


def _end_text(end: Any) -> str:
    if end is None:
        return ""
    if isinstance(end, datetime):
        aware = end.tzinfo is not None
        text = without_zeros((end.astimezone(UTC) if aware else end).replace(tzinfo=None).isoformat(" "))
        return f'"{text}+00"' if aware else f'"{text}"'
    if isinstance(end, date):
        return end.isoformat()
    return str(end)
