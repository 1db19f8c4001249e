"""The Adder: adds two numbers over gRPC and writes each sum to the source, as sum.proto says.

Run by the launcher as ``python -m tests_perf.services.adder``; it is told the fields of a PostgresAddress.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import psycopg
from grpc_reflection.v1alpha import reflection
from prometheus_client import start_http_server
from psycopg_pool import ConnectionPool

from pytest_cdcperf import PostgresAddress
from tests_perf.services.grpc_metrics import ServerMetrics
from tests_perf.services.serving import LOOPBACK, announce, instructions, when_input_ends

_messages: Any
_services: Any
_messages, _services = grpc.protos_and_services("tests_perf/services/sum.proto")

_CONNECTIONS = 4  # of the source's 100; a write takes a millisecond, so these do for thousands a second
_CONNECT_TIMEOUT_S = 5
_INT32 = range(-(2**31), 2**31)
_INSERT = "INSERT INTO sums (session_id, x, y, sum) VALUES (%s, %s, %s, %s) RETURNING sequence"


class Adder(_services.SumNumbersServiceServicer):  # type: ignore[misc]  # made from the proto file
    """Adds, and keeps what it added."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool

    def SumNumbers(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802  # the proto's name
        """Return the sum of x and y once its row is committed."""
        total = request.x + request.y
        if total not in _INT32:
            context.abort(grpc.StatusCode.OUT_OF_RANGE, f"{request.x} + {request.y} is not an int32")
        session_id = dict(context.invocation_metadata()).get("run-id", "unknown")
        try:
            with self._pool.connection() as connection:
                (sequence,) = connection.execute(_INSERT, (session_id, request.x, request.y, total)).fetchall()[0]
        except psycopg.Error as error:
            context.abort(grpc.StatusCode.UNAVAILABLE, f"PostgreSQL: {' '.join(str(error).split())}")
        context.set_trailing_metadata((("sequence", str(sequence)),))
        return _messages.SumNumbersResponse(sum=total)


def main() -> None:
    """Serve gRPC on one free port and the metrics on another, until the launcher is gone or done."""
    source = PostgresAddress(**instructions())
    with ConnectionPool(kwargs=_arguments(source), min_size=_CONNECTIONS, timeout=_CONNECT_TIMEOUT_S) as pool:
        pool.wait(_CONNECT_TIMEOUT_S)
        exporter, _ = start_http_server(0, LOOPBACK)
        server = grpc.server(ThreadPoolExecutor(2 * _CONNECTIONS), interceptors=[ServerMetrics()])
        _services.add_SumNumbersServiceServicer_to_server(Adder(pool), server)
        reflection.enable_server_reflection(
            [service.full_name for service in _messages.DESCRIPTOR.services_by_name.values()]
            + [reflection.SERVICE_NAME],
            server,
        )
        port = server.add_insecure_port(f"{LOOPBACK}:0")
        server.start()
        announce(address=f"{LOOPBACK}:{port}", metrics=f"http://{LOOPBACK}:{exporter.server_port}/metrics")
        ended = threading.Event()
        when_input_ends(ended.set)
        ended.wait()
        server.stop(grace=1).wait()


def _arguments(source: PostgresAddress) -> dict[str, Any]:
    return {
        "host": source.host,
        "port": source.port,
        "user": source.user,
        "password": source.password,
        "dbname": source.dbname,
        "connect_timeout": _CONNECT_TIMEOUT_S,
        "application_name": "adder",
        "autocommit": True,
    }


if __name__ == "__main__":
    main()
