"""CPU time of one GET with one check: ``http_client`` on threads and on tasks, k6 and Locust, in turns in one run.

The server, a bare protocol with a canned answer, is a process of its own on the first core; who asks has the last.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import peer
from benchmarks.turns import compare, first_core, last_core, marginal_us
from pytest_cdcperf.clients.http.client import HttpClient
from pytest_cdcperf.engine.body import check
from pytest_cdcperf.engine.event_loop import new_event_loop
from pytest_cdcperf.engine.run import Body, Run
from pytest_cdcperf.load.closed import PerVUIterations
from pytest_cdcperf.metrics.builtin import CHECKS
from pytest_cdcperf.metrics.timeline import Timeline

ROUNDS, VUS, FEW, MANY = 7, 10, 2_000, 22_000
BODY = b'{"id": 7, "name": "A. Customer", "email": "someone@example.com", "status": "active", "n": 12345678}'
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)
LOCUSTFILE = """
from locust import FastHttpUser, HttpUser, constant, task

class User({base}):
    wait_time = constant(0)

    @task
    def ask(self):
        with self.client.get("/order", catch_response=True) as response:
            response.success() if response.status_code == 200 else response.failure("status")
"""


class Canned(asyncio.Protocol):
    """Answers every request with the same bytes."""

    def connection_made(self, transport: Any) -> None:
        """Keep the connection."""
        self._write = transport.write

    def data_received(self, data: bytes) -> None:
        """Answer what ends here."""
        self._write(ANSWER * data.count(b"\r\n\r\n"))


def serve() -> None:
    """Serve on a free port for ever; print the port."""
    first_core()

    async def main() -> None:
        server = await asyncio.get_running_loop().create_server(Canned, "127.0.0.1", 0)
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(main())


@contextmanager
def server() -> Iterator[str]:
    """Run the server in a process of its own; give its URL."""
    command = [sys.executable, "-c", "from benchmarks.http import serve; serve()"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            port = process.stdout.readline().strip() if process.stdout else ""
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()


def ours_cpu_s(body: Body, calls: int) -> float:
    """Return the seconds of CPU of so many iterations of *body*, the engine's own included."""
    timeline, begin = Timeline(), time.process_time()
    load = PerVUIterations(vus=VUS, iterations=calls // VUS)
    Run({"": load}, body, session_id="benchmark", on_window=timeline.add).execute()
    spent_s = time.process_time() - begin
    passed = timeline.total.rate(CHECKS.name)
    if passed.hits != calls:
        raise RuntimeError(f"calls failed: {passed}")
    return spent_s


def k6_cpu_s(url: str, calls: int) -> float:
    """Return the same of k6."""
    body = f'const reply = http.get("{url}/order"); check(reply, {{ ok: (r) => r.status === 200 }});'
    imports = 'import http from "k6/http";\nimport { check } from "k6";'
    run = peer.run({"vus": VUS, "iterations": calls}, body, imports)
    if run.value("http_reqs", "count") != calls:
        raise RuntimeError(f"k6 made {run.value('http_reqs', 'count')} calls of {calls}")
    return run.cpu_s


def locust_us(url: str, base: str, seconds: int = 4) -> float:
    """Return the microseconds of CPU of one call of Locust's, less what it costs to start it."""
    with tempfile.TemporaryDirectory() as name:
        Path(name, "locustfile.py").write_text(LOCUSTFILE.format(base=base))
        costs = []
        for run_s in (2, 2 + seconds):
            command = [str(_locust()), "--headless", "-u", str(VUS), "-r", str(VUS), "-t", f"{run_s}s", "-H", url]
            with Path(name, "output.txt").open("w+") as output:
                process = subprocess.Popen(
                    [*command, "--only-summary", "--loglevel", "ERROR"], cwd=name, stdout=output, stderr=output
                )
                _, _, usage = os.wait4(process.pid, 0)
                output.seek(0)
                total = re.search(r"Aggregated +(\d+)", output.read())
            costs.append((usage.ru_utime + usage.ru_stime, int(total[1]) if total else 0))
    (short_s, few), (long_s, many) = costs
    return (long_s - short_s) / (many - few) * 1e6


def _locust() -> str | None:
    beside = Path(sys.executable).parent / "locust"
    return str(beside) if beside.exists() else shutil.which("locust")


def main() -> None:
    """Print what each costs, and what share of k6's that is."""
    client = HttpClient()
    with server() as url:
        last_core()
        target = f"{url}/order"

        def body() -> None:
            check("ok", client.get(target).status_code == 200)

        async def async_body() -> None:
            check("ok", (await client.aio.get(target)).status_code == 200)

        ours, awaited = Body(body), Body(async_body, is_async=True)
        sides: dict[str, Callable[[], float]] = {
            "http_client": lambda: marginal_us(lambda calls: ours_cpu_s(ours, calls), FEW, MANY),
            "http_client.aio": lambda: marginal_us(lambda calls: ours_cpu_s(awaited, calls), FEW, MANY),
        }
        if peer.available():
            sides["k6"] = lambda: marginal_us(lambda calls: k6_cpu_s(url, calls), FEW, MANY)
        if _locust():
            sides["Locust FastHttpUser"] = lambda: locust_us(url, "FastHttpUser")
            sides["Locust HttpUser"] = lambda: locust_us(url, "HttpUser")
        compare("one GET with a check", sides, beside="k6", rounds=ROUNDS)
    client.close()
