"""gRPC through grpcio: ``grpc_client`` for ``def`` bodies, ``grpc_client.aio`` for ``async def`` ones.

A call raises ``GrpcError``, a :class:`grpc.RpcError`, unless its status is OK. ``grpc_req_duration`` is that of
unary calls; the first of a connection holds the connecting.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeVar, Unpack

from pytest_cdcperf.clients.grpc.channels import Channel, open_channel
from pytest_cdcperf.clients.grpc.driver import grpc
from pytest_cdcperf.clients.grpc.methods import GrpcMethod, method_of
from pytest_cdcperf.clients.grpc.services import GrpcService, ServiceFinder, StubChannel
from pytest_cdcperf.clients.grpc.settings import GrpcOptions, GrpcSettings
from pytest_cdcperf.clients.grpc.waiting import ASYNC, SYNC, Waiting
from pytest_cdcperf.clients.per_vu import PerVU, async_vu, sync_vu
from pytest_cdcperf.errors import ConfigError

Stub = TypeVar("Stub")


@dataclass
class _Family:
    """The state that a client shares with those made from it with other options."""

    root: Path
    finder: ServiceFinder
    clients: dict[GrpcSettings, GrpcClient] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def client(self, settings: GrpcSettings) -> GrpcClient:
        """Return the one client of *settings*."""
        with self.lock:
            if settings not in self.clients:
                self.clients[settings] = GrpcClient(self.root, settings, self)
            return self.clients[settings]


class _Client:
    """The base of both clients, which differ in the channel that a call goes through, and in the waiting."""

    waiting: Waiting

    def __init__(self, family: _Family, settings: GrpcSettings, channels: PerVU[Channel]) -> None:
        self.settings = settings
        self._family = family
        self._channels = channels
        self._made: dict[Hashable, Any] = {}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.settings.address}".rstrip() + ">"

    def with_options(self, **options: Unpack[GrpcOptions]) -> Self:
        """Return the client with *options* over its own; the same options make the same client.

        *address*, *tls*, *root_certificates*, *certificate_chain*, *private_key* (PEM, or files relative to the
        rootdir), *metadata*, *timeout* (60 s by default), *connections* ("per_vu" by default, or "shared"),
        *channel_options* of gRPC by name.

        :raises ConfigError: for an option that is not valid
        """
        changed = self.settings.changed(self._family.root, options)
        return self if changed == self.settings else self._sibling(changed)

    def service(
        self, name: str, *, proto: str | None = None, proto_path: Sequence[str] = (), **options: Unpack[GrpcOptions]
    ) -> GrpcService:
        """Return the service *name*, "package.Service": of the file *proto*, or as the server describes it.

        *proto* and *proto_path*, the directories of its imports, are relative to pytest's rootdir.

        :raises ConfigError: where file or service are not there
        :raises UnreachableError: where the server has to be asked and cannot
        """
        if options:
            return self.with_options(**options).service(name, proto=proto, proto_path=proto_path)
        try:
            key = (name, proto, (proto_path,) if isinstance(proto_path, str) else tuple(proto_path))
            made: GrpcService | None = self._made.get(key)
        except TypeError:
            raise _invalid_service(name, proto, proto_path) from None
        if made is None:
            if not _can_be_found(name, proto, key[2]):
                raise _invalid_service(name, proto, proto_path)
            self.settings.require_address()
            specs = self._family.finder.methods(self.settings, name, proto, key[2])
            made = GrpcService(name, {rpc: method_of(self, spec) for rpc, spec in specs.items()})
            made = self._made.setdefault(key, made)
        return made

    def stub(self, stub: Callable[[Any], Stub], **options: Unpack[GrpcOptions]) -> Stub:
        """Return the generated class *stub* with every method of it measured.

        ::

            import lab_pb2
            import lab_pb2_grpc

            @pytest.fixture(scope="session")
            def lab(grpc_client):
                return grpc_client.stub(lab_pb2_grpc.LabStub, address="lab.example:50051")

            def test_sum(lab):
                assert lab.Add(lab_pb2.Pair(x=1, y=2)).n == 3
        """
        if options:
            return self.with_options(**options).stub(stub)
        self.settings.require_address()
        made: Stub | None = self._made.get(stub)
        if made is None:
            if not callable(stub):
                raise ConfigError(
                    f"grpc_client.stub({stub!r:.60}): allowed: a generated class, such as shop_pb2_grpc.ShopStub"
                )
            made = self._made.setdefault(stub, stub(StubChannel(self)))
        return made

    def callable_of(self, method: GrpcMethod) -> Any:
        """Return grpcio's callable for *method*, on the channel of the current VU.

        :raises BlockingCallError: in the body of the other kind
        """
        return self._channels.get().callable_of(method)

    def _sibling(self, settings: GrpcSettings) -> Self:
        raise NotImplementedError


class GrpcClient(_Client):
    """The gRPC client for ``def`` bodies and fixtures. One object serves all VUs, each with a channel of its own.

    ::

        @pytest.fixture(scope="session")
        def lab(grpc_client):
            return grpc_client.service("lab.Lab", proto="protos/lab.proto", address="lab.example:50051")

        @perf(vus=10, duration="30s", thresholds={"grpc_req_duration": "p(95)<2s"})
        def test_sum(lab):
            assert lab.Add(x=1, y=2).n == 3

    >>> slow = GrpcClient(Path()).with_options(address="localhost:50051", timeout="2m")
    >>> slow.settings.timeout
    120.0
    """

    waiting = SYNC

    def __init__(self, root: Path, settings: GrpcSettings | None = None, family: _Family | None = None) -> None:
        settings, family = settings or GrpcSettings(), family or _Family(root, ServiceFinder(root))
        super().__init__(
            family,
            settings,
            PerVU(
                lambda: Channel(open_channel(settings)),
                Channel.close,
                Channel.close,
                vu=partial(sync_vu, "grpc_client", "grpc_client.aio.service(...).Method(...)"),
            ),
        )
        self.aio = AsyncGrpcClient(family, settings)
        family.clients.setdefault(settings, self)

    def close(self) -> None:
        """Close what is open beside the VUs' own channels, of this client and of all made from it."""
        for client in self._family.clients.values():
            client._channels.close()  # noqa: SLF001  # of its own class

    def _sibling(self, settings: GrpcSettings) -> GrpcClient:
        return self._family.client(settings)


