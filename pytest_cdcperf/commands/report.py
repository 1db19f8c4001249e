"""``cdcperf report [PATH...]``: the page of saved results; of two paths with both runs of each test in one chart."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from pytest_cdcperf.commands.saved_results import add_paths, paths_or_latest, read_all
from pytest_cdcperf.errors import ConfigError
from pytest_cdcperf.reporting.html.address import PAGE
from pytest_cdcperf.reporting.html.comparison_page import comparison_page
from pytest_cdcperf.reporting.html.page import page
from pytest_cdcperf.results.compare import compare_sessions

_STANDARD_OUTPUT = "-"
_ENCODING = {"encoding": "utf-8", "errors": "backslashreplace"}


def add_arguments(parser: ArgumentParser) -> None:
    """Add what the command takes."""
    add_paths(parser, "the runs of each test are laid over each other")
    parser.add_argument(
        *("-o", "--output"),
        metavar="FILE",
        help="by default report.html, in the directory where one is named; - is the standard output",
    )


def run(arguments: Namespace) -> int:
    """Run the command; return the exit code."""
    paths = paths_or_latest(arguments.paths)
    found = read_all(paths)
    both, others = compare_sessions(*found) if len(found) == 2 else ([], [result for one in found for result in one])
    text = comparison_page(both, others) if both else page(others)
    if arguments.output == _STANDARD_OUTPUT:
        sys.stdout.write(text)
        return 0
    alone = len(paths) == 1 and paths[0].is_dir()
    path = Path(arguments.output or (paths[0] / PAGE if alone else PAGE))
    _write(path, text)
    sys.stdout.write(f"{path}\n")
    return 0


def _write(path: Path, text: str) -> None:
    try:
        if path.is_file() or not path.exists():
            _replace(path.resolve(), text)
        else:  # such as /dev/stdout
            path.write_text(text, **_ENCODING)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror or error}; name another file by -o") from None


def _replace(path: Path, text: str) -> None:
    """Write the file in one step: a full disk leaves the one that was there."""
    fresh = path.with_name(f"{path.name}.part")
    try:
        fresh.write_text(text, **_ENCODING)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
