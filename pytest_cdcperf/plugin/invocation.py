"""How the session was called, and where its tests are defined."""

from __future__ import annotations

import inspect
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
