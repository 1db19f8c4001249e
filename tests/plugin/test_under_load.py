"""A body under load sets up no fixture and patches nothing; all else of pytest works in it."""

import sys

import pytest

LOAD = "PerVUIterations(vus=2, iterations=3)"


def run(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return pytester.runpytest("--perf-run", *arguments)


@pytest.mark.parametrize(
    "test",
    [
        "@perf(load=LOAD)\ndef test_it(request):\n    request.getfixturevalue('late')",
        "@perf(load=LOAD)\nasync def test_it(request):\n    request.getfixturevalue('late')",
        "def test_it(request, load):\n    assert load.run(lambda: request.getfixturevalue('late'), LOAD).passed",
    ],
    ids=["threads", "tasks", "load.run"],
)
def test_a_vu_sets_up_no_fixture(pytester, write, test):
    write(f"LOAD = {LOAD}\n@pytest.fixture\ndef late():\n    raise SystemError('set up by a VU')\n{test}\n")
    result = run(pytester)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "ConfigError: * at test_it.py:*: 6 times*",
            "*test_it.py::test_it: request.getfixturevalue('late') by a VU: fixtures are set up once, before the load; "
            "take 'late' as an argument of the test",
        ]
    )


@pytest.mark.parametrize("head", ["def", "async def"])
@pytest.mark.parametrize(
    "use",
    [
        "monkeypatch.setenv('PATCHED', 'x')",
        "monkeypatch.setitem({}, 'PATCHED', 'x')",
        "monkeypatch.setattr(test_it, 'patched', 'x', raising=False)",
        "monkeypatch.chdir('.')",
        "monkeypatch.undo()",
        "pytest.MonkeyPatch().delattr(test_it, 'patched', raising=False)",
    ],
)
def test_a_vu_patches_nothing(pytester, write, head, use):
    write(f"@perf(load={LOAD})\n{head} test_it(monkeypatch):\n    {use}\n")
    result = run(pytester)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "ConfigError: * at test_it.py:5: 6 times*",
            "*test_it.py::test_it: monkeypatch used by a VU: what it changes is changed for all VUs, and undone once, "
            "after the load; use it in a fixture, or before load.run",
        ]
    )


@pytest.mark.parametrize("head", ["def", "async def"])
@pytest.mark.parametrize("stop", ["breakpoint()", "__import__('pdb').set_trace()"])
def test_a_vu_stops_at_no_breakpoint(pytester, write, head, stop):
    write(f"@perf(load={LOAD})\n{head} test_it():\n    {stop}\n    pass\n")
    result = run(pytester)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*: a breakpoint under load; debug one iteration instead: --pdb or --perf-once*"])


def test_the_test_itself_sets_up_and_patches_before_and_after_its_loads(pytester, write):
    write(f"""
import os

@pytest.fixture
def patched(monkeypatch):
    monkeypatch.setenv("PATCHED", "fixture")

@perf(load={LOAD})
def test_marked(patched):
    assert os.environ["PATCHED"] == "fixture"

def test_by_hand(load, request, monkeypatch):
    def body():
        assert os.environ["PATCHED"] == word

    for word in ("a", "b"):
        monkeypatch.setenv("PATCHED", word)
        assert request.getfixturevalue("tmp_path").exists()
        assert load.run(body, {LOAD}).passed

def test_ordinary(request, monkeypatch):
    assert "PATCHED" not in os.environ
    methods = [request.getfixturevalue, *(getattr(monkeypatch, name) for name in dir(monkeypatch) if name[0] != "_")]
    assert [method for method in methods if hasattr(method, "__wrapped__") and method.__name__ != "context"] == []
""")
    run(pytester).assert_outcomes(passed=3)


def test_in_once_mode_the_body_may(pytester, write):
    write("""
import os

@perf(load=PerVUIterations(vus=2))
def test_it(request, monkeypatch):
    monkeypatch.setenv("PATCHED", request.getfixturevalue("tmp_path").name)
    assert "PATCHED" in os.environ
""")
    pytester.runpytest().assert_outcomes(passed=1)


