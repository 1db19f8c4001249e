"""Tests of the workflows of .github: each shell step runs as it would on GitHub."""

import json
import re
import shlex
import sys
from pathlib import Path

import pytest

from pytest_cdcperf.judging.verdict import Verdict
from pytest_cdcperf.results.json import write_result
from pytest_cdcperf.results.result import RunFacts, RunResult
from tests.docs.workflows import DIRECTORY, Runner, step, workflow

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="the steps run on Linux"),
    pytest.mark.skipif(not DIRECTORY.exists(), reason="the source distribution has no workflows"),
]

WORKFLOWS = sorted(path.name for path in DIRECTORY.glob("*.yml"))
SCENARIOS = ["baseline", "stress", "spike", "soak", "e2e-latency", "mixed-workload"]
# What a session leaves behind, as seen from the workspace.
LEFT_BEHIND = {
    "perf-results/junit.xml": "results",
    "perf-results/20260101-020000-1a2b3c4d/tests_perf.test_baseline-test_new_customer.json": "results",
    "perf-results/20260101-020000-1a2b3c4d/report.html": "results",
    "perf-results/20260101-020000-1a2b3c4d/comment.md": "results",
    "perf-results/20260101-020000-1a2b3c4d/postgres.log": "logs",
    "perf-results/latest/report.html": None,
    "perf-results/latest/postgres.log": None,
}


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    return Runner(tmp_path)


@pytest.mark.parametrize(
    ("scenario", "chosen"),
    [("", ["baseline", "e2e-latency"]), ("all", SCENARIOS), *((name, [name]) for name in SCENARIOS)],
)
def test_one_job_runs_for_each_chosen_scenario(runner, scenario, chosen):
    assert runner.run(step("perf.yml", "plan", "Choose scenarios"), SCENARIO=scenario).returncode == 0
    name, _, value = runner.output.read_text().partition("=")
    assert (name, json.loads(value)) == ("scenarios", chosen)


def test_every_scenario_can_be_chosen():
    inputs = workflow("perf.yml")["on"]["workflow_dispatch"]["inputs"]
    assert inputs["scenario"]["options"] == [*SCENARIOS, "all"]


@pytest.mark.parametrize(("duration", "said"), [("", ""), ("5m", " [--perf-duration=5m]")])
def test_a_scenario_runs_for_the_duration_that_was_given(runner, duration, said):
    runner.command("tox")
    runner.run(step("perf.yml", "perf", "Run the scenario"), SCENARIO="e2e-latency", DURATION=duration)
    assert runner.calls.read_text() == f"tox [-e] [perf] [--] [--perf-profile=e2e-latency]{said}\n"


@pytest.mark.parametrize(("duration", "said"), [("", ""), ("5m", " [--perf-duration=5m]")])
def test_the_services_are_loaded_where_the_variables_say(runner, duration, said):
    runner.command("tox", """printf '%s %s\\n' "$ADDER_ADDR" "$TOTALIZER_URL" """)
    done = runner.run(
        step("services.yml", "services", "Run the scenarios"),
        SCENARIOS="adder_grpc or totalizer_http",
        ADDER_ADDR="adder.example.org:30051",
        TOTALIZER_URL="http://totalizer.example.org:30080",
        DURATION=duration,
    )
    assert done.stdout == "adder.example.org:30051 http://totalizer.example.org:30080\n"
    assert runner.calls.read_text() == f"tox [-e] [perf] [--] [-m] [adder_grpc or totalizer_http] [--perf-run]{said}\n"


@pytest.mark.parametrize(
    ("name", "job", "title"),
    [("perf.yml", "perf", "Run the scenario"), ("services.yml", "services", "Run the scenarios")],
)
def test_a_run_that_fails_fails_the_job_and_its_files_are_kept(runner, name, job, title):
    runner.command("tox", "exit 1")
    ran = step(name, job, title)
    assert runner.run(ran, **dict.fromkeys(ran["env"], "x")).returncode == 1
    assert "continue-on-error" not in ran
    assert [step(name, job, f"Keep {what}")["if"] for what in ("results", "logs")] == ["always()", "always()"]


@pytest.mark.parametrize(("name", "job"), [("perf.yml", "perf"), ("services.yml", "services")])
@pytest.mark.parametrize(("what", "days"), [("results", "30"), ("logs", "7")])
def test_results_are_kept_for_a_month_and_logs_for_a_week(tmp_path, name, job, what, days):
    for path in map(tmp_path.joinpath, LEFT_BEHIND):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    kept = step(name, job, f"Keep {what}")["with"]
    assert kept["retention-days"] == days
    found = {
        path.relative_to(tmp_path).as_posix() for pattern in kept["path"].split() for path in tmp_path.glob(pattern)
    }
    assert found == {path for path, wanted in LEFT_BEHIND.items() if wanted == what}


CHOSEN = '["baseline", "e2e-latency"]'


@pytest.fixture
def saved(tmp_path):
    """Save the result of a scenario as the jobs before have left it."""

    def save(scenario: str) -> None:
        directory = tmp_path / "results" / f"20260101-020000-{scenario}"
        directory.mkdir(parents=True)
        facts = RunFacts("1a2b3c4d", f"tests_perf/test_{scenario}.py::test_it", "1 VU for 1s", 1.0)
        write_result(RunResult(facts, 1.0, Verdict.FAILED, ("too slow",)), directory)

    return save


