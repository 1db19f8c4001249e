"""Metrics of a gRPC server, under the names that Prometheus users know from go-grpc-prometheus."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
from prometheus_client import Counter, Histogram

from tests_perf.services.serving import BUCKETS_S

_CALL = ("grpc_type", "grpc_service", "grpc_method")
_STARTED = Counter("grpc_server_started_total", "Calls started.", _CALL)
_HANDLED = Counter("grpc_server_handled_total", "Calls completed, whatever their end.", (*_CALL, "grpc_code"))
_HANDLING = Histogram("grpc_server_handling_seconds", "Their times.", _CALL, buckets=BUCKETS_S)


class ServerMetrics(grpc.ServerInterceptor):
    """Counts and times unary calls. Streams, which only reflection has here, are left alone."""

    def intercept_service(self, continuation: Callable[[Any], Any], call: Any) -> Any:
        """Return the handler of *call* with the counting around it."""
        handler = continuation(call)
        if handler is None or handler.unary_unary is None:
            return handler
        _, service, method = call.method.split("/")
        labels = ("unary", service, method)

        def handle(request: Any, context: Any) -> Any:
            _STARTED.labels(*labels).inc()
            code = grpc.StatusCode.UNKNOWN
            try:
                with _HANDLING.labels(*labels).time():
                    response = handler.unary_unary(request, context)
                code = grpc.StatusCode.OK
            finally:
                _HANDLED.labels(*labels, _spelled(context.code() or code)).inc()
            return response

        return grpc.unary_unary_rpc_method_handler(handle, handler.request_deserializer, handler.response_serializer)


def _spelled(code: grpc.StatusCode) -> str:
    """Return *code* as Go spells it, and with it every dashboard: OK, OutOfRange, Canceled."""
    if code is grpc.StatusCode.OK:
        return "OK"
    return "Canceled" if code is grpc.StatusCode.CANCELLED else code.name.title().replace("_", "")
