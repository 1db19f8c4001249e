"""The CPU of the beats, of a process that does nothing else, beside what waking every 10 ms costs without them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine

from pytest_cdcperf.clock import MonotonicClock
from pytest_cdcperf.engine.event_loop import new_event_loop
from pytest_cdcperf.engine.heartbeat import Heartbeat
from pytest_cdcperf.metrics.recorder import Recorder

SECONDS = 10
EVERY_S = 0.01


def main() -> None:
    """Print the share of a core that the thread takes, and the thread beside an event loop that beats."""
    with asyncio.Runner(loop_factory=new_event_loop) as runner:

        def on_loop(body: Callable[[], Coroutine[None, None, None]]) -> Callable[[], None]:
            return lambda: runner.run(body())

        runner.run(asyncio.sleep(0))  # what is imported and built once is not part of it
        for words, beating in (
            ("a bare loop that sleeps 10 ms", _bare),
            ("the heartbeat, on a thread", _on_thread),
            ("a bare event loop with a timer of 10 ms", on_loop(_bare_timer)),
            ("the heartbeat, on an event loop and a thread", on_loop(_on_loop)),
        ):
            begin_s = time.process_time()
            beating()
            print(f"{words}: {(time.process_time() - begin_s) / SECONDS:.2%} of a core")


def _bare() -> None:
    end_s = time.monotonic() + SECONDS
    while time.monotonic() < end_s:
        time.sleep(EVERY_S)


def _on_thread() -> None:
    with Heartbeat(Recorder(), MonotonicClock()) as heartbeat:
        for second in range(SECONDS):
            time.sleep(1)
            heartbeat.take(second + 1.0)


async def _bare_timer() -> None:
    loop = asyncio.get_running_loop()

    def again() -> None:
        nonlocal timer
        timer = loop.call_later(EVERY_S, again)

    timer = loop.call_later(EVERY_S, again)
    await asyncio.sleep(SECONDS)
    timer.cancel()


async def _on_loop() -> None:
    with Heartbeat(Recorder(), MonotonicClock()) as heartbeat:
        heartbeat.beat_on(asyncio.get_running_loop())
        for second in range(SECONDS):
            await asyncio.sleep(1)
            heartbeat.take(second + 1.0)
