"""A gRPC server as a process: ``python -m tests.services.grpc_server '{"port": 0, "reflection": true}'``."""

from __future__ import annotations

import contextlib
import itertools
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

from pytest_cdcperf.clients.grpc.descriptors import Protos
from tests.services.harness import ROOT

PROTOS = Path(__file__).parent / "protos"
STATUSES = {code.value[0]: code for code in grpc.StatusCode}


@dataclass
class Server:
    """A server that can be killed and started again on its port."""

    settings: dict[str, Any] = field(default_factory=dict)
    port: int = 0
    process: subprocess.Popen[str] | None = None

    @property
    def address(self) -> str:
        return f"localhost:{self.port}"  # the name in the certificate

    def start(self) -> None:
        """Start it and wait until it serves."""
        settings = json.dumps({**self.settings, "port": self.port})
        command = [sys.executable, "-m", "tests.services.grpc_server", settings]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    def kill(self) -> None:
        """Kill it as a crash would."""
        if self.process is not None:
            self.process.kill()
            self.process.communicate()


@contextlib.contextmanager
def serving(**settings: Any) -> Iterator[Server]:
    """Run a server."""
    server = Server(settings)
    server.start()
    try:
        yield server
    finally:
        server.kill()


def serve(settings: dict[str, Any]) -> None:
    """Serve until killed; the port is the first line of output."""
    described = Protos(PROTOS).load("lab.proto")
    methods = described.methods("lab.Lab")
    number = methods["Wait"].request
    sequence = itertools.count(1)

    def add(request: Any, context: grpc.ServicerContext) -> Any:
        sent = dict(context.invocation_metadata())
        context.set_trailing_metadata((("sequence", str(next(sequence))), ("note", sent.get("note", ""))))
        return number(n=request.x + request.y)

    def wait(request: Any, _context: grpc.ServicerContext) -> Any:
        time.sleep(request.n / 1000)
        return request

    def fail(request: Any, context: grpc.ServicerContext) -> Any:
        kilobytes, status = divmod(request.n, 100)
        filler = (("filler-bin", b"y" * 1000 * kilobytes),) * bool(kilobytes)
        context.send_initial_metadata(filler)
        context.set_trailing_metadata((("reason", "asked for"), *filler))
        context.abort(STATUSES[status], "as you wish" + "z" * 1000 * kilobytes)

    def count(request: Any, _context: grpc.ServicerContext) -> Iterator[Any]:
        for n in range(1, request.n + 1):
            if n == 100:
                time.sleep(60)
            yield number(n=n)

    def total(requests: Iterator[Any], _context: grpc.ServicerContext) -> Any:
        return number(n=sum(request.n for request in requests))

    def double(requests: Iterator[Any], _context: grpc.ServicerContext) -> Iterator[Any]:
        for request in requests:
            yield number(n=2 * request.n)

    handlers = {}
    for name, kind, behaviour in (
        ("Add", grpc.unary_unary_rpc_method_handler, add),
        ("Wait", grpc.unary_unary_rpc_method_handler, wait),
        ("Fail", grpc.unary_unary_rpc_method_handler, fail),
        ("Count", grpc.unary_stream_rpc_method_handler, count),
        ("Total", grpc.stream_unary_rpc_method_handler, total),
        ("Double", grpc.stream_stream_rpc_method_handler, double),
    ):
        handlers[name] = kind(behaviour, methods[name].request.FromString, number.SerializeToString)
    with ThreadPoolExecutor(20) as threads:
        server = grpc.server(threads, compression=grpc.Compression(settings.get("compression", 0)))
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("lab.Lab", handlers),))
        if settings.get("reflection"):
            from grpc_reflection.v1alpha import reflection

            reflection.enable_server_reflection(("lab.Lab", reflection.SERVICE_NAME), server, described._pool)
        address = f"127.0.0.1:{settings['port']}"
        if "key" in settings:
            pair = (Path(settings["key"]).read_bytes(), Path(settings["chain"]).read_bytes())
            port = server.add_secure_port(address, grpc.ssl_server_credentials([pair]))
        else:
            port = server.add_insecure_port(address)
        server.start()
        print(port, flush=True)  # noqa: T201  # for who started it
        server.wait_for_termination()


if __name__ == "__main__":
    serve(json.loads(sys.argv[1]))
