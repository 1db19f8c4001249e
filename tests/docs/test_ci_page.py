"""Tests of the page on CI: what it says to copy."""

import re

import yaml

from tests.docs.workflows import DIRECTORY

PAGE = (DIRECTORY.parents[1] / "docs" / "ci.md").read_text()
JUNIT = "perf-results/junit.xml"


def example(section: str) -> str:
    (found,) = re.findall(rf"^## {section}\n.*?^```\w+\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return found


def test_the_workflow_for_github_uses_the_versions_that_ours_do():
    (job,) = yaml.safe_load(example("GitHub"))["jobs"].values()
    ours = "".join(path.read_text() for path in DIRECTORY.iterdir())
    used = [step["uses"] for step in job["steps"] if "uses" in step]
    assert [uses for uses in used if f"uses: {uses}\n" not in ours] == []
    kept = next(step for step in job["steps"] if "upload-artifact" in step.get("uses", ""))
    assert kept["if"] == "always()"
    assert JUNIT in kept["with"]["path"].split()


def test_the_job_for_gitlab_reports_the_junit_file_that_it_writes_also_of_a_failed_run():
    (job,) = yaml.safe_load(example("GitLab")).values()
    assert set(job) <= {"image", "rules", "variables", "cache", "timeout", "script", "artifacts"}
    assert any(f"--junitxml={JUNIT}" in line for line in job["script"])
    assert job["artifacts"]["when"] == "always"
    assert job["artifacts"]["reports"] == {"junit": JUNIT}


def test_the_pipeline_for_jenkins_reports_the_junit_file_that_it_writes_also_of_a_failed_run():
    pipeline = example("Jenkins")
    assert pipeline.count("{") == pipeline.count("}")
    assert f"--junitxml={JUNIT}" in pipeline
    always = pipeline.partition("always {")[2]
    assert f"junit '{JUNIT}'" in always
    assert "reportFiles: 'report.html'" in always
