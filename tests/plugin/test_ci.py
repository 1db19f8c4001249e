"""What a session leaves for CI: the summary of a job, annotations, the comment for a pull request, the JUnit file."""

from pathlib import Path

import pytest
from lxml import etree

TWO_TESTS = """
@perf(vus=1, iterations=5)
def test_passes():
    pass

@perf(vus=1, iterations=5, max=0.0001)
def test_fails():
    time.sleep(0.001)
"""
SENTENCE = "**FAILED**: 1 of 2 perf tests did not pass; <code>test_fails</code>: max of response_time "


@pytest.fixture
def github(pytester, monkeypatch):
    """The variables of GitHub's runner, where the root directory of the session lies in the repository."""
    summary = pytester.path / "summary"
    summary.write_text("of a step before\n")
    for name, value in {"ACTIONS": "true", "WORKSPACE": pytester.path.parent, "STEP_SUMMARY": summary}.items():
        monkeypatch.setenv(f"GITHUB_{name}", str(value))
    return summary


@pytest.mark.parametrize("workers", [(), ("-n2", "-p", "xdist")], ids=["one", "two"])
def test_the_job_has_a_summary_and_an_annotation_at_each_failed_test(pytester, write, github, workers):
    write(TWO_TESTS)
    result = pytester.runpytest("--perf-run", *workers)
    result.assert_outcomes(passed=1, failed=1)
    before, _, summary = github.read_text().partition("\n")
    assert before == "of a step before"
    assert summary.startswith(SENTENCE)
    assert (pytester.path / "perf-results" / "latest" / "comment.md").read_text().startswith(SENTENCE)
    (line,) = (line for line in result.outlines if line.startswith("::"))
    where = f"file={pytester.path.name}/test_it.py,line=9,title=FAILED test_fails"
    assert line.startswith(f"::error {where}::max of response_time ")


def test_the_junit_file_is_valid_for_jenkins_and_says_why_a_test_failed(pytester, write):
    write(TWO_TESTS + "\n@perf(vus=1, iterations=5)\ndef test_breaks():\n    raise KeyError('\\x1b ]]> <b> \\x00')\n")
    pytester.runpytest("--perf-run", "--junitxml=junit.xml")
    schema = etree.XMLSchema(etree.parse(Path(__file__).with_name("junit-10.xsd")))  # of Jenkins' plugin xunit
    document = etree.parse(pytester.path / "junit.xml")
    assert (schema.validate(document), list(schema.error_log)) == (True, [])
    failures = {case.get("name"): case.find("failure") for case in document.iter("testcase")}
    assert failures["test_passes"] is None
    for name, reason in {"test_fails": "max of response_time ", "test_breaks": "5 of 5 iterations failed "}.items():
        assert failures[name].get("message").startswith(reason)
        assert reason in failures[name].text  # which GitLab shows
