"""``cdcperf show [PATH...]``: the summary of saved results, as the terminal had it; two paths are compared.

The exit code says nothing of the verdict: the session that made the result has said it.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace

from pytest_cdcperf.commands.saved_results import add_paths, paths_or_latest, read_all
from pytest_cdcperf.commands.summaries import comparisons, summaries, wants_colours
from pytest_cdcperf.reporting.lines import in_encoding


def add_arguments(parser: ArgumentParser) -> None:
    """Add what the command takes."""
    add_paths(parser, "the results of each test are shown side by side")
    parser.add_argument("-v", "--verbose", action="store_true", help="show all figures, and tracebacks of failures")


def run(arguments: Namespace) -> int:
    """Run the command; return the exit code."""
    found, colours = read_all(paths_or_latest(arguments.paths)), wants_colours(sys.stdout)
    every = [result for results in found for result in results]
    if len(found) == 2:
        lines = comparisons(*found, colours=colours, verbose=arguments.verbose)
    else:
        lines = summaries(every, colours=colours, verbose=arguments.verbose)
    sys.stdout.writelines(f"{in_encoding(line, sys.stdout.encoding)}\n" for line in lines)
    return 0
