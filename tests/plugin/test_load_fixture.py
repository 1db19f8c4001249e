"""The fixture load: a test that says itself what runs, and how often."""

from tests.junit import figures_by_test


def test_an_object_with_an_async_call_is_an_async_body(pytester, write):
    write("""
class Body:
    async def __call__(self):
        raise ValueError("ran")

def test_it(load):
    result = load.run(Body(), PerVUIterations(vus=1, iterations=5), check=False)
    assert result.failed_iterations == 5 and result.failures[0].type == "ValueError"
""")
    pytester.runpytest("--perf-run", "-rs").assert_outcomes(passed=1)


def test_two_runs_of_one_name_are_refused(pytester, write):
    write("""
def test_it(load):
    for _ in range(2):
        load.run(lambda: None, PerVUIterations(vus=1), name="x")
""")
    result = pytester.runpytest("--perf-run", "-rs")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*load.run: name='x' was used in this test already; allowed: another *for each run"])


def test_several_runs_of_a_test_are_kept_apart_in_junit(pytester, write):
    write("""
def test_it(load):
    load.run(lambda: None, PerVUIterations(vus=1), name="a")
    load.run(lambda: None, PerVUIterations(vus=1), name="b")
""")
    pytester.runpytest("--perf-run", "-rs", "--junitxml=j.xml")
    figures = figures_by_test(pytester.path / "j.xml")
    assert [name for name, known in figures.items() if "perf.verdict" in known] == ["test_it::a", "test_it::b"]


def test_load_run_inside_a_load_is_refused(pytester, write):
    write("""
def test_it(load):
    result = load.run(lambda: load.run(lambda: 1, PerVUIterations()), PerVUIterations(), check=False)
    assert "call it in the test itself" in result.failures[0].sample
""")
    pytester.runpytest("--perf-run").assert_outcomes(passed=1)


def test_load_run_refuses_invalid_values(pytester, write):
    write("def test_it(load):\n    load.run(lambda: 1, PerVUIterations(), error_rate='x')\n")
    result = pytester.runpytest("--perf-run")
    result.stdout.fnmatch_lines(["*load.run: error_rate='x'; allowed: the tolerated share of failed *, 0 to 1"])
