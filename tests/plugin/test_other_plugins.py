"""Beside plugins that time tests out, run them again or hand them to workers, a load runs once."""

import pytest

RERUNNERS = {  # the ways of pytest-retry, of flaky, and of what knows neither a mark nor a failure
    "by its mark, once it is reported": """
@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item, call):
    report = yield
    while call.when == "call" and report.failed and item.get_closest_marker("flaky"):
        report = pytest.TestReport.from_item_and_call(item, again(item))
    return report
""",
    "once it is reported": """
@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item, call):
    report = yield
    return pytest.TestReport.from_item_and_call(item, again(item)) if call.when == "call" else report
""",
    "as a whole": """
@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item):
    done = yield
    item._initrequest()
    runner.runtestprotocol(item, nextitem=None, log=False)
    return done
""",
}


def test_workers_of_any_kind_run_a_load_together(pytester, write, result_of):
    write("@perf(load=SharedIterations(vus=2, iterations=5))\ndef test_it(): pass\n")
    result = pytester.runpytest_subprocess("--perf-run", "--tx", "2*popen", "--dist", "load")
    result.assert_outcomes(passed=1)
    assert [part["iterations"] for part in result_of("test_it-test_it")["workers"]] == [3, 2]


def test_workers_without_perf_tests_are_xdists_own(pytester, write):
    write("@pytest.mark.parametrize('n', range(6))\ndef test_it(n): pass\n")
    result = pytester.runpytest_subprocess("-n2", "-v")
    result.assert_outcomes(passed=6)
    assert "cdcperf:" not in result.stdout.str()


def test_a_scenario_of_pytest_bdd_runs_once_and_is_refused_under_load(pytester, write):
    write("""
@pytest.fixture
def _pytest_bdd_example():  # as pytest-bdd calls its own
    return {}

@perf
def test_it(request, _pytest_bdd_example):
    request.getfixturevalue("tmp_path")  # as each step does
""")
    pytester.runpytest().assert_outcomes(passed=1)
    result = pytester.runpytest("--perf-run")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["*test_it: @perf: a scenario of pytest-bdd asks for a fixture at each step*"])
    assert "Traceback" not in result.stdout.str()


@pytest.mark.parametrize("option", ["--timeout=5", "-otimeout=5"])
def test_a_timeout_below_the_planned_duration_is_refused(pytester, write, option):
    pytest.importorskip("pytest_timeout")
    write("@perf(vus=1, duration='60s')\ndef test_it():\n    pass\n")
    result = pytester.runpytest("--perf-run", option)
    result.stdout.fnmatch_lines(["*pytest-timeout ends it after 5 s, but its load takes 1m; raise the timeout"])


def test_a_timeout_of_the_environment_counts(pytester, write, monkeypatch):
    pytest.importorskip("pytest_timeout")
    monkeypatch.setenv("PYTEST_TIMEOUT", "5")
    write("@perf(vus=1, duration='60s')\ndef test_it():\n    pass\n")
    result = pytester.runpytest("--perf-run")
    result.stdout.fnmatch_lines(["*pytest-timeout ends it after 5 s, but its load takes 1m; raise the timeout"])


def test_a_test_whose_own_mark_lifts_the_timeout_is_run(pytester, write):
    pytest.importorskip("pytest_timeout")
    write("@pytest.mark.timeout(0)\n@perf(vus=1, duration='300ms')\ndef test_it():\n    time.sleep(0.1)\n")
    pytester.runpytest("--perf-run", "--timeout=0.1").assert_outcomes(passed=1)


def test_a_load_by_hand_is_held_against_the_timeout_when_it_is_known(pytester, write):
    pytest.importorskip("pytest_timeout")
    write("""
def test_it(load):
    load.run(lambda: None, PerVUIterations())
    load.run(lambda: None, ConstantVUs(vus=1, duration="60s"))
""")
    result = pytester.runpytest("--perf-run", "--timeout=20")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*load.run: pytest-timeout ends it after 20 s, but its load takes 1m; raise *"])


def test_a_mark_flaky_reruns_no_load(pytester, write):
    pytest.importorskip("pytest_rerunfailures")
    write("@pytest.mark.flaky(reruns=2)\n@perf(load=PerVUIterations())\ndef test_it():\n    raise ValueError\n")
    result = pytester.runpytest("--perf-run", "--reruns=2")
    result.assert_outcomes(failed=1)
    assert "rerun" not in result.outlines[-1]


@pytest.mark.parametrize("rerunner", RERUNNERS)
def test_however_a_plugin_reruns_tests_a_load_runs_once(pytester, write, rerunner):
    pytester.makeconftest(f"""
import pytest
from _pytest import runner

def again(item):
    item.ihook.pytest_runtest_teardown(item=item, nextitem=None)
    item._initrequest()
    item.ihook.pytest_runtest_setup(item=item)
    return pytest.CallInfo.from_call(lambda: item.ihook.pytest_runtest_call(item=item), when="call")

def pytest_configure(config):
    config.addinivalue_line("markers", "flaky")
{RERUNNERS[rerunner]}""")
    write("""
pytestmark = pytest.mark.flaky
ran = []

@perf(iterations=3)
def test_load():
    ran.append("load")
    assert len(ran) > 3

def test_by_hand(load):
    def body():
        ran.append("by hand")
        assert len(ran) > 6
    load.run(body, PerVUIterations(vus=1, iterations=3))

@perf(iterations=3)
def test_passes():
    ran.append("passes")

def test_end():
    assert (ran.count("load"), ran.count("by hand"), ran.count("passes")) == (3, 3, 3)
""")
    result = pytester.runpytest("--perf-run", "-rA", "-m", "flaky")
    result.assert_outcomes(failed=2, passed=2)
    result.stdout.fnmatch_lines(["PASSED *::test_passes", "PASSED *::test_end", "FAILED *::test_load *"])
    assert len([*pytester.path.glob("perf-results/latest/*.json")]) == 3
