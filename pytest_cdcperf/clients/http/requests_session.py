"""``requests_session``: a real requests.Session for code that speaks requests already, measured like ``http_client``.

Headers, auth, verify and the like are those of the one session; cookies, connections and adapters are each VU's own.
urllib3 says when it connects: http_req_connecting and http_req_tls_handshaking are recorded, and are not part of
http_req_duration, as in k6. A call without a timeout gets k6's, 60 s, and 4 s for connecting.
"""

from __future__ import annotations

import copy
import socket
import string
import weakref
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import quote, urlsplit
from urllib.request import getproxies

import requests
from requests.adapters import BaseAdapter, HTTPAdapter
from requests.cookies import RequestsCookieJar
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from pytest_cdcperf.clients.http.metrics import NO_RESPONSE, HttpRecording
from pytest_cdcperf.clients.http.settings import DEFAULT_TIMEOUT_S
from pytest_cdcperf.clients.http.urls import endpoint_of
from pytest_cdcperf.clients.per_vu import PerVU, sync_vu
from pytest_cdcperf.clients.proxies import is_loopback
from pytest_cdcperf.clients.time_limit import CONNECT_TIMEOUT_S
from pytest_cdcperf.clock import real_time as time
from pytest_cdcperf.engine.current_vu import current_vu
from pytest_cdcperf.redaction import hide_named, hide_url

_KINDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    # by the names of the exceptions that requests and urllib3 nest in one another, the innermost facts first
    ("dns", ("NameResolutionError", "gaierror")),
    ("tls", ("SSLError",)),
    ("refused", ("ConnectionRefusedError",)),
    ("timeout", ("Timeout", "ConnectTimeout", "ReadTimeout", "TimeoutError")),
    ("reset", ("ConnectionResetError", "RemoteDisconnected", "BrokenPipeError")),  # the second is a BadStatusLine too
    ("protocol", ("BadStatusLine", "InvalidChunkLength", "ContentDecodingError", "DecodeError", "InvalidHeader")),
    ("reset", ("IncompleteRead",)),
    ("protocol", ("HTTPException",)),  # a line or a head that is too long
    ("reset", ("ProtocolError",)),
)
_TIMEOUTS_S = (CONNECT_TIMEOUT_S, DEFAULT_TIMEOUT_S)


@dataclass(eq=False)
class _Connections:
    """The connections of one user, and how long the last call took to open them."""

    sockets: weakref.WeakSet[HTTPConnection] = field(default_factory=weakref.WeakSet)
    connecting_s: float | None = None
    handshaking_s: float | None = None

    def shut_down(self) -> None:
        for connection in list(self.sockets):
            sock = connection.sock
            if sock is not None:
                with suppress(OSError):
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)


@dataclass(eq=False)
class _VUSession:
    """The part of the session that one VU has for itself: cookies, connections, sinks of its samples."""

    cookies: RequestsCookieJar
    adapters: dict[str, BaseAdapter]
    connections: _Connections = field(default_factory=_Connections)
    recording: HttpRecording = field(default_factory=HttpRecording)

    def __post_init__(self) -> None:
        for adapter in self.adapters.values():
            if isinstance(adapter, HTTPAdapter):
                adapter.poolmanager.pool_classes_by_scheme = _pool_classes(self.connections)

    def close(self) -> None:
        for adapter in self.adapters.values():
            adapter.close()


