"""Exceptions of a body: how each is counted, and how the test ends."""

import pytest

LOAD = "load=PerVUIterations(vus=2, iterations=10)"


def run(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return pytester.runpytest("--perf-run", "-rs", *arguments)


def test_a_crossed_threshold_fails_the_test_in_words(pytester, write, result_of):
    write(f"""
@perf({LOAD}, avg=0.001, thresholds={{'mine': 'count<20'}})
def test_it():
    Counter("mine").add(1)
    time.sleep(0.001)
""")
    result = run(pytester)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "E   count of mine 20, limit 20 (count<20)",
            "E   avg of response_time * ms, limit 0.001 ms (avg<0.001)",
        ]
    )
    assert "Traceback" not in result.stdout.str()
    document = result_of("test_it-test_it")
    assert document["verdict"] == "FAILED"
    assert [t["outcome"] for t in document["thresholds"]] == ["failed", "failed"]


@pytest.mark.parametrize(("tolerated", "outcome"), [(0.5, "passed"), (0.49, "failed")])
def test_failed_iterations_are_tolerated_up_to_the_error_rate(pytester, write, tolerated, outcome):
    write(f"@perf({LOAD}, error_rate={tolerated})\ndef test_it(vu):\n    assert vu.iteration % 2 == 0\n")
    result = run(pytester)
    result.assert_outcomes(**{outcome: 1})
    result.stdout.fnmatch_lines(["          10 × AssertionError* at test_it.py:5"])


def test_failures_are_counted_by_type_and_line_with_one_sample_each(pytester, write, result_of):
    write(f"""
@perf({LOAD})
def test_it(vu):
    if vu.id == 1:
        raise ValueError(f"number {{vu.iteration}}")
    pytest.fail(f"lost {{vu.iteration}}")
""")
    run(pytester).assert_outcomes(failed=1)
    kinds = {kind["type"]: kind for kind in result_of("test_it-test_it")["failures"]}
    assert {name: kind["count"] for name, kind in kinds.items()} == {"ValueError": 10, "Failed": 10}
    assert "ValueError: number 0" in kinds["ValueError"]["sample"]
    assert "pytest_cdcperf" not in kinds["ValueError"]["sample"]


@pytest.mark.parametrize("body", ["def", "async def"])
def test_skipped_iterations_count_as_neither_done_nor_failed(pytester, write, result_of, body):
    write(f"@perf({LOAD})\n{body} test_it(vu):\n    if vu.id == 1:\n        pytest.skip('not today')\n")
    run(pytester).assert_outcomes(passed=1)
    document = result_of("test_it-test_it")
    assert document["iterations"] == 10
    assert document["metrics"]["iterations_skipped"]["values"]["count"] == 10


def test_a_test_whose_iterations_are_all_skipped_is_skipped(pytester, write):
    write(f"@perf({LOAD})\ndef test_it():\n    pytest.skip('no licence')\n")
    result = run(pytester)
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*every iteration was skipped: no licence"])


def test_xfail_inside_a_body_ends_the_run_and_hides_nothing(pytester, write):
    write("@perf(vus=1, duration='60s')\ndef test_it():\n    pytest.xfail('later')\n")
    result = run(pytester)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*pytest.xfail() inside a load would hide the verdict*"])


def test_exit_inside_a_body_ends_the_run_then_the_session(pytester, write, result_of):
    write("""
@perf(vus=2, duration='60s', error_rate=1)
def test_it(vu):
    if vu.iteration == 3:
        pytest.exit("enough", returncode=7)
    time.sleep(0.01)

def test_never():
    raise SystemError
""")
    result = run(pytester)
    assert result.ret == 7
    result.assert_outcomes(failed=1)  # reported before the session ends
    document = result_of("test_it-test_it")
    assert document["verdict"] == "FAILED"
    assert document["reasons"][0] == "stopped early: Exit: enough"


