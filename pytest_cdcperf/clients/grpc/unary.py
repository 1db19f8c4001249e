"""Blocking unary calls one level below grpcio's public API, whose states and locks cost each call CPU.

A VU that blocks is one thread that waits for one reply, and needs none of them. That level is private to grpcio: it is
used with the releases that it was tried with. With others calls go through the public API, which means the same.
"""

from __future__ import annotations

from typing import Any

from pytest_cdcperf.clients.grpc.driver import IS_KNOWN, grpc
from pytest_cdcperf.clients.grpc.errors import new_error
from pytest_cdcperf.clock import real_time as time

if IS_KNOWN:
    from grpc._cython import cygrpc  # type: ignore[attr-defined]  # no stubs

_STATUSES: dict[int, grpc.StatusCode] = {code.value[0]: code for code in grpc.StatusCode}
_NO_FLAGS = 0


class DirectCall:
    """Called as the driver's own callable is: with a request, its deadline in seconds and its metadata."""

    def __init__(self, channel: Any, path: str, serialize: Any, deserialize: Any, public: Any) -> None:
        self._open = channel._channel.segregated_call  # noqa: SLF001  # the level that this module is about
        self._path = path.encode()
        self._serialize = serialize
        self._deserialize = deserialize
        self._public = public
        self.with_call = public.with_call

    def __call__(self, request: Any, timeout_s: float, metadata: Any) -> Any:
        """Return the reply.

        :raises GrpcError: for a status other than OK
        """
        try:
            sent = self._serialize(request)
        except Exception:  # noqa: BLE001  # the driver says it in its own way
            return self._public(request, timeout_s, metadata)
        initial = cygrpc.ReceiveInitialMetadataOperation(_NO_FLAGS)
        message = cygrpc.ReceiveMessageOperation(_NO_FLAGS)
        status = cygrpc.ReceiveStatusOnClientOperation(_NO_FLAGS)
        operations = (
            cygrpc.SendInitialMetadataOperation(metadata, _NO_FLAGS),
            cygrpc.SendMessageOperation(sent, _NO_FLAGS),
            cygrpc.SendCloseFromClientOperation(_NO_FLAGS),
            initial,
            message,
            status,
        )
        call = self._open(
            cygrpc.PropagationConstants.GRPC_PROPAGATE_DEFAULTS,
            self._path,
            None,  # the host: the channel's
            time.time() + timeout_s,
            metadata,
            None,  # credentials: the channel's
            ((operations, None),),
            None,  # no tracing
            0,  # no handle of a registered method
        )
        call.next_event()  # which waits: all operations are one batch
        code, details = _STATUSES.get(status.code(), grpc.StatusCode.UNKNOWN), status.details()
        if code is grpc.StatusCode.OK:
            try:
                return self._deserialize(message.message())
            except Exception as error:  # noqa: BLE001  # a server that sends something else
                code, details = grpc.StatusCode.INTERNAL, f"the reply cannot be read: {error}"
        raise new_error(
            self._path.decode(),
            code,
            details,
            tuple(initial.initial_metadata() or ()),
            tuple(status.trailing_metadata() or ()),
        )
