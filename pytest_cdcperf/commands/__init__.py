"""The console script ``cdcperf``: every command that is not a test run."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from io import TextIOWrapper
from typing import NoReturn, Protocol, cast

from pytest_cdcperf.errors import CdcperfError, shown
from pytest_cdcperf.printable import one_line


class Implementation(Protocol):
    """The module of a command."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add what the command takes."""

    def run(self, arguments: Namespace) -> int:
        """Run the command; return the exit code."""


@dataclass(frozen=True)
class Command:
    """One word after ``cdcperf``, which the module of that name implements."""

    name: str
    summary: str

    def load(self) -> Implementation:
        """Import its module, which takes 150 ms or more: only that of the command that is run."""
        return cast("Implementation", import_module(f"{__name__}.{self.name}"))


COMMANDS = {
    command.name: command
    for command in (
        Command("report", "make the page of saved results, or of two side by side"),
        Command("show", "show saved results, or two side by side"),
        Command("results", "list the sessions whose results are saved, the latest last"),
        Command("comment", "print saved results as Markdown, for a pull request"),
        Command("clean", "remove the rows that a killed session left on external servers"),
    )
}
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
    asked = next((word for word in words if not word.startswith("-")), "")
    for command in COMMANDS.values():
        added = parsers.add_parser(command.name, help=command.summary, description=command.summary)
        if command.name == asked:
            command.load().add_arguments(added)
    chosen = parser.parse_args(words)
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # of a terminal that is not UTF-8
    try:
        code = COMMANDS[chosen.command].load().run(chosen)
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
