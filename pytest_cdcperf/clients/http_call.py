"""One HTTP call before it is sent: what it is called in the figures, and where it goes. No engine in it."""

from __future__ import annotations

import json as stdlib_json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Any, TypedDict
from urllib.parse import quote, urlencode, urljoin, urlsplit

from pytest_cdcperf.errors import ConfigError, HttpProtocolError
from pytest_cdcperf.metrics.snapshot import Tags

DEFAULT_TIMEOUT_S = 60.0
MAX_REDIRECTS = 10
_LONGEST_S = 1e9
REDIRECTS = frozenset({301, 302, 303, 307, 308})

_IDS = re.compile(r"(?<=/)(?:\d+|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{16,})(?=/|$)", re.IGNORECASE)
_HTTP = ("http://", "https://")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_FIELDS = re.compile(r"\{(\w+)\}")
_OF_THE_BODY = frozenset({"content-type", "content-length", "content-encoding"})
_OF_THE_HOST = frozenset({"authorization", "cookie", "host"})

Params = Mapping[str, Any] | Sequence[tuple[str, Any]]


class CallOptions(TypedDict, total=False):
    """What every method of the client takes beside the URL."""

    path: Mapping[str, object]
    params: Params
    headers: Mapping[str, str]
    json: Any
    data: Mapping[str, Any] | str | bytes
    timeout: float
    name: str
    tags: Mapping[str, str]
    allow_redirects: bool
    discard_body: bool


class SettingChanges(TypedDict, total=False):
    """What ``with_options`` takes."""

    base_url: str
    headers: Mapping[str, str]
    timeout: float
    verify: bool | str
    http2: bool
    follow_redirects: bool
    discard_bodies: bool


