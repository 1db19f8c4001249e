"""``cdcperf clean SESSION_ID``: the same as ``pytest --perf-stack=external --perf-clean=SESSION_ID``."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from pytest_cdcperf.commands.command import Command


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("session_id", metavar="SESSION_ID", help="eight hexadecimal digits, as each result names them")
    parser.add_argument("paths", metavar="PATH", nargs="*", default=[], help="the tests whose conftest.py removes rows")


def _run(arguments: Namespace) -> int:
    from pytest_cdcperf.plugin.clean import clean_session  # noqa: PLC0415  # pytest: 100 ms

    return clean_session(arguments.session_id, arguments.paths)


CLEAN = Command("clean", "remove the rows that a killed session left on external servers", _add_arguments, _run)
