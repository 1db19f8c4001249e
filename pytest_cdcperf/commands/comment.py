"""``cdcperf comment [PATH...]``: saved results, of several sessions too, as one comment for a pull request."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace

from pytest_cdcperf.commands.saved_results import add_paths, paths_or_latest, read_all
from pytest_cdcperf.reporting.markdown import markdown


def add_arguments(parser: ArgumentParser) -> None:
    """Add what the command takes."""
    add_paths(parser)


def run(arguments: Namespace) -> int:
    """Run the command; return the exit code."""
    found = read_all(paths_or_latest(arguments.paths))
    sys.stdout.write(markdown([result for results in found for result in results]))
    return 0
