"""Every output survives every result: texts that a terminal, a parser or a runner would obey, and odd figures."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest

from pytest_cdcperf.events import Live, RunStarted, WindowMerged
from pytest_cdcperf.metrics.timeline import Window
from pytest_cdcperf.reporting.annotations import annotation_lines
from pytest_cdcperf.reporting.comparison import ComparisonView
from pytest_cdcperf.reporting.comparison_text import comparison_lines
from pytest_cdcperf.reporting.csv_output import CsvOutput
from pytest_cdcperf.reporting.html.assets import SCRIPTS, STYLES, asset
from pytest_cdcperf.reporting.html.comparison_page import comparison_page
from pytest_cdcperf.reporting.html.page import page
from pytest_cdcperf.reporting.html.pytest_html_row import link_text, row
from pytest_cdcperf.reporting.lines import Line
from pytest_cdcperf.reporting.live_line import plain_line
from pytest_cdcperf.reporting.markdown import markdown
from pytest_cdcperf.reporting.not_passed import FailureText
from pytest_cdcperf.reporting.properties import properties
from pytest_cdcperf.reporting.session_list import session_lines
from pytest_cdcperf.reporting.terminal import run_lines
from pytest_cdcperf.reporting.terminal import session_lines as session_table
from pytest_cdcperf.reporting.view import RunView
from pytest_cdcperf.results.compare import compare
from pytest_cdcperf.results.json import read_result, result_to_json, write_result
from pytest_cdcperf.results.result import RunResult
from pytest_cdcperf.results.saved import SavedRun, SavedSession
from tests.unit.reporting.odd_results import full, unusual, with_text

CONTROLS = "\x00\x07\x08\x0b\x0c\r\x1b]0;title\x07\x1b[31m\x7f\x85\x9b31m\u2028\u2029\u202e\u2066\ufeff\uffff"
ODD = f"x\ud800y{CONTROLS}\n  ::error::owned\n\n##[error]owned\n  PASSED"
SEEN = r"x\ud800y\x00\x07\x08\x0b\x0c\r\x1b]0;title\x07\x1b[31m\x7f\x85\x9b31m\u2028\u2029\u202e\u2066\ufeff\uffff"
MARKUP = """</pre></script><script>alert(1)</script><img src=x onerror="alert(1)">'"&]]>-->{{"""
PASSWORD = "password=pass-it-on"  # noqa: S105
LONG = "l" * 100_000
_FORBIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff\uffff\ud800-\udfff]")


def lines(make: Callable[[RunResult], list[str]]) -> Callable[[RunResult], str]:
    return lambda result: "\n".join(make(result))


def texts(made: list[Line]) -> list[str]:
    return [line.text for line in made]


def csv_of(result, tmp_path):
    output = CsvOutput(tmp_path / "a.csv")
    output.handle(RunStarted(result.facts, datetime(2026, 1, 1, tzinfo=UTC), ("main",)))
    output.handle(WindowMerged(result.facts, Window(0.0, 1.0, result.total), LIVE))
    output.close()
    return (tmp_path / "a.csv").read_text()


def sessions_of(result, tmp_path):
    run = SavedRun(result.facts.test, result.facts.test, result.facts.profile or "", result.facts.session_id)
    return "\n".join(session_lines([SavedSession(tmp_path / "x", "0a1b2c3d", "2026-01-01 00:00", (run,))], 10_000))


def texts_of(page):
    """Return *page* without our script and styles, an element a line."""
    return page.replace(asset(*SCRIPTS), "").replace(asset(*STYLES), "").replace("><", ">\n<")


