"""The next request that a redirect asks for, made as browsers make it (RFC 9110, 15.4)."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urljoin, urlsplit

from pytest_cdcperf.clients.http.call import Call
from pytest_cdcperf.clients.http.urls import endpoint_of, is_http, shown_url, with_lower_scheme
from pytest_cdcperf.errors import HttpProtocolError

MAX_REDIRECTS = 10
REDIRECTS = frozenset({301, 302, 303, 307, 308})

_HEADERS_OF_THE_BODY = frozenset({"content-type", "content-length", "content-encoding"})
_HEADERS_OF_THE_HOST = frozenset({"authorization", "cookie", "host"})


def redirected(call: Call, status: int, location: str) -> Call:
    """Return the call that *status* and *location*, the answer to *call*, ask for.

    >>> call = Call("POST", "http://shop.example/orders", endpoint_of("http://shop.example/orders"))
    >>> redirected(call, 303, "/orders/17").describe()
    'GET http://shop.example/orders/17'

    :raises HttpProtocolError: when it is one redirect too many, or leads out of HTTP
    """
    if call.redirects == MAX_REDIRECTS:
        raise HttpProtocolError(f"{call.describe()}: stopped after {MAX_REDIRECTS} redirects")
    target = with_lower_scheme(urljoin(call.url, location))
    if not is_http(target):
        raise HttpProtocolError(f"{call.describe()}: redirects to {shown_url(target)}, which is not HTTP")
    method, body, left_out = call.method, call.body, set[str]()
    if (status == 303 and method != "HEAD") or (status in {301, 302} and method == "POST"):
        method, body = "GET", None
        left_out |= _HEADERS_OF_THE_BODY
    if urlsplit(target)[:2] != urlsplit(call.url)[:2]:
        left_out |= _HEADERS_OF_THE_HOST
    headers = {name: value for name, value in (call.headers or {}).items() if name.lower() not in left_out}
    endpoint = call.endpoint if call.named else endpoint_of(target)
    done = call.redirects + 1
    return replace(call, method=method, url=target, endpoint=endpoint, headers=headers, body=body, redirects=done)
