"""The health check runs before any load, and where it fails no load starts."""

import pytest

GATE = "@perf(gate=True, load=PerVUIterations(vus=1))\ndef test_sound():\n    assert {sound}\n"
LOADED = "@pytest.mark.baseline\n@perf(vus=1, duration='1s')\ndef test_loaded():\n    time.sleep(0.01)\n"


@pytest.fixture
def project(pytester, write):
    """A project whose health check is in a file of its own."""

    def project(*, sound: bool) -> None:
        pytester.makepyprojecttoml("[tool.cdcperf]\nhealth = 'test_zz_health.py'\n")
        write(GATE.format(sound=sound), "test_zz_health")
        write(LOADED, "test_a")

    return project


@pytest.mark.parametrize(
    "arguments", [("-m", "baseline"), ("test_a.py", "-m", "baseline"), ("test_a.py", "--perf-run")]
)
def test_it_runs_first_whatever_was_named(pytester, project, arguments):
    project(sound=True)
    result = pytester.runpytest(*arguments, "-v")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["test_zz_health.py::test_sound*", "test_a.py::test_loaded*"])


def test_where_it_fails_no_load_starts_and_the_session_says_why(pytester, project):
    project(sound=False)
    result = pytester.runpytest("-m", "baseline", "-rs")
    result.assert_outcomes(failed=1, skipped=1)
    result.stdout.fnmatch_lines(["*the health check test_zz_health.py::test_sound failed, so no load was started"])


def test_it_does_not_run_where_no_load_does(pytester, project):
    project(sound=True)
    pytester.runpytest("test_a.py").assert_outcomes(passed=1)
    pytester.runpytest("-k", "nothing_like_that", "--perf-run").assert_outcomes(deselected=2)
