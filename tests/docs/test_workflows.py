"""Tests of the workflows of .github: each shell step runs as it would on GitHub."""

import json
import re
import sys
from pathlib import Path

import pytest

from tests.docs.workflows import DIRECTORY, Runner, step, workflow

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the steps run on Linux")

WORKFLOWS = sorted(path.name for path in DIRECTORY.iterdir())
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
def test_workflows_may_do_no_more_than_they_need(name):
    loaded = workflow(name)
    assert loaded["permissions"] in ({"contents": "read"}, {})
    assert all(int(job["timeout-minutes"]) <= 60 for key, job in loaded["jobs"].items() if key != "perf")