def test_too_few_samples_for_a_percentile_make_it_invalid(pytester, write):
    write(f"@perf({LOAD}, p99='10s')\ndef test_it():\n    pass\n")
    result = run(pytester)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "E   INVALID: p(99) of response_time * ms, limit 10,000 ms (p(99)<10000): 20 samples; p(99) needs 299, "
            "which *; run longer"
        ]
    )


def test_in_a_shortened_run_such_a_percentile_is_not_judged(pytester, write):
    write("@perf(vus=1, duration='5m', p99='10s')\ndef test_it():\n    time.sleep(0.1)\n")
    result = run(pytester, "--perf-duration=1s")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["- response_time p(99) *< 10,000 ms *", "  not judged: * samples*; p(99) needs 299*"])


def test_a_false_check_fails_no_iteration_under_load(pytester, write):
    write(
        f"@perf({LOAD}, thresholds={{'checks': 'rate>=0.5'}})\ndef test_it(vu):\n    check('odd', vu.iteration % 2)\n"
    )
    result = run(pytester)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["checks    10 of 20 false: odd"])


def test_a_false_check_fails_the_test_in_once_mode(pytester, write):
    write(f"@perf({LOAD})\ndef test_it():\n    check('two is one', 2 == 1)\n")
    result = pytester.runpytest()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["false checks: two is one"])


def test_a_fixture_that_raises_is_an_error_and_runs_no_iteration(pytester, write):
    write(
        f"@pytest.fixture\ndef broken():\n    raise OSError('no disk')\n@perf({LOAD})\ndef test_it(broken):\n    pass\n"
    )
    result = run(pytester)
    result.assert_outcomes(errors=1)
    assert not list((pytester.path / "perf-results").glob("*/*.json"))


def test_custom_metrics_and_groups_are_judged_by_tag(pytester, write):
    write(f"""
size = Trend("size")

@perf({LOAD}, thresholds={{
    "size{{kind:big}}": "min>=100", "size{{group:reading}}": "max<10", "group_duration": "count==20",
}})
def test_it():
    size.add(100, {{"kind": "big"}})
    with group("reading"):
        size.add(1)
""")
    run(pytester).assert_outcomes(passed=1)


def test_a_threshold_on_a_metric_without_samples_fails(pytester, write):
    write(f"@perf({LOAD}, thresholds={{'respons_time': 'avg<5'}})\ndef test_it():\n    pass\n")
    result = run(pytester)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*avg of respons_time: no samples, limit 5 (avg<5): the run recorded no respons_time; it has response_time, *"]
    )


def test_a_blocking_client_in_an_async_body_is_refused(pytester, write):
    write("@perf\nasync def test_it():\n    think(1)\n")
    result = pytester.runpytest()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*BlockingCallError: think() blocks, which would stall every VU*await think.aio(...)"])


def test_an_iteration_beyond_the_graceful_stop_is_interrupted_and_counted(pytester, write, result_of):
    write("""
import threading
never = threading.Event()

@perf(load=ConstantVUs(vus=2, duration='1s', graceful_stop='0s'), error_rate=1)
def test_it(vu):
    if vu.id == 1:
        never.wait(60)
    time.sleep(0.05)

@perf(load=PerVUIterations(vus=1))
def test_next():
    pass
""")
    result = run(pytester)
    result.assert_outcomes(failed=1, skipped=1)
    result.stdout.fnmatch_lines(
        ["*VU 1 could not be stopped: blocked in a call that has no timeout (test_it.py:*); give it one"]
    )
    result.stdout.fnmatch_lines(["*VUs of test_it.py::test_it are still running, so no load was started"])
    assert result_of("test_it-test_it")["metrics"]["iterations_interrupted"]["values"]["count"] >= 1


