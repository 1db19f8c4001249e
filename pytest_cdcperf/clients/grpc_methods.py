"""The rpcs of a service as callables that measure, for both faces: they differ in the waiting."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self

from pytest_cdcperf.clients.grpc_driver import grpc
from pytest_cdcperf.clients.grpc_errors import GrpcError, error_of, status_of
from pytest_cdcperf.clients.grpc_options import GrpcOptions, MetadataLike, Timeout, metadata_pairs, timeout_s
from pytest_cdcperf.errors import ConfigError
from pytest_cdcperf.metrics.recorder import Counter, Metric, Trend, current_scope
from pytest_cdcperf.metrics.snapshot import Tags

GRPC_REQ_DURATION = Trend("grpc_req_duration", unit="ms")  # unary calls
GRPC_STREAM_DURATION = Trend("grpc_stream_duration", unit="ms")  # streams, from opening to status
GRPC_ERRORS = Counter("grpc_errors")
GRPC_STREAMS = Counter("grpc_streams")
GRPC_STREAMS_MSGS_SENT = Counter("grpc_streams_msgs_sent")
GRPC_STREAMS_MSGS_RECEIVED = Counter("grpc_streams_msgs_received")

Requests = Iterable[Any]
AsyncRequests = AsyncIterable[Any] | Iterable[Any]


@dataclass(frozen=True)
class MethodSpec:
    """One rpc: its *path* is ``/package.Service/Method``; *request* is None where generated code made it."""

    path: str
    serialize: Callable[[Any], bytes] | None
    deserialize: Callable[[bytes], Any] | None
    client_streaming: bool = False
    server_streaming: bool = False
    request: Any = None


class Face(Protocol):
    """What a method asks of the client it belongs to."""

    options: GrpcOptions

    def callable_of(self, method: Method) -> Any:
        """Return the driver's callable for *method*, on the channel of whoever asks."""


class Method:
    """One rpc: what goes into a call and what is recorded of it."""

    def __init__(self, face: Face, spec: MethodSpec) -> None:
        self._face = face
        self._spec = spec
        self.path = spec.path
        self._timeout = face.options.timeout
        self._metadata = face.options.metadata
        service, _, method = spec.path.lstrip("/").rpartition("/")
        self.tags: Tags = (("method", method), ("service", service))
        self._with_status = {code.name: (*self.tags, ("status", code.name)) for code in grpc.StatusCode}
        self._ok = self._with_status["OK"]

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
            tags = self._with_status[status]
            scope.sink(duration, tags)(elapsed_ms)
            scope.sink(GRPC_ERRORS, tags)(1)

    def message(self, given: Any, fields: Mapping[str, Any]) -> Any:
        """Return the request for what the user wrote: a message, a mapping of fields, or fields by name."""
        request = self._spec.request
        if request is not None and (given is None or isinstance(given, Mapping)):
            try:
                return request(**{**given, **fields} if given else fields)
            except (TypeError, ValueError, AttributeError) as error:
                has = ", ".join(field.name for field in request.DESCRIPTOR.fields) or "none"
                raise ConfigError(f"{request.DESCRIPTOR.full_name}: {error}; its fields: {has}") from None
        if fields or given is None:
            raise ConfigError(f"{self!r} takes a message, or fields by name where no generated code made it; not both")
        if request is not None and not isinstance(given, request):
            raise ConfigError(
                f"{self!r} takes a {request.DESCRIPTOR.full_name} of this service or its fields, not {given!r:.60}"
            )
        return given

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


class UnaryMethod(Method):
    """One request, one reply, blocking."""

    def __call__(
        self,
        message: Any = None,
        /,
        *,
        timeout: Timeout | None = None,
        metadata: MetadataLike | None = None,
        **fields: Any,
    ) -> Any:
        """Call with *message*, a mapping or its *fields*; return the reply."""
        __tracebackhide__ = True
        return self._measure(self._face.callable_of(self), message, fields, timeout, metadata)

    def with_call(
        self,
        message: Any = None,
        /,
        *,
        timeout: Timeout | None = None,
        metadata: MetadataLike | None = None,
        **fields: Any,
    ) -> tuple[Any, grpc.Call]:
        """Call, and return the reply with the driver's call, which has the metadata of both directions."""
        __tracebackhide__ = True
        answer: tuple[Any, grpc.Call] = self._measure(
            self._face.callable_of(self).with_call, message, fields, timeout, metadata
        )
        return answer

    def _measure(
        self,
        call: Callable[..., Any],
        message: Any,
        fields: Mapping[str, Any],
        timeout: Timeout | None,
        metadata: MetadataLike | None,
    ) -> Any:
        __tracebackhide__ = True
        request, within_s, sent = self.message(message, fields), self.deadline_s(timeout), self.all_metadata(metadata)
        begin_ns = time.perf_counter_ns()
        try:
            answer = call(request, within_s, sent)
        except grpc.RpcError as error:
            raise self.failed(error, GRPC_REQ_DURATION, begin_ns) from None
        self.ended(GRPC_REQ_DURATION, begin_ns)
        return answer


