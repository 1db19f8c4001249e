"""A value in the sink equals the one that a test wrote, over all types; and no other value does."""

from __future__ import annotations

import base64
import enum
import json
import math
import uuid
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from ipaddress import ip_address, ip_interface, ip_network
from typing import Any

import pytest
from bson import Binary, Decimal128, Int64, UuidRepresentation
from hypothesis import given
from hypothesis import strategies as st
from psycopg.types.json import Json, Jsonb
from psycopg.types.multirange import Multirange
from psycopg.types.range import Range

from pytest_cdcperf.identity import spelling
from pytest_cdcperf.identity.values import same

KEY = uuid.UUID(int=10)
NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)
MICROS = datetime(2024, 5, 1, 12, 0, 0, 123456, tzinfo=UTC)
PLUS_TWO = timezone(timedelta(hours=2))


class Mood(enum.Enum):
    SAD = "s"


class Grade(enum.StrEnum):
    GOOD = "good"


SAME: list[tuple[Any, Any]] = [
    ("a", "a"),
    ("", ""),
    (None, None),
    (True, True),
    (5, 5),
    (5, 5.0),
    (5, "5"),
    (5, "5.00"),
    (5, Int64(5)),
    (1.1, 1.1),
    (1.1, "1.1"),
    (1e22, "10000000000000000000000"),
    (float("nan"), "NaN"),
    (float("nan"), float("nan")),
    (float("-inf"), "-Infinity"),
    (Decimal("19.90"), "19.9"),
    (Decimal("19.90"), 19.9),
    (Decimal("19.90"), Decimal128("19.9")),
    (19.9, Decimal128("19.90")),
    (Decimal("NaN"), "NaN"),
    (Decimal("Infinity"), "Infinity"),
    (NOON, "2024-05-01T12:00:00Z"),
    (NOON, "2024-05-01T14:00:00+02:00"),
    (NOON, NOON),
    (MICROS, "2024-05-01T12:00:00.123456Z"),
    (MICROS, MICROS.replace(microsecond=123000)),
    (MICROS, MICROS.replace(microsecond=123000, tzinfo=None)),
    (MICROS.replace(tzinfo=None), "2024-05-01T12:00:00.123456Z"),
    (MICROS.replace(tzinfo=None), MICROS.replace(microsecond=123000)),
    (date(2024, 5, 1), "2024-05-01"),
    (date(2024, 5, 1), "2024-05-01Z"),
    (date(2024, 5, 1), datetime(2024, 5, 1, tzinfo=UTC)),
    (date(2024, 5, 1), "2024-05-01T00:00:00Z"),
    (time(10, 20), "10:20:00Z"),
    (time(10, 20, 0, 500), "10:20:00.000500Z"),
    (time(10, 20, tzinfo=PLUS_TWO), "08:20:00Z"),
    (timedelta(days=1, hours=2), "P0Y0M1DT2H0M0S"),
    (timedelta(days=1, hours=2), "P0Y0M0DT26H0M0S"),
    (-timedelta(seconds=1.5), "P0Y0M0DT0H0M-1.5S"),
    (KEY, str(KEY)),
    (KEY, KEY),
    (KEY, Binary.from_uuid(KEY)),
    (KEY, Binary.from_uuid(KEY, UuidRepresentation.PYTHON_LEGACY)),
    (str(KEY), Binary.from_uuid(KEY)),
    (b"\0ab", "AGFi"),
    (b"\0ab", Binary(b"\0ab")),
    (b"", ""),
    (bytearray(b"ab"), "YWI="),
    pytest.param(memoryview(b"ab"), b"ab", id="memoryview"),
    ([1, None], [1, None]),
    ([[1, 2], [3, 4]], [[1, 2], [3, 4]]),
    ([Decimal("1.50"), Decimal("NaN")], ["1.50", "NaN"]),
    ([KEY], [str(KEY)]),
    ([NOON], ["2024-05-01T12:00:00.000000Z"]),
    ([], []),
    ([1, "a"], '[1, "a"]'),
    ({"a": [1, None]}, '{"a": [1, null]}'),
    ({"a": 1.0}, '{"a": 1}'),
    ({"a": {"b": "5"}}, {"a": {"b": "5"}}),
    ({1: "x"}, '{"1": "x"}'),
    (Jsonb({"a": True}), '{"a": true}'),
    (Json([1]), "[1]"),
    (Range(1, 9, "[]"), "[1,10)"),
    (Range(1, 9, "[]"), "[1,9]"),
    (Range(None, 9, "[]"), "(,10)"),
    (Range(empty=True), "empty"),
    (Range(1, 1), "empty"),
    (Range(Decimal("1.5"), Decimal("2.5"), "[]"), "[1.5,2.50]"),
    (Range(date(2026, 1, 1), date(2026, 1, 5), "[]"), "[2026-01-01,2026-01-06)"),
    (Range(NOON, None), '["2024-05-01 14:00:00+02",)'),
    (Range(MICROS.replace(tzinfo=None), None), '["2024-05-01 12:00:00.123456",)'),
    (Multirange([Range(1, 3), Range(5, 6, "[]")]), "{[1,3),[5,7)}"),
    (Multirange(), "{}"),
    ((1, "a b", None, 'q"'), '(1,"a b",,"q""")'),
    (("", True, b"a"), '("",t,"\\\\x61")'),
    (ip_address("10.0.0.1"), "10.0.0.1"),
    (ip_interface("10.0.0.1/32"), "10.0.0.1"),
    (ip_interface("10.0.0.1/24"), "10.0.0.1/24"),
    (ip_network("10.0.0.0/8"), "10.0.0.0/8"),
    (Mood.SAD, "SAD"),
    (Grade.GOOD, "good"),
]
DIFFERENT: list[tuple[Any, Any]] = [
    ("5", 5),
    ("a", "a "),
    ("a", None),
    ("None", None),
    (None, "None"),
    (None, 0),
    (True, 1),
    (True, "True"),
    (True, "true"),
    (1, True),
    (0, False),
    (5, "five"),
    (5, " 5"),
    (5, "\N{ARABIC-INDIC DIGIT FIVE}"),
    (5, "5.01"),
    (5, [5]),
    (float("nan"), 1.0),
    (1.0, "NaN"),
    (Decimal("19.90"), 19),
    (Decimal("19.90"), "many"),
    (Decimal("19.90"), None),
    (NOON, "2024-05-01T12:00:01Z"),
    (NOON, "2024-05-01T12:00:00"),
    (NOON, "noon"),
    (NOON, MICROS),
    (MICROS, MICROS.replace(microsecond=124000)),
    (date(2024, 5, 1), "2024-05-02"),
    (date(2024, 5, 1), "2024-05-01T00:00:01Z"),
    (time(10, 20), "10:20:01Z"),
    (timedelta(days=30), "P0Y1M0DT0H0M0S"),
    (timedelta(days=1), "P0Y0M1DT0H0M0.000001S"),
    (KEY, "x"),
    (KEY, str(uuid.UUID(int=11))),
    (KEY, Binary(KEY.bytes, 0)),
    (b"ab", "ab"),
    (b"ab", "YWJj"),
    ([[1, 2]], [None]),
    ([1, 2], [2, 1]),
    ([1], [1, 1]),
    ([], None),
    ({"a": 5}, '{"a": "5"}'),
    ({"a": None}, "{}"),
    ({"a": 1}, {"a": 1, "b": 2}),
    ({"a": 1}, "not JSON"),
    ('{"a":1}', '{"a": 1}'),
    (Range(1, 9), "[1,9]"),
    (Range(1, 9), "empty"),
    (Range(1, 9), "[1,)"),
    (Range(1, 9), "1"),
    (Multirange([Range(1, 3)]), "{[1,3),[5,7)}"),
    ((1, "a"), "(1,a,)"),
    ((1, "a"), "(1,b)"),
    (ip_address("10.0.0.1"), "10.0.0.2"),
    (Mood.SAD, "s"),
]


