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


def test_a_failure_says_the_command_that_runs_its_iteration_again(pytester, write, result_of):
    source = write("""
@pytest.mark.parametrize("kind", ["a b"])
class TestIt:
    def test_it(self, load, kind):
        body = lambda: 1 / 0
        load.run(body, PerVUIterations(vus=1), name="first", check=False)
""")
    below = pytester.mkdir("below")
    for directory, path in ((pytester.path, source.name), (below, f"../{source.name}")):
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(directory)
            pytester.runpytest("--perf-run", f"--rootdir={pytester.path}", "--perf-seed=s", path)
        replay = result_of(file_stem("test_it.py::TestIt::test_it[a b]::first"))["replay"]
        assert replay == f"pytest '{path}::TestIt::test_it[a b]' --pdb --perf-replay="
