"""Services of a gRPC server: described by a .proto file, by the server itself, or by generated code."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Mapping
from pathlib import Path
from typing import Any

from pytest_cdcperf.clients.grpc.channels import open_channel
from pytest_cdcperf.clients.grpc.methods import Client, GrpcMethod, MethodSpec, method_of
from pytest_cdcperf.clients.grpc.settings import GrpcSettings
from pytest_cdcperf.engine.current_vu import current_vu
from pytest_cdcperf.errors import BlockingCallError, MissingExtraError, UnknownMethodError


class GrpcService:
    """The methods of one service as attributes; each is called with a message, a mapping or fields by name.

    ::

        def test_sum(grpc_client):
            lab = grpc_client.service("lab.Lab", address="lab.example:50051")  # the server says which methods it has
            assert lab.Add(x=1, y=2).n == lab.Add({"x": 1, "y": 2}, timeout="5s").n == 3
    """

    def __init__(self, name: str, methods: Mapping[str, GrpcMethod]) -> None:
        self._name = name
        self._methods = methods
        self.__dict__.update(methods)

    def __repr__(self) -> str:
        return f"<gRPC service {self._name}: {', '.join(self._methods)}>"

    def __getattr__(self, name: str) -> Any:
        raise UnknownMethodError(f"{self._name} has no method {name!r}; it has: {', '.join(self._methods) or 'none'}")


class ServiceFinder:
    """Finds the methods of services, each service once. Files are relative to *root*."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._known: dict[Hashable, dict[str, MethodSpec]] = {}
        self._lock = threading.Lock()
        self._protos: Any = None

    def methods(
        self, settings: GrpcSettings, name: str, proto: str | None, path: tuple[str, ...]
    ) -> dict[str, MethodSpec]:
        """Return the methods of service *name*, from the file *proto*, else from the server at the address.

        :raises ConfigError: where file or service are not there
        :raises UnreachableError: where the server has to be asked and cannot
        """
        key = (name, proto, path, None if proto else settings)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._find(settings, name, proto, path)
        return known

    def _find(
        self, settings: GrpcSettings, name: str, proto: str | None, path: tuple[str, ...]
    ) -> dict[str, MethodSpec]:
        try:  # which need protobuf, an extra
            from pytest_cdcperf.clients.grpc import descriptors, reflection  # noqa: PLC0415  # the extra
        except ImportError:
            raise MissingExtraError("grpc_client.service()", "grpc", "protobuf") from None
        if proto is not None:
            with self._lock:
                self._protos = self._protos or descriptors.Protos(self._root)
            return self._protos.load(proto, path).methods(name)  # type: ignore[no-any-return]
        vu = current_vu()
        if vu is not None and vu.is_async:
            raise BlockingCallError(
                f"asking the server what {name} is blocks, which would stall every VU of this async test; "
                f"get the service in a fixture, or give proto="
            )
        with open_channel(settings) as channel:
            return reflection.reflected(channel, name, settings.address).methods(name)


class StubChannel:
    """A channel for generated stubs: it makes methods that measure."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def unary_unary(self, *args: Any, **more: Any) -> GrpcMethod:
        """One request, one reply."""
        return self._method(False, False, *args, **more)

    def unary_stream(self, *args: Any, **more: Any) -> GrpcMethod:
        """One request, many replies."""
        return self._method(False, True, *args, **more)

    def stream_unary(self, *args: Any, **more: Any) -> GrpcMethod:
        """Many requests, one reply."""
        return self._method(True, False, *args, **more)

    def stream_stream(self, *args: Any, **more: Any) -> GrpcMethod:
        """Many of both."""
        return self._method(True, True, *args, **more)

    def _method(
        self,
        client_streaming: bool,
        server_streaming: bool,
        path: str,
        request_serializer: Callable[[Any], bytes] | None = None,
        response_deserializer: Callable[[bytes], Any] | None = None,
        **_of_the_driver: Any,
    ) -> GrpcMethod:
        spec = MethodSpec(
            path,
            request_serializer,
            response_deserializer,
            client_streaming=client_streaming,
            server_streaming=server_streaming,
        )
        return method_of(self._client, spec)
