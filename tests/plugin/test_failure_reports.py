"""Why a perf test failed, where people look: short summary, JUnit files, PyCharm, VS Code."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from lxml import etree

BROKEN = """
@perf(
    load=PerVUIterations(vus=2, iterations=30), thresholds={"price": "max<2000"}
)
def test_it(vu):
    Trend("price", unit="ms").add(2412)
    if vu.iteration < 5:
        {}["price"]
    if vu.id == 1 and vu.iteration == 7:
        raise OSError("reset by the peer")
"""
FAILED = "11 of 60 iterations failed (18.33%, tolerated 0%): KeyError: 'price' at test_it.py:10 (10), "
REASONS = [
    f"{FAILED}OSError: reset by the peer at test_it.py:12 (1)",
    "max of price 2,412 ms, limit 2,000 ms (max<2000)",
]
DETAILS = ["KeyError: 'price' at test_it.py:10: 10 times", "OSError: reset by the peer at test_it.py:12: 1 time"]
# What Microsoft's vscode_pytest, which is in no registry, does with a report: it sends the text of the first of these.
VSCODE = """
import json, pytest

said = []

def pytest_exception_interact(node, call, report):
    said.append(report.longreprtext)

@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_report_teststatus(report, config):
    if report.when == "call" and report.failed:
        said.append(report.longreprtext)
    return (yield)

def pytest_sessionfinish(session):
    if said:
        (session.config.rootpath / "vscode.json").write_text(json.dumps(said))
"""


def has_all(text: str) -> None:
    place = -1
    for line in (*REASONS, "test_it.py:7: FAILED", *DETAILS[:1], '{}["price"]', "KeyError: 'price'", *DETAILS[1:]):
        assert line in text
        assert text.index(line, place + 1) > place
        place = text.index(line, place + 1)
    assert "pytest_cdcperf/" not in text


@pytest.mark.parametrize("arguments", [(), ("-n2", "-p", "xdist")], ids=["one process", "workers"])
def test_the_same_text_is_in_the_reports_for_ci_and_ides(pytester, write, arguments):
    pytester.makeconftest(VSCODE)
    write(BROKEN)
    result = pytester.runpytest("--perf-run", "--teamcity", "--junitxml=junit.xml", "--color=no", *arguments)
    result.assert_outcomes(failed=1)
    has_all(result.stdout.str().partition("= FAILURES =")[2])

    (message,) = re.findall(r"##teamcity\[testFailed .*details='(.*?)(?<!\|)'", result.stdout.str())
    has_all(re.sub(r"\|(.)", lambda found: {"n": "\n", "r": "\r"}.get(found[1], found[1]), message))

    for text in json.loads((pytester.path / "vscode.json").read_text()):
        has_all(text)

    path = pytester.path / "junit.xml"
    schema = etree.XMLSchema(etree.parse(Path(__file__).with_name("junit-10.xsd")))
    assert schema.validate(etree.parse(path)), list(schema.error_log)
    (case,) = ET.parse(path).getroot().iter("testcase")
    assert case.find("failure").get("message").splitlines()[:2] == REASONS
    has_all(case.find("failure").text)
    (output,) = case.findall("system-out")
    assert output.text.splitlines()[1].startswith("FAILED  11 of 60 iterations failed (18.33%, tolerated 0%): KeyError")
    assert "✗ price max  < 2,000 ms  2,412 ms  21% over" in output.text
    assert "\x1b" not in path.read_text()


def test_the_output_of_a_test_follows_the_summary_in_a_junit_file(pytester, write):
    write("@perf(load=PerVUIterations(vus=1, iterations=1))\ndef test_it():\n    print('printed')\n")
    pytester.runpytest("--perf-run", "--junitxml=junit.xml", "-o", "junit_logging=all").assert_outcomes(passed=1)
    (case,) = ET.parse(pytester.path / "junit.xml").getroot().iter("testcase")
    (output,) = case.findall("system-out")
    assert output.text.index("PASSED  no limits were stated") < output.text.index("printed")


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (120, " - 11 of 60 iterations failed (18.33%, tolerated 0%): KeyError: 'price' at test_it.py:10 (10)"),
        (80, " - 11 of 60 iterations failed (18.33%, tolerated 0%)"),
        (60, " - 11 of 60 iterations failed"),
        (48, " - 11 of 60 failed"),
    ],
)
def test_the_short_summary_keeps_the_figure_whole(pytester, write, monkeypatch, columns, said):
    monkeypatch.setenv("COLUMNS", str(columns))
    for name in ("CI", "BUILD_NUMBER"):
        monkeypatch.delenv(name, raising=False)
    write(BROKEN)
    result = pytester.runpytest("--perf-run", "--tb=line")
    assert f"FAILED test_it.py::test_it{said}" in result.outlines
    result.stdout.fnmatch_lines([f"*/test_it.py:7: {REASONS[0].replace('[', '[[]')}"])
