"""Keys as the text of ``_id``: what a test writes and what a change event holds meet in one text."""

from __future__ import annotations

import enum
import json
import uuid
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from ipaddress import ip_address, ip_interface, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.types.json import Jsonb
from psycopg.types.range import Range

from pytest_cdcperf.errors import ConfigError
from pytest_cdcperf.identity.keys import NUMERIC, key_text, stored_key

KEY = uuid.UUID(int=10)
PLUS_TWO = timezone(timedelta(hours=2))
TZ = "io.debezium.time.ZonedTimestamp"
JSON = "io.debezium.data.Json"
texts = st.text(alphabet=st.sampled_from("ab:\\\"',é"), max_size=6)


class Mood(enum.Enum):
    SAD = "s"


class Grade(enum.StrEnum):
    GOOD = "good"


@pytest.mark.parametrize(
    ("written", "arrived", "kind"),
    [
        ("a:b\\c", "a:b\\c", ""),
        (5, 5, ""),
        (2**62, 2**62, ""),
        (True, True, ""),
        (Decimal("1.5"), "1.50", NUMERIC),
        (Decimal("1.500"), "1.50", NUMERIC),
        (3, "3.00", NUMERIC),
        (Decimal("1E+3"), "1000", NUMERIC),
        (Decimal("-0.00"), "0.00", NUMERIC),
        (Decimal("NaN"), "NaN", NUMERIC),
        (1e22, 1e22, ""),
        (2, 2.0, ""),
        (float("-inf"), "-Infinity", ""),
        (date(2026, 1, 2), "2026-01-02Z", ""),
        (datetime(2026, 1, 2, 3, 4, 5, 120000), "2026-01-02T03:04:05.12Z", ""),  # noqa: DTZ001
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=PLUS_TWO), "2026-01-02T01:04:05.000000Z", TZ),
        (datetime(2026, 1, 2, 3, 4, 5, 120000, tzinfo=UTC), "2026-01-02T03:04:05.120Z", TZ),
        (time(10, 20), "10:20:00Z", ""),
        (time(1, 20, 30, 5, tzinfo=PLUS_TWO), "23:20:30.000005Z", ""),
        (timedelta(days=-1, hours=2, seconds=1.5), "P0Y0M-1DT2H0M1.5S", ""),
        (KEY, str(KEY), ""),
        (b"\0ab", "AGFi", ""),
        (ip_interface("10.0.0.1/32"), "10.0.0.1", ""),
        (ip_address("::1"), "::1", ""),
        (ip_network("10.0.0.0/8"), "10.0.0.0/8", ""),
        (Mood.SAD, "SAD", ""),
        (Grade.GOOD, "good", ""),
        (Range(1, 9, "[]"), "[1,10)", ""),
        (Range(date(2026, 1, 1), None), "[2026-01-01,)", ""),
        (Range(datetime(2026, 1, 2, tzinfo=UTC), None), '["2026-01-02 00:00:00+00",)', ""),
        ([1, None], [1, None], ""),
        (["a", 'b"é'], ["a", 'b"é'], ""),
        (Jsonb({"b": 1.5, "a": [1, None]}), '{"a": [1, null], "b": 1.5}', JSON),
    ],
)
def test_what_was_written_finds_what_arrived(written: object, arrived: object, kind: str) -> None:
    assert key_text(written) == stored_key({"id": arrived}, {"id": kind})
    assert key_text(("x", written)) == stored_key({"a": "x", "b": arrived}, {"b": kind})
    assert key_text((written,)) == key_text(written)


def test_text_that_looks_like_a_number_stays_text() -> None:
    assert stored_key({"id": "1.50"}, {}) == key_text("1.50") == "1.50"


@given(st.lists(st.tuples(texts, texts), min_size=2, max_size=2))
def test_two_composite_keys_never_have_one_text(keys: list[tuple[str, str]]) -> None:
    one, other = keys
    assert (key_text(one) == key_text(other)) == (one == other)


def test_a_composite_key_is_joined_by_colons() -> None:
    assert key_text((1, "x")) == "1:x"
    assert key_text(("a:b", "c\\")) == "a\\:b:c\\\\"


@given(st.decimals(allow_nan=False, allow_infinity=False, places=4), st.integers(0, 6))
def test_a_number_has_one_text_whatever_its_scale(number: Decimal, zeros: int) -> None:
    longer = f"{number:f}" + "0" * zeros
    assert key_text(number) == stored_key({"id": longer}, {"id": NUMERIC})
    assert Decimal(key_text(number)) == number


@given(st.datetimes(timezones=st.sampled_from([UTC, PLUS_TWO])))
def test_a_moment_has_one_text_whatever_its_zone(moment: datetime) -> None:
    if datetime(2, 1, 1, tzinfo=UTC) < moment < datetime(9998, 1, 1, tzinfo=UTC):
        assert key_text(moment) == key_text(moment.astimezone(UTC))
        assert datetime.fromisoformat(key_text(moment)) == moment


@pytest.mark.parametrize("key", [None, ("a", None), ()])
def test_what_no_row_has_as_a_key_is_refused(key: object) -> None:
    with pytest.raises(ConfigError, match=r"a key is .*; allowed: "):
        key_text(key)


def test_a_null_in_a_key_is_refused_by_its_column() -> None:
    with pytest.raises(ValueError, match="column 'b' of its key is null"):
        stored_key(json.loads('{"a": 1, "b": null}'), {})