class AsyncGrpcClient(_Client):
    """The gRPC client for ``async def`` bodies.

    ::

        @pytest.fixture(scope="session")
        def lab(grpc_client):
            return grpc_client.aio.service("lab.Lab", proto="protos/lab.proto", address="lab.example:50051")

        @perf(vus=10, duration="30s")
        async def test_sum(lab):
            assert (await lab.Add(x=1, y=2)).n == 3
    """

    waiting = ASYNC

    def __init__(self, family: _Family, settings: GrpcSettings) -> None:
        super().__init__(
            family,
            settings,
            PerVU(
                lambda: Channel(open_channel(settings, grpc.aio)), Channel.close, vu=partial(async_vu, "grpc_client")
            ),
        )

    def _sibling(self, settings: GrpcSettings) -> AsyncGrpcClient:
        return self._family.client(settings).aio


def _can_be_found(name: object, proto: object, proto_path: Iterable[object]) -> bool:
    paths = (*proto_path, *([] if proto is None else [proto]))
    return isinstance(name, str) and all(isinstance(path, str | os.PathLike) for path in paths)


def _invalid_service(name: object, proto: object, proto_path: object) -> ConfigError:
    return ConfigError(
        f"grpc_client.service({name!r:.60}, proto={proto!r:.60}, proto_path={proto_path!r:.60}): allowed: "
        "'package.Service', the path of a .proto file, and directories"
    )
