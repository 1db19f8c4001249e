"""Random numbers that come again: seeds, and one iteration of a run that is run again alone."""

import json

import pytest

from pytest_cdcperf.results.json import file_stem

FAILING = """
def note(vu, **more):
    drawn = [vu.random.random(), vu.random.random()]
    with open("seen.ndjson", "a") as file:
        file.write(json.dumps({"id": vu.id, "iteration": vu.iteration, "drawn": drawn, **more}) + "\\n")
    assert drawn[0] < 0.8, f"drew {drawn[0]}"

@perf(load={"readers": PerVUIterations(vus=2, iterations=9), "writers": PerVUIterations(vus=1, iterations=9)})
def test_it(vu):
    note(vu)
"""


def seen(pytester):
    path = pytester.path / "seen.ndjson"
    lines = sorted(path.read_text().splitlines())
    path.unlink()
    return [json.loads(line) for line in lines]


@pytest.fixture
def failing(write):
    return write("import json\n" + FAILING)


def test_a_run_with_the_same_seed_has_the_same_random_numbers(pytester, failing, result_of):
    runs = []
    for arguments in (["--perf-seed=first"], ["--perf-seed=first"], []):
        result = pytester.runpytest("--perf-run", *arguments)
        runs.append(seen(pytester))
    assert runs[0] == runs[1] != runs[2]
    assert len({tuple(line["drawn"]) for line in runs[0]}) == len(runs[0]) == 27
    facts = result_of("test_it-test_it")
    assert facts["seed"] == facts["session_id"]
    result.stdout.fnmatch_lines([f"cdcperf: seed {facts['session_id']}; session {facts['session_id']}"])
    kind = facts["failures"][0]
    assert 0 < kind["first_s"] <= kind["last_s"] <= facts["elapsed_s"]
    seed, load, vu, iteration = kind["iteration"].split(":")
    (failed,) = [line for line in runs[2] if (line["id"], line["iteration"]) == (int(vu), int(iteration))]
    assert (seed, load) == (facts["seed"], "readers" if failed["id"] < 3 else "writers")
    assert f"drew {failed['drawn'][0]}" in kind["sample"]


def test_a_failure_says_the_command_that_runs_its_iteration_again(pytester, write, result_of, monkeypatch):
    source = write("""
@pytest.mark.parametrize("kind", ["a b"])
class TestIt:
    def test_it(self, load, kind):
        body = lambda: 1 / 0
        load.run(body, PerVUIterations(vus=1), name="first", check=False)
""")
    below = pytester.mkdir("below")
    for directory, path, more in ((pytester.path, source.name, ""), (below, f"../{source.name}", "-n0 ")):
        monkeypatch.setenv("PYTEST_ADDOPTS", more)
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(directory)
            pytester.runpytest("--perf-run", f"--rootdir={pytester.path}", "--perf-seed=s", path)
        replay = result_of(file_stem("test_it.py::TestIt::test_it[a b]::first"))["replay"]
        assert replay == f"pytest '{path}::TestIt::test_it[a b]' {more}--pdb --perf-replay="


@pytest.mark.parametrize("kind", ["def", "async def"])
def test_an_iteration_is_run_again_alone_as_it_was(pytester, write, result_of, kind):
    write("import json\n" + FAILING.replace("def test_it", f"{kind} test_it"))
    pytester.runpytest("--perf-run", "--perf-seed=first").assert_outcomes(failed=1)
    failed = seen(pytester)
    facts = result_of("test_it-test_it")
    iteration = facts["failures"][0]["iteration"]
    result = pytester.runpytest("test_it.py::test_it", "--pdb", f"--perf-replay={iteration}")
    (again,) = seen(pytester)
    assert again in [line for line in failed if line["drawn"][0] >= 0.8]
    assert [again["id"], again["iteration"]] == [int(part) for part in iteration.split(":")[-2:]]
    result.stdout.fnmatch_lines(
        [
            "cdcperf: 1 perf test, mode once (--perf-replay runs one iteration again)",
            f"cdcperf: seed {facts['seed']}; session *",
            f"vu = <VU {again['id']}, iteration {again['iteration']}>",
            f"E * AssertionError: drew {again['drawn'][0]}*",
            "*PDB post_mortem*",
        ]
    )
    assert "passed this time" not in result.stdout.str()


def test_a_replay_that_passes_says_so(pytester, failing):
    result = pytester.runpytest("--perf-replay=s:readers:1:4")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        ["cdcperf: --perf-replay=s:readers:1:4: the iteration passed this time, with the random numbers of the run; *"]
    )


RUNS = """
def test_runs(load, vu):
    load.run(lambda: 1 / 0, PerVUIterations(vus=1), name="first", check=False)
    result = load.run(lambda: None, {"readers": PerVUIterations(vus=1), "writers": PerVUIterations(vus=1)})
    assert result.passed

    def body():
        assert (vu.id, vu.iteration, vu.vus, dict(vu.scope.tags)) == (7, 5, 3, {"a": "b"})

    load.run(body, PerVUIterations(vus=3, tags={"a": "b"}), name="last")
    1 / 0
"""


@pytest.mark.parametrize(
    ("iteration", "outcome", "said"),
    [
        ("s:first:1:0", {"failed": 1}, "E * ZeroDivisionError: *"),
        ("s:run-2/writers:2:0", {"skipped": 1}, "cdcperf: --perf-replay=s:run-2/writers:2:0: *passed this time*"),
        ("s:last:7:5", {"skipped": 1}, "cdcperf: *passed this time*"),
        (
            "s:lost:1:0",
            {"failed": 1},
            "--perf-replay=s:lost:1:0: test_it.py::test_runs came to no run 'lost'; its runs: *",
        ),
    ],
)
def test_an_iteration_of_one_of_several_runs_of_a_test_is_run_again(pytester, write, iteration, outcome, said):
    write(RUNS)
    result = pytester.runpytest(f"--perf-replay={iteration}")
    result.assert_outcomes(**outcome)
    result.stdout.fnmatch_lines([said])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--perf-replay=s:1:2"], "--perf-replay='s:1:2' is not a valid iteration; allowed: SEED:LOAD:VU:ITERATION*"),
        (["--perf-replay=s::1:2"], "--perf-replay=s::1:2: 3 tests are selected; name the one whose iteration it is*"),
        (["--perf-replay=s::1:2", "-k", "plain"], "--perf-replay=s::1:2: test_it.py::test_plain is not a perf test"),
        (
            ["--perf-replay=s:x:1:2", "-k", "test_it and readers"],
            "--perf-replay=s:x:1:2: test_it.py::test_readers has no load 'x'; its loads: 'readers'",
        ),
        (
            ["--perf-replay=s:x:1:2", "-k", "unnamed"],
            "--perf-replay=s:x:1:2: test_it.py::test_unnamed has no load 'x'; its load has no name: SEED::VU:ITERATION",
        ),
        (["--perf-replay=s::1:2", "-k", "unnamed", "-n", "2"], "--perf-replay runs one iteration, *or say -n 0"),
    ],
)
def test_what_cannot_be_replayed_is_refused_in_a_line(pytester, write, arguments, said):
    write("""
def test_plain():
    pass

@perf(load={"readers": PerVUIterations(vus=1)})
def test_readers():
    pass

@perf
def test_unnamed():
    pass
""")
    result = pytester.runpytest(*arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {said}"])
    assert "Traceback" not in result.stderr.str() + result.stdout.str()
