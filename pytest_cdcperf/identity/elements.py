"""Elements of arrays: from PostgreSQL's text to what a column of their type alone looks like in the sink."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime, time
from typing import Any

from pytest_cdcperf.identity import spelling
from pytest_cdcperf.identity.literals import read_array

_INTERVAL = re.compile(
    r"(?:(?P<years>-?\d+) years? ?)?(?:(?P<months>-?\d+) mons? ?)?(?:\+?(?P<days>-?\d+) days? ?)?"
    r"(?:(?P<sign>[+-]?)(?P<hours>\d+):(?P<minutes>\d\d):(?P<seconds>\d\d(?:\.\d+)?))?"
)


def array_value(element_type: str, text: str) -> list[Any] | str:
    """Return the nested lists that the array *text* is; the text of vectors, which have no braces.

    :raises ValueError: when *text* is not an array
    """
    if element_type == "box" and text.startswith("{("):  # the only type whose arrays have another separator
        return text[1:-1].split(";")
    return read_array(text, _ELEMENTS.get(element_type, str)) if text.startswith(("{", "[")) else text


def _float(text: str) -> float | str:
    return text if text in {"NaN", "Infinity", "-Infinity"} else float(text)


def _date(text: str) -> str:
    return f"{text}Z" if _is_plain(text) else text


def _timestamp(text: str) -> str:
    return f"{text.replace(' ', 'T')}Z" if _is_plain(text) else text


def _timestamptz(text: str) -> str:
    try:
        return spelling.timestamp_text(datetime.fromisoformat(text))
    except (ValueError, OverflowError):  # infinity, BC, beyond year 9999
        return text


def _timetz(text: str) -> str:
    try:
        return spelling.time_text(time.fromisoformat(text))
    except ValueError:  # 24:00
        return text


def _is_plain(text: str) -> bool:
    return text[:1].isdigit() and not text.endswith("BC")


def _interval(text: str) -> str:
    match = _INTERVAL.fullmatch(text)
    if match is None:
        return text
    years, months, days, hours, minutes = (
        int(match[name] or 0) for name in ("years", "months", "days", "hours", "minutes")
    )
    sign = "-" if match["sign"] == "-" else ""
    seconds = spelling.without_zeros((match["seconds"] or "0").lstrip("0") or "0")
    seconds = f"0{seconds}" if seconds.startswith(".") else seconds
    clock = [f"{sign}{amount}" if amount != "0" else "0" for amount in (str(hours), str(minutes), seconds)]
    return f"P{years}Y{months}M{days}DT{clock[0]}H{clock[1]}M{clock[2]}S"


def _money(text: str) -> str:
    return re.sub(r"[^-0-9.]", "", text)


_ELEMENTS: Mapping[str, Callable[[str], Any]] = {
    "bool": lambda text: text == "t",
    **dict.fromkeys(("int2", "int4", "int8", "oid"), int),
    **dict.fromkeys(("float4", "float8"), _float),
    "bpchar": lambda text: text.rstrip(" "),
    "bytea": lambda text: spelling.bytes_text(bytes.fromhex(text.removeprefix("\\x"))),
    "date": _date,
    "timestamp": _timestamp,
    "timestamptz": _timestamptz,
    "time": lambda text: f"{text}Z",
    "timetz": _timetz,
    "interval": _interval,
    "money": _money,
}
