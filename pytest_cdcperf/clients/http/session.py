"""The part of ``http_client`` that each VU has for itself: connections, cookies, and requests it sends repeatedly."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from functools import lru_cache
from typing import Any, Generic

from pyreqwest.bytes import Bytes
from pyreqwest.cookie import CookieStore
from pyreqwest.exceptions import PyreqwestError
from pyreqwest.http import Url
from pyreqwest.response import BaseResponse

from pytest_cdcperf.clients.http.call import Call, CallOptions, prepare
from pytest_cdcperf.clients.http.engine import AnyBuilder, Build, EngineClient, build, failure_of
from pytest_cdcperf.clients.http.metrics import NO_RESPONSE, HttpRecording, HttpSeries, as_tags
from pytest_cdcperf.clients.http.redirects import REDIRECTS, redirected
from pytest_cdcperf.clients.http.response import HttpResponse
from pytest_cdcperf.clients.http.settings import HttpSettings
from pytest_cdcperf.clients.http.urls import shown_url
from pytest_cdcperf.clients.proxies import Proxies
from pytest_cdcperf.clock import real_time as time
from pytest_cdcperf.errors import CdcperfError, ConfigError, HttpProtocolError, HttpTransportError
from pytest_cdcperf.metrics.metric import Tags
from pytest_cdcperf.units import duration_s

_MOST_KNOWN = 50  # for each VU, and URLs that hold an id are all different
_parsed = lru_cache(maxsize=4096)(Url)


class HttpSession(Generic[AnyBuilder]):
    """The connections, cookies and sinks of samples of one VU, or of the session outside of iterations.

    :param new_client: makes a client of the engine, a sync or an async one
    """

    def __init__(self, new_client: Build[AnyBuilder], settings: HttpSettings) -> None:
        self.cookies = CookieStore()
        self._recording = HttpRecording()
        self._new_client: Build[AnyBuilder] = new_client
        self._settings = settings
        self._proxies = Proxies()
        self._clients: dict[tuple[bool, str | None], EngineClient[AnyBuilder]] = {}
        self._known: dict[tuple[str, str], PreparedRequest[AnyBuilder]] = {}

    def prepare(self, method: str, url: str, options: CallOptions) -> PreparedRequest[AnyBuilder]:
        """Return the request that the user asks for, ready to be sent.

        :raises ConfigError: for what cannot be sent
        """
        # Python that runs between two waits finds cold caches: what a call without options needs is found once.
        known = None if options else self._known.get((method, url))
        if known is not None:
            return known
        call = prepare(self._settings, method, url, options)  # which checks the options
        request = PreparedRequest(self, call, CallPolicy.of(self._settings, options))
        if not options and len(self._known) < _MOST_KNOWN:
            self._known[method, url] = request
        return request

    def client(self, call: Call) -> EngineClient[AnyBuilder]:
        """Return the client for *call*: one for TLS, one without, and one for each proxy.

        :raises ConfigError: for a *verify* that is not a PEM file, or a proxy that cannot be used
        """
        proxy = self._proxies.of(call.url)
        client = self._clients.get((call.is_secure, proxy))
        if client is None:
            # Without TLS it needs no certificates: reading the system's would be 7 ms of CPU for each VU.
            needs_certificates = call.is_secure or (proxy or "").lower().startswith("https:")
            settings = self._settings if needs_certificates else replace(self._settings, verify=False)
            client = build(self._new_client, settings, self.cookies, proxy)
            self._clients[call.is_secure, proxy] = client
        return client

    def describe(self, call: Call) -> str:
        """Return what *call* is, for a message, and the proxy that it goes through."""
        proxy = self._proxies.of(call.url)
        return call.describe() if proxy is None else f"{call.describe()} through the proxy {shown_url(proxy)}"

    def series(self, call: Call, tags: Tags) -> HttpSeries:
        """Return where *call* is recorded."""
        return self._recording.series(call.method, call.endpoint, tags)

    def cancel(self) -> list[Any]:
        """Close the clients, which also ends what waits for them; return what is left to await."""
        return [client.close() for client in tuple(self._clients.values())]

    def close(self) -> None:
        """Close the clients and drop them: their connections end with them."""
        self.cancel()
        self._drop()

    async def close_aio(self) -> None:
        """Do the same for async clients."""
        for closing in self.cancel():
            await closing
        self._drop()

    def _drop(self) -> None:
        self._known.clear()  # which holds this very object
        self._clients.clear()


@dataclass(frozen=True, slots=True)
class CallPolicy:
    """The settings of one call and of the redirects that it follows; *timeout* is None where the client's holds."""

    follows: bool
    discards: bool
    timeout: timedelta | None
    tags: Tags

    @classmethod
    def of(cls, settings: HttpSettings, options: CallOptions) -> CallPolicy:
        """Return what *options* of a call say, over the *settings* of its client."""
        return cls(
            follows=options.get("allow_redirects", settings.follow_redirects),
            discards=options.get("discard_body", settings.discard_bodies),
            timeout=timedelta(seconds=duration_s(options["timeout"])) if "timeout" in options else None,
            tags=as_tags(options.get("tags")),
        )


