"""``--perf-plan`` shows what would run, and runs nothing."""

import pytest


@pytest.fixture
def shop(write):
    """A module whose body and fixtures fail where they are used."""
    write("""
@pytest.fixture(scope="session", autouse=True)
def server():
    raise AssertionError("started")

@perf(gate=True, load=PerVUIterations(vus=1, iterations=1))
def test_health(pg):
    raise AssertionError("ran")

@pytest.mark.baseline
@perf(p95="2s", thresholds={"pg_write_duration": "p(95)<100"})
def test_order(pg):
    raise AssertionError("ran")

@pytest.mark.soak
@perf
def test_long():
    raise AssertionError("ran")

@pytest.mark.skipif("1 > 0", reason="no server")
@perf
def test_skipped():
    raise AssertionError("ran")

def test_by_hand(load):
    raise AssertionError("ran")

def test_plain():
    raise AssertionError("ran")
""")


def test_the_plan_names_all_tests_and_starts_nothing(pytester, shop):
    pytester.makefile(".json", staging='{"baseline": {"pg_write_duration": {"p95": 50}}}')
    before = {*pytester.path.rglob("*")}
    result = pytester.runpytest(
        *("--perf-plan", "-n", "3", "--perf-duration=30s", "--perf-thresholds=staging.json", "--perf-out=csv=runs.csv"),
        *("-k", "not long", "-p", "no:cacheprovider"),
    )
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        [
            "*mode load (what --perf-run would run)",
            "*--perf-plan starts nothing",
            "*perf plan*",
            "test_it.py::test_health",
            "  gate      runs before any load*",
            "  3 workers 1 VU on 1, none on 2*",
            "test_it.py::test_order",
            "  profile   baseline",
            "  load      10 VUs for 30s",
            "    10 VUs │███*",
            "  changed   by --perf-duration=30s; the test states 10 VUs for 5m",
            "  limits    pg_write_duration p(95) < 50 ms  staging.json, instead of p(95)<100",
            "            response_time p(95) < 2,000 ms   @perf",
            "  time      30s, at most 1m (graceful stop 30s)",
            "  3 workers 4 VUs on 1, 3 VUs on 2",
            "test_it.py::test_by_hand",
            "  load      load.run states its loads and limits*",
            "  skipped   test_it.py::test_skipped: no server",
            "2 tests under load: 30s and what ends by its iterations, at most 11m30s; 1 with",
            "load.run, of a length not known yet; 1 skipped; 1 ordinary test",
        ]
    )
    made = {path.name for path in {*pytester.path.rglob("*")} - before}
    assert made <= {"__pycache__"} | {name for name in made if name.endswith(".pyc")}


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        (("-m", "soak"), 0, "  load      50 VUs for 2h"),
        (("--perf-run", "-k", "long"), 0, "  skipped   *takes 2h: runs only where*"),
        (("--perf-once",), 0, "no test under load; 4 once; 1 skipped; 1 ordinary test"),
        (("-m", "soak or baseline", "--perf-once", "--co", "-q"), 0, "  once      *test_order: --perf-once"),
        (("-k", "plain"), 5, "*5 deselected*"),
        (("--perf-clean=0123abcd",), 4, "*--perf-plan and --perf-clean both say what to do*"),
    ],
)
def test_the_plan_beside_other_options(pytester, shop, arguments, code, line):
    result = pytester.runpytest("--perf-plan", *arguments)
    assert result.ret == code
    (result.stderr if code == 4 else result.stdout).fnmatch_lines([line])


def test_what_cannot_be_collected_is_reported_and_the_rest_is_planned(pytester, shop, write):
    write("@perf(vus=-3)\ndef test_wrong():\n    pass\n", "test_wrong")
    for more in ((), ("--continue-on-collection-errors",)):
        result = pytester.runpytest("--perf-plan", *more)
        assert result.ret == (1 if more else 2)
        result.stdout.fnmatch_lines(
            [
                "test_it.py::test_order",
                "be collected is left out (1 error)",
                "*test_wrong.py::test_wrong: @perf: *vus=-3; allowed*",
            ]
        )


def test_a_terminal_without_block_characters_gets_ascii(pytester, shop, monkeypatch):
    monkeypatch.setenv("PYTHONIOENCODING", "cp1252")
    result = pytester.runpytest_subprocess("--perf-plan", "-k", "order")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["    10 VUs |####*", "         0 ++---*"])
    assert "\\u" not in result.stdout.str()


def test_fixtures_that_each_worker_would_set_up_are_named(pytester, write):
    write("""
@pytest.fixture(scope="session")
def server():
    yield "http://127.0.0.1:8000"

@pytest.fixture(scope="module")
def client(server):
    yield server

@pytest.fixture(scope="session")
def once_for_all(shared):
    yield

@pytest.fixture(scope="session")
def above_it(once_for_all):
    yield

@pytest.fixture(scope="session")
def a_value():
    return 1

@pytest.fixture
def of_a_test():
    yield

@perf
def test_it(client, above_it, a_value, of_a_test, tmp_path_factory):
    pass

@perf
def test_without():
    pass
""")
    two = pytester.runpytest("--perf-plan", "-n", "2")
    assert [line for line in two.outlines if "sets up" in line] == [
        f"cdcperf: each of 2 workers sets up {name} for itself; shared.once starts one for all: test_it"
        for name in ("server", "client")
    ]
    assert "sets up" not in pytester.runpytest("--perf-plan").stdout.str()
