"""Starts services as processes that end with this one, in whatever way this one ends."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import IO, Any, cast

from pytest_cdcperf import StackError

_ROOT = Path(__file__).parents[2]
_START_TIMEOUT_S = 30.0
_KEPT = ("PATH", "HOME", "TMPDIR", "TZ", "LANG", "PYTHONPATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT")
_STOP_TIMEOUT_S = 5.0


class Launched:
    """A service that was started: where it is, as soon as it serves, and its end.

    *module* of this package reads *wanted*, and nothing of the session's environment. What it logs goes to *log*.
    """

    def __init__(self, module: str, log: Path, **wanted: Any) -> None:
        self._module = module
        self._log = log
        with log.open("ab") as words:
            self._process = subprocess.Popen(  # noqa: S603  # our own command
                [sys.executable, "-m", f"tests_perf.services.{module}"],
                cwd=_ROOT,
                env=_environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=words,
                bufsize=0,
                start_new_session=True,  # a terminal's Ctrl-C is not for it
            )
        self._lifeline = cast("IO[bytes]", self._process.stdin)
        with contextlib.suppress(BrokenPipeError):  # it is gone already, which its address will tell
            self._lifeline.write(json.dumps(wanted).encode() + b"\n")

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    @property
    def address(self) -> str:
        """Where it serves: "127.0.0.1:port", or a URL."""
        return self._where["address"]

    @property
    def metrics(self) -> str:
        """The URL of its metrics."""
        return self._where["metrics"]

    @cached_property
    def _where(self) -> Mapping[str, str]:
        hung = threading.Timer(_START_TIMEOUT_S, self._process.kill)
        hung.start()
        line = cast("IO[bytes]", self._process.stdout).readline()
        hung.cancel()
        if not line:
            raise StackError(
                f"the service {self._module} did not start: {self._last_line()} (log: {self._log}); "
                "it may want: pip install '.[embedded,grpc]' aiohttp"
            )
        where: dict[str, str] = json.loads(line)
        return where

    def _last_line(self) -> str:
        lines = self._log.read_text(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "its log is empty")

    def close(self) -> None:
        """End it and wait until it is gone."""
        self._lifeline.close()
        try:
            self._process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        cast("IO[bytes]", self._process.stdout).close()


def _environment() -> dict[str, str]:
    """Return what a program needs to run, without the secrets that CI keeps in the environment."""
    return {name: os.environ[name] for name in _KEPT if name in os.environ}
