"""The rpcs of a service as callables that measure, for both faces: they differ in the waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Self

from pytest_cdcperf.clients.grpc.driver import IS_KNOWN, grpc
from pytest_cdcperf.clients.grpc.measuring import (
    GRPC_REQ_DURATION,
    GRPC_STREAMS_MSGS_RECEIVED,
    GRPC_STREAMS_MSGS_SENT,
    AsyncRequests,
    Face,
    Method,
    MethodSpec,
    Requests,
    Stream,
)
from pytest_cdcperf.clients.grpc.settings import MetadataLike, Timeout
from pytest_cdcperf.clients.grpc.unary import DirectCall
from pytest_cdcperf.clock import real_time as time


class UnaryMethod(Method):
    """One request, one reply, blocking."""

    def open_on(self, channel: Any) -> Any:
        """Return what calls on *channel*, as the driver's callable does."""
        spec, public = self._spec, super().open_on(channel)
        if not IS_KNOWN or spec.serialize is None or spec.deserialize is None:
            return public
        return DirectCall(channel, spec.path, spec.serialize, spec.deserialize, public)

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
        request = self.request(message, fields, timeout=timeout, metadata=metadata)
        within_s, sent = self.deadline_s(timeout), self.all_metadata(metadata)
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
        streams = self._spec.client_streaming
        request = None if streams else self.request(message, fields, timeout=timeout, metadata=metadata)
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
        open_call, request = (
            self._face.callable_of(self),
            self.request(message, fields, timeout=timeout, metadata=metadata),
        )
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
        streams = self._spec.client_streaming
        request = None if streams else self.request(message, fields, timeout=timeout, metadata=metadata)
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
