"""The console script: which command runs, and what is said where there is none."""

import subprocess
import sys
from importlib.metadata import entry_points
from types import SimpleNamespace

import pytest

from pytest_cdcperf import ConfigError, commands
from pytest_cdcperf.commands import Command, main

ALLOWED = ", ".join(commands.COMMANDS)


def told(capsys, *arguments):
    """Return the exit code and the lines on standard error."""
    try:
        code = main(arguments)
    except SystemExit as exit_:
        code = exit_.code
    return code, capsys.readouterr().err.splitlines()


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["cleen"], f"cdcperf: 'cleen' is not a command; allowed: {ALLOWED}; see cdcperf --help"),
        ([], "cdcperf: the following arguments are required: COMMAND; see cdcperf --help"),
        (["--clean"], "cdcperf: the following arguments are required: COMMAND; see cdcperf --help"),
        (["clean"], "cdcperf clean: the following arguments are required: SESSION_ID; see cdcperf clean --help"),
        (["a\nb"], f"cdcperf: 'a\\nb' is not a command; allowed: {ALLOWED}; see cdcperf --help"),
    ],
)
def test_a_wrong_command_is_one_line_and_exit_code_2(arguments, line, capsys):
    assert told(capsys, *arguments) == (2, [line])


def test_the_help_names_every_command(capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["--help"])
    assert exit_.value.code == 0
    said = capsys.readouterr().out
    assert [command.summary for command in commands.COMMANDS.values() if command.summary not in said] == []


def test_an_error_of_a_command_is_one_line(monkeypatch, capsys):
    def fail(_):
        raise ConfigError("no such session")

    module = SimpleNamespace(add_arguments=lambda _: None, run=fail)
    monkeypatch.setitem(sys.modules, "pytest_cdcperf.commands.fail", module)
    monkeypatch.setitem(commands.COMMANDS, "fail", Command("fail", "fails"))
    assert told(capsys, "fail") == (2, ["cdcperf fail: no such session"])


def test_the_console_script_and_the_module_are_the_same():
    (script,) = entry_points(group="console_scripts", name="cdcperf")
    assert script.load() is main
    run = subprocess.run([sys.executable, "-m", "pytest_cdcperf", "cleen"], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.startswith("cdcperf: 'cleen' is not a command")
