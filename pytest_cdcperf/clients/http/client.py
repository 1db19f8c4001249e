"""HTTP: ``http_client`` for ``def`` bodies, ``http_client.aio`` for ``async def`` ones.

As in k6 a VU is a user of its own: its own connections and its own cookies, for as long as it lives. A status of
400 or more counts as failed and raises nothing; where no whole response comes, an HttpTransportError says why.
``engine.py`` says which engine does the work, and why.
"""

from __future__ import annotations

import threading
from collections.abc import Awaitable
from functools import partial
from typing import Generic, TypeVar, Unpack

from pyreqwest.cookie import CookieStore
from pyreqwest.exceptions import PyreqwestError
from pyreqwest.request import RequestBuilder, SyncRequestBuilder

from pytest_cdcperf.clients.http.call import CallOptions
from pytest_cdcperf.clients.http.engine import build_async, build_sync
from pytest_cdcperf.clients.http.response import HttpResponse
from pytest_cdcperf.clients.http.session import HttpSession
from pytest_cdcperf.clients.http.settings import HttpOptions, HttpSettings
from pytest_cdcperf.clients.http.urls import shown_url
from pytest_cdcperf.clients.per_vu import PerVU, async_vu, sync_vu
from pytest_cdcperf.clock import real_time as time

Answer = TypeVar("Answer")


class _Methods(Generic[Answer]):
    """The methods of both clients, which return a response or, in the async client, what is awaited for one."""

    settings: HttpSettings

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {shown_url(self.settings.base_url)}".rstrip() + ">"

    def get(self, url: str, **options: Unpack[CallOptions]) -> Answer:
        """GET *url*."""
        return self.request("GET", url, **options)

    def post(self, url: str, **options: Unpack[CallOptions]) -> Answer:
        """POST to *url*."""
        return self.request("POST", url, **options)

    def put(self, url: str, **options: Unpack[CallOptions]) -> Answer:
        """PUT to *url*."""
        return self.request("PUT", url, **options)

    def patch(self, url: str, **options: Unpack[CallOptions]) -> Answer:
        """PATCH *url*."""
        return self.request("PATCH", url, **options)

    def delete(self, url: str, **options: Unpack[CallOptions]) -> Answer:
        """DELETE *url*."""
        return self.request("DELETE", url, **options)

    def head(self, url: str, **options: Unpack[CallOptions]) -> Answer:
        """HEAD of *url*. Redirects are followed too."""
        return self.request("HEAD", url, **options)

    def options(self, url: str, **options: Unpack[CallOptions]) -> Answer:
        """OPTIONS of *url*."""
        return self.request("OPTIONS", url, **options)

    def request(self, method: str, url: str, **options: Unpack[CallOptions]) -> Answer:
        """Send a request and return the whole response.

        *path* fills the ``{fields}`` of *url*, whose figures then stand under the URL as it is written; else
        numbers, UUIDs and long hex numbers in it become ``{id}``. *name* calls them something else altogether.
        *json* or *data* (a form, text or bytes) is the body, *timeout* (seconds, or text such as "250ms") bounds
        the whole of it, *tags* go to every sample of it.

        :raises ConfigError: for what cannot be sent: a relative URL without base, another scheme than HTTP
        :raises HttpTransportError: where no whole response comes; its class and its *kind* say why
        """
        raise NotImplementedError


