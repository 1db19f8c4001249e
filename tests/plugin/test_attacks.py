"""What a user does by mistake must neither pass silently nor end in a traceback of ours."""

import pytest

from tests.junit import figures_by_test


def run(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return pytester.runpytest("--perf-run", "-rs", *arguments)


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
    result = run(pytester)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*BlockingCallError: the body returned an awaitable that nobody awaits*"])


def test_an_object_with_an_async_call_is_an_async_body(pytester, write):
    write("""
class Body:
    async def __call__(self):
        raise ValueError("ran")

def test_it(load):
    result = load.run(Body(), PerVUIterations(vus=1, iterations=5), check=False)
    assert result.failed_iterations == 5 and result.failures[0].type == "ValueError"
""")
    run(pytester).assert_outcomes(passed=1)


def test_a_profile_mark_without_perf_is_said_to_run_as_a_plain_test(pytester, write):
    write("@pytest.mark.baseline\ndef test_it():\n    pass\n\n@perf\ndef test_other():\n    pass\n")
    result = pytester.runpytest("-m", "baseline")
    result.assert_outcomes(passed=1, deselected=1)
    result.stdout.fnmatch_lines(["cdcperf: 1 test with an asked profile but without @perf: run as plain tests"])


@pytest.mark.parametrize("executor", ["PerVUIterations", "SharedIterations"])
def test_iterations_that_max_duration_cut_off_fail_the_run(pytester, write, executor):
    write(f"""
@perf(load={executor}(vus=1, iterations=100, max_duration="500ms"))
def test_it():
    time.sleep(0.1)
""")
    result = run(pytester)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*9? iterations were not started within max_duration; raise it, or the vus*"])


def test_the_peak_of_a_short_ramp_is_seen(pytester, write, result_of):
    write("""
@perf(load=RampingVUs(start_vus=1, stages=[("500ms", 8), ("600ms", 8), ("300ms", 1)]))
def test_it():
    time.sleep(0.01)
""")
    run(pytester)
    assert result_of("test_it-test_it")["peak_vus"] == 8


def test_the_breaking_point_looks_at_phases_where_the_limit_does(pytester, write):
    write("""
@perf(
    load=RampingVUs(start_vus=1, stages=[("2s", 3), ("2s", 3)]),
    thresholds={"response_time": Limit("p(50)<100", phase="hold")},
)
def test_it(vu):
    time.sleep(0.2 if vu.iteration < 5 else 0.01)
""")
    result = run(pytester)
    assert "breaking point at 0 s" not in result.stdout.str()


def test_two_runs_of_one_name_are_refused(pytester, write):
    write("""
def test_it(load):
    for _ in range(2):
        load.run(lambda: None, PerVUIterations(vus=1), name="x")
""")
    result = run(pytester)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*load.run: name='x' was used in this test already; allowed: a name of its own"])


def test_several_runs_of_a_test_are_told_apart_in_junit(pytester, write):
    write("""
def test_it(load):
    load.run(lambda: None, PerVUIterations(vus=1), name="a")
    load.run(lambda: None, PerVUIterations(vus=1), name="b")
""")
    run(pytester, "--junitxml=j.xml")
    figures = figures_by_test(pytester.path / "j.xml")
    assert [name for name, known in figures.items() if "perf.verdict" in known] == ["test_it::a", "test_it::b"]


def test_a_results_directory_that_vanishes_during_the_run_is_made_again(pytester, write, result_of):
    write("""
import shutil

@perf(load=PerVUIterations(vus=1))
def test_it():
    shutil.rmtree("perf-results", ignore_errors=True)
""")
    run(pytester).assert_outcomes(passed=1)
    (path,) = (pytester.path / "perf-results").glob("*-*/test_it-test_it.json")
    assert path.stat().st_size > 100


def test_results_that_cannot_be_written_at_the_end_are_one_line(pytester, write):
    write("""
import pathlib, shutil
@perf(load=PerVUIterations(vus=1))
def test_it():
    shutil.rmtree("perf-results")
    pathlib.Path("perf-results").write_text("in the way")
""")
    result = run(pytester)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["PASSED, but its results could not be written: *perf-results*cannot be written*"])
    assert "Traceback" not in result.stdout.str()


