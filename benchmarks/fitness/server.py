"""A server that takes as long as it is told, and answers how long it took: its own clock is the truth."""

from __future__ import annotations

import contextlib
import os
import socketserver
import subprocess
import sys
import time
from collections.abc import Callable


class _Handler(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True

    def handle(self) -> None:
        """Answer each line, a number of milliseconds, after that time with the time that passed."""
        while line := self.rfile.readline():
            begin = time.perf_counter()
            time.sleep(float(line) / 1e3)
            self.wfile.write(f"{(time.perf_counter() - begin) * 1e3:.3f}\n".encode())


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True


def server() -> tuple[int, Callable[[], object]]:
    """Start one in a process of its own; return its port, and what stops it."""
    command = [sys.executable, "-c", f"import {__name__} as server; server.main()"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None  # noqa: S101  # it is a pipe

    def stop() -> None:
        process.kill()
        process.wait()

    return int(process.stdout.readline()), stop


def main() -> None:
    """Serve until killed, before all ordinary processes where the system allows it."""
    if hasattr(os, "sched_setscheduler"):
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10))
    with _Server(("127.0.0.1", 0), _Handler) as serving:
        print(serving.server_address[1], flush=True)
        serving.serve_forever()
