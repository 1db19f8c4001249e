"""The example and the tables of docs/running.md say what happens."""

import os
import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "running.md").read_text()
(CHECKS,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def test_a_limit_lets_checks_decide(pytester):
    pytester.makepyfile(CHECKS)
    pytester.runpytest().assert_outcomes(passed=1)
    result = pytester.runpytest("--perf-run")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*rate of checks 90%, limit 99%*"])


@pytest.mark.parametrize(("arguments", "outcome"), [([], "failed"), (["--perf-run"], "passed")])
def test_a_false_check_fails_a_test_once_and_none_under_load(pytester, write, arguments, outcome):
    write("@perf(vus=1, iterations=2)\ndef test_it():\n    check('is small', False)\n")
    pytester.runpytest(*arguments).assert_outcomes(**{outcome: 1})


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["-k", "passes"], 0), (["-k", "fails"], 1), (["broken.py"], 2), (["--perf-vus=x"], 4), (["-k", "nothing"], 5)],
)
def test_exit_codes_are_those_of_the_table(pytester, write, arguments, code):
    write("@perf(iterations=1)\ndef test_passes(): pass\n@perf(iterations=1)\ndef test_fails(): assert False\n")
    pytester.makepyfile(broken="raise ValueError")
    assert pytester.runpytest("--perf-run", *arguments).ret == code
    assert f"| {code} |" in PAGE


def test_options_can_come_from_the_environment(pytester, write, monkeypatch):
    write("@perf(vus=1)\ndef test_it(): think(0.01)\n")
    monkeypatch.setenv("PYTEST_ADDOPTS", f"{os.environ['PYTEST_ADDOPTS']} --perf-run --perf-duration=100ms")
    pytester.runpytest().stdout.fnmatch_lines(["*mode load (--perf-run)"])
    pytester.runpytest("--perf-once").stdout.fnmatch_lines(["*mode once (--perf-once)"])
