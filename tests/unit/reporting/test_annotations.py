"""Tests of results as annotations of GitHub."""

from dataclasses import replace

from pytest_cdcperf.judging.verdict import Verdict
from pytest_cdcperf.reporting.annotations import MOST, annotation_lines


def located(result, location, **changes):
    return replace(result, facts=replace(result.facts, location=location, **changes))


def test_a_failed_test_has_one_at_its_line_with_its_reasons(result):
    failed = located(
        replace(result, reasons=("p95 3 ms, limit 2 ms", "100% failed")), "shop/test_it.py:12", test="t::test_a"
    )
    (line,) = annotation_lines([failed, failed], "web/{}".format)
    assert line == "::error file=web/shop/test_it.py,line=12,title=FAILED test_a::p95 3 ms, limit 2 ms%0A100%25 failed"


def test_a_passed_test_has_none(result):
    assert annotation_lines([replace(result, verdict=Verdict.PASSED)], str) == []


def test_no_name_ends_a_property_or_begins_a_command(result):
    evil = "a,line=9::error\r\n::set-env name=x::y%0A"
    (line,) = annotation_lines([located(replace(result, reasons=(evil,)), f"{evil}.py:3", test=f"t::{evil}")], str)
    properties, _, message = line.removeprefix("::error ").partition("::")
    assert [part.partition("=")[0] for part in properties.split(",")] == ["file", "line", "title"]
    assert "\n" not in line
    assert "%0A" not in message.replace("%250A", "")


def test_a_test_without_a_place_has_one_without_a_file(result):
    (line,) = annotation_lines([replace(result, reasons=("slow",), facts=replace(result.facts, test="t::test_a"))], str)
    assert line == "::error title=FAILED test_a::slow"


def test_there_are_no_more_than_github_shows(result):
    assert len(annotation_lines([located(result, f"t.py:{line}") for line in range(30)], str)) == MOST
