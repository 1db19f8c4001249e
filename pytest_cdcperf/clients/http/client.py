"""HTTP: ``http_client`` for ``def`` bodies, ``http_client.aio`` for ``async def`` ones.

As in k6 a VU is a user of its own: its own connections and its own cookies, for as long as it lives. A status of
400 or more counts as failed and raises nothing; where no whole response comes, an HttpTransportError says why.
``http_engine`` says which engine does the work, and why.
"""

from __future__ import annotations

import threading
from collections.abc import Awaitable
from typing import Generic, TypeVar, Unpack

from pyreqwest.cookie import CookieStore
from pyreqwest.exceptions import PyreqwestError
from pyreqwest.request import RequestBuilder, SyncRequestBuilder

from pytest_cdcperf.clients.http.call import CallOptions, HttpOptions, HttpSettings
from pytest_cdcperf.clients.http.engine import HttpSession, build_async, build_sync
from pytest_cdcperf.clients.http.response import HttpResponse
from pytest_cdcperf.clock import real_time as time
from pytest_cdcperf.engine.current_vu import current_vu, refuse_blocking
from pytest_cdcperf.engine.vu import VU
from pytest_cdcperf.errors import BlockingCallError

Answer = TypeVar("Answer")


class _Face(Generic[Answer]):
    """The methods, once for both faces: they differ in how a request is waited for."""

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
        *json* or *data* (a form, text or bytes) is the body, *timeout* is in seconds and bounds the whole
        exchange, *tags* go to every sample of it.

        :raises ConfigError: for what cannot be sent: a relative URL without base, another scheme than HTTP
        :raises HttpTransportError: where no whole response comes; its class and its *kind* say why
        """
        raise NotImplementedError


class HttpClient(_Face[HttpResponse]):
    """The blocking face. One object serves all VUs; who asks is told by context."""

    def __init__(self, settings: HttpSettings | None = None) -> None:
        self.settings = settings or HttpSettings()
        self.aio = AsyncHttpClient(self.settings)
        self._lock = threading.Lock()
        self._home: HttpSession[SyncRequestBuilder] | None = None
        self._faces: dict[HttpSettings, HttpClient] = {}

    def with_options(self, **options: Unpack[HttpOptions]) -> HttpClient:
        """Return a face with these settings over those of this one; the same settings give the same face.

        Its VUs have connections and cookies of their own. *verify* may be the path of a PEM file that is
        trusted as well; *http2* offers HTTP/2 to servers with TLS; *headers* are added to those there are.

        :raises ConfigError: naming each setting that cannot be meant
        """
        settings = self.settings.changed(options)
        with self._lock:
            return self._faces.setdefault(settings, HttpClient(settings))

    @property
    def cookies(self) -> CookieStore:
        """The cookies of whoever asks: a VU keeps them from one iteration to the next, until ``cookies.clear()``."""
        return self._own().cookies

    def request(self, method: str, url: str, **options: Unpack[CallOptions]) -> HttpResponse:  # noqa: D102  # inherited
        __tracebackhide__ = True
        exchange = self._own().exchange(method, url, options)
        history: tuple[HttpResponse, ...] = ()
        while True:
            builder = exchange.builder()
            begin_ns = time.perf_counter_ns()
            try:
                with builder.build_streamed() as response:
                    headers_ns = time.perf_counter_ns()
                    if exchange.discards:
                        body, read = None, response.body_reader.read_chunk
                        while read() is not None:
                            pass
                    else:
                        body = response.bytes()
            except PyreqwestError as error:
                raise exchange.failed(error, begin_ns) from None
            reply = exchange.completed(response, body, begin_ns, headers_ns, history)
            following = exchange.next_redirect(reply)
            if following is None:
                return reply
            exchange, history = following, (*history, reply)

    def close(self) -> None:
        """Close what is open beside the VUs' own connections."""
        with self._lock:
            home, self._home = self._home, None
            faces = list(self._faces.values())
            self._faces.clear()
        if home is not None:
            _close(home)
        for face in faces:
            face.close()

    def _own(self) -> HttpSession[SyncRequestBuilder]:
        vu = current_vu()
        own: HttpSession[SyncRequestBuilder] | None = None if vu is None else vu.own.get(self)
        return self._first_own(vu) if own is None else own

    def _first_own(self, vu: VU | None) -> HttpSession[SyncRequestBuilder]:
        if vu is None:
            with self._lock:
                if self._home is None:
                    self._home = HttpSession(build_sync, self.settings)
                return self._home
        if vu.is_async:
            refuse_blocking("http_client", "http_client.aio.get(...) and the like")
        own = HttpSession(build_sync, self.settings)
        vu.own.keep(self, own, close=_close, cancel=HttpSession.close)
        return own


class AsyncHttpClient(_Face[Awaitable[HttpResponse]]):
    """The awaited face. Its connections live as long as the VU's task."""

    def __init__(self, settings: HttpSettings) -> None:
        self._settings = settings

    @property
    def cookies(self) -> CookieStore:
        """The cookies of the VU that asks."""
        return self._own().cookies

    async def request(self, method: str, url: str, **options: Unpack[CallOptions]) -> HttpResponse:  # noqa: D102
        __tracebackhide__ = True
        exchange = self._own().exchange(method, url, options)
        history: tuple[HttpResponse, ...] = ()
        while True:
            builder = exchange.builder()
            begin_ns = time.perf_counter_ns()
            try:
                async with builder.build_streamed() as response:
                    headers_ns = time.perf_counter_ns()
                    if exchange.discards:
                        body, read = None, response.body_reader.read_chunk
                        while await read() is not None:
                            pass
                    else:
                        body = await response.bytes()
            except PyreqwestError as error:
                raise exchange.failed(error, begin_ns) from None
            reply = exchange.completed(response, body, begin_ns, headers_ns, history)
            following = exchange.next_redirect(reply)
            if following is None:
                return reply
            exchange, history = following, (*history, reply)

    def _own(self) -> HttpSession[RequestBuilder]:
        vu = current_vu()
        if vu is None or not vu.is_async:
            raise BlockingCallError(
                "http_client.aio works in the body of an async perf test only; elsewhere http_client"
            )
        own: HttpSession[RequestBuilder] | None = vu.own.get(self)
        if own is None:
            own = HttpSession(build_async, self._settings)
            vu.own.keep(self, own, close=_close_async)
        return own


def _close(own: HttpSession[SyncRequestBuilder]) -> None:
    own.close()
    own.forget()


async def _close_async(own: HttpSession[RequestBuilder]) -> None:
    for closing in own.close():
        await closing
    own.forget()