@pytest.mark.parametrize("option", ["--perf-once", "--perf-run"])
@pytest.mark.parametrize(
    ("head", "call", "name"),
    [
        ("async def", "http_client.aio.get('http://127.0.0.1:9')", "AsyncHttpClient.request"),
        ("def", "http_client.aio.get('http://127.0.0.1:9')", "AsyncHttpClient.request"),
        ("async def", "asyncio.sleep(1)", "sleep"),
    ],
)
def test_a_forgotten_await_is_no_success(pytester, write, monkeypatch, option, head, call, name):
    monkeypatch.delenv("PYTEST_ADDOPTS")  # an option of pytest-asyncio's
    write(f"@perf(load={LOAD})\n{head} test_it(http_client):\n    {call}\n")
    result = pytester.runpytest(option, "-Werror", "-p", "no:asyncio")
    result.assert_outcomes(failed=1)
    remedy = "await it" if head == "async def" else "make the body an async def, and await it"
    result.stdout.fnmatch_lines(
        [f"*coroutine '{name}' was never awaited, so nothing of it ran; {remedy} (dropped at test_it.py:5)"]
    )


def test_a_coroutine_held_to_the_end_of_the_body_has_no_line(pytester, write):
    write("@perf\ndef test_it():\n    held = asyncio.sleep(1)\n")
    result = pytester.runpytest()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["coroutine 'sleep' was never awaited, *(dropped at the end of the body)"])


PRINTING = """
import logging, sys
handler = logging.StreamHandler(sys.stderr)  # holds on to the stream of the session
logger = logging.getLogger("service")
logger.addHandler(handler)
logger.propagate = False

@perf(load=PerVUIterations(vus=1, iterations=3000))
def test_it(vu):
    print("out", vu.iteration, "x" * 90)
    logger.warning("err %d %s", vu.iteration, "x" * 90)
"""


@pytest.mark.parametrize("capture", ["fd", "sys"])
def test_both_ends_of_what_a_load_prints_are_kept(pytester, write, capture):
    write(PRINTING)
    result = pytester.runpytest_subprocess("--perf-run", f"--capture={capture}", "-rP")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        [
            line
            for stream in ("out", "err")
            for line in (
                f"{stream} 0 xxx*",
                "[[]cdcperf: * bytes left out: of what a load prints pytest keeps the first and the last 4 kB; -s *",
                f"{stream} 2999 xxx*",
            )
        ]
    )
    text = result.stdout.str()
    assert "out 1500 " not in text
    assert "err 1500 " not in text
    kept = sum(len(line) + 1 for line in result.outlines if line.startswith("out "))
    assert 7 * 1024 < kept <= 8 * 1024


def test_without_capture_all_is_shown(pytester, write):
    write(PRINTING)
    result = pytester.runpytest_subprocess("--perf-run", "-s")
    assert sum(line.startswith("out ") for line in result.outlines) == 3000
    assert "left out" not in result.stdout.str()


def test_what_fits_is_kept_as_it_is(pytester, write):
    write(f"""
def test_it(load, capsys):
    load.run(lambda: print("said"), {LOAD})
    print("after")
    assert capsys.readouterr().out == "said\\n" * 6 + "after\\n"
""")
    run(pytester).assert_outcomes(passed=1)


def test_log_records_of_a_load_are_not_kept(pytester, write):
    write(f"""
import logging
apart = logging.getLogger("apart")
apart.propagate = False

def test_it(load, caplog):
    def body():
        logging.warning("during")
        apart.warning("during")

    load.run(body, {LOAD})
    logging.warning("after")
    apart.warning("after")
    assert set(caplog.messages) == {{"after"}}
""")
    run(pytester).assert_outcomes(passed=1)


