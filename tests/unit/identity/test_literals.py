"""PostgreSQL's text of arrays, rows and ranges, read back."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_cdcperf.identity.elements import array_value
from pytest_cdcperf.identity.literals import RangeText, read_array, read_multirange, read_range, read_row

texts = st.text(alphabet=st.sampled_from("ab {},\"\\()[]'NUL\n"), max_size=6)
arrays = st.recursive(
    st.lists(st.none() | texts, min_size=1, max_size=3),
    lambda inner: st.lists(inner, min_size=1, max_size=3),
    max_leaves=6,
)


def written(value: Any) -> str:
    if isinstance(value, list):
        return "{" + ",".join(map(written, value)) + "}"
    return "NULL" if value is None else '"' + re.sub(r'(["\\])', r"\\\1", value) + '"'


@given(arrays)
def test_an_array_of_any_shape_is_read_as_it_was_written(array: list[Any]) -> None:
    assert read_array(written(array), str) == array


@given(st.lists(st.none() | texts, min_size=1, max_size=4))
def test_a_row_is_read_as_it_was_written(fields: list[str | None]) -> None:
    text = ",".join("" if field is None else '"' + re.sub(r'(["\\])', r"\1\1", field) + '"' for field in fields)
    assert read_row(f"({text})") == fields


@pytest.mark.parametrize("text", ["", "{", "{1}}", "1", "{1", "}{", '{"a}'])
def test_what_is_not_an_array_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not an array"):
        read_array(text, str)


@pytest.mark.parametrize(
    ("element_type", "text", "value"),
    [
        ("int4", "{}", []),
        ("int4", "{{1,2},{3,NULL}}", [[1, 2], [3, None]]),
        ("int4", "[0:1]={1,2}", [1, 2]),
        ("int2vector", "1 2", "1 2"),
        ("bool", "{t,f}", [True, False]),
        ("float8", "{1.5,NaN,-Infinity}", [1.5, "NaN", "-Infinity"]),
        ("numeric", "{1.50,NaN}", ["1.50", "NaN"]),
        ("text", '{a,"b c",NULL,"NULL","q\\""}', ["a", "b c", None, "NULL", 'q"']),
        ("bpchar", '{"ab  "}', ["ab"]),
        ("bytea", '{"\\\\x00ff"}', ["AP8="]),
        ("date", "{2026-01-02,infinity}", ["2026-01-02Z", "infinity"]),
        ("timestamp", '{"2026-01-02 03:04:05.12"}', ["2026-01-02T03:04:05.12Z"]),
        ("timestamptz", '{"2026-01-02 03:04:05+02",infinity}', ["2026-01-02T01:04:05.000000Z", "infinity"]),
        ("time", "{10:20:00}", ["10:20:00Z"]),
        ("timetz", "{10:20:00+02}", ["08:20:00Z"]),
        ("interval", '{"1 day 02:03:04.5"}', ["P0Y0M1DT2H3M4.5S"]),
        ("interval", '{"1 year 2 mons -1 days -00:00:01.5"}', ["P1Y2M-1DT0H0M-1.5S"]),
        ("interval", '{"-1 days +23:00:00"}', ["P0Y0M-1DT23H0M0S"]),
        ("interval", "{00:00:00}", ["P0Y0M0DT0H0M0S"]),
        ("money", '{"-$1,234.50"}', ["-1234.50"]),
        ("box", "{(1,1),(0,0);(2,2),(1,1)}", ["(1,1),(0,0)", "(2,2),(1,1)"]),
        ("mood", "{sad}", ["sad"]),
    ],
)
def test_an_element_looks_as_a_column_of_its_type_does(element_type: str, text: str, value: object) -> None:
    assert array_value(element_type, text) == value


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("empty", RangeText(None, None, "")),
        ("[1,10)", RangeText("1", "10", "[)")),
        ("(,)", RangeText(None, None, "()")),
        (
            '["2026-01-01 00:00:00","2026-01-02 00:00:00"]',
            RangeText("2026-01-01 00:00:00", "2026-01-02 00:00:00", "[]"),
        ),
        ("1,2", None),
        ("[1]", None),
        ("", None),
    ],
)
def test_a_range_is_read(text: str, found: RangeText | None) -> None:
    assert read_range(text) == found


def test_a_multirange_is_read() -> None:
    assert read_multirange("{}") == []
    assert read_multirange('{[1,3),["5",7)}') == [RangeText("1", "3", "[)"), RangeText("5", "7", "[)")]
    assert read_multirange("{[1,3),x}") is None
    assert read_multirange("[1,3)") is None
