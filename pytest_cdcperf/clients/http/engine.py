"""The engine of ``http_client``, pyreqwest: how its clients are built, and what its errors say.

Why pyreqwest: Rust's reqwest and rustls, typed, sync and async, about half of k6's CPU a request with a client
per VU (``python -m benchmarks http``), wheels for Linux (glibc and musl), macOS and Windows on x86 and arm from
Python 3.11 to 3.15, and a release most months. pycurl was the other candidate: as quick from threads, and libcurl
reports all phases; but its asyncio side costs 1.5 times as much, has no Proactor loop on Windows and no types, and its
wheels none of musl. What pyreqwest lacks: it does not say when it connects, and Ctrl-C waits for a blocking call in
the main thread, which its timeout bounds.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol, TypeVar

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

from pytest_cdcperf import errors
from pytest_cdcperf.clients.http.settings import HttpSettings
from pytest_cdcperf.clients.http.urls import shown_url
from pytest_cdcperf.redaction import hide_url

AnyBuilder = TypeVar("AnyBuilder", bound=BaseRequestBuilder)
AnyBuilder_co = TypeVar("AnyBuilder_co", bound=BaseRequestBuilder, covariant=True)

_PROXY_SCHEMES = ("http", "https", "socks4", "socks4a", "socks5", "socks5h")

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
    """The base of the sync and the async client: they differ in the waiting."""

    def request(self, method: str, url: Url | str) -> AnyBuilder_co:
        """Begin a request."""

    def close(self) -> Any:
        """Close the connections: None, or what is to be awaited."""


Build = Callable[[HttpSettings, CookieStore, str | None], EngineClient[AnyBuilder]]


def build_sync(settings: HttpSettings, cookies: CookieStore, proxy: str | None) -> SyncClient:
    """Return a client for sync calls, which go through *proxy*."""
    return _configured(SyncClientBuilder(), settings, cookies, proxy).build()


def build_async(settings: HttpSettings, cookies: CookieStore, proxy: str | None) -> Client:
    """Return a client for async calls, which go through *proxy*."""
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
    raise errors.ConfigError(f"http_client: the proxy {shown_url(proxy)!r} of the environment: {words}")


def build(
    new_client: Build[AnyBuilder], settings: HttpSettings, cookies: CookieStore, proxy: str | None
) -> EngineClient[AnyBuilder]:
    """Return what *new_client* makes.

    :raises ConfigError: for a *verify* that is not a PEM file, or a proxy that cannot be used
    """
    try:
        return new_client(settings, cookies, proxy)
    except (OSError, ValueError) as error:
        words = _causes(error)[-1] if isinstance(error, PyreqwestError) else str(error)
        raise errors.ConfigError(f"http_client: verify={settings.verify!r} is not a PEM file: {words}") from None


def failure_of(error: PyreqwestError, call: str, *, tls: bool) -> errors.CdcperfError:
    """Return our exception, in one line, for the *error* of what *call* describes; *tls*: whether it used TLS."""
    causes = _causes(error)
    kind = errors.ConfigError if isinstance(error, BuilderError) else _kind(error, causes, tls=tls)
    return kind(f"{call}: {causes[-1]}")


def _causes(error: PyreqwestError) -> list[str]:
    causes = error.details["causes"] if isinstance(error, DetailedPyreqwestError) else None
    said = [error.message, *(" ".join(cause["message"].split()) for cause in causes or ())]
    explained = [words for mark, words in _EXPLAINED.items() if mark in said[-1].lower()]
    return [*said[:-1], ": ".join([said[-1], *explained])]


def _kind(error: PyreqwestError, causes: list[str], *, tls: bool) -> type[errors.HttpTransportError]:
    """Return the class of a failed call: by the engine's types first, by its words where these say too little."""
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
