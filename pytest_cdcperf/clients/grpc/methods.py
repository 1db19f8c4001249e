"""The methods of a service, as callables that measure: one class for each kind of rpc, for both clients."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from pytest_cdcperf.clients.grpc.recording import MethodRecorder, StreamCall, UnaryCall
from pytest_cdcperf.clients.grpc.settings import GrpcSettings, Metadata, MetadataLike, metadata_pairs, timeout_s
from pytest_cdcperf.clients.grpc.waiting import Waiting
from pytest_cdcperf.errors import ConfigError
from pytest_cdcperf.units import Duration

Requests = AsyncIterable[Any] | Iterable[Any]


@dataclass(frozen=True)
class MethodSpec:
    """One rpc: its *path* is ``/package.Service/Method``.

    *request* is its message's class, and *read* makes one of a mapping; both are None where generated code made it.
    """

    path: str
    serialize: Callable[[Any], bytes] | None
    deserialize: Callable[[bytes], Any] | None
    client_streaming: bool = False
    server_streaming: bool = False
    request: Any = None
    read: Callable[[Mapping[str, Any]], Any] | None = None


class Client(Protocol):
    """The interface of the client that a method belongs to."""

    settings: GrpcSettings
    waiting: Waiting

    def callable_of(self, method: GrpcMethod) -> Any:
        """Return grpcio's callable for *method*, on the channel of the current VU."""


class GrpcMethod:
    """One rpc: makes a request of what the user wrote. In an async body what it returns is awaited."""

    def __init__(self, client: Client, spec: MethodSpec) -> None:
        self._client = client
        self._spec = spec
        self._timeout_s = client.settings.timeout
        self._metadata = client.settings.metadata
        self._recorder = MethodRecorder(spec.path, streams=spec.client_streaming or spec.server_streaming)
        fields = () if spec.request is None else (field.name for field in spec.request.DESCRIPTOR.fields)
        self._ambiguous = {"timeout", "metadata"}.intersection(fields)

    def __repr__(self) -> str:
        return f"<gRPC method {self._spec.path.lstrip('/')}>"

    def open_on(self, channel: Any) -> Any:
        """Return grpcio's callable on *channel*."""
        spec = self._spec
        kind = f"{'stream' if spec.client_streaming else 'unary'}_{'stream' if spec.server_streaming else 'unary'}"
        return getattr(channel, kind)(
            spec.path, request_serializer=spec.serialize, response_deserializer=spec.deserialize
        )

    def message(self, given: Any, fields: Mapping[str, Any] | None = None) -> Any:
        """Return the request for what the user wrote: a message, a mapping of fields, or fields by name.

        :raises ConfigError: for anything else
        """
        request, read, fields = self._spec.request, self._spec.read, fields or {}
        if request is not None and read is not None and (given is None or isinstance(given, Mapping)):
            wanted = {**given, **fields} if given else fields
            try:
                return request(**wanted)
            except (TypeError, ValueError, AttributeError):
                return read(wanted)
        if fields or given is None:
            raise ConfigError(f"{self!r} takes a message, or fields by name where no generated code made it; not both")
        if request is not None and not isinstance(given, request):
            raise ConfigError(
                f"{self!r} takes a {request.DESCRIPTOR.full_name} of this service or its fields, not {given!r:.60}"
            )
        return given

    def _callable(self) -> Any:
        return self._client.callable_of(self)

    def request(self, given: Any, fields: Mapping[str, Any], **options: Any) -> Any:
        """Return the request of a call with *options*, its timeout and metadata.

        :raises ConfigError: for an option that could be the field of that name as well
        """
        if self._ambiguous and given is None:
            for name in self._ambiguous:
                if options[name] is not None:
                    raise ConfigError(
                        f"{self!r}: {name}= is an option of the call, and its request has a field {name!r} as well; "
                        f"write the request as a mapping, method({{{name!r}: ...}}), {name}= after it for the option"
                    )
        return self.message(given, fields)

    def _options(self, timeout: Duration | None, metadata: MetadataLike | None) -> tuple[float, Metadata]:
        """Return the deadline of a call and what it sends along: the client's and its own."""
        return (
            self._timeout_s if timeout is None else timeout_s(timeout),
            self._metadata if metadata is None else (*self._metadata, *metadata_pairs(metadata)),
        )


