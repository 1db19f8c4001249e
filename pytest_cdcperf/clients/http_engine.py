"""The engine of ``http_client``, pyreqwest: what a VU has of it, the course of one request, its errors by kind.

Why pyreqwest: Rust's reqwest and rustls, typed, blocking and awaited, a third of k6's CPU a request with a client
per VU, wheels for Linux (glibc and musl), macOS and Windows on x86 and arm from Python 3.11 to 3.15, and a release
most months. pycurl was the other candidate: as quick from threads, and libcurl tells all phases; but its asyncio
face costs 1.5 times as much (beyond half of k6), has no Proactor loop on Windows and no types, and its wheels none
of musl. What pyreqwest lacks: it does not say when it connects, and Ctrl-C waits for a blocking call in the main
thread, which its timeout bounds.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Generic, TypeVar

from pyreqwest.bytes import Bytes
from pyreqwest.client import Client, ClientBuilder, SyncClient, SyncClientBuilder
from pyreqwest.cookie import CookieStore
from pyreqwest.exceptions import (
    BuilderError,
    ClientClosedError,
    DecodeError,
    DetailedPyreqwestError,
    PyreqwestError,
    RequestTimeoutError,
)
from pyreqwest.request import BaseRequestBuilder
from pyreqwest.response import BaseResponse

from pytest_cdcperf import errors
from pytest_cdcperf.clients.http_call import REDIRECTS, CallOptions, HttpSettings, prepare
from pytest_cdcperf.clients.http_metrics import NO_RESPONSE, HttpRecording, as_tags
from pytest_cdcperf.clients.http_reply import HttpReply

AnyClient = TypeVar("AnyClient", SyncClient, Client)
AnyBuilder = TypeVar("AnyBuilder", bound=BaseRequestBuilder)

_CONNECTING = "client error (connect)"
_BROKEN = ("reset", "broken pipe", "closed before message", "end of file", "aborted", "os error 104", "os error 54")


@dataclass(frozen=True)
class Own(Generic[AnyClient]):
    """What one VU has of its own: connections, cookies, and where its samples go."""

    client: AnyClient
    cookies: CookieStore
    recording: HttpRecording = field(default_factory=HttpRecording)


def own_sync(settings: HttpSettings) -> Own[SyncClient]:
    """Return a new user's client for blocking calls."""
    cookies = CookieStore()
    return Own(_configured(SyncClientBuilder(), settings, cookies).build(), cookies)


def own_async(settings: HttpSettings) -> Own[Client]:
    """Return a new user's client for awaited calls."""
    cookies = CookieStore()
    return Own(_configured(ClientBuilder(), settings, cookies).build(), cookies)


AnyClientBuilder = TypeVar("AnyClientBuilder", SyncClientBuilder, ClientBuilder)


def _configured(builder: AnyClientBuilder, settings: HttpSettings, cookies: CookieStore) -> AnyClientBuilder:
    builder.cookie_provider(cookies).user_agent("pytest-cdcperf").http2(settings.http2)
    builder.follow_redirects(False)  # we follow: each is a request of its own in the figures, as in k6
    builder.timeout(timedelta(seconds=settings.timeout))
    if isinstance(settings.verify, str):
        try:
            builder.add_root_certificate_pem(Path(settings.verify).read_bytes())
        except (OSError, ValueError, PyreqwestError) as error:
            raise errors.ConfigError(f"http_client: verify={settings.verify!r} is no PEM file: {error}") from None
    else:
        builder.danger_accept_invalid_certs(not settings.verify)
    return builder


