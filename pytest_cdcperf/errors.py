"""Every exception that this package raises on purpose.

.. code-block:: text

    CdcperfError
    ├── ConfigError              what the user wrote cannot be meant: marker, option, profile, threshold
    │   └── UnitError            a duration, a rate or an aggregate that cannot be read
    ├── MissingExtraError        a part that needs packages which are not installed
    ├── ServiceError             a server cannot be used
    │   ├── UnreachableError     it does not answer, or refuses us
    │   └── StackError           the embedded stack could not be started
    ├── HttpError                an HTTP call went wrong
    │   ├── HttpStatusError      raise_for_status() met a status of 400 or more
    │   ├── HttpBodyError        a body that is not what it was read as (also a ValueError)
    │   ├── HttpHeaderError      a header that cannot be read as text (also a ValueError)
    │   └── HttpTransportError   no whole response came: HttpRefusedError, HttpResetError, HttpDNSError,
    │                            HttpTLSError, HttpTimeoutError, HttpProtocolError, HttpCancelledError
    ├── BlockingCallError           a blocking call in an async body, or the reverse
    │   └── NeverAwaitedError    a coroutine that a body made and dropped
    ├── IterationTimeoutError    an iteration was still under way at the end of its graceful stop
    ├── ThreadLimitError         the system allows no further thread
    ├── SharedError              what was to happen once for all workers failed on the one that did it
    ├── GoneError                the other processes of a run over several are not there any more
    ├── RefusedError             a run is not to start: on no worker, or not now
    └── ExpectationError         the sink did not show what was expected (also an AssertionError)

A message is one line that names the thing, the value, what is allowed and what to do next.
Where it is shown it has lost its secrets: see :mod:`pytest_cdcperf.redaction`.
"""

from __future__ import annotations

_MOST_SHOWN = 200


def shown(value: object) -> str:
    """Return *value* as a message shows it: its ``repr`` in one line, shortened, whatever its class does."""
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001  # a class of the user's, or an int of more digits than Python writes
        return f"<{type(value).__name__} that has no repr>"
    text = text if len(text) <= _MOST_SHOWN else f"{text[: _MOST_SHOWN - 3]}..."
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


class CdcperfError(Exception):
    """The root: catching it catches everything this package raises on purpose."""


class ConfigError(CdcperfError):
    """What the user wrote cannot be meant.

    Carries every fault at once, so that nobody has to mend them one run at a time.
    """

    def __init__(self, *faults: str) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class UnitError(ConfigError):
    """A duration, a rate or an aggregate that cannot be read."""


class MissingExtraError(CdcperfError):
    """A part of the product needs packages that are not installed."""

    def __init__(self, part: str, extra: str, module: str) -> None:
        super().__init__(
            f"{part} needs the package {module!r}, which is not installed: pip install 'pytest-cdcperf[{extra}]'"
        )


class ServiceError(CdcperfError):
    """A server cannot be used."""


class UnreachableError(ServiceError):
    """A server does not answer at its address, or refuses us."""


class StackError(ServiceError):
    """The embedded stack could not be started, or one of its parts died."""


class HttpError(CdcperfError):
    """An HTTP call went wrong."""


class HttpStatusError(HttpError):
    """The response has a status of 400 or more, and raise_for_status() was called."""


class HttpBodyError(HttpError, ValueError):
    """The body of a response is not what it was read as."""


class HttpHeaderError(HttpError, ValueError):
    """A header of a response cannot be read as text."""


class HttpTransportError(HttpError):
    """No whole response came. Each *kind* is a class of its own: failed iterations are counted by class."""

    kind = "transport"


class HttpRefusedError(HttpTransportError):
    """Nobody listens there."""

    kind = "refused"


class HttpResetError(HttpTransportError):
    """The connection broke before the response was complete."""

    kind = "reset"


class HttpDNSError(HttpTransportError):
    """The host's name has no address."""

    kind = "dns"


class HttpTLSError(HttpTransportError):
    """No TLS session: a certificate that is not trusted, or a peer that speaks none."""

    kind = "tls"


class HttpTimeoutError(HttpTransportError, TimeoutError):
    """The response was not complete in time."""

    kind = "timeout"


class HttpProtocolError(HttpTransportError):
    """What came is no HTTP, cannot be decoded, or redirects for ever."""

    kind = "protocol"


class HttpCancelledError(HttpTransportError):
    """The run was over before the response was."""

    kind = "cancelled"


class BlockingCallError(CdcperfError):
    """A blocking call was made inside an async body, where it would stall every VU."""


class NeverAwaitedError(BlockingCallError):
    """A body dropped a coroutine, at the user's line *where*, without having awaited it."""

    def __init__(self, what: str, where: str) -> None:
        super().__init__(f"{what} (dropped at {where})")
        self.where = where


class IterationTimeoutError(CdcperfError):
    """An iteration was still under way, at the user's line *where*, when its graceful stop was over.

    :param after_s: how long it had been under way by then
    :param grace: the name of what gave it the time, "graceful_stop" or "graceful_ramp_down"
    """

    def __init__(self, after_s: float, grace: str, where: str) -> None:
        super().__init__(f"interrupted after {after_s:.3g} s at the end of {grace}" + f", at {where}" * bool(where))
        self.where = where


class ThreadLimitError(CdcperfError):
    """The system allows this process no further thread."""


class SharedError(CdcperfError):
    """What was to happen once for all workers failed on the one that did it."""


class GoneError(CdcperfError):
    """The controller of a run over several processes is not there any more."""


class RefusedError(CdcperfError):
    """A run is not to start. *skips* says that this is no failure of the test."""

    def __init__(self, reason: str, *, skips: bool = False) -> None:
        super().__init__(reason)
        self.skips = skips


class ExpectationError(CdcperfError, AssertionError):
    """The sink did not show in time what the test expected."""
