"""``cdcperf clean SESSION_ID``: the same as ``pytest --perf-stack=external --perf-clean=SESSION_ID``."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from pytest_cdcperf.plugin.clean import clean_session


def add_arguments(parser: ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument("session_id", metavar="SESSION_ID", help="eight hexadecimal digits, as each result names them")
    parser.add_argument("paths", metavar="PATH", nargs="*", default=[], help="the tests whose conftest.py removes rows")


def run(arguments: Namespace) -> int:
    """Run the command; return the exit code."""
    return clean_session(arguments.session_id, arguments.paths)
