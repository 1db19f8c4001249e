"""CPU time of one unary gRPC call with a check, ten users: ours sync and async, k6, and the bare driver.

The server has the first core, whoever calls it the last one; all take turns, so that a busy machine is so for all.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks import peer
from benchmarks.turns import compare, first_core, last_core, marginal_us
from pytest_cdcperf.clients.grpc import GrpcClient
from pytest_cdcperf.clients.grpc_descriptors import Protos
from pytest_cdcperf.clients.grpc_driver import grpc
from pytest_cdcperf.clients.grpc_measuring import MethodSpec
from pytest_cdcperf.engine.failures import ExceptionRules, Raised
from pytest_cdcperf.engine.run import Body, Run
from pytest_cdcperf.engine.tasks import new_event_loop
from pytest_cdcperf.engine.vu import check
from pytest_cdcperf.model.load import PerVUIterations

ROUNDS, USERS, FEW, MANY = 7, 10, 1_000, 11_000
SERVICE = "sum.SumNumbersService"
PROTO = """
syntax = "proto3";
package sum;
service SumNumbersService { rpc SumNumbers (SumRequest) returns (SumReply); }
message SumRequest { int32 x = 1; int32 y = 2; }
message SumReply { int32 sum = 1; }
"""
RULES = ExceptionRules(lambda _: Raised.FAILED, repr)
K6 = """
if (__ITER == 0) client.connect('ADDRESS', { plaintext: true });
const reply = client.invoke('sum.SumNumbersService/SumNumbers', { x: 1, y: __ITER });
check(reply, { sum: (r) => r && r.status === grpc.StatusOK && r.message.sum === 1 + __ITER });
"""


async def serve(directory: Path) -> None:
    """Serve until killed; the first line of output is the address."""
    spec = Protos(directory).load("sum.proto").methods(SERVICE)["SumNumbers"]

    async def add(request: object, _context: object) -> object:
        return REPLY(sum=request.x + request.y)  # type: ignore[attr-defined]

    REPLY = type(spec.deserialize(b""))  # type: ignore[misc]  # noqa: N806  # a class
    handler = grpc.unary_unary_rpc_method_handler(add, spec.request.FromString, REPLY.SerializeToString)
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {"SumNumbers": handler}),))
    print(f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}", flush=True)
    await server.start()
    await server.wait_for_termination()


def ours_cpu_s(client: GrpcClient, calls: int, *, is_async: bool) -> float:
    """Return the seconds of CPU of so many iterations that call once and check once."""
    adder = (client.aio if is_async else client).service(SERVICE, proto="sum.proto")

    def body() -> None:
        check("sum", adder.SumNumbers(x=1, y=2).sum == 3)

    async def body_aio() -> None:
        check("sum", (await adder.SumNumbers(x=1, y=2)).sum == 3)

    load = PerVUIterations(vus=USERS, iterations=calls // USERS)
    run = Run(
        {"": load}, Body(body_aio if is_async else body, is_async), run_id="r", rules=RULES, on_window=lambda _: None
    )
    return cpu_s(lambda: _without_failures(run))


def _without_failures(run: Run) -> None:
    if failures := run.execute().failures:
        raise SystemExit(failures[0].sample)


def bare_cpu_s(client: GrpcClient, spec: MethodSpec, calls: int) -> float:
    """Return the same of the driver alone, on threads, a channel each."""

    def user() -> None:
        with grpc.insecure_channel(client.options.address, client.options.arguments) as channel:
            call = channel.unary_unary(spec.path, spec.serialize, spec.deserialize)
            for _ in range(calls // USERS):
                time.perf_counter_ns()
                assert call(spec.request(x=1, y=2), 60).sum == 3  # noqa: S101
                time.perf_counter_ns()

    def users() -> None:
        threads = [threading.Thread(target=user) for _ in range(USERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    return cpu_s(users)


def cpu_s(calls: Callable[[], None]) -> float:
    """Return the seconds of CPU in this process that *calls* take."""
    begin = time.process_time()
    calls()
    return time.process_time() - begin


def k6_cpu_s(address: str, directory: Path, calls: int) -> float:
    """Return the same of k6."""
    imports = (
        "import grpc from 'k6/net/grpc'; import { check } from 'k6';\n"
        f"const client = new grpc.Client(); client.load(['{directory}'], 'sum.proto');"
    )
    run = peer.run({"vus": USERS, "iterations": calls}, K6.replace("ADDRESS", address), imports)
    if run.value("checks", "passes") != calls:
        raise SystemExit(f"k6: {run.value('checks', 'passes')} of {calls} calls passed")
    return run.cpu_s


def main() -> None:
    """Print what each costs, and how many times k6's that is."""
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "sum.proto").write_text(PROTO)
        server = subprocess.Popen([sys.executable, "-m", "benchmarks.grpc", name], stdout=subprocess.PIPE, text=True)
        try:
            address = server.stdout.readline().strip() if server.stdout else ""
            last_core()
            _compare(GrpcClient(directory).with_options(address=address), directory)
        finally:
            server.kill()
            server.communicate()


def _compare(client: GrpcClient, directory: Path) -> None:
    shared = client.with_options(connections="shared")
    spec = Protos(directory).load("sum.proto").methods(SERVICE)["SumNumbers"]
    sides: dict[str, Callable[[int], float]] = {
        "bare driver, threads": partial(bare_cpu_s, client, spec),
        "grpc_client": partial(ours_cpu_s, client, is_async=False),
        "grpc_client, shared": partial(ours_cpu_s, shared, is_async=False),
        "grpc_client.aio": partial(ours_cpu_s, client, is_async=True),
        "grpc_client.aio, shared": partial(ours_cpu_s, shared, is_async=True),
    }
    if peer.available():
        sides["k6"] = partial(k6_cpu_s, client.options.address, directory)
    costs = {side: partial(marginal_us, cost, FEW, MANY) for side, cost in sides.items()}
    compare("one unary call with a check", costs, beside="k6", rounds=ROUNDS)


if __name__ == "__main__":
    first_core()
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(serve(Path(sys.argv[1])))
