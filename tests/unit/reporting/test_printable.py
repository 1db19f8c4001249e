"""Texts that a terminal, a parser or a CI's runner would obey or choke on: every output has them escaped."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from dataclasses import replace
from xml.sax.saxutils import quoteattr

from pytest_cdcperf.judging.evaluation import evaluate
from pytest_cdcperf.judging.parser import parse_threshold
from pytest_cdcperf.metrics.failure import FailureKind
from pytest_cdcperf.metrics.metric import Rate, Trend
from pytest_cdcperf.metrics.recorder import Recorder
from pytest_cdcperf.metrics.scope import Scope, recording
from pytest_cdcperf.printable import one_line, printable, printable_report, short_name
from pytest_cdcperf.reporting.properties import properties
from pytest_cdcperf.reporting.terminal import run_lines
from pytest_cdcperf.results.json import file_stem, write_result

LONE = "x\ud800y"
CONTROLS = "\x00\x07\x08\x0b\x0c\r\x1b]0;title\x07\x1b[31m\x7f\x85\x9b31m\u2028\u2029\u202e\u2066\ufeff\uffff"
ODD = f"{LONE}{CONTROLS}\n  ::error::owned\n\n##[error]owned\n  PASSED"
SEEN = r"x\ud800y\x00\x07\x08\x0b\x0c\r\x1b]0;title\x07\x1b[31m\x7f\x85\x9b31m\u2028\u2029\u202e\u2066\ufeff\uffff"
SEEN_IN_LINE = SEEN + r"\n  ::error::owned\n\n\##[error]owned\n  PASSED"
PASSWORD = "password=pass-it-on"  # noqa: S105
LONG = "l" * 100_000


def of(result, text):
    """Return *result* with *text* wherever a text of a user's or a server's may stand."""
    recorder = Recorder()
    with recording(Scope(recorder)):
        Trend(f"t_printable_{text}").add(1, {text: text})
        Rate("checks").add(value=True, tags={"check": text})
    total = recorder.drain()
    return replace(
        result,
        facts=replace(result.facts, test=text, title=text, load=text, profile=text, tags={text: text}),
        reasons=(text, text),
        total=total,
        thresholds=(replace(evaluate(parse_threshold("checks", "rate>0.9"), total, 1.0), note=text),),
        failures=(FailureKind(text, text, 6, f"Traceback\nValueError: {text}\n"),),
        notes=(text,),
    )


def test_only_what_is_no_text_is_escaped():
    assert printable(f"ü✓ {LONE} 𝄞\t\u05d0\n") == "ü✓ x\\ud800y 𝄞\t\u05d0\n"
    assert printable("a\r\nb\rc") == "a\nb\\rc"
    assert one_line("a\r\n\tb") == r"a\r\n\tb"


def test_a_line_that_a_runner_would_obey_is_none_any_more():
    assert printable("  ::error::x\n::warning::\na::b") == "  \\::error::x\n\\::warning::\na::b"
    assert printable("##[error]x\n a ##[error]x") == "\\##[error]x\n a \\##[error]x"
    assert printable(printable("  ::error::##[x]")) == printable("  ::error::##[x]")


def test_the_middle_of_a_long_text_is_left_out_and_counted():
    text = printable("a" * 50_000 + "b" * 50_000, 1000)
    assert text == "a" * 500 + "... [99,000 characters left out] ..." + "b" * 500
    assert printable("a" * 1000, 1000) == "a" * 1000
    assert "pass-it" not in printable(f"{LONG} {PASSWORD} {LONG}", 300_000)


def test_long_names_are_short_and_tell_apart():
    one, other = short_name(LONG + "1"), short_name(LONG + "2")
    assert one.startswith("l" * 200 + "... [99,801 more characters, ")
    assert one != other
    assert short_name("l" * 200) == "l" * 200


def test_a_report_of_pytest_keeps_its_length_and_its_colours():
    assert printable_report(f"\x1b[31mred\x1b[0m {LONG}") == f"\x1b[31mred\x1b[0m {LONG}"
    assert printable_report("\x1b]0;title\x07") == r"\x1b]0;title\x07"
    assert printable_report("password='\x1b[31mpass\x1b[0m-it-on'") == "password=***"


def test_a_long_name_does_not_widen_the_lines_of_others(result):
    recorder = Recorder()
    with recording(Scope(recorder)):
        Trend(f"t_{LONG}").add(1)
        Trend("t_short").add(1)
    lines = run_lines(replace(result, total=recorder.drain()), 100, verbose=True)
    assert max(len(line.text) for line in lines) <= 100


def test_properties_are_well_formed_xml(empty):
    pairs = properties(of(empty, ODD), ODD)
    text = "".join(f"<property name={quoteattr(name)} value={quoteattr(value)}/>" for name, value in pairs)
    assert len(ET.fromstring(f"<properties>{text}</properties>")) == len(pairs)


def test_the_file_holds_it_escaped(empty, tmp_path):
    document = json.loads(write_result(of(empty, ODD), tmp_path).read_bytes())
    json.dumps(document, ensure_ascii=False).encode()
    assert list(document["tags"]) == [SEEN_IN_LINE]
    assert document["title"].startswith(SEEN)
    assert document["failures"][0]["sample"].startswith(f"Traceback\nValueError: {SEEN}")
    assert file_stem(LONE) != file_stem("x-y")


def test_the_file_of_long_texts_is_short(empty, tmp_path):
    path = write_result(of(empty, LONG), tmp_path)
    assert path.stat().st_size < 200_000
    assert "pass-it" not in write_result(of(empty, f"a {PASSWORD}"), tmp_path).read_text()
