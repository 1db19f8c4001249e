"""A perf test runs once or under load; options, names and marks choose which."""

import re

import pytest

ONCE = "mode once"
LOAD = "mode load"


@pytest.fixture
def counting(pytester, write):
    """Two perf tests and an ordinary one that note how often they were called."""
    write("""
from pathlib import Path
def note(name):
    with open("calls.txt", "a") as file:
        file.write(name + " ")

@pytest.mark.baseline
@perf(load=PerVUIterations(vus=2, iterations=3))
def test_marked():
    note("marked")

@perf(load=PerVUIterations(vus=1, iterations=4))
def test_stated():
    note("stated")

@pytest.mark.slow
@perf
def test_neutral():
    note("neutral")

def test_ordinary():
    note("ordinary")
""")
    pytester.makeini("[pytest]\nmarkers = slow\n")


def calls(pytester: pytest.Pytester) -> dict[str, int]:
    words = (pytester.path / "calls.txt").read_text().split()
    return {word: words.count(word) for word in words}


@pytest.mark.parametrize(
    ("arguments", "mode", "expected"),
    [
        ((), ONCE, {"marked": 1, "stated": 1, "neutral": 1, "ordinary": 1}),
        (("--perf-run", "-k", "not neutral"), LOAD, {"marked": 6, "stated": 4, "ordinary": 1}),
        (("-m", "baseline"), LOAD, {"marked": 6}),
        (("-m", "baseline", "--perf-once"), ONCE, {"marked": 1}),
        (("-m", "not baseline"), ONCE, {"stated": 1, "neutral": 1, "ordinary": 1}),
        (("-m", "baseline or perf"), LOAD, {"marked": 6, "stated": 1, "neutral": 1}),
        (("-m", "baseline or slow"), LOAD, {"marked": 6, "neutral": 1}),
        (("--perf-profile=baseline", "-k", "not neutral"), LOAD, {"marked": 6}),
    ],
)
def test_the_command_line_decides_on_load(pytester, counting, arguments, mode, expected):
    result = pytester.runpytest(*arguments, "--strict-markers")
    result.stdout.fnmatch_lines([f"cdcperf: * perf test*, {mode} (*"])
    assert calls(pytester) == expected


@pytest.mark.parametrize(
    ("fixtures", "said"),
    [("http_client, vu", "seed *; session *"), ("http_client, rows", "embedded stack, at the first need; *")],
)
def test_the_embedded_stack_is_named_where_a_test_needs_it(pytester, write, fixtures, said):
    write(f"@pytest.fixture\ndef rows(cdc): pass\n@perf\ndef test_it({fixtures}): pass\n")
    result = pytester.runpytest("--collect-only")
    result.stdout.fnmatch_lines(["cdcperf: 1 perf test, mode once *", f"cdcperf: {said}"], consecutive=True)


def test_pdb_debugs_one_iteration(pytester, counting):
    result = pytester.runpytest("--perf-run", "--pdb", "-k", "marked")
    result.stdout.fnmatch_lines(["*mode once (--pdb and --trace debug one iteration)"])
    assert calls(pytester) == {"marked": 1}


@pytest.mark.parametrize("kind", ["def", "async def", "@pytest.mark.asyncio\nasync def"])
def test_the_vu_of_a_failed_iteration_can_be_looked_at(pytester, write, kind):
    write(f"@perf\n{kind} test_it(vu):\n    vu.state['x'] = 1\n    assert False\n")
    result = pytester.runpytest()
    result.stdout.fnmatch_lines(["vu = <VU 1, iteration 0>"])


def test_a_test_without_load_or_profile_takes_the_profile_asked_for(pytester, write, result_of):
    write("@perf\ndef test_neutral():\n    time.sleep(0.01)\n")
    pytester.runpytest("--perf-profile=soak", "--perf-duration=1s", "--perf-vus=2").assert_outcomes(passed=1)
    result = result_of("test_it-test_neutral")
    assert (result["profile"], result["load"], result["shortened"]) == ("soak", "2 VUs for 1s", True)