@pytest.mark.parametrize(
    "load",
    [
        "ConstantVUs(vus=2, duration='600ms', graceful_stop='200ms')",
        "ConstantArrivalRate(rate=50, duration='600ms', vus=50, graceful_stop='200ms')",
    ],
    ids=["closed", "open"],
)
def test_a_system_that_hangs_for_good_from_the_middle_on_has_failed(pytester, write, result_of, load):
    write(f"""
begun = []

@perf(load={load}, thresholds={{"response_time": "max<100"}})
async def test_it():
    begun.append(1)
    if len(begun) > 10:
        await asyncio.Event().wait()
    await asyncio.sleep(0.02)
""")
    result = run(pytester)
    result.assert_outcomes(failed=1)
    document = result_of("test_it-test_it")
    (kind,) = document["failures"]
    interrupted = document["metrics"]["iterations_interrupted"]["values"]["count"]
    assert (document["verdict"], kind["type"], kind["count"]) == ("FAILED", "IterationTimeoutError", interrupted)
    assert document["iterations"] == 10
    assert "at the end of graceful_stop, at test_it.py:10" in kind["sample"]
    assert document["metrics"]["response_time"]["values"]["max"] >= 200
    assert any(
        reason.startswith("max of response_time ") and "limit 100 ms" in reason for reason in document["reasons"]
    )
    assert any("is in response_time as a lower bound" in note for note in document["notes"])


def test_a_counted_load_that_was_not_all_started_has_failed_whatever_cut_it_short(pytester, write, result_of):
    write("""
@perf(load=SharedIterations(vus=1, iterations=200, max_duration='300ms', graceful_stop='100ms'), error_rate=1)
async def test_it(vu):
    await asyncio.sleep(60 if vu.iteration else 0)
""")
    run(pytester).assert_outcomes(failed=1)
    assert result_of("test_it-test_it")["reasons"] == [
        "198 iterations were not started within max_duration; raise it, or the vus"
    ]


def test_a_warning_under_load_is_kept_once_a_line(pytester, write):
    write(f"""
import warnings

@perf({LOAD})
def test_it():
    warnings.warn("costly", RuntimeWarning)
""")
    run(pytester, "-Walways").assert_outcomes(passed=1, warnings=1)


BLOCKING = """
def helper():
    time.sleep(0.2)

@perf(vus=1, duration='1s')
async def test_it():
    helper()
"""


def test_a_generator_that_could_not_run_makes_it_invalid(pytester, write, result_of, monkeypatch):
    monkeypatch.delenv("CDCPERF_ON_UNFIT")
    write(BLOCKING)
    result = run(pytester)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "INVALID  the generator could not run for * of the time (allowed 15%), worst *",
            "generator UNFIT: own delay p95 * ms, p99 * ms, worst *",
        ]
    )
    document = result_of("test_it-test_it")
    assert (document["verdict"], document["generator_fit"], document["warnings"]) == ("INVALID", False, [])
    assert document["workers"][0]["lost"] > 0.5
    assert document["workers"][0]["own_delay_p95_ms"] > 100
    assert document["metrics"]["generator_delay"]["values"]["max"] > 100


@pytest.mark.parametrize("asked", ["option", "environment", "pyproject.toml"])
def test_an_unfit_generator_only_warns_where_that_is_asked_for(pytester, write, result_of, monkeypatch, asked):
    monkeypatch.delenv("CDCPERF_ON_UNFIT")
    if asked == "environment":
        monkeypatch.setenv("CDCPERF_ON_UNFIT", "warn")
    if asked == "pyproject.toml":
        pytester.makepyprojecttoml("[tool.cdcperf]\non_unfit = 'warn'\n")
    write(BLOCKING)
    result = run(pytester, *(["--perf-on-unfit=warn"] if asked == "option" else []))
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        [
            "PASSED  no limits were stated",
            "WARNING the generator was unfit: the generator could not run for *",
        ]
    )
    document = result_of("test_it-test_it")
    assert (document["verdict"], document["generator_fit"], document["on_unfit"]) == ("PASSED", False, "warn")
    assert len(document["warnings"]) == 1
