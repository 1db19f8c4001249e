"""Shared by the services: reading instructions, announcing the address, serving HTTP, and ending."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

LOOPBACK = "127.0.0.1"
BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_BACKLOG = 1024
_STDIN = 0
_END_GRACE_S = 1.0


def instructions() -> dict[str, Any]:
    """Return what the launcher wants: one line of JSON on standard input, whose end is then that of the service."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with open(_STDIN, "rb", buffering=0, closefd=False) as stdin:  # nothing of what follows is read
        wanted: dict[str, Any] = json.loads(stdin.readline() or b"{}")
    return wanted


def when_input_ends(call: Callable[[], None]) -> None:
    """Run *call* in a thread once standard input ends, which is when the launcher is gone or done."""

    def watch() -> None:
        while os.read(_STDIN, 4096):
            pass
        call()

    threading.Thread(target=watch, name="lifeline", daemon=True).start()


def announce(**where: str) -> None:
    """Tell the launcher where the service is, once it serves."""
    sys.stdout.write(json.dumps(where) + "\n")
    sys.stdout.flush()


def http_app() -> web.Application:
    """Return an application that counts and times its requests and shows the figures at /metrics."""
    registry = CollectorRegistry()
    total = Counter("http_requests_total", "Requests answered.", ("method", "handler", "code"), registry=registry)
    duration = Histogram(
        "http_request_duration_seconds", "Their times.", ("method", "handler"), registry=registry, buckets=BUCKETS_S
    )

    @web.middleware
    async def measured(request: web.Request, handler: Any) -> web.StreamResponse:
        resource = request.match_info.route.resource
        where = "none" if resource is None else resource.canonical  # not the path: anybody can ask for any
        begin, code = time.perf_counter(), 500
        try:
            response: web.StreamResponse = await handler(request)
            code = response.status
        except web.HTTPException as error:
            code = error.status
            raise
        else:
            return response
        finally:
            duration.labels(request.method, where).observe(time.perf_counter() - begin)
            total.labels(request.method, where, code).inc()

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application(middlewares=[measured])
    app.router.add_get("/metrics", metrics)
    return app


def serve(app: web.Application) -> None:
    """Serve *app* on a free port until the launcher is gone or done."""
    with asyncio.Runner(loop_factory=_event_loop()) as runner:
        runner.run(_serve(app))


def _event_loop() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop  # noqa: PLC0415  # an extra
    except ImportError:
        return asyncio.new_event_loop
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


async def _serve(app: web.Application) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_END_GRACE_S)
    await runner.setup()
    try:
        await web.TCPSite(runner, LOOPBACK, 0, backlog=_BACKLOG).start()
        url = f"http://{LOOPBACK}:{runner.addresses[0][1]}"
        announce(address=url, metrics=f"{url}/metrics")

        def end() -> None:
            loop.call_soon_threadsafe(ended.set)

        when_input_ends(end)
        await ended.wait()
    finally:
        await runner.cleanup()
