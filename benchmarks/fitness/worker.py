"""Runs one worker's share of a situation: messages come on standard output, each after its length."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

from benchmarks.fitness.situations import SITUATIONS, Situation
from pytest_cdcperf.cluster.agent import run_share
from pytest_cdcperf.cluster.messages import ShareDone, Stop, ToCoordinator, WindowDone
from pytest_cdcperf.cluster.wire import pack, unpack
from pytest_cdcperf.load.share import Share

Sent = list[WindowDone | ShareDone]


class _Pipe:
    def send(self, message: ToCoordinator) -> None:
        data = pack(message)
        sys.stdout.buffer.write(len(data).to_bytes(4, "big") + data)
        sys.stdout.buffer.flush()

    @contextmanager
    def stopping(self, _on_stop: Callable[[Stop], None]) -> Iterator[None]:
        yield


def run(situation: Situation) -> list[Sent]:
    """Run *situation*; return what each of its workers sent."""
    command = [sys.executable, "-c", f"import {__name__} as worker; worker.main()", str(SITUATIONS.index(situation))]
    with ExitStack() as stack:
        processes = [
            stack.enter_context(_started([*command, str(index), str(situation.workers)]))
            for index in range(situation.workers)
        ]
        for process in processes:
            process.stdout.read(1)  # it is ready
        with situation.going_on([process.pid for process in processes]):
            for process in processes:
                process.stdin.close()
            with ThreadPoolExecutor(len(processes)) as pool:  # a full pipe would stop the others
                return list(pool.map(lambda process: _messages(process.stdout.read()), processes))


@contextmanager
def _started(command: Sequence[str]) -> Iterator[Any]:
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def _messages(data: bytes) -> Sent:
    found = []
    while data:
        end = 4 + int.from_bytes(data[:4], "big")
        found.append(unpack(data[4:end]))
        data = data[end:]
    return found


def main() -> None:
    """Run the share of the situation that the arguments name, once standard input is closed."""
    number, index, of = sys.argv[1:]
    situation = SITUATIONS[int(number)]
    made = situation.body()
    try:
        sys.stdout.buffer.write(b"!")
        sys.stdout.buffer.flush()
        sys.stdin.buffer.read()
        share = Share(int(index), int(of))
        run_share("t", {"": situation.load}, made.body, session_id="r", link=_Pipe(), share=share)
    finally:
        made.close()
