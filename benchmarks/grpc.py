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
from pathlib import Path

from benchmarks import peer
from pytest_cdcperf.clients.grpc import GrpcClient
from pytest_cdcperf.clients.grpc_descriptors import Protos
from pytest_cdcperf.clients.grpc_driver import grpc
from pytest_cdcperf.engine.failures import ExceptionRules, Raised
from pytest_cdcperf.engine.run import Body, Run
from pytest_cdcperf.engine.tasks import new_event_loop
from pytest_cdcperf.engine.vu import check
from pytest_cdcperf.model.load import PerVUIterations

ROUNDS, USERS, CALLS = 5, 10, 1_000
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


def ours_us(client: GrpcClient, *, is_async: bool) -> float:
    """Return the microseconds of CPU of one iteration that calls once and checks once."""
    adder = (client.aio if is_async else client).service(SERVICE, proto="sum.proto")

    def body() -> None:
        check("sum", adder.SumNumbers(x=1, y=2).sum == 3)

    async def body_aio() -> None:
        check("sum", (await adder.SumNumbers(x=1, y=2)).sum == 3)

    load = PerVUIterations(vus=USERS, iterations=CALLS)
    run = Run(
        {"": load}, Body(body_aio if is_async else body, is_async), run_id="r", rules=RULES, on_window=lambda _: None
    )
    return cost_us(lambda: _without_failures(run))


def _without_failures(run: Run) -> None:
    if failures := run.execute().failures:
        raise SystemExit(failures[0].sample)


def bare_us(client: GrpcClient, directory: Path) -> float:
    """Return the same of the driver alone, on threads, a channel each."""
    spec = Protos(directory).load("sum.proto").methods(SERVICE)["SumNumbers"]

    def user() -> None:
        with grpc.insecure_channel(client.options.address, client.options.arguments) as channel:
            call = channel.unary_unary(spec.path, spec.serialize, spec.deserialize)
            for _ in range(CALLS):
                time.perf_counter_ns()
                assert call(spec.request(x=1, y=2), 60).sum == 3  # noqa: S101
                time.perf_counter_ns()

    def users() -> None:
        threads = [threading.Thread(target=user) for _ in range(USERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    return cost_us(users)


def cost_us(calls: Callable[[], None]) -> float:
    """Return the microseconds of CPU in this process that one of *calls* takes."""
    begin = time.process_time()
    calls()
    return (time.process_time() - begin) / USERS / CALLS * 1e6


def k6_us(address: str, directory: Path) -> float:
    """Return the same of k6, its start included."""
    imports = (
        "import grpc from 'k6/net/grpc'; import { check } from 'k6';\n"
        f"const client = new grpc.Client(); client.load(['{directory}'], 'sum.proto');"
    )
    count = USERS * CALLS * 3  # more of them, so that its start weighs little
    ran = peer.run({"vus": USERS, "iterations": count}, K6.replace("ADDRESS", address), imports)
    return ran.cpu_s / count * 1e6


def main() -> None:
    """Print the medians."""
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "sum.proto").write_text(PROTO)
        command = [sys.executable, "-m", "benchmarks.grpc", name, *map(str, cores[:1])]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            address = server.stdout.readline().strip() if server.stdout else ""
            if cores:
                os.sched_setaffinity(0, cores[-1:])
            _compare(GrpcClient(directory).with_options(address=address), directory)
        finally:
            server.kill()
            server.communicate()


def _compare(client: GrpcClient, directory: Path) -> None:
    shared = client.with_options(connections="shared")
    measured: dict[str, Callable[[], float]] = {
        "bare driver, threads": lambda: bare_us(client, directory),
        "grpc_client": lambda: ours_us(client, is_async=False),
        "grpc_client, shared": lambda: ours_us(shared, is_async=False),
        "grpc_client.aio": lambda: ours_us(client, is_async=True),
        "grpc_client.aio, shared": lambda: ours_us(shared, is_async=True),
    }
    if peer.available():
        measured["k6"] = lambda: k6_us(client.options.address, directory)
    costs: dict[str, list[float]] = {name: [] for name in measured}
    for _ in range(ROUNDS):
        for name, measure in measured.items():
            costs[name].append(measure())
    medians = {name: sorted(values)[ROUNDS // 2] for name, values in costs.items()}
    for name, median in medians.items():
        beside = f", {median / medians['k6']:.2f} x k6" if "k6" in medians else ""
        print(f"one unary call with a check, {name:<24} {median:6.1f} us{beside}")


if __name__ == "__main__":
    if len(sys.argv) > 2 and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {int(sys.argv[2])})
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(serve(Path(sys.argv[1])))
