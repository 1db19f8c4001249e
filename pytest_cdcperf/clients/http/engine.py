"""The engine of ``http_client``, pyreqwest: what a VU has of it, the course of one request, its errors by kind.

Why pyreqwest: Rust's reqwest and rustls, typed, blocking and awaited, about half of k6's CPU a request with a client
per VU (``python -m benchmarks http``), wheels for Linux (glibc and musl), macOS and Windows on x86 and arm from
Python 3.11 to 3.15, and a release most months. pycurl was the other candidate: as quick from threads, and libcurl
tells all phases; but its asyncio face costs 1.5 times as much, has no Proactor loop on Windows and no types, and its
wheels none of musl. What pyreqwest lacks: it does not say when it connects, and Ctrl-C waits for a blocking call in
the main thread, which its timeout bounds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from pyreqwest.bytes import Bytes
from pyreqwest.client import Client, ClientBuilder, SyncClient, SyncClientBuilder
from pyreqwest.cookie import CookieStore
from pyreqwest.exceptions import (
    BuilderError,
    ClientClosedError,
    DecodeError,
    DetailedPyreqwestError,
    PyreqwestError,
    ReadError,
    RequestTimeoutError,
    WriteError,
)
from pyreqwest.http import Url
from pyreqwest.proxy import ProxyBuilder
from pyreqwest.request import BaseRequestBuilder
from pyreqwest.response import BaseResponse

from pytest_cdcperf import errors
from pytest_cdcperf.clients.http.call import REDIRECTS, Call, CallOptions, HttpSettings, prepare, shown
from pytest_cdcperf.clients.http.metrics import NO_RESPONSE, HttpRecording, HttpSeries, as_tags
from pytest_cdcperf.clients.http.response import HttpResponse
from pytest_cdcperf.clients.proxies import Proxies
from pytest_cdcperf.clock import real_time as time
from pytest_cdcperf.metrics.metric import Tags
from pytest_cdcperf.redaction import hide_url

AnyBuilder = TypeVar("AnyBuilder", bound=BaseRequestBuilder)
AnyBuilder_co = TypeVar("AnyBuilder_co", bound=BaseRequestBuilder, covariant=True)

_MOST_KNOWN = 50  # for each VU, and URLs that hold an id are all different
_PROXY_SCHEMES = ("http", "https", "socks4", "socks4a", "socks5", "socks5h")
_parsed = lru_cache(maxsize=4096)(Url)

_CONNECTING = "client error (connect)"
_TLS = ("fatal alert", "peer certificate", "invalid certificate", "tls handshake", "peer misbehaved")
_EXPLAINED = {  # by rustls' words
    "causedasendentity": (
        "the server's certificate is that of a CA, which rustls does not take for a server's; make it with "
        "openssl req -x509 -addext basicConstraints=critical,CA:FALSE, or use requests_session"
    ),
    "certificaterequired": "the server wants a certificate of the client, of which http_client has none; "
    "use requests_session with its cert",
}
_BROKEN = ("reset", "broken pipe", "closed before message", "end of file", "aborted", "os error 104", "os error 54")


class EngineClient(Protocol[AnyBuilder_co]):
    """What both clients of the engine have: they differ in how they are waited for."""

    def request(self, method: str, url: Url | str) -> AnyBuilder_co:
        """Begin a request."""

    def close(self) -> Any:
        """Close the connections: None, or what is to be awaited."""


Build = Callable[[HttpSettings, CookieStore, str | None], EngineClient[AnyBuilder]]


class HttpSession(Generic[AnyBuilder]):
    """What one VU has of its own: connections, cookies, and where its samples go."""

    def __init__(self, build: Build[AnyBuilder], settings: HttpSettings) -> None:
        self.cookies = CookieStore()
        self._recording = HttpRecording()
        self._build: Build[AnyBuilder] = build
        self._settings = settings
        self._proxies = Proxies()
        self._clients: dict[tuple[bool, str | None], EngineClient[AnyBuilder]] = {}
        self._known: dict[tuple[str, str], PreparedRequest[AnyBuilder]] = {}

    def exchange(self, method: str, url: str, options: CallOptions) -> PreparedRequest[AnyBuilder]:
        """Return what the user asks for, ready to be sent.

        :raises ConfigError: for what cannot be sent
        """
        # Python that runs between two waits finds cold caches: what a call without options needs is found once.
        known = None if options else self._known.get((method, url))
        if known is not None:
            return known
        exchange = PreparedRequest(self, prepare(self._settings, method, url, options), self._policy(options))
        if not options and len(self._known) < _MOST_KNOWN:
            self._known[method, url] = exchange
        return exchange

    def client(self, call: Call) -> EngineClient[AnyBuilder]:
        """Return the client for *call*: one for TLS, one without, and one for each proxy.

        :raises ConfigError: for a *verify* that is no PEM file, or a proxy that cannot be used
        """
        proxy = self._proxies.of(call.url)
        client = self._clients.get((call.is_secure, proxy))
        if client is None:
            # Without TLS it needs no certificates: reading the system's would be 7 ms of CPU for each VU.
            needs_certificates = call.is_secure or (proxy or "").lower().startswith("https:")
            settings = self._settings if needs_certificates else replace(self._settings, verify=False)
            client = self._clients[call.is_secure, proxy] = _built(self._build, settings, self.cookies, proxy)
        return client

    def describe(self, call: Call) -> str:
        """Return what *call* is, for a message, and the proxy that it goes through."""
        proxy = self._proxies.of(call.url)
        return call.describe() if proxy is None else f"{call.describe()} through the proxy {shown(proxy)}"

    def series(self, call: Call, tags: Tags) -> HttpSeries:
        """Return where *call* is recorded."""
        return self._recording.series(call.method, call.name, tags)

    def close(self) -> list[Any]:
        """Close the clients, which also cuts short what waits for them; return what is left to await."""
        return [client.close() for client in tuple(self._clients.values())]

    def forget(self) -> None:
        """Let go of the clients: their connections end with them."""
        self._known.clear()  # which holds this very object
        self._clients.clear()

    def _policy(self, options: CallOptions) -> CallPolicy:
        settings = self._settings
        return CallPolicy(
            follows=options.get("allow_redirects", settings.follow_redirects),
            discards=options.get("discard_body", settings.discard_bodies),
            timeout=timedelta(seconds=options["timeout"]) if "timeout" in options else None,
            tags=as_tags(options.get("tags")),
        )


def build_sync(settings: HttpSettings, cookies: CookieStore, proxy: str | None) -> SyncClient:
    """Return a client for blocking calls, which go through *proxy*."""
    return _configured(SyncClientBuilder(), settings, cookies, proxy).build()


def build_async(settings: HttpSettings, cookies: CookieStore, proxy: str | None) -> Client:
    """Return a client for awaited calls, which go through *proxy*."""
    return _configured(ClientBuilder(), settings, cookies, proxy).build()


AnyClientBuilder = TypeVar("AnyClientBuilder", SyncClientBuilder, ClientBuilder)


def _configured(
    builder: AnyClientBuilder, settings: HttpSettings, cookies: CookieStore, proxy: str | None
) -> AnyClientBuilder:
    builder.cookie_provider(cookies).user_agent("pytest-cdcperf").http2(settings.http2)
    builder.no_proxy()  # or the engine looks for one by itself
    if proxy is not None:
        builder.proxy(_through(proxy))
    builder.follow_redirects(False)  # we follow: each is a request of its own in the figures, as in k6
    builder.timeout(timedelta(seconds=settings.timeout))
    if isinstance(settings.verify, str):
        builder.add_root_certificate_pem(Path(settings.verify).read_bytes())
    else:
        builder.danger_accept_invalid_certs(not settings.verify)
    return builder


def _through(proxy: str) -> ProxyBuilder:
    hide_url(proxy)
    try:
        if proxy.partition("://")[0].lower() in _PROXY_SCHEMES:  # with another the engine would leave it out
            return ProxyBuilder.all(proxy)
        words = f"allowed: a URL of {', '.join(_PROXY_SCHEMES)}"
    except ValueError as error:
        words = _causes(error)[-1] if isinstance(error, PyreqwestError) else str(error)
    raise errors.ConfigError(f"http_client: the proxy {shown(proxy)!r} of the environment: {words}")


def _built(
    build: Build[AnyBuilder], settings: HttpSettings, cookies: CookieStore, proxy: str | None
) -> EngineClient[AnyBuilder]:
    try:
        return build(settings, cookies, proxy)
    except (OSError, ValueError) as error:
        words = _causes(error)[-1] if isinstance(error, PyreqwestError) else str(error)
        raise errors.ConfigError(f"http_client: verify={settings.verify!r} is no PEM file: {words}") from None


@dataclass(frozen=True, slots=True)
class CallPolicy:
    """How a call is made, with the redirects that it follows; *timeout* is None where the client's holds."""

    follows: bool
    discards: bool
    timeout: timedelta | None
    tags: Tags


