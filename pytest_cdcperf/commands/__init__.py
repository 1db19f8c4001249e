"""The console script ``cdcperf``: every command that is not a test run."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from io import TextIOWrapper
from typing import NoReturn

from pytest_cdcperf.commands.clean import CLEAN
from pytest_cdcperf.commands.comment import COMMENT
from pytest_cdcperf.commands.report import REPORT
from pytest_cdcperf.commands.results import RESULTS
from pytest_cdcperf.commands.show import SHOW
from pytest_cdcperf.errors import CdcperfError, shown
from pytest_cdcperf.printable import one_line

COMMANDS = {command.name: command for command in (REPORT, SHOW, RESULTS, COMMENT, CLEAN)}
_USAGE_ERROR = 2
_INTERRUPTED = 130  # as a shell says it


class _Parser(ArgumentParser):
    """Says in one line what is wrong, without the usage before it."""

    def error(self, message: str) -> NoReturn:
        self.exit(_USAGE_ERROR, one_line(f"{self.prog}: {message}; see {self.prog} --help") + "\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that *arguments* name, those of the process by default; return the exit code."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    parser = _Parser(prog="cdcperf", description="Load tests with a verdict: what is not a test run.")
    if words and words[0] not in COMMANDS and not words[0].startswith("-"):
        parser.error(f"{shown(words[0])} is not a command; allowed: {', '.join(COMMANDS)}")
    parsers = parser.add_subparsers(metavar="COMMAND", dest="command", required=True)
    for command in COMMANDS.values():
        command.add_arguments(parsers.add_parser(command.name, help=command.summary, description=command.summary))
    chosen = parser.parse_args(words)
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # of a terminal that is not UTF-8
    try:
        code = COMMANDS[chosen.command].run(chosen)
        sys.stdout.flush()
    except BrokenPipeError:  # head has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return _INTERRUPTED
    except CdcperfError as error:
        sys.stderr.write(one_line(f"cdcperf {chosen.command}: {error}") + "\n")
        return _USAGE_ERROR
    return code