_WIDE = 10_000  # what is looked for is not broken into lines
LIVE = Live(1.0, 10.0, 2, 100, 100.0, 95.0, 2)
TEXTS: Mapping[str, Callable[[RunResult], str]] = {
    "live line": lambda result: plain_line(result.facts.test, LIVE),
    "summary": lines(lambda result: texts(run_lines(result, _WIDE))),
    "all figures": lines(lambda result: texts(run_lines(result, _WIDE, verbose=True))),
    "session table": lines(lambda result: texts(session_table([result], _WIDE))),
    "failure": lambda result: str(FailureText.of(RunView.of(result))),
    "properties": lambda result: "\n".join(f"{name} {value}" for name, value in properties(result)),
    "link": lambda result: link_text(RunView.of(result)),
    "side by side": lambda result: "\n".join(comparison_lines(ComparisonView.of(compare(full(), result)), 100)),
    "side by side, first": lambda result: "\n".join(comparison_lines(ComparisonView.of(compare(result, full())), 100)),
}
PAGES: Mapping[str, Callable[[RunResult], str]] = {
    "page": lambda result: texts_of(page([result])),
    "page of two": lambda result: texts_of(page([result, result])),
    "comparison": lambda result: texts_of(
        comparison_page([compare(full(), result), compare(result, full())], [result])
    ),
    "row": lambda result: texts_of(row(RunView.of(result))),
}
OTHERS: Mapping[str, Callable[[RunResult], str]] = {
    "Markdown": lambda result: markdown([result]),
    "annotations": lines(lambda result: annotation_lines([result], str)),
    "JSON": lambda result: json.dumps(result_to_json(result), allow_nan=False, ensure_ascii=False),
}
FOR_PEOPLE = {name: TEXTS[name] for name in ("failure", "side by side", "side by side, first", "session table")}
OUTPUTS = TEXTS | PAGES | OTHERS
of_outputs = pytest.mark.parametrize("output", OUTPUTS.values(), ids=OUTPUTS)
UNUSUAL = unusual()


@of_outputs
def test_no_output_holds_what_a_terminal_or_a_parser_would_obey(output):
    text = output(with_text(full(), ODD))
    assert SEEN in text or SEEN.replace("\\", "\\\\") in text or SEEN.replace("\\", "&#92;") in text
    assert _FORBIDDEN.findall(text) == []


@pytest.mark.parametrize("output", (TEXTS | PAGES).values(), ids=TEXTS | PAGES)
def test_no_line_is_a_command_to_a_runner_or_looks_like_a_verdict(output):
    said = output(with_text(full(), ODD)).splitlines()
    assert [line for line in said if line.lstrip().startswith(("::", "##[")) or line == "  PASSED"] == []


@of_outputs
def test_no_output_shows_a_secret(output):
    assert "pass-it" not in output(with_text(full(), f" {PASSWORD}"))


@of_outputs
def test_a_long_text_makes_no_output_long(output):
    assert len(output(with_text(full(), LONG))) < 1_500_000


class Elements(HTMLParser):
    """The names of the elements and attributes of a page."""

    def __init__(self, text):
        super().__init__()
        self.names = set()
        self.scripts = 0
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.scripts += tag == "script"
        self.names |= {tag, *(f"{tag} {name}" for name, _ in attrs)}


@pytest.mark.parametrize("output", PAGES.values(), ids=PAGES)
def test_markup_in_texts_makes_no_element(output):
    plain, nasty = Elements(output(full())), Elements(output(with_text(full(), MARKUP)))
    assert (nasty.names - plain.names, nasty.scripts) == (set(), plain.scripts)


@of_outputs
@pytest.mark.parametrize("name", UNUSUAL)
def test_no_figure_is_too_odd_for_an_output(output, name):
    assert output(UNUSUAL[name]) is not None


@pytest.mark.parametrize("output", FOR_PEOPLE.values(), ids=FOR_PEOPLE)
@pytest.mark.parametrize("name", UNUSUAL)
def test_what_is_no_number_is_a_dash_for_people(output, name):
    assert not re.search(r"\b(?:nan|inf)\b", output(UNUSUAL[name]), re.IGNORECASE)


@pytest.mark.parametrize("make", [csv_of, sessions_of])
def test_odd_results_in_tables(make, tmp_path):
    odd = with_text(full(), ODD)
    text = make(replace(odd, facts=replace(odd.facts, session_id="0a1b2c3d")), tmp_path)
    assert SEEN in text
    assert _FORBIDDEN.findall(text.replace("\r\n", "\n")) == []
    assert len({len(row) for row in csv.reader(io.StringIO(csv_of(with_text(full(), MARKUP), tmp_path)))}) == 1


@pytest.mark.parametrize("name", UNUSUAL)
def test_an_odd_result_is_written_and_read_and_shown_as_before(name, tmp_path):
    before = UNUSUAL[name]
    read = read_result(write_result(before, tmp_path))
    if math.isfinite(before.elapsed_s):  # null is read as NaN
        assert str(FailureText.of(RunView.of(read))) == str(FailureText.of(RunView.of(before)))
    for name_of_output in ("summary", "page", "Markdown", "JSON"):
        OUTPUTS[name_of_output](read)