@dataclass(frozen=True)
class HttpSettings:
    """What holds for all calls of a face. *timeout* is in seconds, *verify* may be the path of a PEM file."""

    base_url: str = ""
    headers: Tags = ()
    timeout: float = DEFAULT_TIMEOUT_S
    verify: bool | str = True
    http2: bool = False
    follow_redirects: bool = True
    discard_bodies: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be meant.

        :raises ConfigError: naming each setting
        """
        faults = []
        if self.base_url and not self.base_url.startswith(_HTTP):
            faults.append(f"http_client: base_url={self.base_url!r} must begin with http:// or https://")
        faults += _not_a_time("http_client", self.timeout)
        if faults:
            raise ConfigError(*faults)

    def changed(self, changes: SettingChanges) -> HttpSettings:
        """Return these settings with *changes* over them; headers are added to those there are.

        :raises ConfigError: naming each setting that cannot be meant
        """
        given: dict[str, Any] = dict(changes)
        allowed = [field.name for field in fields(self)]
        if unknown := [name for name in given if name not in allowed]:
            raise ConfigError(f"http_client.with_options: {', '.join(unknown)} unknown; there are {', '.join(allowed)}")
        if "headers" in given:
            given["headers"] = tuple({**dict(self.headers), **given["headers"]}.items())
        return replace(self, **given)


@dataclass(frozen=True, slots=True)
class Call:
    """A request as it is about to be sent.

    *name* is what it is called in the figures; one that the user chose (*named*) stays over redirects.
    """

    method: str
    url: str
    name: str
    headers: dict[str, str] | None = None
    body: bytes | None = None
    named: bool = False
    redirects: int = 0

    def describe(self) -> str:
        """Return method and URL for a message: without a password, and without the query, which may hold one."""
        return f"{self.method} {shown(self.url)}"

    @property
    def is_secure(self) -> bool:
        """Whether it goes through TLS."""
        return self.url.startswith("https:")

    def redirected(self, status: int, location: str) -> Call:
        """Return the call that a redirect asks for, as browsers do it (RFC 9110, 15.4).

        :raises HttpProtocolError: when it is the eleventh, or leads out of HTTP
        """
        if self.redirects == MAX_REDIRECTS:
            raise HttpProtocolError(f"{self.describe()}: stopped after {MAX_REDIRECTS} redirects")
        target = urljoin(self.url, location)
        if not target.startswith(_HTTP):
            raise HttpProtocolError(f"{self.describe()}: redirects to {shown(target)}, which is not HTTP")
        method, body, left_out = self.method, self.body, set[str]()
        if (status == 303 and method != "HEAD") or (status in {301, 302} and method == "POST"):
            method, body = "GET", None
            left_out |= _OF_THE_BODY
        if urlsplit(target)[:2] != urlsplit(self.url)[:2]:
            left_out |= _OF_THE_HOST
        headers = {name: value for name, value in (self.headers or {}).items() if name.lower() not in left_out}
        name = self.name if self.named else template_of(target)
        return Call(method, target, name, headers, body, self.named, self.redirects + 1)


def prepare(settings: HttpSettings, method: str, url: str, options: CallOptions) -> Call:
    """Return the call that the user means.

    :raises ConfigError: for a URL without scheme or base, one that is not HTTP, and a body given twice
    """
    template = url
    if not url.startswith(_HTTP):
        if _SCHEME.match(url) or not settings.base_url:
            raise _no_http(method, url)
        template = f"{settings.base_url.rstrip('/')}/{url.lstrip('/')}" if url else settings.base_url
    if not options and not settings.headers:
        return _plain_call(method, template)
    target = template
    if (path := options.get("path")) is not None:
        target = _filled(method, template, path)
    if params := options.get("params"):
        target = with_params(target, params)
    headers = {**dict(settings.headers), **options.get("headers", {})}
    body = _body(method, url, options, headers)
    if "timeout" in options and (faults := _not_a_time(f"{method} {shown(url)}", options["timeout"])):
        raise ConfigError(*faults)
    name = options.get("name")
    return Call(method, target, name or template_of(template), headers, body, named=bool(name))


@lru_cache(maxsize=4096)
def _plain_call(method: str, url: str) -> Call:
    return Call(method, url, template_of(url))


@lru_cache(maxsize=4096)
def template_of(url: str) -> str:
    """Return *url* as a tag: no query, no password, and ``{id}`` for numbers, UUIDs and long hex numbers."""
    scheme, slashes, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    path = path.partition("?")[0].partition("#")[0]
    host = host.rpartition("@")[2].partition("?")[0].partition("#")[0]
    return f"{scheme}{slashes}{host}{_IDS.sub('{id}', slash + path)}"


def shown(url: str) -> str:
    """Return *url* for a message: without password and query."""
    scheme, slashes, rest = url.partition("?")[0].partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{slashes}{host.rpartition('@')[2]}{slash}{path}"


def with_params(url: str, params: Params) -> str:
    """Return *url* with *params* in its query: lists repeat their name, None is left out, as with requests."""
    pairs = params.items() if isinstance(params, Mapping) else params
    query = urlencode([(name, value) for name, value in pairs if value is not None], doseq=True)
    if not query:
        return url
    url, hash_sign, fragment = url.partition("#")
    return f"{url}{'&' if '?' in url else '?'}{query}{hash_sign}{fragment}"


def _not_a_time(where: str, timeout: object) -> list[str]:
    if isinstance(timeout, (int, float)) and 0 < timeout < _LONGEST_S:
        return []
    return [f"{where}: timeout={timeout!r} must be a number of seconds above 0"]


def _no_http(method: str, url: str) -> ConfigError:
    if scheme := _SCHEME.match(url):
        return ConfigError(f"{method} {shown(url)}: the scheme {scheme[1]!r} is unknown; write http:// or https://")
    return ConfigError(
        f"{method} {shown(url)!r}: the URL has no scheme and host; write it whole, "
        'or use http_client.with_options(base_url="http://...")'
    )


def _filled(method: str, template: str, path: Mapping[str, object]) -> str:
    wanted = set(_FIELDS.findall(template))
    if wanted != set(path):
        raise ConfigError(
            f"{method} {shown(template)}: path= has {sorted(path)}, the URL wants {sorted(wanted)}; give each a value"
        )
    return _FIELDS.sub(lambda field: quote(str(path[field[1]]), safe=""), template)


def _body(method: str, url: str, options: CallOptions, headers: dict[str, str]) -> bytes | None:
    data = options.get("data")
    if "json" in options and options["json"] is not None:
        if data is not None:
            raise ConfigError(f"{method} {shown(url)}: json= and data= are both given; a request has one body")
        _set_default(headers, "Content-Type", "application/json")
        return stdlib_json.dumps(options["json"], allow_nan=False).encode()
    if isinstance(data, Mapping):
        _set_default(headers, "Content-Type", "application/x-www-form-urlencoded")
        return urlencode(list(data.items()), doseq=True).encode()
    return data.encode() if isinstance(data, str) else data


def _set_default(headers: dict[str, str], name: str, value: str) -> None:
    if name.lower() not in {given.lower() for given in headers}:
        headers[name] = value
