"""Makes message classes and methods of .proto files, or of the descriptions that a server gives of itself.

Each set of files has a descriptor pool of its own: two protos of one name in one session do not clash, nor do they
clash with generated code, which is in the default pool.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from pytest_cdcperf.clients.grpc.json import message_from
from pytest_cdcperf.clients.grpc.methods import MethodSpec
from pytest_cdcperf.errors import ConfigError, MissingExtraError
from pytest_cdcperf.interpreter import environment, python_command


class Descriptors:
    """The services of a closed set of files, in which imports come before those who import them.

    :param origin: where they are from, for messages
    """

    def __init__(self, files: Sequence[FileDescriptorProto], origin: str) -> None:
        self._pool = DescriptorPool()
        self._origin = origin
        self.services: list[str] = []
        for file in files:
            self._pool.AddSerializedFile(file.SerializeToString())
            self.services += [f"{file.package}.{one.name}".lstrip(".") for one in file.service]

    def methods(self, service: str) -> dict[str, MethodSpec]:
        """Return the methods of *service*, "package.Service", by name.

        :raises ConfigError: where there is no such service
        """
        if service not in self.services:
            has = ", ".join(self.services) or "none"
            raise ConfigError(f"{self._origin} has no service {service!r}; it has: {has}")
        methods = {}
        for method in self._pool.FindServiceByName(service).methods:
            request, reply = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
            methods[method.name] = MethodSpec(
                f"/{service}/{method.name}",
                request.SerializeToString,
                reply.FromString,
                client_streaming=method.client_streaming,
                server_streaming=method.server_streaming,
                request=request,
                read=partial(message_from, request),
            )
        return methods


@dataclass
class Protos:
    """Compiles each .proto file once. Relative paths are relative to *root*."""

    root: Path
    _known: dict[tuple[Path, tuple[Path, ...]], Descriptors | ConfigError] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def load(self, proto: str, proto_path: Sequence[str] = ()) -> Descriptors:
        """Return what the file *proto* and its imports declare.

        *proto_path* are the directories that imports are looked up in; the file's own and *root* without any.

        :raises ConfigError: where the file is missing or wrong
        :raises MissingExtraError: without the compiler
        """
        directories = tuple(self.root / directory for directory in proto_path) or (self.root,)
        file = next((found for place in directories if (found := place / proto).is_file()), None)
        if file is None:
            searched = ", ".join(str(directory) for directory in directories)
            raise ConfigError(f"proto file {proto!r} is not there; searched: {searched}; name others with proto_path=")
        roots = directories if proto_path else (file.parent, self.root)
        with self._lock:
            known = self._known.get((file, roots))
            if known is None:
                known = self._known[file, roots] = _compiled(file, roots)
        if isinstance(known, ConfigError):  # kept as well: a body may ask in every iteration
            raise ConfigError(*known.faults)
        return known


def _compiled(file: Path, roots: Sequence[Path]) -> Descriptors | ConfigError:
    if importlib.util.find_spec("grpc_tools") is None:
        raise MissingExtraError("grpc_client.service(..., proto=...)", "grpc", "grpc_tools")
    if not any(file.is_relative_to(directory) for directory in roots):
        roots = (*roots, file.parent)
    with tempfile.TemporaryDirectory() as directory:
        out = Path(directory, "descriptors")
        # A process of its own: the compiler writes what it has to say to the file descriptor of stderr.
        command = [*python_command("grpc_tools.protoc"), *(f"-I{one}" for one in roots)]
        done = subprocess.run(  # noqa: S603  # our own arguments
            [*command, "--include_imports", f"--descriptor_set_out={out}", str(file)],
            env=environment(os.environ),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            return ConfigError(f"proto file {file} cannot be compiled: {'; '.join(done.stderr.split(chr(10))[:3])}")
        return Descriptors(FileDescriptorSet.FromString(out.read_bytes()).file, f"proto file {file}")