def test_collecting_only_makes_no_directory(pytester, write):
    write("@perf\ndef test_it(): pass\n")
    run(pytester, "--co").assert_outcomes()
    assert not (pytester.path / "perf-results").exists()


def test_tags_of_any_type_are_text(pytester, write, result_of):
    write("""
T = Trend("size")
@perf(load=PerVUIterations(vus=1))
def test_it():
    T.add(5, {1: 2})
    T.add(5, {"a": None})
""")
    run(pytester).assert_outcomes(passed=1)
    assert [s["tags"] for s in result_of("test_it-test_it")["series"]] == [{"1": "2"}, {"a": "None"}]


def test_a_thresholds_file_that_concerns_nobody_says_so(pytester, write):
    (pytester.path / "limits.json").write_text('{"baseline": {"response_time": {"p95": 1}}}')
    write("@perf(load=PerVUIterations(vus=1))\ndef test_it(): pass\n")
    result = run(pytester, "--perf-thresholds=limits.json")
    result.stdout.fnmatch_lines(["cdcperf: 1 test of no profile that --perf-thresholds names: their own limits hold"])


def test_workers_of_any_kind_run_a_load_together(pytester, write, result_of):
    write("@perf(load=SharedIterations(vus=2, iterations=5))\ndef test_it(): pass\n")
    result = pytester.runpytest_subprocess("--perf-run", "--tx", "2*popen", "--dist", "load")
    result.assert_outcomes(passed=1)
    assert [part["iterations"] for part in result_of("test_it-test_it")["workers"]] == [3, 2]


def test_a_project_may_override_a_public_fixture(pytester, write, result_of):
    write("""
@pytest.fixture
def pg():
    return "the project's"

@perf(load=PerVUIterations(vus=1))
def test_it(pg):
    assert pg == "the project's"
""")
    run(pytester).assert_outcomes(passed=1)


def test_a_name_has_one_kind_of_metric(pytester, write):
    write("Trend('twice')\nCounter('twice')\ndef test_it(): pass\n")
    result = pytester.runpytest_subprocess()  # metrics are defined for a process
    result.stdout.fnmatch_lines(["*metric 'twice' is a trend already, it cannot be a counter too; choose another name"])


def test_workers_without_perf_tests_are_xdists_own(pytester, write):
    write("@pytest.mark.parametrize('n', range(6))\ndef test_it(n): pass\n")
    result = pytester.runpytest_subprocess("-n2", "-v")
    result.assert_outcomes(passed=6)
    assert "cdcperf:" not in result.stdout.str()


def test_load_run_inside_a_load_is_refused(pytester, write):
    write("""
def test_it(load):
    result = load.run(lambda: load.run(lambda: 1, PerVUIterations()), PerVUIterations(), check=False)
    assert "call it in the test itself" in result.failures[0].sample
""")
    pytester.runpytest("--perf-run").assert_outcomes(passed=1)


def test_load_run_refuses_what_cannot_be_meant(pytester, write):
    write("def test_it(load):\n    load.run(lambda: 1, PerVUIterations(), error_rate='x')\n")
    result = pytester.runpytest("--perf-run")
    result.stdout.fnmatch_lines(["*load.run: error_rate='x'; allowed: the tolerated share, 0 to 1"])


@pytest.mark.parametrize("call", ["http_client.get(None)", "http_client.get('http://h/', tags=5)", "think('x')"])
def test_a_wrong_call_in_once_mode_shows_the_line_of_the_user_and_none_of_ours(pytester, write, call):
    write(f"@perf(vus=1, iterations=1)\ndef test_it(http_client):\n    {call}\n")
    result = pytester.runpytest()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f">*{call}", "E*ConfigError: *"])
    assert "pytest_cdcperf/" not in result.stdout.str()
    assert "pytest_cdcperf/" in pytester.runpytest("--full-trace").stdout.str()