class PreparedRequest(Generic[AnyBuilder]):
    """One request as a VU sends it, any number of times: how it is built and recorded, and what follows it.

    The client does the waiting and reads the clock, in nanoseconds.
    """

    __slots__ = ("_call", "_history", "_policy", "_request", "_series", "_session", "_url", "discards")

    def __init__(
        self,
        session: HttpSession[AnyBuilder],
        call: Call,
        policy: CallPolicy,
        history: tuple[HttpResponse, ...] = (),
    ) -> None:
        self._session: HttpSession[AnyBuilder] = session
        self._call = call
        self._policy = policy
        self._history = history
        self._request = session.client(call).request
        self._series = session.series(call, policy.tags)
        self.discards = policy.discards
        try:
            self._url = _parsed(call.url)
        except ValueError as error:
            raise ConfigError(f"{call.describe()}: {error}") from None

    def builder(self) -> AnyBuilder:
        """Return the request as the engine sends it.

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
            raise ConfigError(f"{call.describe()}: {error}") from None
        return builder

    def completed(self, response: BaseResponse, body: Bytes | None, begin_ns: int, headers_ns: int) -> HttpResponse:
        """Record that the whole response came, and return it; *body* is None where it was discarded."""
        end_ns = time.perf_counter_ns()
        waiting_ms, duration_ms = (headers_ns - begin_ns) * 1e-6, (end_ns - begin_ns) * 1e-6
        status = response.status
        self._series.add(status, "", duration_ms, waiting_ms, duration_ms - waiting_ms)
        return HttpResponse(self._call, status, response, body or b"", waiting_ms, duration_ms, self._history)

    def next_redirect(self, response: HttpResponse) -> PreparedRequest[AnyBuilder] | None:
        """Return the request that *response* redirects to, None where it is the last one.

        :raises HttpProtocolError: when it is one redirect too many, or leads out of HTTP
        :raises HttpHeaderError: when the engine does not hand out where it leads
        """
        if response.status_code not in REDIRECTS or not self._policy.follows:
            return None
        location = response.headers.get("location")
        if not location:
            return None
        try:
            call = redirected(self._call, response.status_code, location)
            return PreparedRequest(self._session, call, self._policy, (*self._history, response))
        except (ValueError, ConfigError) as error:
            raise HttpProtocolError(f"{response.describe()}, its Location is not a URL: {error}") from None

    def failed(self, error: PyreqwestError, begin_ns: int) -> CdcperfError:
        """Record that no whole response came, and return the exception that says so in one line."""
        end_ns = time.perf_counter_ns()
        failure = failure_of(error, self._session.describe(self._call), tls=self._call.is_secure)
        if isinstance(failure, HttpTransportError):
            self._series.add(NO_RESPONSE, failure.kind, (end_ns - begin_ns) * 1e-6)
        return failure
