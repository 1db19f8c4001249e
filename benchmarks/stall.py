"""A server that stops for a second under 200 starts a second: what each tool says of it."""

from __future__ import annotations

import asyncio
import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks import peer
from pytest_cdcperf.engine.current_vu import current_vu
from pytest_cdcperf.engine.run import Body, Run
from pytest_cdcperf.load.open import ConstantArrivalRate
from pytest_cdcperf.metrics.builtin import RESPONSE_TIME
from pytest_cdcperf.metrics.histogram import Histogram
from pytest_cdcperf.metrics.timeline import Timeline

STALL_FROM_S, STALL_UNTIL_S = 4.0, 5.0
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@contextmanager
def stalling_server() -> Iterator[int]:
    """Serve on a free port from the first request on; stop answering for a second."""
    ready, over = threading.Event(), threading.Event()
    ports: list[int] = []
    begun: list[float] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                if not begun:
                    begun.append(time.monotonic())
                at = time.monotonic() - begun[0]
                if STALL_FROM_S < at < STALL_UNTIL_S:
                    await asyncio.sleep(STALL_UNTIL_S - at)
                writer.write(ANSWER)
                await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            writer.close()

    async def main() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        ports.append(server.sockets[0].getsockname()[1])
        ready.set()
        await asyncio.to_thread(over.wait)

    thread = threading.Thread(target=lambda: asyncio.run(main()), daemon=True)
    thread.start()
    ready.wait(10)
    try:
        yield ports[0]
    finally:
        over.set()
        thread.join(5)


def ours(port: int, vus: int) -> Histogram:
    """Return the response times of 200 starts a second for 10 s."""

    def body() -> None:
        vu = current_vu()
        if vu is None:
            return
        connection = vu.state.setdefault("connection", http.client.HTTPConnection("127.0.0.1", port))
        connection.request("GET", "/")
        connection.getresponse().read()

    timeline = Timeline()
    load = ConstantArrivalRate(rate=200, duration="10s", vus=vus, max_vus=vus)
    Run({"": load}, Body(body), session_id="benchmark", on_window=timeline.add).execute()
    return timeline.total.trend(RESPONSE_TIME.name)


def main() -> None:
    """Print p95 and p99 of both tools."""
    with stalling_server() as port:
        state = ours(port, 50)
    print(f"ours, 50 VUs: {state.count} done, p95 {state.quantile(0.95):.1f} ms, p99 {state.quantile(0.99):.1f} ms")
    if not peer.available():
        return
    for vus in (50, 400):
        scenario = {"executor": "constant-arrival-rate", "rate": 200, "timeUnit": "1s", "duration": "10s"}
        options = {
            "scenarios": {"it": {**scenario, "preAllocatedVUs": vus}},
            "summaryTrendStats": ["p(95)", "p(99)"],
        }
        with stalling_server() as port:
            k6 = peer.run(options, f"http.get('http://127.0.0.1:{port}/')", "import http from 'k6/http';")
        done, dropped = k6.value("iterations", "count"), k6.value("dropped_iterations", "count")
        p95, p99 = (k6.value("http_req_duration", f"p({p})") for p in (95, 99))
        print(f"k6, {vus} VUs: {done:.0f} done, {dropped:.0f} dropped, p95 {p95:.1f} ms, p99 {p99:.1f} ms")