def test_a_profile_longer_than_twenty_minutes_is_not_run_unasked(pytester, write):
    write("@pytest.mark.soak\n@perf\ndef test_long():\n    pass\n")
    result = pytester.runpytest("--perf-run", "-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*takes 2h: runs only where its profile is asked for by name*"])


def test_the_marker_lies_over_the_profile(pytester, write, result_of):
    write("@pytest.mark.baseline\n@perf(vus=3, duration='1s')\ndef test_it():\n    time.sleep(0.01)\n")
    pytester.runpytest("-m", "baseline").assert_outcomes(passed=1)
    assert result_of("test_it-test_it")["load"] == "3 VUs for 1s"


def test_profiles_of_the_project_are_marks_and_loads(pytester, write, result_of):
    pytester.makepyprojecttoml("[tool.cdcperf.profiles.tiny]\nvus = 2\nduration = '1s'\n")
    pytester.makeini("[pytest]\naddopts = --strict-markers\n")  # and pytest.ini is the inifile
    write("@pytest.mark.tiny\n@perf\ndef test_it():\n    time.sleep(0.01)\n")
    pytester.runpytest("-m", "tiny").assert_outcomes(passed=1)
    assert result_of("test_it-test_it")["load"] == "2 VUs for 1s"


@pytest.mark.parametrize("arguments", [(), ("-m", "baseline"), ("-m", "baseline", "--perf-run", "-n", "1")])
def test_without_perf_tests_the_session_is_as_it_was(pytester, write, monkeypatch, arguments):
    (pytester.path / "blocked").write_text("a file where the directory should be")
    monkeypatch.setenv("RESULTS_DIR", str(pytester.path / "blocked" / "results"))
    pytester.makeini("[pytest]\nmarkers = baseline\n")
    write("@pytest.mark.baseline\ndef test_plain():\n    pass\n")
    having = pytester.runpytest(*arguments)
    lacking = pytester.runpytest(
        "-p", "no:cdcperf", "-p", "no:pytest_cdcperf.plugin", *(each for each in arguments if "perf" not in each)
    )
    lines = [[line for line in run.outlines if "passed in" not in line] for run in (having, lacking)]
    assert [line.replace("cdcperf-0.1.0, ", "") for line in lines[0]] == lines[1]
    assert having.ret == lacking.ret == 0


def test_once_mode_leaves_the_logs_of_servers_to_pytest_and_names_them_where_something_failed(pytester, write):
    pytester.makeconftest("""
import pytest
from pytest_cdcperf.plugin.keys import session_key

@pytest.fixture
def logs(request):
    made = request.config.stash[session_key].services._log_dir()
    (made / "mongo.log").touch()
    return made
""")
    write("@perf\ndef test_it(logs):\n    assert not logs.is_relative_to(logs.cwd())\n")
    quiet = pytester.runpytest()
    quiet.assert_outcomes(passed=1)
    assert "logs of" not in quiet.stdout.str()
    write("@perf\ndef test_it(logs):\n    assert logs is None\n")
    pytester.runpytest().stdout.fnmatch_lines(["cdcperf: logs of the embedded servers: *cdcperf-logs0"])
    assert not (pytester.path / "perf-results").exists()


