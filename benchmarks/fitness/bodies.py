"""Bodies of iterations. Each records as ``true_ms`` how long it would take if the generator were never late."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.fitness.server import server
from pytest_cdcperf.engine.body import think
from pytest_cdcperf.engine.current_vu import CurrentVU
from pytest_cdcperf.engine.run import Body
from pytest_cdcperf.metrics.metric import Trend

TRUE = Trend("true_ms", unit="ms")
VU = CurrentVU()


@dataclass(frozen=True)
class Made:
    """A body that is ready to run; *close* is called after the run."""

    body: Body
    close: Callable[[], object] = lambda: None


Making = Callable[[], Made]


def _spin(ms: float) -> None:
    """Use *ms* of CPU, however long that takes."""
    end = time.thread_time() + ms / 1e3
    while time.thread_time() < end:
        pass


def sleeping(ms: float, *, tail_ms: float = 0.0, think_s: float = 0.0) -> Making:
    """Sleep, as for a server that takes *ms*, now and then *tail_ms*."""

    def body() -> None:
        for_ms = tail_ms if tail_ms and VU.random.random() < 0.05 else ms
        TRUE.add(for_ms)
        time.sleep(for_ms / 1e3)
        if think_s:
            think(think_s)

    return lambda: Made(Body(body))


def spinning(ms: float, cpu_ms: float) -> Making:
    """Sleep, and use CPU of the generator's own."""

    def body() -> None:
        TRUE.add(ms + cpu_ms)
        time.sleep(ms / 1e3)
        _spin(cpu_ms)

    return lambda: Made(Body(body))


def calling(ms: float) -> Making:
    """Call a server that sends how long it took itself, and is not kept from its CPU where that can be had."""

    def make() -> Made:
        port, stop = server()
        return Made(Body(lambda: call(port)), stop)

    def call(port: int) -> None:
        connection = VU.state.get("connection")
        if connection is None:
            connection = VU.state["connection"] = socket.create_connection(("127.0.0.1", port))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(f"{ms}\n".encode())
        TRUE.add(float(connection.recv(64)))

    return make


def collecting(ms: float, objects: int = 1_500_000) -> Making:
    """Sleep, and make objects beside so many that each full collection looks at all of them."""

    def make() -> Made:
        heap = [[number] for number in range(objects)]
        kept: list[object] = []

        def body() -> None:
            TRUE.add(ms)
            time.sleep(ms / 1e3)
            kept.append([[] for _ in range(1_000)])

        return Made(Body(body), heap.clear)

    return make


def awaiting(ms: float) -> Making:
    """Await, as for a server that takes *ms*."""

    async def body() -> None:
        TRUE.add(ms)
        await asyncio.sleep(ms / 1e3)

    return lambda: Made(Body(body, is_async=True))


def awaiting_and_spinning(ms: float, cpu_ms: float) -> Making:
    """Await, and use CPU of the event loop's thread."""

    async def body() -> None:
        TRUE.add(ms + cpu_ms)
        await asyncio.sleep(ms / 1e3)
        _spin(cpu_ms)

    return lambda: Made(Body(body, is_async=True))


def blocking(ms: float, blocked_ms: float) -> Making:
    """Await, and then wait for a server by a call that blocks the event loop."""

    def call_that_blocks() -> None:
        time.sleep(blocked_ms / 1e3)

    async def body() -> None:
        TRUE.add(ms + blocked_ms)
        await asyncio.sleep(ms / 1e3)
        call_that_blocks()

    return lambda: Made(Body(body, is_async=True))
