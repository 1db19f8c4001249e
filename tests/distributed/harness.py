"""Sessions over several workers, each a process of its own, and what the tests inside note down for those outside."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tests.junit import figures_by_test

# Nothing but what is needed: each of the workers starts its own.
PLUGINS = "xdist.plugin,pytest_cdcperf.plugin"
HTML = f"{PLUGINS},pytest_metadata.plugin,pytest_html.plugin"

# Imported by the tests inside. One short write to a file that is appended to is not torn.
NOTES = """
import os

WORKER = os.environ.get("PYTEST_XDIST_WORKER", "main")

def note(file, *words):
    with open(file, "a") as out:
        out.write(" ".join(map(str, (WORKER, *words))) + "\\n")

note("processes.txt", os.getpid())
"""
HEAD = """
import os, signal, sys, time
import pytest
from notes import WORKER, note
from pytest_cdcperf import *
"""


@dataclass
class Place:
    """A directory in which tests run, and note down what they see."""

    directory: Path

    def notes(self, file: str) -> list[list[str]]:
        """What the tests inside noted in *file*, a list of words a line; the first is the worker."""
        path = self.directory / file
        return [line.split() for line in path.read_text().splitlines()] if path.exists() else []

    def left(self) -> list[psutil.Process]:
        """What still runs of the session."""
        left = []
        for _, pid in self.notes("processes.txt"):
            with contextlib.suppress(psutil.NoSuchProcess):
                process = psutil.Process(int(pid))
                if process.status() != psutil.STATUS_ZOMBIE:
                    left.append(process)
        return left


@dataclass
class Session(Place):
    """A session that is over."""

    code: int
    output: str

    @property
    def lines(self) -> list[str]:
        return self.output.splitlines()

    @property
    def counts(self) -> dict[str, int]:
        """What the last line counts: passed, failed, skipped, ..."""
        (last,) = [line for line in self.lines if re.fullmatch(r"=+ .* in [\d.]+s.* =+", line)]
        return {kind.rstrip("s"): int(number) for number, kind in re.findall(r"(\d+) (\w+)", last.partition(" in ")[0])}

    @property
    def results(self) -> dict[str, dict[str, Any]]:
        """What was written of each run, by the test's name."""
        files = (self.directory / "perf-results").glob("*-*/*.json")
        documents = [json.loads(path.read_text()) for path in files]
        return {document["test"].partition("::")[2]: document for document in documents}

    @property
    def figures(self) -> dict[str, dict[str, str]]:
        """The figures of the JUnit file, by the test's name."""
        return figures_by_test(self.directory / "junit.xml")

    @property
    def cases(self) -> dict[str, ET.Element]:
        """The test cases of the JUnit file, by name; what failed after the test has one of its own."""
        named: dict[str, ET.Element] = {}
        for case in ET.parse(self.directory / "junit.xml").getroot().iter("testcase"):
            late = any(part.attrib.get("message", "").startswith("failed on teardown") for part in case)
            name = case.attrib["name"] + (" teardown" if late else "")
            assert name not in named, "a test was reported more than once"
            named[name] = case
        return named


@dataclass
class Project(Place):
    """A directory with tests."""

    def __post_init__(self) -> None:
        self.directory.mkdir(exist_ok=True)
        self.write("pytest.ini", "[pytest]\naddopts = --strict-markers\n")
        self.write("notes.py", NOTES)

    def write(self, name: str, source: str) -> None:
        (self.directory / name).write_text(source)

    def tests(self, source: str, name: str = "test_it.py") -> None:
        """Write a module of tests that has the usual imports."""
        self.write(name, HEAD + textwrap.dedent(source))

    def conftest(self, source: str) -> None:
        """Write a conftest.py, which the controller loads as well as each worker."""
        self.write("conftest.py", "import os\n" + textwrap.dedent(source))

    def run(self, *arguments: str, plugins: str = PLUGINS, **more: str) -> Session:
        """Run pytest to its end."""
        process = self.start(*arguments, plugins=plugins, **more)
        return self.end(process)

    def start(self, *arguments: str, plugins: str = PLUGINS, **more: str) -> subprocess.Popen[bytes]:
        """Start pytest in a process group of its own."""
        with (self.directory / "output.txt").open("wb") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments],
                cwd=self.directory,
                env=environment(PYTEST_PLUGINS=plugins, **more),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def end(self, process: subprocess.Popen[bytes], timeout_s: float = 60) -> Session:
        """Wait for the end of *process*."""
        try:
            code = process.wait(timeout_s)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        output = (self.directory / "output.txt").read_text()
        print(output)  # noqa: T201 - for a reader who has to find out why a session ended otherwise
        return Session(self.directory, code, output)


def environment(**more: str) -> dict[str, str]:
    """Return the environment of a session: nothing in it names servers or plugins, and any host is good enough."""
    dropped = ("POSTGRES_", "MONGODB_", "CDCPERF_", "PYTEST_", "RESULTS_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    kept["CDCPERF_ON_UNFIT"] = "warn"
    return {**kept, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONUNBUFFERED": "1", "COLUMNS": "250", **more}


def overlaps(marks: Sequence[Sequence[str]], alone: str) -> Iterator[tuple[str, str]]:
    """Give out what ran beside tests whose names begin with *alone*, from lines of worker, "begin" or "end", name."""
    under_way: set[tuple[str, str]] = set()
    for worker, step, name in marks:
        if step == "end":
            under_way.remove((worker, name))
            continue
        for _, other in under_way:
            if other != name and (name.startswith(alone) or other.startswith(alone)):
                yield name, other
        under_way.add((worker, name))
