"""The results that a command is given, by the paths of files and of sessions' directories."""

from __future__ import annotations

import os
import re
import sys
import tomllib
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path

from pytest_cdcperf.printable import one_line
from pytest_cdcperf.results.result import RunResult
from pytest_cdcperf.results.saved import PARENT, read_saved


def add_paths(parser: ArgumentParser, of_two: str = "") -> None:
    """Add the paths of results to what a command takes. *of_two* says what it makes of two of them."""
    said = "a result, or the directory or the id of a session, by default the latest"
    parser.add_argument(
        "paths", metavar="PATH", nargs="*", type=Path, help="; of two ".join(filter(None, (said, of_two)))
    )


def parent_directory() -> Path:
    """Return the directory of results: RESULTS_DIR, that of ./pyproject.toml, or perf-results, as sessions take it."""
    return Path(os.environ.get("RESULTS_DIR") or _configured() or PARENT)


def paths_or_latest(paths: Sequence[Path]) -> Sequence[Path]:
    """Return *paths*, the directory of a session for its id; without any that of the latest session."""
    return [_path(path) for path in paths] or [parent_directory() / "latest"]


def read_all(paths: Sequence[Path]) -> list[Sequence[RunResult]]:
    """Return the results at each of *paths*; name the files that hold none.

    :raises ConfigError: where a path has no result
    """
    found = [read_saved(path) for path in paths]
    for fault in (fault for saved in found for fault in saved.faults):
        sys.stderr.write(one_line(f"left out: {fault}") + "\n")
    return [saved.results for saved in found]


def _path(path: Path) -> Path:
    if path.exists() or not re.fullmatch("[0-9a-f]{8}", str(path)):
        return path
    return next(parent_directory().glob(f"*-{path}"), path)


def _configured() -> str:
    try:
        name = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["tool"]["cdcperf"]["results"]
    except (OSError, ValueError, LookupError, TypeError):  # pytest says what is wrong with it
        return ""
    return name if isinstance(name, str) else ""
