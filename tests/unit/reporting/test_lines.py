"""Lines as wide as a terminal."""

import pytest

from pytest_cdcperf.reporting.columns import Column, table
from pytest_cdcperf.reporting.lines import Line, Span, columns_of, in_encoding, shortened, wrapped


def test_a_line_is_the_text_of_its_spans():
    assert Line.of(Span("a", ("red",)), "b").text == "ab"


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [("short", 5, "short"), ("longer", 5, "lo…er"), ("x" * 50, 1, "…"), ("寸法寸法", 5, "寸…法")],
)
def test_a_long_name_loses_its_middle(text, width, shown):
    assert shortened(text, width) == shown
    assert columns_of(shortened(text, width)) <= width


def test_a_figure_is_not_parted_from_its_unit():
    text = "p(95) of response_time 2,412 ms, limit 2,000 ms"
    for width in range(24, 60):
        lines = wrapped(text, width)
        assert all("2,412 ms" in line or "2,412" not in line for line in lines)
        assert " ".join(lines) == text


def test_a_line_that_a_runner_would_obey_is_none_any_more():
    assert wrapped("it said ::error::owned", 12, "FAILED  ", 8)[1] == r"        \::error::owned"


def test_a_text_without_words_is_its_head():
    assert wrapped("", 80, "failed    ", 10) == ["failed"]


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [
        ("utf-8", "✓ 48 × ü · …"),
        ("cp1252", "+ 48 × ü · …"),
        ("ascii", r"+ 48 x \xfc - ~"),
        (None, r"+ 48 x \xfc - ~"),
        ("no-such", r"+ 48 x \xfc - ~"),
    ],
)
def test_what_an_encoding_cannot_show_is_replaced(encoding, shown):
    assert in_encoding("✓ 48 × ü · …", encoding) == shown


COLUMNS = (Column("name", right=False, least=6), Column("calls"), Column("p50", rank=2), Column("p95", rank=1))
ROWS = [("GET /items/{id}", "1,204", "2.1", "214"), ("POST /items", "88", "12", "-")]


@pytest.mark.parametrize(
    ("width", "lines"),
    [
        (
            80,
            [
                "name             calls  p50  p95",
                "GET /items/{id}  1,204  2.1  214",
                "POST /items         88   12    -",
            ],
        ),
        (25, ["name      calls  p50  p95", "GET…{id}  1,204  2.1  214", "POS…tems     88   12    -"]),
        (20, ["name      calls  p95", "GET…{id}  1,204  214", "POS…tems     88    -"]),
        (13, ["name    calls", "GE…id}  1,204", "PO…ems     88"]),
        (5, ["name    calls", "GE…id}  1,204", "PO…ems     88"]),
    ],
)
def test_a_table_gives_up_names_then_columns(width, lines):
    assert table(COLUMNS, ROWS, width) == lines


def test_a_column_without_a_text_is_left_out():
    assert table(COLUMNS, [("a", "1", "", "")], 80) == ["name  calls", "a         1"]