class PreparedRequest(Generic[AnyBuilder]):
    """One request as a VU sends it, any number of times: how it is built and recorded, and what follows it.

    The face does the waiting and reads the clock, in nanoseconds.
    """

    __slots__ = ("_call", "_own", "_policy", "_request", "_series", "_url", "discards")

    def __init__(self, own: HttpSession[AnyBuilder], call: Call, policy: CallPolicy) -> None:
        self._own: HttpSession[AnyBuilder] = own
        self._call = call
        self._policy = policy
        self._request = own.client(call).request
        self._series = own.series(call, policy.tags)
        self.discards = policy.discards
        try:
            self._url = _parsed(call.url)
        except ValueError as error:
            raise errors.ConfigError(f"{call.describe()}: {error}") from None

    def builder(self) -> AnyBuilder:
        """Return the request, ready to be sent.

        :raises ConfigError: for a method or a header that cannot be sent
        """
        call, timeout = self._call, self._policy.timeout
        try:
            builder = self._request(call.method, self._url)
            if call.headers:
                builder.headers(call.headers)
            if call.body is not None:
                builder.body_bytes(call.body)
            if timeout is not None:
                builder.timeout(timeout)
        except ValueError as error:
            raise errors.ConfigError(f"{call.describe()}: {error}") from None
        return builder

    def completed(
        self,
        response: BaseResponse,
        body: Bytes | None,
        begin_ns: int,
        headers_ns: int,
        history: tuple[HttpResponse, ...],
    ) -> HttpResponse:
        """Record that the whole response came, and return it; *body* is None where it was discarded."""
        end_ns = time.perf_counter_ns()
        waiting_ms, duration_ms = (headers_ns - begin_ns) * 1e-6, (end_ns - begin_ns) * 1e-6
        status = response.status
        self._series.add(status, "", duration_ms, waiting_ms, duration_ms - waiting_ms)
        return HttpResponse(self._call, status, response, body or b"", waiting_ms, duration_ms, history)

    def next_redirect(self, reply: HttpResponse) -> PreparedRequest[AnyBuilder] | None:
        """Return what *reply* redirects to, None where that is all.

        :raises HttpProtocolError: when it is one redirect too many, or leads out of HTTP
        :raises HttpHeaderError: when the engine does not hand out where it leads
        """
        if reply.status_code not in REDIRECTS or not self._policy.follows:
            return None
        location = reply.headers.get("location")
        if not location:
            return None
        try:
            return PreparedRequest(self._own, self._call.redirected(reply.status_code, location), self._policy)
        except (ValueError, errors.ConfigError) as error:
            raise errors.HttpProtocolError(f"{reply.describe()}, its Location is not a URL: {error}") from None

    def failed(self, error: PyreqwestError, begin_ns: int) -> errors.CdcperfError:
        """Record that no whole response came, and return the exception that says so in one line."""
        call, end_ns = self._call, time.perf_counter_ns()
        causes = _causes(error)
        words = f"{self._own.describe(call)}: {causes[-1]}"
        if isinstance(error, BuilderError):
            return errors.ConfigError(words)
        kind = _kind(error, causes, tls=call.is_secure)
        self._series.add(NO_RESPONSE, kind.kind, (end_ns - begin_ns) * 1e-6)
        return kind(words)


def _causes(error: PyreqwestError) -> list[str]:
    causes = error.details["causes"] if isinstance(error, DetailedPyreqwestError) else None
    said = [error.message, *(" ".join(cause["message"].split()) for cause in causes or ())]
    explained = [words for mark, words in _EXPLAINED.items() if mark in said[-1].lower()]
    return [*said[:-1], ": ".join([said[-1], *explained])]


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
        return errors.HttpConnectionRefusedError
    if tls and ((_CONNECTING in said and "tcp connect error" not in said) or any(word in said for word in _TLS)):
        return errors.HttpTLSError
    if isinstance(error, ReadError | WriteError) or any(word in said for word in _BROKEN):
        return errors.HttpConnectionResetError
    return errors.HttpProtocolError if isinstance(error, DecodeError) else errors.HttpTransportError
