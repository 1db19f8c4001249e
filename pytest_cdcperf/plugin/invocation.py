"""How the session was called, and where its tests are defined."""

from __future__ import annotations

import inspect
import os
import re
import shlex
from pathlib import Path

import pytest

from pytest_cdcperf.printable import one_line

_DEFINITION = re.compile(r"\s*(?:async\s+)?def\s")


def command_line(config: pytest.Config) -> str:
    """Return the command line of the session, without secrets: the same on all workers."""
    given = getattr(config, "workerinput", {}).get("mainargv")  # of the process that started the workers
    arguments = config.invocation_params.args if given is None else given[1:]
    return one_line(shlex.join(["pytest", *map(str, arguments)]))


def replay_command(item: pytest.Function) -> str:
    """Return the command that runs an iteration of *item* again, alone and in the debugger, without the iteration."""
    config = item.config
    options = ["--perf-stack=external"] if config.getoption("perf_stack") == "external" else []
    standing = [*config.getini("addopts"), *shlex.split(os.environ.get("PYTEST_ADDOPTS", ""))]
    if any(option.startswith(("-n", "--numprocesses")) for option in standing):
        options.append("-n0")
    directory, (path, _, name) = config.invocation_params.dir, item.nodeid.partition("::")
    if directory != config.rootpath:
        path = Path(os.path.relpath(item.path, directory)).as_posix()
    return one_line(shlex.join(["pytest", f"{path}::{name}", *options, "--pdb", "--perf-replay="]))


def location_of(item: pytest.Function) -> str:
    """Return where *item* is defined: its file, from the root directory, and the line of its ``def``."""
    return one_line(f"{Path(item.location[0]).as_posix()}:{line_of(item)}")


def line_of(item: pytest.Function) -> int:
    """Return the line of the ``def`` of *item*: for pytest a test begins with its first decorator."""
    first = (item.location[1] or 0) + 1
    try:
        source, _ = inspect.getsourcelines(inspect.unwrap(item.obj))
    except (OSError, TypeError):  # made by exec()
        return first
    return first + next((number for number, text in enumerate(source) if _DEFINITION.match(text)), 0)
