"""gRPC through grpcio: ``grpc_client`` for ``def`` bodies, ``grpc_client.aio`` for ``async def`` ones.

A call raises ``GrpcError``, a :class:`grpc.RpcError`, unless its status is OK. ``grpc_req_duration`` is that of
unary calls; the first of a connection holds the connecting.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeVar, Unpack

from pytest_cdcperf.clients.grpc.driver import grpc
from pytest_cdcperf.clients.grpc.measuring import Method, MethodSpec
from pytest_cdcperf.clients.grpc.methods import method_of
from pytest_cdcperf.clients.grpc.settings import GrpcOptions, GrpcSettings
from pytest_cdcperf.engine.current_vu import current_vu, refuse_blocking
from pytest_cdcperf.engine.resources import Resources
from pytest_cdcperf.errors import BlockingCallError, ConfigError, MissingExtraError, UnknownMethodError

Stub = TypeVar("Stub")


class Service:
    """The methods of one service as attributes; each is called with a message, a mapping or fields by name."""

    def __init__(self, name: str, methods: dict[str, Method]) -> None:
        self._name = name
        self._methods = methods
        self.__dict__.update(methods)

    def __repr__(self) -> str:
        return f"<gRPC service {self._name}: {', '.join(self._methods)}>"

    def __getattr__(self, name: str) -> Any:
        raise UnknownMethodError(f"{self._name} has no method {name!r}; it has: {', '.join(self._methods) or 'none'}")


@dataclass
class _Session:
    """What the clients of one session share."""

    root: Path
    clients: dict[GrpcSettings, GrpcClient] = field(default_factory=dict)
    services: dict[Hashable, dict[str, MethodSpec]] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)
    _protos: Any = None

    def client(self, settings: GrpcSettings) -> GrpcClient:
        """Return the one client of *settings*."""
        with self.lock:
            if settings not in self.clients:
                self.clients[settings] = GrpcClient(self.root, settings, self)
            return self.clients[settings]

    def methods(
        self, settings: GrpcSettings, name: str, proto: str | None, path: tuple[str, ...]
    ) -> dict[str, MethodSpec]:
        """Return the methods of service *name*, found once."""
        key = (name, proto, path, None if proto else settings)
        known = self.services.get(key)
        if known is None:
            known = self.services[key] = self._find(settings, name, proto, path)
        return known

    def _find(
        self, settings: GrpcSettings, name: str, proto: str | None, path: tuple[str, ...]
    ) -> dict[str, MethodSpec]:
        try:
            from pytest_cdcperf.clients.grpc import descriptors as grpc_descriptors  # noqa: PLC0415  # needs an extra
        except ImportError:
            raise MissingExtraError("grpc_client.service()", "grpc", "protobuf") from None
        if proto is not None:
            with self.lock:
                self._protos = self._protos or grpc_descriptors.Protos(self.root)
            return self._protos.load(proto, path).methods(name)  # type: ignore[no-any-return]
        vu = current_vu()
        if vu is not None and vu.is_async:
            raise BlockingCallError(
                f"asking the server what {name} is blocks, which would stall every VU of this async test; "
                f"get the service in a fixture, or give proto="
            )
        with open_channel(settings) as channel:
            return grpc_descriptors.reflected(channel, name, settings.address).methods(name)


class _Face:
    """What both faces have: they differ in the channel that a call goes through."""

    is_async = False

    def __init__(self, session: _Session, settings: GrpcSettings) -> None:
        self.settings = settings
        self._session = session
        self._made: dict[Hashable, Any] = {}

    def with_options(self, **options: Unpack[GrpcOptions]) -> Self:
        """Return the client with *options* over its own; the same options make the same client.

        *address*, *tls*, *root_certificates*, *certificate_chain*, *private_key* (PEM, or files relative to the
        rootdir), *metadata*, *timeout* (60 s by default), *connections* ("per_vu" by default, or "shared"),
        *channel_options* of gRPC by name.

        :raises ConfigError: for a setting that cannot be meant
        """
        changed = self.settings.changed(self._session.root, options)
        return self if changed == self.settings else self._sibling(changed)

    def service(
        self, name: str, *, proto: str | None = None, proto_path: Sequence[str] = (), **options: Unpack[GrpcOptions]
    ) -> Service:
        """Return the service *name*, "package.Service": of the file *proto*, or as the server describes it.

        *proto* and *proto_path*, the directories of its imports, are relative to pytest's rootdir.

        :raises ConfigError: where file or service are not there
        :raises UnreachableError: where the server has to be asked and cannot
        """
        if options:
            return self.with_options(**options).service(name, proto=proto, proto_path=proto_path)
        try:
            key = (name, proto, (proto_path,) if isinstance(proto_path, str) else tuple(proto_path))
            made: Service | None = self._made.get(key)
        except TypeError:
            raise _no_service(name, proto, proto_path) from None
        if made is None:
            if not _can_be_found(name, proto, key[2]):
                raise _no_service(name, proto, proto_path)
            self.settings.require_address()
            specs = self._session.methods(self.settings, name, proto, key[2])
            made = Service(name, {rpc: method_of(self, spec, is_async=self.is_async) for rpc, spec in specs.items()})
            made = self._made.setdefault(key, made)
        return made

    def stub(self, stub: Callable[[Any], Stub], **options: Unpack[GrpcOptions]) -> Stub:
        """Return the generated class *stub* with every method of it measured."""
        if options:
            return self.with_options(**options).stub(stub)
        self.settings.require_address()
        made: Stub | None = self._made.get(stub)
        if made is None:
            if not callable(stub):
                raise ConfigError(
                    f"grpc_client.stub({stub!r:.60}): allowed: a generated class, such as shop_pb2_grpc.ShopStub"
                )
            made = self._made.setdefault(stub, stub(_StubChannel(self)))
        return made

    def callable_of(self, method: Method) -> Any:
        """Return the driver's callable for *method*, on the channel of whoever asks."""
        raise NotImplementedError

    def _sibling(self, settings: GrpcSettings) -> Self:
        raise NotImplementedError


