"""A server process of the stack: its log, its standard input and its end."""

from __future__ import annotations

import contextlib
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, cast

from pytest_cdcperf.embedded.exit_reason import exit_reason
from pytest_cdcperf.errors import StackError

_KILL_TIMEOUT_S = 5.0


class ServerProcess:
    """One server process. Its output goes to its log, it ends when its standard input does.

    It works beside its log, so that what it leaves there when it crashes is not in the user's directory.

    *on_end* is called once, from a thread of its own, as soon as the process has ended.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        log: Path,
        on_end: Callable[[ServerProcess], None],
        *,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603 - our own commands
                command, stdin=subprocess.PIPE, stdout=output, stderr=output, cwd=log.parent, env=env
            )
        self._lifeline = cast("IO[bytes]", self._process.stdin)
        self._ended = threading.Event()
        threading.Thread(target=self._watch, args=(on_end,), name=f"{name}-watch", daemon=True).start()

    @property
    def pid(self) -> int:
        """The process, also after its end."""
        return self._process.pid

    @property
    def ended(self) -> bool:
        """Whether the process is gone and has been reaped."""
        return self._ended.is_set()

    def send_line(self, line: bytes) -> None:
        """Write one line to the process; nothing where it has ended, which *on_end* reports."""
        with contextlib.suppress(OSError, ValueError):  # ValueError: closed, since the process has ended
            self._lifeline.write(line + b"\n")
            self._lifeline.flush()

    def signal(self, number: int) -> None:
        """Send a signal, unless the process has ended."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """End the process at once and wait until it is gone."""
        self._process.kill()
        self.close(_KILL_TIMEOUT_S)

    def close(self, timeout_s: float) -> None:
        """End the lifeline, and kill the process when it does not go within *timeout_s*."""
        self._hang_up()
        if not self.wait(timeout_s):
            self._process.kill()
            self.wait(timeout_s)

    def wait(self, timeout_s: float) -> bool:
        """Wait for the end of the process; return whether it came within *timeout_s*."""
        return self._ended.wait(timeout_s)

    def exit_error(self) -> StackError:
        """Say in one line how the process ended, with the cause from its log."""
        return StackError(exit_reason(self.name, self._process.returncode, self.log))

    def _watch(self, on_end: Callable[[ServerProcess], None]) -> None:
        self._process.wait()
        self._hang_up()
        self._ended.set()
        on_end(self)

    def _hang_up(self) -> None:
        with contextlib.suppress(OSError):
            self._lifeline.close()
