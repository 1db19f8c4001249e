"""The reason why a process has ended: its signal or status, and the cause that its log names."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

# What ends a server whatever it was doing. The first such line is the cause, the complaints after it are not.
_CAUSE = re.compile(
    r"No space left on device|Disk quota exceeded|Read-only file system|Too many open files|Cannot allocate memory"
    r"|out of memory|OutOfMemoryError|insufficient memory for the Java Runtime|^#\s+SIG[A-Z]+ \(0x"
    r"|received (smart|fast|immediate) shutdown request|\bPANIC:",
    re.IGNORECASE,
)
_COMPLAINT = re.compile(r"\bFATAL\b|\bERROR\b|\berror: |\b\w*(Error|Exception)\b")
# The levels at which a server tells of itself, and of PostgreSQL's what it says beside a complaint, or of a statement
# that it refused, which ends no server.
_NO_COMPLAINT = re.compile(r"\b(DEBUG|INFO|NOTICE|WARN|WARNING|LOG|HINT|DETAIL|CONTEXT|STATEMENT)\b|\bERROR:")
_MOST_CHARACTERS = 300
_LOG_TAIL_BYTES = 262_144


def exit_reason(name: str, returncode: int | None, log: Path) -> str:
    """Say in one line how the process *name* ended, with the cause from its *log*."""
    if returncode is not None and returncode < 0:
        # A complaint in its log is of something else, unless it is of what ends any server.
        cause = _find(log, causes_only=True)
        return f"the embedded stack: {name} was killed by {_named(-returncode)}{cause and ': '}{cause} (log: {log})"
    return f"the embedded stack: {name} ended with exit status {returncode}: {log_reason(log)} (log: {log})"


def log_reason(log: Path) -> str:
    """Return the line of *log* that says why its process ended, shortened.

    The first that names a resource that ran out, such as "No space left on device", or an order to stop; else the last
    that complains: a server that dies of an error goes on to report its shutdown. Else the last without a level.
    """
    return _find(log) or "its log says no reason"


def _find(log: Path, *, causes_only: bool = False) -> str:
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _LOG_TAIL_BYTES))
            lines = [" ".join(line.split()) for line in file.read().decode(errors="replace").splitlines()]
    except OSError as error:
        return f"no log: {error}"
    if causes := [line for line in lines if _CAUSE.search(line)]:
        return causes[0][:_MOST_CHARACTERS]
    if causes_only:
        return ""
    lines = [line for line in lines if line and not _NO_COMPLAINT.search(line)]
    complaints = [line for line in lines if _COMPLAINT.search(line)]
    return (complaints or lines or [""])[-1][:_MOST_CHARACTERS]


def _named(number: int) -> str:
    try:
        name = signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
    hint = ", which is what the out-of-memory killer sends" if name == "SIGKILL" else ""
    return f"signal {number} ({name}{hint})"