@pytest.mark.parametrize(("written", "shown"), SAME, ids=repr)
def test_what_was_written_is_found(written: Any, shown: Any) -> None:
    assert same(written, shown)


@pytest.mark.parametrize(("written", "shown"), DIFFERENT, ids=repr)
def test_what_was_not_written_is_not_found(written: Any, shown: Any) -> None:
    assert not same(written, shown)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(json_values, json_values)
def test_json_is_compared_as_json(one: Any, other: Any) -> None:
    if isinstance(one, list | dict):
        assert same(one, json.dumps(one))
        assert same(one, json.dumps(other)) == equal(one, other)


def equal(one: Any, other: Any) -> bool:
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(equal, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(equal(one[name], other[name]) for name in one)
    return bool(one == other)


scalars = st.one_of(
    st.binary(max_size=9).map(lambda value: (value, base64.b64encode(value).decode())),
    st.uuids().map(lambda value: (value, str(value))),
    st.timedeltas().map(lambda value: (value, spelling.interval_text(value))),
    st.times().map(lambda value: (value, spelling.time_text(value))),
    st.dates().map(lambda value: (value, spelling.date_text(value))),
    st.datetimes().map(lambda value: (value, spelling.timestamp_text(value))),
    st.decimals().filter(lambda value: not value.is_snan()).map(lambda value: (value, spelling.number_text(value))),
    st.floats().map(lambda value: (value, value if math.isfinite(value) else spelling.number_text(value))),
    st.text(max_size=5).map(lambda value: (value, value)),
    st.ip_addresses().map(lambda value: (value, str(value))),
)


@given(scalars, scalars)
def test_a_value_is_found_alone_and_in_arrays_and_its_neighbour_is_not(one: Any, other: Any) -> None:
    (written, shown), (another, stranger) = one, other
    assert same(written, shown)
    assert same([[written, None]], [[shown, None]])
    if type(written) is type(another) and shown != stranger:
        assert same(written, stranger) == (written == another)
