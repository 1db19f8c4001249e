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
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Generic, TypeVar
from urllib.request import getproxies

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
from pytest_cdcperf.metrics.snapshot import Tags

AnyClient = TypeVar("AnyClient", SyncClient, Client)
AnyBuilder = TypeVar("AnyBuilder", bound=BaseRequestBuilder)

_CONNECTING = "client error (connect)"
_BROKEN = ("reset", "broken pipe", "closed before message", "end of file", "aborted", "os error 104", "os error 54")


class Own(Generic[AnyClient]):
    """What one VU has of its own: connections, cookies, and where its samples go."""

    def __init__(self, build: Callable[[HttpSettings, CookieStore], AnyClient], settings: HttpSettings) -> None:
        self.cookies = CookieStore()
        self.recording = HttpRecording()
        self._build: Callable[[HttpSettings, CookieStore], AnyClient] = build
        self._settings = settings
        self._plain: AnyClient | None = None
        self._secure: AnyClient | None = None

    def client(self, exchange: Exchange) -> AnyClient:
        """Return the client for the next request of *exchange*.

        :raises ConfigError: for a *verify* that is no PEM file
        """
        if exchange.is_secure:
            if self._secure is None:
                self._secure = _built(self._build, self._settings, self.cookies)
            return self._secure
        if self._plain is None:
            # It never meets TLS: reading the system's certificates would be 7 ms of CPU for each VU.
            self._plain = _built(self._build, replace(self._settings, verify=False), self.cookies)
        return self._plain

    @property
    def opened(self) -> list[AnyClient]:
        """The clients to close: that also cuts short what waits for them."""
        return [client for client in (self._plain, self._secure) if client is not None]


def build_sync(settings: HttpSettings, cookies: CookieStore) -> SyncClient:
    """Return a client for blocking calls."""
    return _configured(SyncClientBuilder(), settings, cookies).build()


def build_async(settings: HttpSettings, cookies: CookieStore) -> Client:
    """Return a client for awaited calls."""
    return _configured(ClientBuilder(), settings, cookies).build()


AnyClientBuilder = TypeVar("AnyClientBuilder", SyncClientBuilder, ClientBuilder)


def _configured(builder: AnyClientBuilder, settings: HttpSettings, cookies: CookieStore) -> AnyClientBuilder:
    builder.cookie_provider(cookies).user_agent("pytest-cdcperf").http2(settings.http2)
    if not getproxies():
        builder.no_proxy()  # or each request looks for one
    builder.follow_redirects(False)  # we follow: each is a request of its own in the figures, as in k6
    builder.timeout(timedelta(seconds=settings.timeout))
    if isinstance(settings.verify, str):
        builder.add_root_certificate_pem(Path(settings.verify).read_bytes())
    else:
        builder.danger_accept_invalid_certs(not settings.verify)
    return builder


def _built(
    build: Callable[[HttpSettings, CookieStore], AnyClient], settings: HttpSettings, cookies: CookieStore
) -> AnyClient:
    try:
        return build(settings, cookies)
    except (OSError, ValueError) as error:
        words = _causes(error)[-1] if isinstance(error, PyreqwestError) else str(error)
        raise errors.ConfigError(f"http_client: verify={settings.verify!r} is no PEM file: {words}") from None


class Exchange:
    """One call of a user's, with the redirects that it follows: each hop is built, timed and recorded.

    The face does the waiting: it enters the request, says :meth:`answered`, reads the body, and asks
    :meth:`reply`; for what the engine raises meanwhile it raises :meth:`failed`.
    """

    _timeout: timedelta | None = None
    _tags: Tags = ()
    _hops: tuple[HttpReply, ...] = ()
    _begin_ns = _headers_ns = 0

    def __init__(
        self, settings: HttpSettings, recording: HttpRecording, method: str, url: str, options: CallOptions
    ) -> None:
        self._call = call = prepare(settings, method, url, options)
        self.is_secure = call.is_secure
        self._recording = recording
        self._follows, self.discards = settings.follow_redirects, settings.discard_bodies
        if options:
            self._follows = options.get("allow_redirects", self._follows)
            self.discards = options.get("discard_body", self.discards)
            if "timeout" in options:
                self._timeout = timedelta(seconds=options["timeout"])
            self._tags = as_tags(options.get("tags"))

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
            if self._timeout is not None:
                builder.timeout(self._timeout)
        except ValueError as error:
            raise errors.ConfigError(f"{call.describe()}: {error}") from None
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
        status = response.status
        self._recording.add(
            call.method, call.name, status, "", self._tags, duration_ms, waiting_ms, duration_ms - waiting_ms
        )
        content = b"" if body is None else body
        reply = HttpReply(call.method, call.url, status, response, content, waiting_ms, duration_ms, self._hops)
        if status in REDIRECTS and self._follows and (location := reply.headers.get("location")):
            self._hops += (reply,)
            self._call = call.redirected(status, location)
            self.is_secure = self._call.is_secure
            return None
        return reply

    def failed(self, error: PyreqwestError) -> errors.CdcperfError:
        """Record that no whole response came, and return the exception that says so in one line."""
        call, end_ns = self._call, time.perf_counter_ns()
        causes = _causes(error)
        words = f"{call.describe()}: {causes[-1]}"
        if isinstance(error, BuilderError):
            return errors.ConfigError(words)
        kind = _kind(error, causes, tls=self.is_secure)
        self._recording.add(
            call.method,
            call.name,
            NO_RESPONSE,
            kind.kind,
            self._tags,
            (end_ns - self._begin_ns) * 1e-6,
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