@pytest.mark.parametrize("auto", ["asyncio_mode = auto", "anyio_mode = auto"])
@pytest.mark.parametrize("option", ["--perf-once", "--perf-run"])
def test_bodies_of_every_shape_run_beside_async_plugins(pytester, write, auto, option):
    pytester.makeini(f"[pytest]\n{auto}\nasyncio_default_fixture_loop_scope = function\n")
    write("""
@pytest.fixture
def answer():
    return 42

@pytest.fixture(scope="module")
def anyio_backend():
    return "asyncio"

LOAD = PerVUIterations(vus=2, iterations=2)

@perf(load=LOAD)
def test_function(answer, tmp_path):
    assert answer == 42 and tmp_path.exists()

@perf(load=LOAD)
async def test_coroutine(answer, vu):
    await asyncio.sleep(0)
    assert answer == 42 and vu.id in (1, 2)

@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.perf(load=LOAD)
async def test_parametrized(n):
    await think.aio(0)
    assert n in (1, 2)

class TestMethods:
    @pytest.fixture(autouse=True)
    def prepared(self):
        self.prepared = True

    @perf(load=LOAD)
    def test_method(self):
        assert self.prepared

    @perf(load=LOAD)
    async def test_async_method(self, answer):
        assert answer == 42

async def test_ordinary_coroutine(answer):
    assert answer == 42
""")
    if "anyio" in auto:
        pytester.makeini(f"[pytest]\n{auto}\n")
    result = pytester.runpytest(option)
    result.assert_outcomes(passed=7)


def test_both_spellings_of_the_marker_are_one(pytester, write, result_of):
    write("@pytest.mark.perf(vus=2, duration='1s')\ndef test_it():\n    time.sleep(0.01)\n")
    pytester.runpytest("--perf-run", "--strict-markers").assert_outcomes(passed=1)
    assert result_of("test_it-test_it")["peak_vus"] == 2


def test_fixtures_are_set_up_once_for_all_vus(pytester, write):
    write("""
made = []

@pytest.fixture
def thing():
    made.append(1)
    yield object()
    made.append("closed")

seen = set()

@perf(load=PerVUIterations(vus=4, iterations=5))
def test_it(thing):
    assert made == [1]
    seen.add(id(thing))

def test_after():
    assert made == [1, "closed"] and len(seen) == 1
""")
    pytester.runpytest("--perf-run").assert_outcomes(passed=2)


def test_each_vu_has_its_own_state_and_randomness(pytester, write):
    write("""
draws = {}

@perf(load=PerVUIterations(vus=3, iterations=2))
def test_it(vu):
    assert vu.state.setdefault("owner", vu.id) == vu.id
    draws.setdefault(vu.id, []).append(vu.random.random())
    assert len(vu.session_id) == 8 and vu.iteration in (0, 1)

def test_after():
    assert len({draw for own in draws.values() for draw in own}) == 6
""")
    pytester.runpytest("--perf-run").assert_outcomes(passed=2)


def test_an_override_that_changes_nothing_is_said_to(pytester, write):
    write("@perf\ndef test_it():\n    pass\n")
    line = "cdcperf: --perf-duration, --perf-vus and --perf-rate change nothing without --perf-run or -m"
    assert line in pytester.runpytest("--perf-vus=3").outlines
    assert line not in pytester.runpytest().outlines


def said(result: pytest.RunResult, word: str) -> list[str]:
    return [line for line in result.outlines if line.startswith("cdcperf: ") and word in line]


def test_an_override_that_a_load_has_nothing_for_is_said_once_before_it_runs(pytester, write):
    write("""
@perf(gate=True, load=PerVUIterations())
def test_gate():
    pass

@pytest.mark.parametrize("n", range(5))
@perf(load=PerVUIterations())
def test_counted(n):
    pass

@perf(vus=1, duration="1s")
def test_closed():
    time.sleep(0.01)

@perf(load=ConstantArrivalRate(rate=20, duration="1s", vus=1, max_vus=1))
def test_open():
    pass
""")
    result = pytester.runpytest("--perf-run", "--perf-rate=10", "--perf-vus=1", "-k", "not test_closed or test_gate")
    counts = "changes nothing where a load counts its iterations; change vus and iterations in the test"
    tests = "test_counted[0], test_counted[1], test_counted[2] and 2 more"
    assert said(result, "changes nothing") == [
        f"cdcperf: --perf-vus=1 {counts}: {tests}",
        f"cdcperf: --perf-rate=10 {counts}: {tests}",
    ]
    closed = pytester.runpytest("--perf-run", "--perf-rate=10", "-k", "test_closed or test_open")
    assert said(closed, "changes nothing") == [
        "cdcperf: --perf-rate=10 changes nothing where the VUs of a closed loop start as they can; change --perf-vus: "
        "test_closed"
    ]
    assert said(pytester.runpytest("--perf-run", "--perf-rate=10", "-k", "test_open"), "changes nothing") == []


