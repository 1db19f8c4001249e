"""A failed gRPC call as an exception whose type says what happened: a run counts failures by type."""

from __future__ import annotations

from pytest_cdcperf.clients.grpc.driver import grpc
from pytest_cdcperf.errors import CdcperfError

_LONGEST_DETAILS = 1_000

Metadata = tuple[tuple[str, str | bytes], ...]


class GrpcError(CdcperfError, grpc.RpcError):
    """A call that ended with another status than OK. Its text is one line: the method, the status, the details.

    Each status has a type of its own, ``GrpcDeadlineExceeded`` and the like, and UNAVAILABLE several.
    What :class:`grpc.RpcError` has by convention is here as well.
    """

    def __init__(self, path: str, code: grpc.StatusCode, details: str, initial: Metadata, trailing: Metadata) -> None:
        words = " ".join(details.split())
        if (left_out := len(words) - _LONGEST_DETAILS) > 0:
            words = f"{words[:_LONGEST_DETAILS]}... [{left_out:,} more characters]"
        super().__init__(f"{path.lstrip('/')}: {code.name}: {words}".removesuffix(": "))
        self._code = code
        self._details = details
        self._initial = initial
        self._trailing = trailing

    def code(self) -> grpc.StatusCode:
        """Return the status."""
        return self._code

    def details(self) -> str:
        """Return what the server, or the driver, says about it."""
        return self._details

    def initial_metadata(self) -> Metadata:
        """Return what the server sent before its replies."""
        return self._initial

    def trailing_metadata(self) -> Metadata:  # type: ignore[override]  # the stubs say less than grpcio gives
        """Return what the server sent with the status."""
        return self._trailing


_TELLING = (grpc.Call, grpc.aio.AioRpcError, GrpcError)  # which have a status and its details

_BY_STATUS: dict[grpc.StatusCode, type[GrpcError]] = {
    code: type(f"Grpc{code.name.title().replace('_', '')}", (GrpcError,), {"__doc__": f"The status {code.name}."})
    for code in grpc.StatusCode
}
_Unavailable = _BY_STATUS[grpc.StatusCode.UNAVAILABLE]


class GrpcDnsFailure(_Unavailable):  # type: ignore[misc, valid-type]
    """UNAVAILABLE: the server's name is not known."""


class GrpcTlsFailure(_Unavailable):  # type: ignore[misc, valid-type]
    """UNAVAILABLE: the two could not agree on TLS."""


class GrpcConnectionRefused(_Unavailable):  # type: ignore[misc, valid-type]
    """UNAVAILABLE: nobody listens there."""


class GrpcConnectionReset(_Unavailable):  # type: ignore[misc, valid-type]
    """UNAVAILABLE: the connection broke in the middle of the call."""


_BY_WORDS: tuple[tuple[type[GrpcError], tuple[str, ...]], ...] = (  # the first that fits; gRPC has no finer codes
    (GrpcDnsFailure, ("dns resolution failed", "domain name not found")),
    (GrpcTlsFailure, ("ssl", "tls", "certificate")),
    (GrpcConnectionRefused, ("connection refused",)),
    (GrpcConnectionReset, ("connection reset", "socket closed", "broken pipe", "goaway", "connection closed")),
)


def status_of(error: grpc.RpcError) -> grpc.StatusCode:
    """Return the status that the driver's *error* carries."""
    code = error.code() if isinstance(error, _TELLING) else None
    return code or grpc.StatusCode.UNKNOWN


def error_of(path: str, error: grpc.RpcError) -> GrpcError:
    """Return our exception for the driver's *error* of a call to *path*."""
    code = status_of(error)
    if not isinstance(error, _TELLING):
        return _BY_STATUS[code](path, code, str(error), (), ())
    details = error.details() or ""
    initial, trailing = tuple(error.initial_metadata() or ()), tuple(error.trailing_metadata() or ())
    return _type_of(code, details)(path, code, details, initial, trailing)


def _type_of(code: grpc.StatusCode, details: str) -> type[GrpcError]:
    if code is grpc.StatusCode.UNAVAILABLE:
        lowered = details.lower()
        for kind, words in _BY_WORDS:
            if any(word in lowered for word in words):
                return kind
    return _BY_STATUS[code]
