"""Starts services, each a process of its own that ends with this one, in whatever way this one ends."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import threading
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import IO, Any, cast

from pytest_cdcperf.embedded.exit_reason import log_reason
from pytest_cdcperf.errors import StackError
from pytest_cdcperf.interpreter import environment, python_command

_ROOT = Path(__file__).parents[2]
_START_TIMEOUT_S = 30.0
_STOP_PATIENCE_S = 5.0


class Launched:
    """A service that was started: where it is, as soon as it serves, and its end.

    *module* of this package is told *wanted*, and nothing of the session's environment. Its words go to *log*.
    """

    def __init__(self, module: str, log: Path, **wanted: Any) -> None:
        self._module = module
        self._log = log
        with log.open("ab") as words:
            self._process = subprocess.Popen(  # noqa: S603  # our own command
                python_command(f"tests_perf.services.{module}"),
                cwd=_ROOT,
                env=environment(os.environ, _ROOT),
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
                f"the service {self._module} did not start: {log_reason(self._log)} (log: {self._log}); "
                "it may want: pip install '.[embedded,grpc]' aiohttp"
            )
        where: dict[str, str] = json.loads(line)
        return where

    def close(self) -> None:
        """End it and wait until it is gone."""
        self._lifeline.close()
        try:
            self._process.wait(_STOP_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        cast("IO[bytes]", self._process.stdout).close()
