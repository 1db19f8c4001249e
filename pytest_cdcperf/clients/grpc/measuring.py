"""What all kinds of rpc have in common: the metrics, and how a call is prepared, timed and counted."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from pytest_cdcperf.clients.grpc.driver import grpc
from pytest_cdcperf.clients.grpc.errors import error_of, status_of
from pytest_cdcperf.clients.grpc.settings import GrpcSettings, MetadataLike, Timeout, metadata_pairs, timeout_s
from pytest_cdcperf.clock import real_time as time
from pytest_cdcperf.errors import ConfigError, GrpcError
from pytest_cdcperf.metrics.calls import FAILED, SUCCESSFUL, TIMED_OUT
from pytest_cdcperf.metrics.groups import GRPC
from pytest_cdcperf.metrics.metric import Counter, Metric, Tags, Trend
from pytest_cdcperf.metrics.scope import current_scope

GRPC_REQ_DURATION = Trend("grpc_req_duration", unit="ms", group=GRPC)  # unary calls
GRPC_STREAM_DURATION = Trend("grpc_stream_duration", unit="ms", group=GRPC)  # streams, from opening to status
GRPC_ERRORS = Counter("grpc_errors", group=GRPC)
GRPC_STREAMS = Counter("grpc_streams", group=GRPC)
GRPC_STREAMS_MSGS_SENT = Counter("grpc_streams_msgs_sent", group=GRPC)
GRPC_STREAMS_MSGS_RECEIVED = Counter("grpc_streams_msgs_received", group=GRPC)

_OUTCOMES = {"OK": SUCCESSFUL, "DEADLINE_EXCEEDED": TIMED_OUT}  # all others failed

Requests = Iterable[Any]
AsyncRequests = AsyncIterable[Any] | Iterable[Any]


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


class Face(Protocol):
    """What a method asks of the client it belongs to."""

    settings: GrpcSettings

    def callable_of(self, method: Method) -> Any:
        """Return the driver's callable for *method*, on the channel of whoever asks."""


class Method:
    """One rpc: what goes into a call and what is recorded of it."""

    def __init__(self, face: Face, spec: MethodSpec) -> None:
        self._face = face
        self._spec = spec
        self.path = spec.path
        self._timeout = face.settings.timeout
        self._metadata = face.settings.metadata
        service, _, method = spec.path.lstrip("/").rpartition("/")
        self.tags: Tags = (("method", method), ("service", service))
        self._with_status = {code.name: (*self.tags, ("status", code.name)) for code in grpc.StatusCode}
        self._timed = {status: (*tags, *_OUTCOMES.get(status, FAILED)) for status, tags in self._with_status.items()}
        self._ok = self._timed["OK"]
        fields = () if spec.request is None else (field.name for field in spec.request.DESCRIPTOR.fields)
        self._meant_twice = {"timeout", "metadata"}.intersection(fields)

    def __repr__(self) -> str:
        return f"<gRPC method {self.path.lstrip('/')}>"

    def open_on(self, channel: Any) -> Any:
        """Return the driver's callable on *channel*."""
        spec = self._spec
        kind = f"{'stream' if spec.client_streaming else 'unary'}_{'stream' if spec.server_streaming else 'unary'}"
        return getattr(channel, kind)(
            spec.path, request_serializer=spec.serialize, response_deserializer=spec.deserialize
        )

    def failed(self, error: grpc.RpcError, duration: Trend, begin_ns: int) -> GrpcError:
        """Record a call that ended with *error*; return what to raise."""
        self.ended(duration, begin_ns, status_of(error).name)
        return error_of(self.path, error)

    def ended(self, duration: Trend, begin_ns: int, status: str = "OK") -> None:
        """Record a call that ended with *status*: whichever it is, it is timed."""
        elapsed_ms = (time.perf_counter_ns() - begin_ns) * 1e-6
        scope = current_scope()
        if scope is None:
            return
        if status == "OK":
            scope.sink(duration, self._ok)(elapsed_ms)
        else:
            scope.sink(duration, self._timed[status])(elapsed_ms)
            scope.sink(GRPC_ERRORS, self._with_status[status])(1)

    def message(self, given: Any, fields: Mapping[str, Any]) -> Any:
        """Return the request for what the user wrote: a message, a mapping of fields, or fields by name."""
        request, read = self._spec.request, self._spec.read
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

    def request(self, given: Any, fields: Mapping[str, Any], **options: Any) -> Any:
        """Return the request of a call with *options*, its timeout and metadata.

        :raises ConfigError: for an option that may be meant as the field of that name
        """
        if self._meant_twice and given is None:
            for name in self._meant_twice:
                if options[name] is not None:
                    raise ConfigError(
                        f"{self!r}: {name}= is an option of the call, and its request has a field {name!r} as well; "
                        f"write the request as a mapping, method({{{name!r}: ...}}), {name}= after it for the option"
                    )
        return self.message(given, fields)

    def deadline_s(self, timeout: Timeout | None) -> float:
        """Return the seconds a call may take."""
        return self._timeout if timeout is None else timeout_s(timeout)

    def all_metadata(self, metadata: MetadataLike | None) -> tuple[tuple[str, str | bytes], ...]:
        """Return what a call sends along: the client's and its own."""
        return self._metadata if metadata is None else (*self._metadata, *metadata_pairs(metadata))


class Stream:
    """What is recorded of one stream. Its requests may be drawn in another thread: the scope is of the opening."""

    def __init__(self, method: Method) -> None:
        self.fault: Exception | None = None  # what the user's own requests raised: the driver drops it
        self._method = method
        self._scope = current_scope()
        self._begin_ns = time.perf_counter_ns()
        self._open = True
        self.count(GRPC_STREAMS)

    def count(self, metric: Metric) -> None:
        """Count a message, or the stream itself."""
        if self._scope is not None:
            self._scope.sink(metric, self._method.tags)(1)

    def ended(self, status: str = "OK") -> None:
        """Record the end, once."""
        if self._open:
            self._open = False
            self._method.ended(GRPC_STREAM_DURATION, self._begin_ns, status)

    def failed(self, error: grpc.RpcError) -> Exception:
        """Record the end by *error*; return what to raise."""
        self.ended(status_of(error).name)
        return self.fault or error_of(self._method.path, error)

    def outgoing(self, requests: Requests) -> Iterator[Any]:
        """Draw the messages of *requests*."""
        try:
            for request in requests:
                yield self._method.message(request, {})
                self.count(GRPC_STREAMS_MSGS_SENT)
        except Exception as error:
            self.fault = error
            raise

    async def outgoing_aio(self, requests: AsyncRequests) -> AsyncIterator[Any]:
        """Draw the messages of *requests*, which may be awaited ones."""
        try:
            if isinstance(requests, AsyncIterable):
                async for request in requests:
                    yield self._method.message(request, {})
                    self.count(GRPC_STREAMS_MSGS_SENT)
            else:
                for request in requests:
                    yield self._method.message(request, {})
                    self.count(GRPC_STREAMS_MSGS_SENT)
        except Exception as error:
            self.fault = error
            raise
