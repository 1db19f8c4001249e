"""Asks a server what its services are: gRPC's server reflection.

https://github.com/grpc/grpc/blob/master/doc/server-reflection.md. grpc_reflection has a client of its own,
ProtoReflectionDescriptorDatabase. It is not used since it speaks v1alpha only, has no time limit, so that it waits
for ever for a server that hangs, and meets errors other than NOT_FOUND with an assert.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from google.protobuf.descriptor_pb2 import FileDescriptorProto

from pytest_cdcperf.clients.grpc.descriptors import Descriptors
from pytest_cdcperf.clients.grpc.driver import grpc
from pytest_cdcperf.clients.grpc.errors import error_of, status_of
from pytest_cdcperf.errors import ConfigError, MissingExtraError, UnreachableError

if TYPE_CHECKING:
    from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionResponse

_TIMEOUT_S = 5.0
_PATHS = tuple(f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo" for version in ("v1", "v1alpha"))


def reflected(channel: grpc.Channel, service: str, address: str) -> Descriptors:
    """Ask the server behind *channel* what *service* is made of.

    :raises ConfigError: where the server has no reflection, or not that service
    :raises UnreachableError: where it cannot be asked
    :raises MissingExtraError: without the package of the protocol's messages
    """
    try:
        from grpc_reflection.v1alpha import reflection_pb2 as protocol  # noqa: PLC0415  # an extra
    except ImportError:
        raise MissingExtraError("grpc_client.service() by server reflection", "grpc", "grpc_reflection") from None
    for path in _PATHS:
        ask = channel.stream_stream(
            path,
            request_serializer=protocol.ServerReflectionRequest.SerializeToString,
            response_deserializer=protocol.ServerReflectionResponse.FromString,
        )

        def answer(ask: Any = ask, **question: Any) -> ServerReflectionResponse:
            request = protocol.ServerReflectionRequest(**question)
            (response,) = ask(iter([request]), timeout=_TIMEOUT_S)
            return response  # type: ignore[no-any-return]

        try:
            return Descriptors(_files(answer, service, address), f"the server at {address}")
        except grpc.RpcError as error:
            if status_of(error) is not grpc.StatusCode.UNIMPLEMENTED:
                words = error_of("reflection", error)
                raise UnreachableError(f"gRPC server at {address} cannot be used: {words}") from None
    raise ConfigError(f"the server at {address} has no reflection, so {service} is not known; give proto='FILE.proto'")


def _files(answer: Callable[..., ServerReflectionResponse], service: str, address: str) -> list[FileDescriptorProto]:
    first = answer(file_containing_symbol=service)
    if first.HasField("error_response"):
        has = ", ".join(one.name for one in answer(list_services="").list_services_response.service)
        raise ConfigError(f"the server at {address} has no service {service!r}; it has: {has or 'none'}")
    files: dict[str, FileDescriptorProto] = {}

    def take(response: ServerReflectionResponse) -> None:
        for serialized in response.file_descriptor_response.file_descriptor_proto:
            file = FileDescriptorProto.FromString(serialized)
            files.setdefault(file.name, file)

    take(first)
    while missing := {name for file in files.values() for name in file.dependency} - set(files):
        for name in missing:
            response = answer(file_by_filename=name)
            if response.HasField("error_response"):
                raise ConfigError(f"the reflection of the server at {address} does not know {name!r}; give proto=")
            take(response)
    return list(_imports_first(files))


def _imports_first(files: Mapping[str, FileDescriptorProto]) -> Iterator[FileDescriptorProto]:
    done: set[str] = set()

    def visit(name: str) -> Iterator[FileDescriptorProto]:
        if name not in done:
            done.add(name)
            for imported in files[name].dependency:
                yield from visit(imported)
            yield files[name]

    for name in files:
        yield from visit(name)
