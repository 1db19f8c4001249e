"""The waiting of the sync and of the async client, the only part in which they differ; the rest is ``methods.py``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Self

from pytest_cdcperf.clients.grpc.driver import grpc
from pytest_cdcperf.clients.grpc.recording import StreamCall, UnaryCall
from pytest_cdcperf.clients.grpc.settings import Metadata

Opening = Callable[[], Any]  # returns grpcio's callable: an async channel is opened on the running loop
ToMessage = Callable[[Any], Any]


@dataclass(frozen=True)
class Waiting:
    """The waiting of one of the clients: for one reply, for requests that it draws, for the replies of a stream."""

    for_reply: Callable[[Opening, Any, float, Metadata, UnaryCall, bool], Any]
    for_requests: Callable[[Any, ToMessage, StreamCall], Any]
    for_replies: Callable[[Any, StreamCall], Any]


def reply(
    opening: Opening, request: Any, timeout_s: float, metadata: Metadata, recorded: UnaryCall, with_call: bool
) -> Any:
    """Call, and return the one reply; with grpcio's call beside it where *with_call* says so."""
    __tracebackhide__ = True
    call = opening()
    recorded.begin()
    try:
        answer = (call.with_call if with_call else call)(request, timeout=timeout_s, metadata=metadata)
    except grpc.RpcError as error:
        raise recorded.failed(error) from None
    recorded.replied()
    return answer


async def await_reply(
    opening: Opening, request: Any, timeout_s: float, metadata: Metadata, recorded: UnaryCall, with_call: bool
) -> Any:
    """Do the same for the async client. A body that forgets the ``await`` is told this function's name."""
    __tracebackhide__ = True
    call = opening()
    recorded.begin()
    try:
        opened = call(request, timeout=timeout_s, metadata=metadata)
        reply = await opened
    except grpc.RpcError as error:
        raise recorded.failed(error) from None
    except asyncio.CancelledError as error:
        raise recorded.cancelled(error) from None
    recorded.replied()
    return (reply, opened) if with_call else reply


def _requests(given: Iterable[Any], message: ToMessage, recorded: StreamCall) -> Iterator[Any]:
    try:
        for request in given:
            yield message(request)
            recorded.sent()
    except Exception as error:
        recorded.fault = error
        raise


async def _requests_aio(
    given: AsyncIterable[Any] | Iterable[Any], message: ToMessage, recorded: StreamCall
) -> AsyncIterator[Any]:
    try:
        if isinstance(given, AsyncIterable):
            async for request in given:
                yield message(request)
                recorded.sent()
        else:
            for request in given:
                yield message(request)
                recorded.sent()
    except Exception as error:
        recorded.fault = error
        raise


class GrpcReplies:
    """The replies of a stream, for ``for``. Where it is left early it is cancelled, and its duration is not a sample.

    ::

        def test_counting(grpc_client):
            lab = grpc_client.service("lab.Lab", address="lab.example:50051")
            assert [reply.n for reply in lab.Count(n=3)] == [1, 2, 3]

    *call* is grpcio's, with metadata and status.
    """

    def __init__(self, call: Any, recorded: StreamCall) -> None:
        self.call = call
        self._recorded = recorded

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        __tracebackhide__ = True
        try:
            reply = next(self.call)
        except StopIteration:
            self._recorded.ended()
            raise
        except grpc.RpcError as error:
            raise self._recorded.failed(error) from None
        self._recorded.received()
        return reply

    def cancel(self) -> None:
        """End the stream."""
        self.call.cancel()


class AsyncGrpcReplies:
    """The replies of a stream, for ``async for``: see :class:`GrpcReplies`.

    ::

        @pytest.fixture(scope="session")
        def lab(grpc_client):
            return grpc_client.aio.service("lab.Lab", proto="protos/lab.proto", address="lab.example:50051")

        @perf(vus=10, duration="30s")
        async def test_counting(lab):
            assert [reply.n async for reply in lab.Count(n=3)] == [1, 2, 3]
    """

    def __init__(self, call: Any, recorded: StreamCall) -> None:
        self.call = call
        self._recorded = recorded
        self._replies = aiter(call)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        __tracebackhide__ = True
        try:
            reply = await anext(self._replies)
        except StopAsyncIteration:
            self._recorded.ended()
            raise
        except grpc.RpcError as error:
            raise self._recorded.failed(error) from None
        except asyncio.CancelledError as error:
            raise self._recorded.cancelled(error) from None
        self._recorded.received()
        return reply

    def cancel(self) -> None:
        """End the stream."""
        self.call.cancel()


SYNC = Waiting(reply, _requests, GrpcReplies)
ASYNC = Waiting(await_reply, _requests_aio, AsyncGrpcReplies)
