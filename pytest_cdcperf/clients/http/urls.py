"""URLs of requests: made whole, filled in, shown without secrets, and turned into the names of endpoints."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from pytest_cdcperf.errors import ConfigError

Params = Mapping[str, Any] | Sequence[tuple[str, Any]]

_HTTP = ("http://", "https://")
_HTTP_SCHEME = re.compile("https?://", re.IGNORECASE)
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_FIELDS = re.compile(r"\{(\w+)\}")
_IDS = re.compile(r"(?<=/)(?:\d+|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{16,})(?=/|$)", re.IGNORECASE)


class Endpoint(NamedTuple):
    """The target of a request, as the figures name it: two tags of few values."""

    name: str
    """The path. Without the host a limit can name it, and two runs, though the server's port was a free one."""
    url: str
    """The same with scheme and host, which distinguish the endpoints of several hosts."""


@lru_cache(maxsize=4096)
def endpoint_of(url: str) -> Endpoint:
    """Return what *url* asks: no query, no password, and ``{id}`` for numbers, UUIDs and long hex numbers.

    >>> endpoint_of("http://ada:secret@shop.example/orders/17?full=1")
    Endpoint(name='/orders/{id}', url='http://shop.example/orders/{id}')
    """
    scheme, slashes, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    path = path.partition("?")[0].partition("#")[0]
    host = host.rpartition("@")[2].partition("?")[0].partition("#")[0]
    name = _IDS.sub("{id}", slash + path)
    return Endpoint(name or "/", f"{scheme}{slashes}{host}{name}")


def shown_url(url: str) -> str:
    """Return *url* for a message: without what may hold a secret, the user, the query and the fragment.

    >>> shown_url("http://ada:secret@shop.example/orders/17?token=secret")
    'http://shop.example/orders/17'
    """
    scheme, slashes, rest = url.partition("?")[0].partition("#")[0].partition("//")
    host, slash, path = rest.partition("/")
    return f"{scheme}{slashes}{host.rpartition('@')[2]}{slash}{path}"


def is_http(url: str) -> bool:
    """Whether *url* begins with http:// or https://, in lower case."""
    return url.startswith(_HTTP)


def with_lower_scheme(url: str) -> str:
    """Return *url* with its scheme in lower case where that is HTTP: it may be written in any (RFC 3986, 3.1).

    >>> with_lower_scheme("HTTP://Shop.example/A")
    'http://Shop.example/A'
    """
    return _HTTP_SCHEME.sub(lambda scheme: scheme[0].lower(), url, count=1) if _HTTP_SCHEME.match(url) else url


def absolute(method: str, url: str, base: str) -> str:
    """Return *url*, a relative one below *base*.

    :raises ConfigError: for a URL that is not text, has no scheme and no *base*, or another scheme than HTTP
    """
    try:
        if url.startswith(_HTTP):
            return url
        if (lowered := with_lower_scheme(url)) is not url:
            return lowered
        if _SCHEME.match(url) or not base:
            raise _not_http(method, url)
        return f"{base.rstrip('/')}/{url.lstrip('/')}" if url else base
    except (AttributeError, TypeError):
        raise ConfigError(f"{method} {url!r:.60}: the URL must be text that begins with http:// or https://") from None


def filled(method: str, template: str, path: Mapping[str, object]) -> str:
    """Return *template* with the values of *path* in its ``{fields}``.

    >>> filled("GET", "http://shop.example/orders/{id}", {"id": 17})
    'http://shop.example/orders/17'

    :raises ConfigError: where the fields are others than those of *path*
    """
    wanted = set(_FIELDS.findall(template))
    if wanted != set(path):
        raise ConfigError(
            f"{method} {shown_url(template)}: path= has {sorted(path, key=str)}, the URL wants {sorted(wanted)}; "
            "give each a value"
        )
    return _FIELDS.sub(lambda field: quote(str(path[field[1]]), safe=""), template)


def with_params(url: str, params: Params) -> str:
    """Return *url* with *params* in its query: lists repeat their name, None is left out, as with requests.

    >>> with_params("http://shop.example/orders", {"state": ["new", "paid"], "page": None})
    'http://shop.example/orders?state=new&state=paid'
    """
    pairs = params.items() if isinstance(params, Mapping) else params
    query = urlencode([(name, value) for name, value in pairs if value is not None], doseq=True)
    if not query:
        return url
    url, hash_sign, fragment = url.partition("#")
    return f"{url}{'&' if '?' in url else '?'}{query}{hash_sign}{fragment}"


def _not_http(method: str, url: str) -> ConfigError:
    if scheme := _SCHEME.match(url):
        return ConfigError(f"{method} {shown_url(url)}: the scheme {scheme[1]!r} is unknown; write http:// or https://")
    return ConfigError(
        f"{method} {shown_url(url)!r}: the URL has no scheme and host; write it whole, "
        'or use http_client.with_options(base_url="http://...")'
    )
