"""The CPU of the beats, of a process that does nothing else."""

from __future__ import annotations

import asyncio
import time

from pytest_cdcperf.clock import MonotonicClock
from pytest_cdcperf.engine.heartbeat import Heartbeat
from pytest_cdcperf.engine.tasks import new_event_loop
from pytest_cdcperf.metrics.recorder import Recorder

SECONDS = 10


def main() -> None:
    """Print the share of a core that the thread takes, and the thread beside an event loop that beats."""
    for words, beating in (
        ("a bare loop that sleeps 10 ms", _bare),
        ("the heartbeat, on a thread", _on_thread),
        ("the heartbeat, on an event loop and a thread", _on_loop),
    ):
        begin_s = time.process_time()
        beating()
        print(f"{words}: {(time.process_time() - begin_s) / SECONDS:.2%} of a core")


def _bare() -> None:
    end_s = time.monotonic() + SECONDS
    while time.monotonic() < end_s:
        time.sleep(0.01)


def _on_thread() -> None:
    with Heartbeat(Recorder(), MonotonicClock()) as heartbeat:
        for second in range(SECONDS):
            time.sleep(1)
            heartbeat.take(second + 1.0)


def _on_loop() -> None:
    async def beat() -> None:
        with Heartbeat(Recorder(), MonotonicClock()) as heartbeat:
            heartbeat.beat_on(asyncio.get_running_loop())
            for second in range(SECONDS):
                await asyncio.sleep(1)
                heartbeat.take(second + 1.0)

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(beat())
