"""The workflows of .github, and their shell steps as a runner executes them."""

import os
import subprocess
from pathlib import Path
from typing import Any

import yaml

DIRECTORY = Path(__file__).parents[2] / ".github" / "workflows"


def workflow(name: str) -> dict[str, Any]:
    text = (DIRECTORY / name).read_text()
    loaded: dict[str, Any] = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506  # all is text, "on" too
    return loaded


def step(name: str, job: str, title: str) -> dict[str, Any]:
    (found,) = (step for step in workflow(name)["jobs"][job]["steps"] if step.get("name") == title)
    return dict(found)


class Runner:
    """Runs a step's shell in a directory of its own, where commands that are not to be run are files that note it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._bin = directory / "bin"
        self._bin.mkdir()
        self.calls = directory / "calls"
        self.output = directory / "output"

    def command(self, name: str, script: str = "") -> None:
        """Make a command that notes its arguments, one in brackets each, and then does *script*."""
        path = self._bin / name
        noted = f"""{{ printf '%s' "{name}"; printf ' [%s]' "$@"; echo; }} >> '{self.calls}'"""
        path.write_text(f"#!/usr/bin/env bash\n{noted}\n{script}\n")
        path.chmod(0o755)

    def run(self, step: dict[str, Any], **variables: str) -> subprocess.CompletedProcess[str]:
        """Run the shell of *step*, with *variables* for those that its env names."""
        assert set(variables) == set(step.get("env", {}))
        env = {"PATH": f"{self._bin}:{os.environ['PATH']}", "GITHUB_OUTPUT": str(self.output), **variables}
        bash = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
        return subprocess.run(bash, cwd=self.directory, env=env, capture_output=True, text=True, check=False)
