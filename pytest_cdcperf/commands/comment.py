"""``cdcperf comment [PATH...]``: saved results, of several sessions too, as one comment for a pull request."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from pytest_cdcperf.commands.command import Command


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "paths",
        metavar="PATH",
        nargs="*",
        type=Path,
        help="a result, or the directory of a session; default: the latest",
    )


def _run(arguments: Namespace) -> int:
    from pytest_cdcperf.commands.saved_results import paths_or_latest, read_all  # noqa: PLC0415  # 150 ms for no other
    from pytest_cdcperf.reporting.markdown import markdown  # noqa: PLC0415  # the same

    found = read_all(paths_or_latest(arguments.paths))
    sys.stdout.write(markdown([result for results in found for result in results]))
    return 0


COMMENT = Command("comment", "print saved results as Markdown, for a pull request", _add_arguments, _run)