class GrpcClient(_Face):
    """The blocking face. One object serves all VUs; who asks is told by context.

    Each VU has a channel of its own, so that what one is blocked in can be cut short.
    """

    def __init__(self, root: Path, settings: GrpcSettings | None = None, session: _Session | None = None) -> None:
        super().__init__(session or _Session(root), settings or GrpcSettings())
        self.aio = AsyncGrpcClient(self._session, self.settings)
        self._home = Resources()
        self._session.clients.setdefault(self.settings, self)

    def callable_of(self, method: Method) -> Any:
        """Return the driver's callable for *method*, on the channel of whoever asks."""
        vu = current_vu()
        if vu is None:
            kept = self._home
        else:
            kept = vu.own
            if vu.is_async:
                refuse_blocking("grpc_client", "grpc_client.aio.service(...).Method(...)")
        return kept.get(method) or self._bind(method, kept)

    def close(self) -> None:
        """Close what is open beside the VUs' own channels, of this client and of all made from it."""
        for client in self._session.clients.values():
            client._home.close_all()  # noqa: SLF001  # of its own class

    def _bind(self, method: Method, kept: Resources) -> Any:
        with self._session.lock:
            channel = kept.get(self)
            if channel is None:
                channel = open_channel(self.settings)
                kept.keep(self, channel, close=_close, cancel=_close)  # which ends the calls as well
            return _kept_call(method, kept, channel)

    def _sibling(self, settings: GrpcSettings) -> GrpcClient:
        return self._session.client(settings)


class AsyncGrpcClient(_Face):
    """The awaited face. Its channels live on the loop of the run."""

    is_async = True

    def callable_of(self, method: Method) -> Any:
        """Return the driver's callable for *method*, on the channel of whoever asks."""
        vu = current_vu()
        if vu is None or not vu.is_async:
            raise BlockingCallError(
                "grpc_client.aio works in the body of an async perf test only; elsewhere use grpc_client"
            )
        call = vu.own.get(method)
        if call is None:
            channel = vu.own.get(self)
            if channel is None:
                settings = self.settings
                address, credentials = settings.require_address(), settings.credentials
                channel = (
                    grpc.aio.insecure_channel(address, options=settings.channel_arguments)
                    if credentials is None
                    else grpc.aio.secure_channel(address, credentials, options=settings.channel_arguments)
                )
                vu.own.keep(self, channel, close=_close)
            call = _kept_call(method, vu.own, channel)
        return call

    def _sibling(self, settings: GrpcSettings) -> AsyncGrpcClient:
        return self._session.client(settings).aio


class _StubChannel:
    """What generated stubs take for a channel: it makes methods that measure."""

    def __init__(self, face: _Face) -> None:
        self._face = face

    def unary_unary(self, *args: Any, **more: Any) -> Method:
        """One request, one reply."""
        return self._method(False, False, *args, **more)

    def unary_stream(self, *args: Any, **more: Any) -> Method:
        """One request, many replies."""
        return self._method(False, True, *args, **more)

    def stream_unary(self, *args: Any, **more: Any) -> Method:
        """Many requests, one reply."""
        return self._method(True, False, *args, **more)

    def stream_stream(self, *args: Any, **more: Any) -> Method:
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
    ) -> Method:
        spec = MethodSpec(
            path,
            request_serializer,
            response_deserializer,
            client_streaming=client_streaming,
            server_streaming=server_streaming,
        )
        return method_of(self._face, spec, is_async=self._face.is_async)


def _can_be_found(name: object, proto: object, proto_path: Iterable[object]) -> bool:
    paths = (*proto_path, *([] if proto is None else [proto]))
    return isinstance(name, str) and all(isinstance(path, str | os.PathLike) for path in paths)


def _no_service(name: object, proto: object, proto_path: object) -> ConfigError:
    return ConfigError(
        f"grpc_client.service({name!r:.60}, proto={proto!r:.60}, proto_path={proto_path!r:.60}): allowed: "
        "'package.Service', the path of a .proto file, and directories"
    )


def open_channel(settings: GrpcSettings) -> grpc.Channel:
    """Open a blocking channel; it connects at its first call."""
    address, credentials = settings.require_address(), settings.credentials
    if credentials is None:
        return grpc.insecure_channel(address, options=settings.channel_arguments)
    return grpc.secure_channel(address, credentials, options=settings.channel_arguments)


def _close(channel: Any) -> object:
    return channel.close()  # of its own class: that of grpc.Channel is abstract


def _kept_call(method: Method, kept: Resources, channel: Any) -> Any:
    call = method.open_on(channel)
    kept.keep(method, call, close=lambda _: None)
    return call
