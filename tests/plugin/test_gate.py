"""The health check runs before any load, and where it fails no load starts."""

from fnmatch import fnmatch

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
    result = pytester.runpytest("test_a.py", "-k", "nothing_like_that", "--perf-run")
    result.assert_outcomes(deselected=1)
    result.stdout.fnmatch_lines(["collected 1 item / 1 deselected / 0 selected"])


HEALTH = f"""
{GATE.format(sound=True)}

def test_plain():
    pass

@perf(load=PerVUIterations())
def test_load():
    pass

@pytest.mark.parametrize("n", ["a::b", "c"])
def test_each(n):
    pass

class TestMore(__import__("unittest").TestCase):
    def test_more(self):
        pass
"""
NAMED = """
class TestIt:
    @pytest.mark.parametrize("n", ["a::b", "c[d]"])
    @perf(load=PerVUIterations())
    def test_n(self, n):
        pass

@perf(load=PerVUIterations())
def test_one():
    pass
"""
SOUND = "checks/test_health.py::test_sound"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["test_named.py::test_one"], ["test_named.py::test_one"]),
        (["{path}/test_named.py::test_one"], ["test_named.py::test_one"]),
        (["--pyargs", "test_named"], ["test_named.py::TestIt::*a::b*", "test_named.py::TestIt::*c*", "*::test_one"]),
        (["test_named.py::TestIt"], ["test_named.py::TestIt::test_n*a::b*", "test_named.py::TestIt::test_n*c*d*"]),
        (["test_named.py::TestIt::test_n[a::b]"], ["test_named.py::TestIt::test_n*a::b*"]),
        (["test_named.py::test_one", "--deselect", SOUND, "-k", "one"], ["test_named.py::test_one"]),
        (["test_named.py::test_one", "checks/test_health.py::test_plain"], ["*::test_one", "*::test_plain"]),
        (["checks/test_health.py::TestMore", "test_named.py::test_one"], ["*::TestMore::test_more", "*::test_one"]),
        ([SOUND, "test_named.py::test_one"], ["*::test_one"]),
        (["checks/test_health.py::test_each[a::b]", "test_named.py::test_one"], ["*::test_each*a::b*", "*::test_one"]),
        (["--pyargs", "checks.test_health", "-k", "load"], ["checks/test_health.py::test_load"]),
        (["checks"], ["*::test_plain", "*::test_load", "*::test_each*a::b*", "*::test_each*c*", "*::test_more"]),
    ],
)
def test_it_runs_once_and_first_and_of_its_file_only_what_was_named(pytester, write, arguments, expected):
    pytester.makepyprojecttoml("[tool.cdcperf]\nhealth = 'checks/test_health.py'\n")
    pytester.mkpydir("checks")
    write(HEALTH, "checks/test_health")
    write(NAMED, "test_named")
    pytester.syspathinsert()
    arguments = [argument.format(path=pytester.path) for argument in arguments]
    result = pytester.runpytest("--perf-run", "-v", "-o", "addopts=", *arguments)
    ran = [line.partition(" ")[0] for line in result.outlines if "::" in line and " PASSED " in line]
    assert ran[0] == SOUND
    assert len(ran) == len(expected) + 1
    assert all(any(fnmatch(name, pattern) for pattern in expected) for name in ran[1:])
    assert result.ret == 0


def test_it_is_found_from_another_directory_and_over_workers(pytester, write):
    pytester.makepyprojecttoml("[tool.cdcperf]\nhealth = 'checks'\n")
    pytester.mkpydir("checks")
    write(HEALTH, "checks/test_health")
    write(NAMED, "test_named")
    elsewhere = pytester.mkdir("elsewhere")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(elsewhere)
        result = pytester.runpytest("--perf-run", "-v", "../test_named.py::test_one", "-n", "1", "--rootdir=..")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*PASSED*::test_sound*", "*PASSED*::test_one*"])
