"""Turns grpcio's errors into ours, whose class says what happened: a run counts failures by class."""

from __future__ import annotations

from functools import lru_cache
from typing import cast

from pytest_cdcperf import errors
from pytest_cdcperf.clients.grpc.driver import grpc
from pytest_cdcperf.errors import GrpcError, GrpcMetadata

_LONGEST_DETAILS = 1_000

_WITH_STATUS = (grpc.Call, grpc.aio.AioRpcError, GrpcError)
_UNAVAILABLE: tuple[tuple[type[GrpcError], tuple[str, ...]], ...] = (  # the first whose words occur: gRPC has one code
    (errors.GrpcDNSError, ("dns resolution failed", "domain name not found")),
    (errors.GrpcTLSError, ("ssl", "tls", "certificate")),
    (errors.GrpcConnectionRefusedError, ("connection refused",)),
    (
        errors.GrpcConnectionResetError,
        ("connection reset", "socket closed", "broken pipe", "goaway", "connection closed"),
    ),
)


def status_of(error: grpc.RpcError) -> grpc.StatusCode:
    """Return the status that the driver's *error* carries."""
    code = error.code() if isinstance(error, _WITH_STATUS) else None
    return code or grpc.StatusCode.UNKNOWN


def error_of(path: str, error: grpc.RpcError) -> GrpcError:
    """Return our exception for the driver's *error* of a call to *path*."""
    code = status_of(error)
    if not isinstance(error, _WITH_STATUS):
        return new_error(path, code, str(error))
    initial, trailing = tuple(error.initial_metadata() or ()), tuple(error.trailing_metadata() or ())
    return new_error(path, code, error.details() or "", initial, trailing)


def new_error(
    path: str, code: grpc.StatusCode, details: str, initial: GrpcMetadata = (), trailing: GrpcMetadata = ()
) -> GrpcError:
    """Return the exception for a call to *path* that ended with *code*, in one line."""
    words = " ".join(details.split())
    if (left_out := len(words) - _LONGEST_DETAILS) > 0:
        words = f"{words[:_LONGEST_DETAILS]}... [{left_out:,} more characters]"
    return _also_rpc_error(_class_of(code, details))(  # type: ignore[arg-type]  # mypy asks the class for the hash of its instances
        f"{path.lstrip('/')}: {code.name}: {words}".removesuffix(": "),
        code=code,
        details=details,
        initial_metadata=initial,
        trailing_metadata=trailing,
    )


def _class_of(code: grpc.StatusCode, details: str) -> type[GrpcError]:
    if code is grpc.StatusCode.UNAVAILABLE:
        lowered = details.lower()
        for kind, words in _UNAVAILABLE:
            if any(word in lowered for word in words):
                return kind
    return cast("type[GrpcError]", getattr(errors, f"Grpc{code.name.title().replace('_', '')}Error"))


@lru_cache
def _also_rpc_error(kind: type[GrpcError]) -> type[GrpcError]:
    """Return *kind* as a class that ``except grpc.RpcError`` catches as well.

    ``pytest_cdcperf.errors`` cannot say so itself: it is imported in every session, and grpcio takes 100 ms.
    """
    return type(kind.__name__, (kind, grpc.RpcError), {"__doc__": kind.__doc__, "__module__": kind.__module__})