class UnaryMethod(GrpcMethod):
    """One request, one reply.

    .. code-block:: python

        reply = adder.SumNumbers(x=1, y=2, timeout="250ms")
    """

    def __call__(
        self,
        message: Any = None,
        /,
        *,
        timeout: Duration | None = None,
        metadata: MetadataLike | None = None,
        **fields: Any,
    ) -> Any:
        """Call with *message*, a mapping or its *fields*; return the reply."""
        __tracebackhide__ = True
        return self._call(message, fields, timeout, metadata, with_call=False)

    def with_call(
        self,
        message: Any = None,
        /,
        *,
        timeout: Duration | None = None,
        metadata: MetadataLike | None = None,
        **fields: Any,
    ) -> Any:
        """Call, and return the reply with grpcio's call, which has the metadata of both directions."""
        __tracebackhide__ = True
        return self._call(message, fields, timeout, metadata, with_call=True)

    def _call(
        self,
        message: Any,
        fields: Mapping[str, Any],
        timeout: Duration | None,
        metadata: MetadataLike | None,
        *,
        with_call: bool,
    ) -> Any:
        __tracebackhide__ = True
        request = self.request(message, fields, timeout=timeout, metadata=metadata)
        within_s, sent = self._options(timeout, metadata)
        recorded = UnaryCall(self._recorder)
        return self._client.waiting.for_reply(self._callable, request, within_s, sent, recorded, with_call)


class ClientStreamMethod(GrpcMethod):
    """Many requests, one reply.

    .. code-block:: python

        reply = adder.SumAll({"x": n, "y": 0} for n in range(100))
    """

    def __call__(
        self, requests: Requests, /, *, timeout: Duration | None = None, metadata: MetadataLike | None = None
    ) -> Any:
        """Send *requests*, messages or mappings; return the reply."""
        __tracebackhide__ = True
        return self._call(requests, timeout, metadata, with_call=False)

    def with_call(
        self, requests: Requests, /, *, timeout: Duration | None = None, metadata: MetadataLike | None = None
    ) -> Any:
        """Send *requests*; return the reply with grpcio's call."""
        __tracebackhide__ = True
        return self._call(requests, timeout, metadata, with_call=True)

    def _call(
        self, requests: Requests, timeout: Duration | None, metadata: MetadataLike | None, *, with_call: bool
    ) -> Any:
        __tracebackhide__ = True
        waiting = self._client.waiting
        within_s, sent = self._options(timeout, metadata)
        stream = StreamCall(self._recorder)
        drawn = waiting.for_requests(requests, self.message, stream)
        return waiting.for_reply(self._callable, drawn, within_s, sent, stream, with_call)


class ReplyStreamMethod(GrpcMethod):
    """One request or many, many replies.

    .. code-block:: python

        for reply in lab.Count(n=3):
            ...
    """

    def __call__(
        self,
        message: Any = None,
        /,
        *,
        timeout: Duration | None = None,
        metadata: MetadataLike | None = None,
        **fields: Any,
    ) -> Any:
        """Open the stream with a message, or with an iterable of them where the client streams too."""
        __tracebackhide__ = True
        call, waiting = self._callable(), self._client.waiting
        request = None
        if not self._spec.client_streaming:
            request = self.request(message, fields, timeout=timeout, metadata=metadata)
        within_s, sent = self._options(timeout, metadata)
        stream = StreamCall(self._recorder)
        stream.begin()
        if request is None:
            request = waiting.for_requests(message, self.message, stream)
        else:
            stream.sent()
        return waiting.for_replies(call(request, timeout=within_s, metadata=sent), stream)


def method_of(client: Client, spec: MethodSpec) -> GrpcMethod:
    """Return the callable for *spec* on *client*."""
    if spec.server_streaming:
        return ReplyStreamMethod(client, spec)
    return (ClientStreamMethod if spec.client_streaming else UnaryMethod)(client, spec)
