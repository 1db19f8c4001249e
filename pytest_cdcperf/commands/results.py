"""``cdcperf results [DIR]``: the sessions whose results are saved, the latest last."""

from __future__ import annotations

import shutil
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from pytest_cdcperf.commands.command import Command

_MOST = 20


def _add_arguments(parser: ArgumentParser) -> None:
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


def _run(arguments: Namespace) -> int:
    from pytest_cdcperf.commands.saved_results import parent_directory  # noqa: PLC0415  # 150 ms for no other command
    from pytest_cdcperf.reporting.session_list import session_lines  # noqa: PLC0415  # the same
    from pytest_cdcperf.results.saved import read_session, session_directories  # noqa: PLC0415  # the same

    directories = session_directories(arguments.directory or parent_directory())
    chosen = directories[-arguments.last :] if arguments.last > 0 else directories
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else sys.maxsize
    lines = session_lines([read_session(path) for path in chosen], width)
    if len(chosen) < len(directories):
        lines.insert(0, f"{len(directories) - len(chosen):,} earlier sessions are not shown; -n 0 shows all")
    sys.stdout.writelines(f"{line}\n" for line in lines)
    return 0


RESULTS = Command("results", "list the sessions whose results are saved, the latest last", _add_arguments, _run)
