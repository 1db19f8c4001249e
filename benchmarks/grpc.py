"""CPU time of one unary gRPC call with a check, ten users: ours sync and async, k6, and the bare driver.

The server has the first core, its caller the last one; all take turns, so that a busy machine is so for all.
A bare protocol with a canned answer keeps the callers busy; grpcio's server is slower than they are, so that they
wake for each reply, which costs more.
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
from typing import Any

from benchmarks import peer
from benchmarks.turns import compare, first_core, last_core, marginal_us
from pytest_cdcperf.clients.grpc.client import GrpcClient
from pytest_cdcperf.clients.grpc.descriptors import Protos
from pytest_cdcperf.clients.grpc.driver import grpc
from pytest_cdcperf.clients.grpc.methods import MethodSpec
from pytest_cdcperf.engine.body import check
from pytest_cdcperf.engine.event_loop import new_event_loop
from pytest_cdcperf.engine.run import Body, Run
from pytest_cdcperf.load.closed import PerVUIterations

ROUNDS, USERS, FEW, MANY = 7, 10, 1_000, 11_000
SERVICE = "sum.SumNumbersService"
PROTO = """
syntax = "proto3";
package sum;
service SumNumbersService { rpc SumNumbers (SumRequest) returns (SumReply); }
message SumRequest { int32 x = 1; int32 y = 2; }
message SumReply { int32 sum = 1; }
"""
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, SETTINGS, PING, WINDOW_UPDATE = 0, 1, 4, 6, 8
ACK = END_STREAM = 1
END_HEADERS = 4
HEADERS_OF_REPLY = b"\x88\x0f\x10\x10application/grpc"  # HPACK (RFC 7541): :status 200, content-type
REPLY = b"\x00\x00\x00\x00\x02\x08\x03"  # uncompressed, two bytes: field 1 is 3
TRAILERS = b"\x00\x0bgrpc-status\x010"
K6 = """
if (__ITER == 0) client.connect('ADDRESS', { plaintext: true });
const reply = client.invoke('sum.SumNumbersService/SumNumbers', { x: 1, y: 2 });
check(reply, { sum: (r) => r && r.status === grpc.StatusOK && r.message.sum === 3 });
"""


class Canned(asyncio.Protocol):
    """Answers every call with the same frames, as HTTP/2 has them (RFC 9113); it reads no header."""

    def connection_made(self, transport: Any) -> None:
        """Say what the protocol begins with, and let the client send as much as it likes."""
        self._write: Callable[[bytes], None] = transport.write
        self._unread, self._greeted = b"", False
        self._write(frame(SETTINGS, 0, 0) + frame(WINDOW_UPDATE, 0, 0, (2**31 - 2**16).to_bytes(4, "big")))

    def data_received(self, data: bytes) -> None:
        """Answer the calls that end here."""
        unread, answers = self._unread + data, []
        if not self._greeted and len(unread) >= len(PREFACE):
            unread, self._greeted = unread[len(PREFACE) :], True
        while self._greeted and len(unread) >= 9 + (length := int.from_bytes(unread[:3], "big")):
            kind, flags, stream = unread[3], unread[4], int.from_bytes(unread[5:9], "big")
            if kind == DATA and flags & END_STREAM:
                answers.append(frame(HEADERS, END_HEADERS, stream, HEADERS_OF_REPLY))
                answers.append(frame(DATA, 0, stream, REPLY))
                answers.append(frame(HEADERS, END_HEADERS | END_STREAM, stream, TRAILERS))
            elif kind in {SETTINGS, PING} and not flags & ACK:
                answers.append(frame(kind, ACK, 0, unread[9 : 9 + length] if kind == PING else b""))
            unread = unread[9 + length :]
        self._unread = unread
        self._write(b"".join(answers))


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Return a frame of HTTP/2."""
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


async def serve_canned() -> None:
    """Serve until killed; the first line of output is the address."""
    server = await asyncio.get_running_loop().create_server(Canned, "127.0.0.1", 0)
    print(f"127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


async def serve_really(directory: Path) -> None:
    """Do the same with grpcio's server, which really adds."""
    spec = Protos(directory).load("sum.proto").methods(SERVICE)["SumNumbers"]
    reply = type(spec.deserialize(b""))  # type: ignore[misc]

    async def add(request: Any, _context: object) -> object:
        return reply(sum=request.x + request.y)

    handler = grpc.unary_unary_rpc_method_handler(add, spec.request.FromString, reply.SerializeToString)
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
        {"": load},
        Body(body_aio if is_async else body, is_async),
        session_id="r",
        on_window=lambda _: None,
    )
    return cpu_s(lambda: _without_failures(run))


def _without_failures(run: Run) -> None:
    if failures := run.execute().failures:
        raise SystemExit(failures[0].sample)


def bare_cpu_s(client: GrpcClient, spec: MethodSpec, calls: int) -> float:
    """Return the same of the driver alone, on threads, a channel each."""

    def user() -> None:
        with grpc.insecure_channel(client.settings.address, client.settings.channel_arguments) as channel:
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
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "sum.proto").write_text(PROTO)
        for what, served in (("a canned server", "canned"), ("grpcio's server", "really")):
            if cores is not None:
                os.sched_setaffinity(0, cores)
            command = [sys.executable, "-m", "benchmarks.grpc", served, name]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
                try:
                    address = server.stdout.readline().strip() if server.stdout else ""
                    last_core()
                    _compare(what, GrpcClient(directory).with_options(address=address), directory)
                finally:
                    server.kill()


def _compare(what: str, client: GrpcClient, directory: Path) -> None:
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
        sides["k6"] = partial(k6_cpu_s, client.settings.address, directory)
    costs = {side: partial(marginal_us, cost, FEW, MANY) for side, cost in sides.items()}
    compare(f"one unary call with a check, {what}", costs, beside="k6", rounds=ROUNDS)


if __name__ == "__main__":
    first_core()
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(serve_canned() if sys.argv[1] == "canned" else serve_really(Path(sys.argv[2])))