@pytest.mark.skipif(not hasattr(pytest, "Subtests"), reason="pytest has subtests from 9.0 on")
@pytest.mark.parametrize("kind", ["", "async "])
def test_a_failed_subtest_fails_its_iteration_and_the_body_goes_on(pytester, write, result_of, kind):
    write(f"""
@perf(load=PerVUIterations(vus=3, iterations=10))
{kind}def test_it(subtests, vu):
    for n in range(4):
        with subtests.test("of four", n=n):
            if n == 1:
                pytest.skip("skipped subtests are nothing to load")
            assert n != 2 or vu.iteration >= 5
            if n == 3 and vu.iteration == 0:
                pytest.fail("another")
    Counter("went_on").add(1)
""")
    result = pytester.runpytest("--perf-run")
    result.assert_outcomes(failed=1)
    written = result_of("test_it-test_it")
    assert (written["iterations"], written["failed_iterations"]) == (30, 15)
    assert written["metrics"]["went_on"]["values"]["count"] == 30
    assert [(each["type"], each["count"]) for each in written["failures"]] == [("AssertionError", 15)]
    assert len(result.outlines) < 60


@pytest.mark.skipif(not hasattr(pytest, "Subtests"), reason="pytest has subtests from 9.0 on")
def test_in_once_mode_a_failed_subtest_is_reported_as_pytest_does(pytester, write):
    write("@perf\ndef test_it(subtests):\n    with subtests.test('odd'):\n        assert False\n")
    result = pytester.runpytest()
    result.stdout.fnmatch_lines(["*contains 1 failed subtest*"])
    result.assert_outcomes(failed=2)


@pytest.mark.skipif(sys.platform != "linux", reason="a limit on memory is how Linux limits threads for root, too")
def test_a_machine_that_allows_no_more_threads_ends_the_load_and_says_so(pytester, write):
    write("""
import resource, threading
from pathlib import Path

@pytest.fixture
def little_memory():
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + 2**29, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)

@perf(load=ConstantVUs(vus=2000, duration='1m'))
def test_closed(little_memory):
    time.sleep(0.01)

@perf(load=ConstantArrivalRate(rate=50, duration='1m', vus=2000))
def test_open(little_memory):
    time.sleep(0.01)

@perf(vus=1, iterations=1)
def test_next():
    assert [thread.name for thread in threading.enumerate() if "cdcperf-vu" in thread.name] == ["cdcperf-vu-1"]
""")
    result = pytester.runpytest_subprocess("--perf-run", timeout=30)
    result.assert_outcomes(failed=2, passed=1)
    lines = [
        "E   stopped early: the run could not go on",
        "E   VU * could not be started: *; * of 2000 VUs were there; this process has * threads; limits: "
        "*MB of memory (ulimit -v)*; use fewer VUs, an async def body, or more workers",
    ]
    result.stdout.fnmatch_lines([*lines, *lines])
    result.stdout.no_fnmatch_line("*Traceback*")


@pytest.mark.parametrize("loop", ["the installed loop", "asyncio's own"])
def test_a_test_that_fakes_time_fakes_it_for_its_own_code(pytester, write, result_of, loop):
    write(f"""
import sys

@pytest.fixture
def frozen(monkeypatch):
    if {loop!r} == "asyncio's own":
        monkeypatch.setitem(sys.modules, "uvloop", None)
    for name in ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns"):
        monkeypatch.setattr(time, name, lambda: 0)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)

@perf(vus=2, iterations=3)
def test_def(frozen):
    assert time.time() == time.monotonic() == 0
    with group("thinks"):
        think(0.02)

@perf(vus=2, iterations=3)
async def test_async(frozen):
    assert time.time() == time.monotonic() == 0
    with group("thinks"):
        await think.aio(0.02)
""")
    pytester.runpytest("--perf-run", "--perf-on-unfit=warn").assert_outcomes(passed=2)
    for name in ("test_def", "test_async"):
        measured = result_of(f"test_it-{name}")["metrics"]
        assert measured["iteration_duration"]["values"]["min"] > 10  # uvloop counts whole milliseconds
        assert measured["group_duration"]["values"]["min"] > 10


def test_a_project_may_override_a_public_fixture(pytester, write, result_of):
    write("""
@pytest.fixture
def pg():
    return "the project's"

@perf(load=PerVUIterations(vus=1))
def test_it(pg):
    assert pg == "the project's"
""")
    pytester.runpytest("--perf-run", "-rs").assert_outcomes(passed=1)