def test_an_override_that_load_run_has_nothing_for_is_a_note_of_its_first_run(pytester, write):
    write("""
def test_it(load):
    load.run(lambda: None, PerVUIterations(), name="first")
    load.run(lambda: None, PerVUIterations(), name="second")

def test_profile(load):
    load.run(lambda: time.sleep(0.01), "baseline")
""")
    result = pytester.runpytest("--perf-run", "--perf-duration=1s", "--perf-rate=5")
    result.assert_outcomes(passed=2)
    words = "load.run changes profiles only, not executors; give it the name of a profile"
    closed = "the VUs of a closed loop start as they can; change --perf-vus"
    notes = re.findall(r"^note +(.*(?:\n {12}.*)*)", result.stdout.str(), re.MULTILINE)
    assert [" ".join(note.split()) for note in notes] == [
        f"--perf-rate=5, --perf-duration=1s: {words}",
        f"--perf-rate=5 changes nothing where {closed}",
    ]


def test_a_limit_on_a_metric_that_nobody_knows_is_said_before_the_load(pytester, write):
    write("""
LATE = Trend("lateness", unit="ms")

@perf(load=PerVUIterations(), thresholds={"respons_time": "avg<5", "lateness": "avg<5"}, drift=Drift("nobody"))
def test_typo():
    LATE.add(1)

@perf(load=PerVUIterations(), thresholds={"pg_write_duration": "avg<5", "http_reqs": "count>=0"})
def test_client(http_client):
    pass

@perf(load=PerVUIterations(), thresholds={"pg_write_duration": "avg<5"})
def test_any(request):
    pass
""")
    then = "unless the test records it, its limit has no samples"
    # In a process of its own: here all clients are imported already.
    result = pytester.runpytest_subprocess("--perf-run", "-p", "no:xdist")
    assert said(result, ": metric ") == [
        f"cdcperf: metric 'respons_time' is not known (did you mean response_time?); {then}: test_typo",
        f"cdcperf: metric 'nobody' is not known; {then}: test_typo",
        f"cdcperf: metric pg_write_duration is recorded by pg, which no fixture of the test uses; {then}: test_client",
    ]
    assert said(pytester.runpytest_subprocess("-p", "no:xdist"), ": metric ") == []


def test_a_limit_on_a_tag_that_no_sample_has_is_said_before_the_load(pytester, write):
    write("""
@perf(load={"browse": PerVUIterations(tags={"team": "a"})}, thresholds={
    "response_time{scenario:browze}": "avg<5",
    "response_time{scenario:browse,team:a}": "avg<5",
    "response_time{group:a}": "avg<5",
    "checks{check:a,group:::b}": "rate>0",
    "pg_write_duration{tabel:orders}": "avg<5",
    "http_req_duration{name:http://127.0.0.1:8080/items/{id}}": "avg<5",
    "http_req_duration{kind:read,expected_response:true}": "avg<5",
})
def test_it(pg, http_client):
    pass
""")
    result = pytester.runpytest("--perf-run", "--collect-only")
    assert said(result, ": test_it") == [
        "cdcperf: response_time{scenario:browze}: no load is called 'browze'; there are browse: test_it",
        "cdcperf: no sample of response_time has the tag 'group'; there are scenario, team: test_it",
        "cdcperf: no sample of pg_write_duration has the tag 'tabel'; "
        "there are table, error, group, ok, op, scenario, team: test_it",
        "cdcperf: the tag name of http_req_duration is a path; "
        "write name:/items/{id}, or url:http://127.0.0.1:8080/items/{id} for one host: test_it",
    ]


def test_many_hints_are_cut(pytester, write):
    limits = {f"unknown_{number}": "avg<5" for number in range(14)}
    write(f"@perf(load=PerVUIterations(), thresholds={limits})\ndef test_it():\n    pass\n")
    result = pytester.runpytest("--perf-run")
    assert len(said(result, "is not known")) == 10
    assert "cdcperf: and 4 further lines of this kind" in result.outlines