class ClientStreamMethod(Method):
    """Many requests, one reply, blocking."""

    def __call__(
        self, requests: Requests, /, *, timeout: Timeout | None = None, metadata: MetadataLike | None = None
    ) -> Any:
        """Send *requests*, messages or mappings; return the reply."""
        __tracebackhide__ = True
        return self.with_call(requests, timeout=timeout, metadata=metadata)[0]

    def with_call(
        self, requests: Requests, /, *, timeout: Timeout | None = None, metadata: MetadataLike | None = None
    ) -> tuple[Any, grpc.Call]:
        """Send *requests*; return the reply with the driver's call."""
        __tracebackhide__ = True
        call, stream = self._face.callable_of(self).with_call, Stream(self)
        try:
            answer: tuple[Any, grpc.Call] = call(
                stream.outgoing(requests), self.deadline_s(timeout), self.all_metadata(metadata)
            )
        except grpc.RpcError as error:
            raise stream.failed(error) from None
        stream.count(GRPC_STREAMS_MSGS_RECEIVED)
        stream.ended()
        return answer


class ServerStreamMethod(Method):
    """One request or many, many replies, blocking."""

    def __call__(
        self,
        message: Any = None,
        /,
        *,
        timeout: Timeout | None = None,
        metadata: MetadataLike | None = None,
        **fields: Any,
    ) -> Replies:
        """Open the stream with a message, or with an iterable of them where the client streams too."""
        call = self._face.callable_of(self)
        request = None if self._spec.client_streaming else self.message(message, fields)
        stream = Stream(self)
        if request is None:
            request = stream.outgoing(message)
        else:
            stream.count(GRPC_STREAMS_MSGS_SENT)
        return Replies(call(request, self.deadline_s(timeout), self.all_metadata(metadata)), stream)


class Replies:
    """The replies of a stream, to iterate. Left early it is cancelled, and its duration is no sample."""

    def __init__(self, call: Any, stream: Stream) -> None:
        self.call = call  # the driver's: metadata, status, cancel
        self._stream = stream

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        __tracebackhide__ = True
        try:
            reply = next(self.call)
        except StopIteration:
            self._stream.ended()
            raise
        except grpc.RpcError as error:
            raise self._stream.failed(error) from None
        self._stream.count(GRPC_STREAMS_MSGS_RECEIVED)
        return reply

    def cancel(self) -> None:
        """End the stream."""
        self.call.cancel()


class AsyncUnaryMethod(Method):
    """One request, one reply, awaited."""

    async def __call__(
        self,
        message: Any = None,
        /,
        *,
        timeout: Timeout | None = None,  # noqa: ASYNC109  # a deadline, which the server is told
        metadata: MetadataLike | None = None,
        **fields: Any,
    ) -> Any:
        """Call with *message*, a mapping or its *fields*; return the reply."""
        __tracebackhide__ = True
        return (await self._measure(message, fields, timeout, metadata))[0]

    async def with_call(
        self,
        message: Any = None,
        /,
        *,
        timeout: Timeout | None = None,  # noqa: ASYNC109  # as above
        metadata: MetadataLike | None = None,
        **fields: Any,
    ) -> tuple[Any, grpc.aio.Call]:
        """Call, and return the reply with the driver's call, whose metadata is awaited."""
        __tracebackhide__ = True
        return await self._measure(message, fields, timeout, metadata)

    async def _measure(
        self,
        message: Any,
        fields: Mapping[str, Any],
        timeout: Timeout | None,  # noqa: ASYNC109  # as above
        metadata: MetadataLike | None,
    ) -> tuple[Any, grpc.aio.Call]:
        __tracebackhide__ = True
        open_call, request = self._face.callable_of(self), self.message(message, fields)
        within_s, sent = self.deadline_s(timeout), self.all_metadata(metadata)
        begin_ns = time.perf_counter_ns()
        try:
            call = open_call(request, timeout=within_s, metadata=sent)
            reply = await call
        except grpc.RpcError as error:
            raise self.failed(error, GRPC_REQ_DURATION, begin_ns) from None
        except asyncio.CancelledError:
            self.ended(GRPC_REQ_DURATION, begin_ns, "CANCELLED")
            raise
        self.ended(GRPC_REQ_DURATION, begin_ns)
        return reply, call