class PerVUSession(requests.Session):
    """A ``requests.Session`` for all VUs: each has its own cookies and connections, and its calls are measured.

    In fixtures it is a plain session, and nothing is measured.

    ::

        @perf(vus=10, duration="30s", p95="2s")
        def test_an_order_is_found(requests_session, vu):
            requests_session.get(f"http://shop.example/orders/{vu.iteration}").raise_for_status()
    """

    def __init__(self) -> None:
        self._vu_sessions = PerVU(
            self._new_vu_session,
            _VUSession.close,
            lambda kept: kept.connections.shut_down(),
            vu=partial(sync_vu, "requests_session", "http_client.aio.get(...) and the like"),
        )
        super().__init__()
        self.headers["User-Agent"] = "pytest-cdcperf"

    @property
    def cookies(self) -> RequestsCookieJar:
        """The cookies of the current VU, in fixtures those that all VUs begin with."""
        return self._initial_cookies if current_vu() is None else self._vu_sessions.get().cookies

    @cookies.setter
    def cookies(self, jar: RequestsCookieJar) -> None:
        if current_vu() is None:
            self._initial_cookies = jar
        else:
            self._vu_sessions.get().cookies = jar

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        """Send *request*, to this machine through no proxy of the environment.

        No text shows the secrets in its headers and in its URL.
        """
        hide_named(request.headers)
        if request.url and ("@" in request.url or "=" in request.url):
            hide_url(request.url)
        proxies = options.get("proxies")
        if (proxies or proxies is None) and is_loopback(urlsplit(request.url or "").hostname or ""):
            of_the_environment = getproxies().values()
            given = {name: url for name, url in (proxies or {}).items() if url not in of_the_environment}
            options["proxies"] = {**self.proxies, **given}
        return super().send(request, **options)

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Return where *resp* redirects to; what requests cannot decode is percent-encoded, as browsers do."""
        try:
            return super().get_redirect_target(resp)
        except UnicodeDecodeError:
            return quote(resp.headers["location"].encode("latin-1"), safe=string.punctuation)

    def get_adapter(self, url: str) -> BaseAdapter:
        """Return what sends to *url*: for a VU its own copy of what is mounted, measured."""
        mounted = super().get_adapter(url)
        if current_vu() is None:
            return mounted
        session = self._vu_sessions.get()
        (prefix,) = (prefix for prefix, adapter in self.adapters.items() if adapter is mounted)
        return _Measured(session, session.adapters[prefix])

    def _new_vu_session(self) -> _VUSession:
        adapters = {prefix: copy.copy(adapter) for prefix, adapter in self.adapters.items()}
        return _VUSession(self._initial_cookies.copy(), adapters)


class _Measured(BaseAdapter):
    """Sends one request, a redirect's too, and records it."""

    def __init__(self, session: _VUSession, adapter: BaseAdapter) -> None:
        super().__init__()
        self._session = session
        self._adapter = adapter

    def send(  # type: ignore[override]  # the stubs give each argument a type of its own
        self, request: requests.PreparedRequest, stream: bool = False, timeout: Any = None, **more: Any
    ) -> requests.Response:
        connections = self._session.connections
        connections.connecting_s = connections.handshaking_s = None
        begin = answered = time.perf_counter()
        status, error = NO_RESPONSE, ""
        try:
            response = self._adapter.send(
                request, stream=stream, timeout=_TIMEOUTS_S if timeout is None else timeout, **more
            )
            answered = time.perf_counter()
            if not stream:
                response.content  # noqa: B018  # reads the body and keeps it
            status = response.status_code
        except Exception as raised:
            error = kind_of(raised)
            raise
        finally:
            self._record(request, status, error, begin, answered)
        return response

    def close(self) -> None:
        """Nothing: the adapter belongs to the user."""

    def _record(
        self, request: requests.PreparedRequest, status: int, error: str, begin: float, answered: float
    ) -> None:
        end = time.perf_counter()
        connections = self._session.connections
        opening_s = (connections.connecting_s or 0.0) + (connections.handshaking_s or 0.0)
        self._session.recording.series(request.method or "", endpoint_of(request.url or "")).add(
            status,
            error,
            (end - begin - opening_s) * 1e3,
            waiting_ms=None if error else (answered - begin - opening_s) * 1e3,
            receiving_ms=None if error else (end - answered) * 1e3,
            connecting_ms=None if connections.connecting_s is None else connections.connecting_s * 1e3,
            tls_handshaking_ms=None if connections.handshaking_s is None else connections.handshaking_s * 1e3,
        )


def kind_of(error: BaseException) -> str:
    """Return the kind of what requests raised, from the exceptions in it: refused, reset, dns, tls, timeout, ..."""
    names: set[str] = set()
    pending: list[object] = [error]
    while pending:
        one = pending.pop()
        if isinstance(one, BaseException):
            names |= {base.__name__ for base in type(one).__mro__}
            pending += [*one.args, getattr(one, "reason", None), one.__cause__]
    return next((kind for kind, known in _KINDS if names.intersection(known)), "transport")


def _pool_classes(connections: _Connections) -> Mapping[str, type[HTTPConnectionPool]]:
    """Return urllib3's pools, whose connections report to *connections* how long they took to open."""

    class Timed(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            connections.sockets.add(self)
            begin = time.perf_counter()
            try:
                return super()._new_conn()
            finally:
                connections.connecting_s = time.perf_counter() - begin

    class TimedTLS(Timed, HTTPSConnection):
        def connect(self) -> None:
            begin = time.perf_counter()
            try:
                super().connect()
            finally:
                connections.handshaking_s = time.perf_counter() - begin - (connections.connecting_s or 0.0)

    class Pool(HTTPConnectionPool):
        ConnectionCls = Timed

    class TLSPool(HTTPSConnectionPool):
        ConnectionCls = TimedTLS

    return {"http": Pool, "https": TLSPool}