ASYNC_FIXTURES = {
    "pytest-asyncio": """
import pytest_asyncio

@pytest_asyncio.fixture
async def loop():
    yield asyncio.get_running_loop()

plugins_own = pytest.mark.asyncio
""",
    "anyio": """
@pytest.fixture
def anyio_backend():
    return "asyncio"

@pytest.fixture
async def loop(anyio_backend):
    yield asyncio.get_running_loop()

plugins_own = pytest.mark.anyio
""",
}


@pytest.mark.parametrize("plugin", ASYNC_FIXTURES)
def test_a_fixture_on_the_loop_of_another_plugin_works_once_and_is_refused_by_name_under_load(pytester, write, plugin):
    write(f"""
{ASYNC_FIXTURES[plugin]}
@plugins_own
@perf(load=PerVUIterations(vus=2))
async def test_it(loop, vu):
    assert asyncio.get_running_loop() is loop
    assert vu.id == 1 and check("it is", vu.iteration == 0)

@plugins_own
@perf(load=PerVUIterations(vus=2))
async def test_checked(loop):
    check("it is not", False)

@perf(load=PerVUIterations(vus=2))
async def test_other():
    await asyncio.sleep(0)
""")
    once = pytester.runpytest("-W", "ignore")
    once.assert_outcomes(passed=2, failed=1)
    once.stdout.fnmatch_lines(["*false checks: it is not*"])
    loaded = pytester.runpytest("--perf-run", "-W", "ignore")
    loaded.assert_outcomes(passed=1, failed=2)
    loaded.stdout.fnmatch_lines(
        ["test_it.py::test_it: fixture 'loop' is asynchronous and lives on another event loop*"]
    )


def test_a_profile_mark_without_perf_is_said_to_run_as_a_plain_test(pytester, write):
    write("@pytest.mark.baseline\ndef test_it():\n    pass\n\n@perf\ndef test_other():\n    pass\n")
    result = pytester.runpytest("-m", "baseline")
    result.assert_outcomes(passed=1, deselected=1)
    result.stdout.fnmatch_lines(["cdcperf: 1 test with an asked profile but without @perf: run as plain tests"])


def test_a_thresholds_file_that_concerns_nobody_says_so(pytester, write):
    (pytester.path / "limits.json").write_text('{"baseline": {"response_time": {"p95": 1}}}')
    write("@perf(load=PerVUIterations(vus=1))\ndef test_it(): pass\n")
    result = pytester.runpytest("--perf-run", "-rs", "--perf-thresholds=limits.json")
    result.stdout.fnmatch_lines(["cdcperf: 1 test of no profile that --perf-thresholds names: their own limits hold"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ("-m", "baseline"),
            [
                "no perf test carries @pytest.mark.baseline; "
                "--perf-run runs test_note (states its own load), test_s (stress)"
            ],
        ),
        (
            ("--perf-profile=soak",),
            [
                "no perf test carries @pytest.mark.soak, or states neither load nor profile; "
                "--perf-run runs test_note (states its own load), test_s (stress)"
            ],
        ),
        (("-m", "stres and not slow"), ["-m: no test carries the mark 'stres'; did you mean the profile stress?"]),
        (("-m", "slow"), []),
        (("-m", "stress", "-k", "note"), []),
    ],
)
def test_where_no_perf_test_is_chosen_the_header_says_why(pytester, write, arguments, said):
    write("""
@perf(vus=1, duration="1s")
def test_note(): pass

@pytest.mark.stress
@perf
def test_s(): pass

@pytest.mark.slow
def test_slow(): pass
""")
    pytester.makeini("[pytest]\nmarkers = slow\n")
    result = pytester.runpytest(*arguments)
    assert [line for line in result.outlines if line.startswith("cdcperf: ")] == [f"cdcperf: {line}" for line in said]
