"""Run the test suites of other plugins with and without pytest-cdcperf, and compare how each test ends.

``python tests/neighbours/compare.py DIRECTORY [PLUGIN ...]`` in an environment that has those plugins and what it
depends on, but not pytest-cdcperf itself: it is installed into a directory that only one of the two runs has on its
path, sessions inside the suites' tests and their workers included. The suites are those of the installed versions.
The exit code is 1 where a test ends otherwise with the plugin than without it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).resolve().parent
TIMEOUT_S = 1500
AGAIN = 3  # how often a test that ended otherwise is run once more, alone
SUITES = {
    "pytest-xdist": ["testing"],
    "pytest-rerunfailures": ["tests"],
    # Hypothesis is not installed: loading it would take most of the time of each session inside these tests.
    "pytest-asyncio": ["tests", "--ignore=tests/hypothesis"],
    "pytest-timeout": ["test_pytest_timeout.py"],
    "pytest-order": ["tests"],
}

Outcomes = Mapping[str, list[str]]


@dataclass(frozen=True)
class Side:
    """One of the two sides that are compared."""

    name: str
    path: tuple[Path, ...]

    @property
    def environment(self) -> dict[str, str]:
        """What its sessions find."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_", "TOX_"))}
        return {**kept, "PYTHONPATH": os.pathsep.join(map(str, self.path))}

    def check(self, *, has_plugin: bool) -> None:
        """Make sure that pytest-cdcperf is active on this side, or is not."""
        command = [sys.executable, "-m", "pytest", "--help"]
        elsewhere = HERE.anchor  # in the project's own directory pytest would load its conftest.py
        done = subprocess.run(command, cwd=elsewhere, env=self.environment, capture_output=True, text=True, check=True)
        shown = done.stdout
        if ("--perf-run" in shown) is not has_plugin:
            raise SystemExit(f"pytest-cdcperf is{'' if not has_plugin else ' not'} active {self.name}")

    def run(self, suite: Path, arguments: Sequence[str], scratch: Path) -> Outcomes:
        """Return how the tests of *suite* end."""
        file, log = (scratch / f"{suite.name}-{self.name.replace(' ', '-')}.{kind}" for kind in ("json", "log"))
        file.unlink(missing_ok=True)
        options = ["-p", "outcomes", f"--outcomes={file}", "-p", "no:cacheprovider", "-q"]
        with log.open("wb") as output:
            subprocess.run(
                [Path(sys.executable).with_name("pytest"), *options, *arguments],
                cwd=suite,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=TIMEOUT_S,
                check=False,
            )
        if not file.exists():
            raise SystemExit(f"{suite.name}, {self.name}: the session came to no end:\n{log.read_text()[-5000:]}")
        outcomes: Outcomes = json.loads(file.read_text(encoding="utf-8"))
        return outcomes


def main(directory: Path, plugins: Sequence[str]) -> int:
    """Compare the suites of *plugins*; return the exit code."""
    directory.mkdir(parents=True, exist_ok=True)
    plugin = directory / "plugin"
    install = ("install", "--quiet", "--no-deps", "--upgrade", "--target", str(plugin), str(HERE.parents[1]))
    _pip(*install)
    with_it, without = Side("with pytest-cdcperf", (HERE, plugin)), Side("without it", (HERE,))
    with_it.check(has_plugin=True)
    without.check(has_plugin=False)
    differences = 0
    for suite, arguments in _suites(directory, plugins):
        began = time.monotonic()
        here, there = _on_both(with_it, without, suite, arguments, directory)
        tests, passed = len(there), sum(ends == ["call passed"] for ends in there.values())
        different = _different(here, there)
        for _ in range(AGAIN):  # what ends otherwise each time has a reason
            if different:
                here, there = _on_both(with_it, without, suite, [*different], directory)
                different = _different(here, there)
        took = f"{time.monotonic() - began:.0f} s"
        print(f"{suite.name}: {tests} tests, {passed} pass, {len(different)} end otherwise, {took}", flush=True)
        for test in different:
            print(f"  {test}: {with_it.name} {here.get(test)}, {without.name} {there.get(test)}")
        differences += len(different)
    return int(differences > 0)


def _suites(directory: Path, plugins: Sequence[str]) -> Iterator[tuple[Path, list[str]]]:
    named = [f"{name}=={version(name)}" for name in plugins]
    _pip("download", "--quiet", "--no-deps", "--no-binary", ",".join(plugins), "--dest", str(directory), *named)
    for name in plugins:
        stem = f"{name.replace('-', '_')}-{version(name)}"
        with tarfile.open(directory / f"{stem}.tar.gz") as archive:
            archive.extractall(directory, filter="data")
        yield directory / stem, SUITES[name]


def _on_both(
    with_it: Side, without: Side, suite: Path, arguments: Sequence[str], scratch: Path
) -> tuple[Outcomes, Outcomes]:
    with ThreadPoolExecutor() as pool:
        here = pool.submit(with_it.run, suite, arguments, scratch)
        there = pool.submit(without.run, suite, arguments, scratch)
        return here.result(), there.result()


def _different(here: Outcomes, there: Outcomes) -> list[str]:
    return sorted(test for test in here.keys() | there.keys() if here.get(test) != there.get(test))


def _pip(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments], check=True)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve(), sys.argv[2:] or [*SUITES]))