class AsyncClientStreamMethod(Method):
    """Many requests, one reply, awaited."""

    async def __call__(
        self,
        requests: AsyncRequests,
        /,
        *,
        timeout: Timeout | None = None,  # noqa: ASYNC109  # as above
        metadata: MetadataLike | None = None,
    ) -> Any:
        """Send *requests*, messages or mappings; return the reply."""
        __tracebackhide__ = True
        return (await self.with_call(requests, timeout=timeout, metadata=metadata))[0]

    async def with_call(
        self,
        requests: AsyncRequests,
        /,
        *,
        timeout: Timeout | None = None,  # noqa: ASYNC109  # as above
        metadata: MetadataLike | None = None,
    ) -> tuple[Any, grpc.aio.Call]:
        """Send *requests*; return the reply with the driver's call."""
        __tracebackhide__ = True
        open_call, stream = self._face.callable_of(self), Stream(self)
        try:
            call = open_call(
                stream.outgoing_aio(requests), timeout=self.deadline_s(timeout), metadata=self.all_metadata(metadata)
            )
            reply = await call
        except grpc.RpcError as error:
            raise stream.failed(error) from None
        except asyncio.CancelledError:
            stream.ended("CANCELLED")
            if stream.fault is not None:  # the driver cancels the call for it
                raise stream.fault from None
            raise
        stream.count(GRPC_STREAMS_MSGS_RECEIVED)
        stream.ended()
        return reply, call


class AsyncServerStreamMethod(Method):
    """One request or many, many replies, awaited one by one."""

    def __call__(
        self,
        message: Any = None,
        /,
        *,
        timeout: Timeout | None = None,
        metadata: MetadataLike | None = None,
        **fields: Any,
    ) -> AsyncReplies:
        """Open the stream with a message, or with an iterable of them where the client streams too."""
        call = self._face.callable_of(self)
        request = None if self._spec.client_streaming else self.message(message, fields)
        stream = Stream(self)
        if request is None:
            request = stream.outgoing_aio(message)
        else:
            stream.count(GRPC_STREAMS_MSGS_SENT)
        opened = call(request, timeout=self.deadline_s(timeout), metadata=self.all_metadata(metadata))
        return AsyncReplies(opened, stream)


class AsyncReplies:
    """The replies of a stream, for ``async for``. Left early it is cancelled, and its duration is no sample."""

    def __init__(self, call: Any, stream: Stream) -> None:
        self.call = call  # the driver's: metadata, status, cancel
        self._stream = stream
        self._replies = aiter(call)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        __tracebackhide__ = True
        try:
            reply = await anext(self._replies)
        except StopAsyncIteration:
            self._stream.ended()
            raise
        except grpc.RpcError as error:
            raise self._stream.failed(error) from None
        except asyncio.CancelledError:
            self._stream.ended("CANCELLED")
            if self._stream.fault is not None:  # the driver cancels the call for it
                raise self._stream.fault from None
            raise
        self._stream.count(GRPC_STREAMS_MSGS_RECEIVED)
        return reply

    def cancel(self) -> None:
        """End the stream."""
        self.call.cancel()


def method_of(face: Face, spec: MethodSpec, *, is_async: bool) -> Method:
    """Return the callable for *spec* on *face*."""
    if spec.server_streaming:
        return (AsyncServerStreamMethod if is_async else ServerStreamMethod)(face, spec)
    if spec.client_streaming:
        return (AsyncClientStreamMethod if is_async else ClientStreamMethod)(face, spec)
    return (AsyncUnaryMethod if is_async else UnaryMethod)(face, spec)
