"""Records HTTP calls in the metrics that k6 has for them, for ``http_client`` and ``requests_session``.

A client passes the parts of a call that it can measure, in milliseconds; the other metrics get no sample.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pytest_cdcperf.clients.http.urls import Endpoint
from pytest_cdcperf.metrics.groups import HTTP
from pytest_cdcperf.metrics.metric import Append, Counter, Metric, Rate, Tags, Trend
from pytest_cdcperf.metrics.recorder import Lookups
from pytest_cdcperf.metrics.scope import current_scope

HTTP_REQS = Counter("http_reqs", group=HTTP)
HTTP_REQ_FAILED = Rate("http_req_failed", group=HTTP)
HTTP_REQ_DURATION = Trend("http_req_duration", unit="ms", group=HTTP)
HTTP_REQ_CONNECTING = Trend("http_req_connecting", unit="ms", group=HTTP)
HTTP_REQ_TLS_HANDSHAKING = Trend("http_req_tls_handshaking", unit="ms", group=HTTP)
HTTP_REQ_WAITING = Trend("http_req_waiting", unit="ms", group=HTTP)
HTTP_REQ_RECEIVING = Trend("http_req_receiving", unit="ms", group=HTTP)

NO_RESPONSE = 0
_MOST_KNOWN = 200  # for each VU


@dataclass(frozen=True, slots=True)
class _Sinks:
    """The sinks for samples of calls that ended alike, looked up once."""

    count: Append
    failed: Append
    duration: Append
    waiting: Append
    receiving: Append
    sink: Callable[[Metric], Append]


class HttpSeries:
    """Records the calls of one VU that are called alike."""

    __slots__ = ("_called",)

    def __init__(self, method: str, endpoint: Endpoint, tags: Tags) -> None:
        self._called = (method, endpoint, tags)

    def add(
        self,
        status: int,
        error: str,
        duration_ms: float,
        waiting_ms: float | None = None,
        receiving_ms: float | None = None,
        connecting_ms: float | None = None,
        tls_handshaking_ms: float | None = None,
    ) -> None:
        """Record one call with its *status*, or 0 and the kind of *error* where no whole response came."""
        scope = current_scope()
        if scope is None:
            return
        sinks: _Sinks | None = scope.lookups.found.get((self._called, error or status))
        if sinks is None:
            sinks = self._resolve(scope.lookups, status, error)
        sinks.count(1)
        sinks.failed(not _is_expected(status))
        sinks.duration(duration_ms)
        if waiting_ms is not None:
            sinks.waiting(waiting_ms)
        if receiving_ms is not None:
            sinks.receiving(receiving_ms)
        if connecting_ms is not None:
            sinks.sink(HTTP_REQ_CONNECTING)(connecting_ms)
        if tls_handshaking_ms is not None:
            sinks.sink(HTTP_REQ_TLS_HANDSHAKING)(tls_handshaking_ms)

    def _resolve(self, lookups: Lookups, status: int, error: str) -> _Sinks:
        method, endpoint, tags = self._called
        marks = {"method": method, **endpoint._asdict(), "status": str(status)} | dict(tags)
        marks["expected_response"] = str(_is_expected(status)).lower()
        if error:
            marks["error"] = error
        merged = tuple(sorted(marks.items()))

        def sink(metric: Metric) -> Append:
            return lookups.sink(metric, merged)

        sinks = _Sinks(
            sink(HTTP_REQS),
            sink(HTTP_REQ_FAILED),
            sink(HTTP_REQ_DURATION),
            sink(HTTP_REQ_WAITING),
            sink(HTTP_REQ_RECEIVING),
            sink,
        )
        lookups.keep((self._called, error or status), sinks)
        return sinks


def _is_expected(status: int) -> bool:
    return 200 <= status < 400  # k6's default


class HttpRecording:
    """Records the calls of one VU."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, Endpoint, Tags], HttpSeries] = {}

    def series(self, method: str, endpoint: Endpoint, tags: Tags = ()) -> HttpSeries:
        """Return where calls of *endpoint* are recorded."""
        key = (method, endpoint, tags)
        series = self._known.get(key)
        if series is None:
            series = HttpSeries(*key)
            if len(self._known) < _MOST_KNOWN:
                self._known[key] = series
        return series


def as_tags(tags: Mapping[str, str] | None) -> Tags:
    """Return *tags* as the recorder keeps them."""
    return tuple(sorted((str(name), str(value)) for name, value in tags.items())) if tags else ()