@pytest.fixture
def commenting(runner):
    """Run the step that writes the comment, by the real command; return what it has written."""
    runner.command("cdcperf", f"exec '{sys.executable}' -m pytest_cdcperf \"$@\"")

    def run() -> str:
        done = runner.run(step("perf.yml", "comment", "Write the comment"), NUMBER="7", SCENARIOS=CHOSEN)
        assert done.returncode == 0, done.stderr
        assert (runner.directory / "comment" / "number").read_text() == "7\n"
        return (runner.directory / "comment" / "comment.md").read_text()

    return run


def test_the_comment_is_one_of_all_scenarios(saved, commenting):
    saved("baseline")
    saved("e2e_latency")
    assert commenting().startswith("**FAILED**: 2 of 2 perf tests did not pass; <code>test_it</code>: too slow")


def test_the_comment_names_a_scenario_that_left_no_result_first(saved, commenting):
    saved("baseline")
    assert commenting().startswith("**e2e-latency ended without a result.**\n\n**FAILED**: ")


def test_the_comment_says_so_where_no_scenario_left_a_result(commenting):
    ended = "**{} ended without a result.**\n\n".format
    assert commenting() == ended("baseline") + ended("e2e-latency")


COMMIT = "1f2e3d4c5b6a79881f2e3d4c5b6a79881f2e3d4c"
ASKED = f"""case "$*" in
  *pulls/7*) echo {COMMIT} ;;
  *--paginate*) printf '%s' "$COMMENTS" ;;
  *body=@body.md) cat body.md ;;
esac"""


@pytest.fixture
def posting(runner):
    """Run the step that posts the comment, with a ``gh`` that answers as GitHub would; return what was sent."""
    comment = runner.directory / "comment"
    comment.mkdir()
    (comment / "comment.md").write_text("**PASSED**: `test_it`\n")

    def run(number: str = "7", commit: str = COMMIT, comments: str = ""):
        (comment / "number").write_text(number)
        runner.command("gh", f"COMMENTS={shlex.quote(comments)}\n{ASKED}")
        ran = step("perf-comment.yml", "comment", "Post or update the comment")
        return runner.run(ran, GH_TOKEN="", REPOSITORY="shop/web", COMMIT=commit)

    return run


def test_the_first_comment_is_made(runner, posting):
    assert posting().stdout == "<!-- cdcperf -->\n**PASSED**: `test_it`\n"
    assert runner.calls.read_text().splitlines()[-1] == (
        "gh [api] [--silent] [repos/shop/web/issues/7/comments] [--field] [body=@body.md]"
    )


def test_later_ones_update_it(runner, posting):
    assert posting(comments="41\n42\n").returncode == 0
    assert runner.calls.read_text().splitlines()[-1] == (
        "gh [api] [--silent] [--method] [PATCH] [repos/shop/web/issues/comments/41] [--field] [body=@body.md]"
    )


@pytest.mark.parametrize("number", ["", "7; rm -rf /", "$(id)", "../8", "-1", "9" * 30, "7\n8"])
def test_nothing_but_a_number_names_a_pull_request(runner, posting, number):
    assert posting(number).returncode == 1
    assert not runner.calls.exists()


def test_no_comment_goes_to_a_pull_request_of_another_commit(runner, posting):
    done = posting(commit="0" * 40)
    assert (done.returncode, "no comment" in done.stdout) == (0, True)
    assert "body=@body.md" not in runner.calls.read_text()


def test_a_comment_is_no_longer_than_github_takes(runner, posting):
    (runner.directory / "comment" / "comment.md").write_text("x" * 200_000)
    assert len(posting().stdout) < 65_536


def test_who_may_write_runs_nothing_of_the_pull_request():
    loaded = workflow("perf-comment.yml")
    assert loaded["on"]["workflow_run"]["workflows"] == [workflow("perf.yml")["name"]]
    uses = [step["uses"].partition("@")[0] for step in loaded["jobs"]["comment"]["steps"] if "uses" in step]
    assert uses == ["actions/download-artifact"]


def test_soak_has_more_time_than_its_two_hours():
    assert workflow("perf.yml")["jobs"]["perf"]["timeout-minutes"] == "${{ matrix.scenario == 'soak' && 150 || 120 }}"


def test_perf_runs_each_night_and_for_changes_of_what_it_measures():
    on = workflow("perf.yml")["on"]
    assert [night["cron"] for night in on["schedule"]] == ["0 2 * * *"]
    root = DIRECTORY.parents[1]
    assert [path for path in on["pull_request"]["paths"] if not list(root.glob(path))] == []


@pytest.mark.parametrize("name", WORKFLOWS)
def test_no_shell_has_text_of_others_pasted_into_it(name):
    shells = [step["run"] for job in workflow(name)["jobs"].values() for step in job["steps"] if "run" in step]
    assert [shell for shell in shells if re.search(r"\$\{\{ *(github\.event|inputs|secrets|vars|needs)", shell)] == []


@pytest.mark.parametrize("name", WORKFLOWS)
def test_every_environment_of_tox_that_runs_is_there(name):
    tox = (DIRECTORY.parents[1] / "tox.ini").read_text()
    shells = " ".join(step.get("run", "") for job in workflow(name)["jobs"].values() for step in job["steps"])
    environments = [one for several in re.findall(r"tox -e ([\w,]+)", shells) for one in several.split(",")]
    assert [one for one in environments if f"[testenv:{one}]" not in tox] == []


@pytest.mark.parametrize("name", WORKFLOWS)
def test_workflows_may_do_no_more_than_they_need(name):
    loaded = workflow(name)
    assert loaded["permissions"] in ({"contents": "read"}, {})
    assert all(int(job["timeout-minutes"]) <= 60 for key, job in loaded["jobs"].items() if key != "perf")