class Exchange:
    """One call of a user's, with the redirects that it follows: each hop is built, timed and recorded.

    The face does the waiting: it enters the request, says :meth:`answered`, reads the body, and asks
    :meth:`reply`; for what the engine raises meanwhile it raises :meth:`failed`.
    """

    __slots__ = (
        "_begin_ns",
        "_call",
        "_follows",
        "_headers_ns",
        "_hops",
        "_options",
        "_recording",
        "_tags",
        "discards",
    )

    def __init__(
        self, settings: HttpSettings, recording: HttpRecording, method: str, url: str, options: CallOptions
    ) -> None:
        self._call = prepare(settings, method, url, options)
        self._recording = recording
        self._options = options
        self._tags = as_tags(options.get("tags"))
        self._follows = options.get("allow_redirects", settings.follow_redirects)
        self._hops: tuple[HttpReply, ...] = ()
        self._begin_ns = self._headers_ns = 0
        self.discards = options.get("discard_body", settings.discard_bodies)

    def builder(self, request: Callable[[str, str], AnyBuilder]) -> AnyBuilder:
        """Return the next request, ready to be built and sent: the clock runs from here.

        :raises ConfigError: for a method, a header or a URL that cannot be sent
        """
        call = self._call
        try:
            builder = request(call.method, call.url)
            if call.headers:
                builder.headers(call.headers)
            if call.body is not None:
                builder.body_bytes(call.body)
            if (timeout := self._options.get("timeout")) is not None:
                builder.timeout(timedelta(seconds=timeout))
        except ValueError as error:
            raise errors.ConfigError(f"{call.describe()}: {error}") from None
        self._headers_ns = 0
        self._begin_ns = time.perf_counter_ns()
        return builder

    def answered(self) -> None:
        """Note that the headers of the response are there."""
        self._headers_ns = time.perf_counter_ns()

    def reply(self, response: BaseResponse, body: Bytes | None) -> HttpReply | None:
        """Record the response and return it, None where it is a redirect that is to be followed."""
        end_ns = time.perf_counter_ns()
        call = self._call
        waiting_ms = (self._headers_ns - self._begin_ns) * 1e-6
        duration_ms = (end_ns - self._begin_ns) * 1e-6
        status, headers = response.status, response.headers
        self._recording.add(
            call.method,
            call.name,
            status,
            duration_ms=duration_ms,
            waiting_ms=waiting_ms,
            receiving_ms=duration_ms - waiting_ms,
            tags=self._tags,
        )
        content = b"" if body is None else bytes(body)
        reply = HttpReply(
            call.method, call.url, status, headers, content, waiting_ms=waiting_ms, duration_ms=duration_ms
        )
        if status in REDIRECTS and self._follows and (location := headers.get("location")):
            self._hops += (reply,)
            call.redirect(status, location)
            return None
        reply.history = self._hops
        return reply

    def failed(self, error: PyreqwestError) -> errors.CdcperfError:
        """Record that no whole response came, and return the exception that says so in one line."""
        call, end_ns = self._call, time.perf_counter_ns()
        causes = _causes(error)
        words = f"{call.describe()}: {causes[-1]}"
        if isinstance(error, BuilderError):
            return errors.ConfigError(words)
        kind = _kind(error, causes, tls=call.url.startswith("https:"))
        self._recording.add(
            call.method,
            call.name,
            NO_RESPONSE,
            duration_ms=(end_ns - self._begin_ns) * 1e-6,
            error=kind.kind,
            tags=self._tags,
        )
        return kind(words)


def _causes(error: PyreqwestError) -> list[str]:
    causes = error.details["causes"] if isinstance(error, DetailedPyreqwestError) else None
    return [error.message, *(" ".join(cause["message"].split()) for cause in causes or ())]


def _kind(error: PyreqwestError, causes: list[str], *, tls: bool) -> type[errors.HttpTransportError]:
    """Return the kind of a failed exchange: by the engine's types first, by its words where these say too little."""
    said = "; ".join(causes).lower()
    if isinstance(error, RequestTimeoutError):
        return errors.HttpTimeoutError
    if isinstance(error, ClientClosedError):
        return errors.HttpCancelledError
    if "dns error" in said:
        return errors.HttpDNSError
    if "refused" in said:
        return errors.HttpRefusedError
    if _CONNECTING in said and "tcp connect error" not in said and tls:
        return errors.HttpTLSError
    if any(word in said for word in _BROKEN):
        return errors.HttpResetError
    return errors.HttpProtocolError if isinstance(error, DecodeError) else errors.HttpTransportError
