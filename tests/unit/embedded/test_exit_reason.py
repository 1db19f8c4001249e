"""The message about a process that has ended: the signal, and the line of its log that names the cause."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from pytest_cdcperf.embedded.exit_reason import exit_reason, log_reason

FULL_DISK = """\
creating configuration files ... ok
running bootstrap script ... 2026-11-25 02:37:41.826 UTC [10458] FATAL:  could not extend file: No space left on device
2026-11-25 02:37:41.826 UTC [10458] HINT:  Check free disk space.
2026-11-25 02:37:41.826 UTC [10458] PANIC:  cannot abort transaction 1, it was already committed
Aborted
child process exited with exit code 134
"""
STOPPED = """\
2026-11-25 02:30:00 UTC [7] ERROR:  relation "nowhere" does not exist at character 13
2026-11-25 02:31:00 UTC [5] LOG:  received fast shutdown request
2026-11-25 02:31:00 UTC [7] FATAL:  terminating connection due to administrator command
2026-11-25 02:31:01 UTC [5] LOG:  database system is shut down
"""
CRASHED = """\
2026-11-25 02:31:00 INFO  Threads Creating thread debezium-postgresconnector
#
# A fatal error has been detected by the Java Runtime Environment:
#
#  SIGSEGV (0xb) at pc=0x00007f1, pid=1, tid=2
"""


@pytest.mark.parametrize(
    ("log", "words"),
    [
        ("", "its log says no reason"),
        ("first\nlast\n\n", "last"),
        ("2026-11-25 INFO  Threads Creating thread\n", "its log says no reason"),
        ("LOG:  starting\nFATAL:  no   memory\nLOG:  database system is shut down\n", "FATAL: no memory"),
        ("Traceback (most recent call last):\n  x\nImportError: no module\n", "ImportError: no module"),
        ("io.debezium.DebeziumException: lost\n\tat io.debezium.X\n", "io.debezium.DebeziumException: lost"),
        ("ERROR cdcperf.debezium again\nERROR cdcperf.debezium for good\n", "ERROR cdcperf.debezium for good"),
        (
            "java.lang.OutOfMemoryError: Java heap space\nException in thread x\n",
            "java.lang.OutOfMemoryError: Java heap space",
        ),
        (
            FULL_DISK,
            "running bootstrap script ... 2026-11-25 02:37:41.826 UTC [10458] FATAL: could not extend file: "
            "No space left on device",
        ),
        (STOPPED, "2026-11-25 02:31:00 UTC [5] LOG: received fast shutdown request"),
        (CRASHED, "# SIGSEGV (0xb) at pc=0x00007f1, pid=1, tid=2"),
        ('ERROR:  relation "nowhere" does not exist\n', "its log says no reason"),
        ("x" * 1000, "x" * 300),
    ],
)
def test_the_line_that_tells_why(tmp_path: Path, log: str, words: str) -> None:
    (tmp_path / "part.log").write_text(log)
    assert log_reason(tmp_path / "part.log") == words


def test_a_log_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    assert log_reason(tmp_path / "none.log").startswith("no log: ")


@pytest.mark.skipif(sys.platform == "win32", reason="no signals")
@pytest.mark.parametrize(
    ("returncode", "log", "how"),
    [
        (
            -signal.SIGKILL,
            STOPPED.replace("received fast shutdown request", "checkpoint"),
            "was killed by signal 9 (SIGKILL, which is what the out-of-memory killer sends)",
        ),
        (-signal.SIGTERM, "", "was killed by signal 15 (SIGTERM)"),
        (-signal.SIGABRT, CRASHED, "was killed by signal 6 (SIGABRT): # SIGSEGV (0xb) at pc=0x00007f1, pid=1, tid=2"),
        (-99, "", "was killed by signal 99"),
        (3, "java.lang.OutOfMemoryError: Java heap space\n", "ended with exit status 3: java.lang.OutOfMemoryError"),
        (0, "2026 INFO  all is well\n", "ended with exit status 0: its log says no reason"),
    ],
)
def test_what_killed_it_is_named(tmp_path: Path, returncode: int, log: str, how: str) -> None:
    path = tmp_path / "part.log"
    path.write_text(log)
    said = exit_reason("debezium", returncode, path)
    assert said.startswith(f"the embedded stack: debezium {how}")
    assert said.endswith(f" (log: {path})")
    assert "\n" not in said
    if returncode < 0 and not log.startswith("2026-11-25 02:31:00 INFO"):
        assert ": " not in said.partition(how)[2].removesuffix(f" (log: {path})")
