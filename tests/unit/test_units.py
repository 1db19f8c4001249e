from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_cdcperf.errors import UnitError
from pytest_cdcperf.units import duration_s, figure, figures_apart, format_duration, limit_ms, percentile


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("500ms", 0.5),
        ("250us", 0.00025),
        ("30s", 30),
        ("5m", 300),
        ("1h30m", 5400),
        ("1d", 86400),
        ("1m500ms", 60.5),
        (".5s", 0.5),
        ("1.5m", 90),
        ("0s", 0),
        (" 2s ", 2),
        (30, 30),
        (0, 0),
        (1.5, 1.5),
    ],
)
def test_a_duration_is_read(text, seconds):
    assert duration_s(text) == pytest.approx(seconds)
    assert type(duration_s(text)) is float


@pytest.mark.parametrize("text", ["", "30", "s", "5x", "-5s", "1h 30m", "5.s", "1e3s", "5S"])
def test_text_that_is_not_a_duration_is_refused_by_name(text):
    with pytest.raises(UnitError) as refused:
        duration_s(text)
    assert str(refused.value) == (
        f"{text!r} is not a valid duration; allowed: a number with a unit, such as '500ms', '30s', '5m' or '1h30m'"
    )


@pytest.mark.parametrize("value", [-1, -0.5, float("nan"), None, True, b"5s", [1]])
def test_a_value_that_is_not_a_duration_is_refused_by_name(value):
    with pytest.raises(UnitError) as refused:
        duration_s(value)
    assert str(refused.value).startswith(
        f"{value!r} is not a valid duration; allowed: seconds of at least 0, or a number with a unit, such as"
    )


@pytest.mark.parametrize("value", ["31d", 30 * 86400 + 1, float("inf"), 10**400])
def test_a_duration_has_a_longest(value):
    with pytest.raises(UnitError, match="is too long; allowed: at most 30d"):
        duration_s(value)


@pytest.mark.parametrize("value", ["0s", 0, 0.0])
def test_a_duration_of_nothing_is_refused_where_it_must_be_above_zero(value):
    with pytest.raises(UnitError, match="; allowed: a duration above zero"):
        duration_s(value, above_zero=True)


@pytest.mark.parametrize(("value", "ms"), [(100, 100), (0, 0), (1.5, 1.5), ("2s", 2000), ("0s", 0), ("1m", 60000)])
def test_a_limit_is_milliseconds_where_no_unit_stands(value, ms):
    limit = limit_ms(value)
    assert limit == ms
    assert type(limit) is float


@pytest.mark.parametrize("value", [-1, float("nan"), float("inf"), True, None, "100", "fast", [1]])
def test_what_is_no_limit_is_refused(value):
    with pytest.raises(UnitError, match="is not a valid limit; allowed: milliseconds of at least 0, or a number"):
        limit_ms(value)


@pytest.mark.parametrize(("text", "q"), [("p(95)", 0.95), ("p(99.9)", 0.999), ("p(100)", 1.0), ("p(0.5)", 0.005)])
def test_a_percentile_is_read(text, q):
    assert percentile(text) == pytest.approx(q, rel=1e-15)


@pytest.mark.parametrize(
    "text", ["p(0)", "p(101)", "p(100.1)", "p95", "p()", "p(-1)", "p(95", "med", " p(95)", "p(.5)"]
)
def test_what_is_no_percentile_is_refused(text):
    with pytest.raises(UnitError, match=r"is not a valid percentile; allowed: p\(N\) with N above 0 and at most 100"):
        percentile(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0ms"),
        (0.85, "850ms"),
        (0.0123456, "12.3ms"),
        (1, "1s"),
        (1.23456, "1.235s"),
        (30, "30s"),
        (60, "1m"),
        (90, "1m30s"),
        (5400, "1h30m"),
        (3601.4, "1h1s"),
        (3599.6, "1h"),
        (86400, "24h"),
    ],
)
def test_a_duration_is_written_as_people_write_it(seconds, text):
    assert format_duration(seconds) == text


@given(st.floats(min_value=0.001, max_value=10**6).filter(lambda s: not 0.9995 <= s < 1))
def test_what_is_written_can_be_read_again(seconds):
    assert duration_s(format_duration(seconds)) == pytest.approx(seconds, rel=0.01)


@pytest.mark.parametrize("seconds", [0.9995, 0.9999])
def test_just_below_a_second_is_no_power_of_ten(seconds):
    assert duration_s(format_duration(seconds)) == pytest.approx(seconds, rel=0.01)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0, "ms", "0 ms"),
        (1.0, "", "1"),
        (12.3456, "ms", "12.35 ms"),
        (999.96, "", "1,000"),
        (1234.5678, "ms", "1,235 ms"),
        (0.00123456, "", "0.001235"),
        (0.0000123456, "ms", "1.235e-05 ms"),
        (-5, "", "-5"),
        (-1234.5, "", "-1,234"),
        (123456.7, "", "123,457"),
        (12345678.0, "", "12,345,678"),
        (1e300, "ms", "1e+300 ms"),
        (5e-324, "", "4.941e-324"),
        (0.98765, "%", "98.77%"),
        (1.0, "%", "100%"),
        (12.5, "/s", "12.5/s"),
        (12.5, "bytes/s", "12.5 bytes/s"),
        (math.nan, "ms", "-"),
        (math.inf, "", "-"),
    ],
)
def test_a_figure_is_written_for_people(value, unit, text):
    assert figure(value, unit) == text


@given(st.floats(-1e300, 1e300))
def test_a_figure_is_short_and_keeps_four_digits(value):
    text = figure(value, "ms")
    assert len(text) < 30
    assert float(text.removesuffix(" ms").replace(",", "")) == pytest.approx(value, rel=5e-4)


@pytest.mark.parametrize(
    ("value", "other", "unit", "texts"),
    [
        (2412.3, 2000, "ms", ("2,412 ms", "2,000 ms")),
        (2000.04, 2000, "ms", ("2,000.04 ms", "2,000 ms")),
        (0.989996, 0.99, "%", ("98.9996%", "99%")),
        (20, 20, "", ("20", "20")),
        (math.nan, 20, "", ("-", "20")),
    ],
)
def test_two_figures_that_differ_are_kept_apart(value, other, unit, texts):
    assert figures_apart(value, other, unit) == texts
