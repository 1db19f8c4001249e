"""``cdcperf results [DIR]``: the sessions whose results are saved, the latest last."""

from __future__ import annotations

import shutil
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from pytest_cdcperf.commands.saved_results import parent_directory
from pytest_cdcperf.reporting.session_list import session_lines
from pytest_cdcperf.results.saved import read_session, session_directories

_MOST = 20


def add_arguments(parser: ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument(
        "directory", metavar="DIR", nargs="?", type=Path, help="the directory of results; by default perf-results"
    )
    parser.add_argument(
        *("-n", "--last"),
        metavar="N",
        type=int,
        default=_MOST,
        help=f"only the last N sessions, by default {_MOST}; 0 for all",
    )


def run(arguments: Namespace) -> int:
    """Run the command; return the exit code."""
    directories = session_directories(arguments.directory or parent_directory())
    chosen = directories[-arguments.last :] if arguments.last > 0 else directories
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else sys.maxsize
    lines = session_lines([read_session(path) for path in chosen], width)
    if len(chosen) < len(directories):
        lines.insert(0, f"{len(directories) - len(chosen):,} earlier sessions are not shown; -n 0 shows all")
    sys.stdout.writelines(f"{line}\n" for line in lines)
    return 0
