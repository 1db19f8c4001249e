"""The ``_id`` of a document: the key of its row as text.

One column gives its own text. Several are joined by ``:``, in the order of the key; a ``:`` or a backslash inside of
one is written with a backslash before it, so that two keys never have one text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from typing import Any

from pytest_cdcperf.errors import ConfigError
from pytest_cdcperf.identity import spelling

_SEPARATORS = re.compile(r"[\\:]")
NUMERIC = "numeric"
_JSON = "io.debezium.data.Json"
_ZONED_TIMESTAMP = "io.debezium.time.ZonedTimestamp"
_ADDRESSES = (IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network)


def key_text(key: Any) -> str:
    """Return the ``_id`` that the row with *key* has in the sink: the value written, or a tuple of them.

    :raises ConfigError: when *key* cannot be one: None, or no value at all
    """
    parts = [_text(part) for part in (key if isinstance(key, tuple) else (key,))]
    if not parts:
        raise ConfigError("a key is (); allowed: a value, or a tuple of the key's values in their order")
    return _joined(parts)


def stored_key(key: Mapping[str, Any], types: Mapping[str, str]) -> str:
    """Return the ``_id`` for a *key* as a change event holds it: its columns' JSON values.

    :param types: what a column's text is, where it is more than text: a name of Debezium's, or :data:`NUMERIC`
    :raises ValueError: when a column of it is null
    """
    for column, value in key.items():
        if value is None:
            raise ValueError(f"column {column!r} of its key is null")
    return _joined([_stored(value, types.get(column, "")) for column, value in key.items()])


def _joined(parts: Sequence[str]) -> str:
    if len(parts) == 1:
        return parts[0]
    return ":".join(_SEPARATORS.sub(r"\\\g<0>", part) for part in parts)


def _text(written: Any) -> str:
    value = spelling.unwrapped(written)
    if value is None:
        raise ConfigError("a key is None; allowed: the value of the key's column, which is never null")
    if isinstance(value, bool | list | dict):
        return _json(value)
    if isinstance(value, int | float | Decimal):
        return spelling.number_text(value)
    return _scalar(value)


def _scalar(value: Any) -> str:
    if isinstance(value, datetime):
        return spelling.timestamp_text(value)
    if isinstance(value, date):
        return spelling.date_text(value)
    if isinstance(value, time):
        return spelling.time_text(value)
    if isinstance(value, timedelta):
        return spelling.interval_text(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return spelling.bytes_text(value)
    if isinstance(value, _ADDRESSES):
        return spelling.address_text(value)
    if hasattr(value, "bounds") and hasattr(value, "lower_inc"):  # psycopg's Range
        return spelling.range_text(value)
    return str(value)


def _stored(value: Any, kind: str) -> str:
    if isinstance(value, bool | list | dict):
        return _json(value)
    if isinstance(value, int | float):
        return spelling.number_text(value)
    if kind == NUMERIC and (number := spelling.number_of(value)) is not None:
        return spelling.number_text(number)
    if kind == _ZONED_TIMESTAMP and value.endswith("Z"):  # with as many digits as the column may have
        seconds, _, fraction = value[:-1].partition(".")
        return f"{seconds}.{fraction:0<6}Z"
    return _json(json.loads(value)) if kind == _JSON else str(value)


def _json(value: Any) -> str:
    return json.dumps(value, default=_text, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