class HttpClient(_Methods[HttpResponse]):
    """The HTTP client for ``def`` bodies and fixtures. One object serves all VUs, each with its own connections.

    ::

        @perf(vus=10, duration="30s", p95="2s")
        def test_an_order_is_found(http_client, vu):
            response = http_client.get("http://shop.example/orders/{id}", path={"id": vu.iteration})
            assert response.ok and response.json()["id"] == vu.iteration
    """

    def __init__(self, settings: HttpSettings | None = None) -> None:
        self.settings = settings or HttpSettings()
        self.aio = AsyncHttpClient(self.settings)
        self._lock = threading.Lock()
        self._clients: dict[HttpSettings, HttpClient] = {}
        self._sessions: PerVU[HttpSession[SyncRequestBuilder]] = PerVU(
            partial(HttpSession, build_sync, self.settings),
            HttpSession.close,
            HttpSession.cancel,
            vu=partial(sync_vu, "http_client", "http_client.aio.get(...) and the like"),
        )

    def with_options(self, **options: Unpack[HttpOptions]) -> HttpClient:
        """Return a client with these options over those of this one; the same options give the same client.

        Its VUs have connections and cookies of their own. *verify* may be the path of a PEM file that is
        trusted as well; *http2* offers HTTP/2 to servers with TLS; *headers* are added to those there are.

        >>> shop = HttpClient().with_options(base_url="http://shop.example", timeout="5s")
        >>> shop.settings.timeout
        5.0

        :raises ConfigError: naming each option that is not valid
        """
        settings = self.settings.changed(options)
        with self._lock:
            return self._clients.setdefault(settings, HttpClient(settings))

    @property
    def cookies(self) -> CookieStore:
        """The cookies of the current VU: it keeps them from one iteration to the next, until ``cookies.clear()``."""
        return self._sessions.get().cookies

    def request(self, method: str, url: str, **options: Unpack[CallOptions]) -> HttpResponse:  # noqa: D102  # inherited
        __tracebackhide__ = True
        request = self._sessions.get().prepare(method, url, options)
        while True:
            builder, begin_ns = request.builder(), time.perf_counter_ns()
            try:
                with builder.build_streamed() as incoming:
                    headers_ns = time.perf_counter_ns()
                    while request.discards and incoming.body_reader.read_chunk() is not None:
                        pass
                    body = None if request.discards else incoming.bytes()
            except PyreqwestError as error:
                raise request.failed(error, begin_ns) from None
            response = request.completed(incoming, body, begin_ns, headers_ns)
            redirect = request.next_redirect(response)
            if redirect is None:
                return response
            request = redirect

    def close(self) -> None:
        """Close what is open beside the VUs' own connections."""
        self._sessions.close()
        with self._lock:
            clients = list(self._clients.values())
            self._clients.clear()
        for client in clients:
            client.close()


class AsyncHttpClient(_Methods[Awaitable[HttpResponse]]):
    """The HTTP client for ``async def`` bodies.

    ::

        @perf(vus=10, duration="30s", p95="2s")
        async def test_an_order_is_found(http_client, vu):
            response = await http_client.aio.get("http://shop.example/orders/{id}", path={"id": vu.iteration})
            assert response.ok and response.json()["id"] == vu.iteration
    """

    def __init__(self, settings: HttpSettings) -> None:
        self.settings = settings
        self._sessions: PerVU[HttpSession[RequestBuilder]] = PerVU(
            partial(HttpSession, build_async, settings), HttpSession.close_aio, vu=partial(async_vu, "http_client")
        )

    @property
    def cookies(self) -> CookieStore:
        """The cookies of the current VU."""
        return self._sessions.get().cookies

    async def request(self, method: str, url: str, **options: Unpack[CallOptions]) -> HttpResponse:  # noqa: D102
        __tracebackhide__ = True
        # As above but for the waiting: what the two have in common is in PreparedRequest.
        request = self._sessions.get().prepare(method, url, options)
        while True:
            builder, begin_ns = request.builder(), time.perf_counter_ns()
            try:
                async with builder.build_streamed() as incoming:
                    headers_ns = time.perf_counter_ns()
                    while request.discards and await incoming.body_reader.read_chunk() is not None:
                        pass
                    body = None if request.discards else await incoming.bytes()
            except PyreqwestError as error:
                raise request.failed(error, begin_ns) from None
            response = request.completed(incoming, body, begin_ns, headers_ns)
            redirect = request.next_redirect(response)
            if redirect is None:
                return response
            request = redirect
