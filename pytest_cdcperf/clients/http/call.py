"""One HTTP call before it is sent: what it is called in the figures, and where it goes. No engine in it."""

from __future__ import annotations

import json as stdlib_json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, TypedDict
from urllib.parse import quote, urlencode, urljoin, urlsplit

from pytest_cdcperf.errors import ConfigError, HttpProtocolError
from pytest_cdcperf.metrics.metric import Tags
from pytest_cdcperf.redaction import hide_named, hide_url

DEFAULT_TIMEOUT_S = 60.0
MAX_REDIRECTS = 10
_LONGEST_S = 1e9
REDIRECTS = frozenset({301, 302, 303, 307, 308})

_IDS = re.compile(r"(?<=/)(?:\d+|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{16,})(?=/|$)", re.IGNORECASE)
_HTTP = ("http://", "https://")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_HTTP_SCHEME = re.compile("https?://", re.IGNORECASE)
_FIELDS = re.compile(r"\{(\w+)\}")
_NO_HEADER = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")  # RFC 9110, 5.5
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


class HttpOptions(TypedDict, total=False):
    """What ``with_options`` takes."""

    base_url: str
    headers: Mapping[str, str]
    timeout: float
    verify: bool | str | os.PathLike[str]
    http2: bool
    follow_redirects: bool
    discard_bodies: bool


class _Kind(NamedTuple):
    """The types that a value may have, and what to call them."""

    types: tuple[type, ...]
    words: str


_TEXT = _Kind((str,), "text")
_SWITCH = _Kind((bool,), "True or False")
_HEADERS = _Kind((dict, Mapping), "a mapping of names to text")
_CALL_OPTIONS: Mapping[str, _Kind] = {  # dict first: isinstance() is quick then
    "path": _Kind((dict, Mapping), "a mapping of the URL's fields to values"),
    "params": _Kind((dict, Mapping, Iterable), "a mapping, or pairs of name and value"),
    "headers": _HEADERS,
    "json": _Kind((object,), "what JSON has a form for"),
    "data": _Kind((dict, Mapping, str, bytes, bytearray, memoryview), "a mapping (a form), text or bytes"),
    "timeout": _Kind((object,), "seconds"),
    "name": _TEXT,
    "tags": _Kind((dict, Mapping), "a mapping of names to text"),
    "allow_redirects": _SWITCH,
    "discard_body": _SWITCH,
}
_SETTINGS: Mapping[str, _Kind] = {
    "base_url": _TEXT,
    "verify": _Kind((bool, str), "True, False or the path of a PEM file"),
    "http2": _SWITCH,
    "follow_redirects": _SWITCH,
    "discard_bodies": _SWITCH,
}


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
        hide_named(self.headers)
        hide_url(str(self.base_url))
        if isinstance(self.base_url, str):
            object.__setattr__(self, "base_url", _in_lower_case(self.base_url))
        faults = [
            f"http_client: {name}={value!r:.60}; allowed: {kind.words}"
            for name, kind in _SETTINGS.items()
            if not isinstance(value := getattr(self, name), kind.types)
        ]
        faults += _not_headers("http_client", dict(self.headers))
        if not faults and self.base_url and not self.base_url.startswith(_HTTP):
            faults.append(f"http_client: base_url={shown(self.base_url)!r} must begin with http:// or https://")
        faults += _not_a_time("http_client", self.timeout)
        if isinstance(self.verify, str):
            faults += _not_readable(self.verify)
        if faults:
            raise ConfigError(*faults)

    def changed(self, options: HttpOptions) -> HttpSettings:
        """Return these settings with *options* over them; headers are added to those there are.

        :raises ConfigError: naming each setting that cannot be meant
        """
        given: dict[str, Any] = dict(options)
        hide_named(given.get("headers"))
        allowed = [field.name for field in fields(self)]
        if unknown := [name for name in given if name not in allowed]:
            raise ConfigError(f"http_client.with_options: {', '.join(unknown)} unknown; there are {', '.join(allowed)}")
        if "headers" in given:
            if not isinstance(given["headers"], Mapping):
                raise ConfigError(_wrong("http_client", "headers", given["headers"], _HEADERS))
            given["headers"] = tuple({**dict(self.headers), **given["headers"]}.items())
        if isinstance(given.get("verify"), os.PathLike):
            given["verify"] = os.fspath(given["verify"])
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
        target = _in_lower_case(urljoin(self.url, location))
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

    :raises ConfigError: for a URL without scheme or base, one that is not HTTP, a body given twice, and an option
        that is not there or of another type
    """
    template = url
    try:
        if not url.startswith(_HTTP) and (template := _in_lower_case(url)) is url:
            if _SCHEME.match(url) or not settings.base_url:
                raise _no_http(method, url)
            template = f"{settings.base_url.rstrip('/')}/{url.lstrip('/')}" if url else settings.base_url
    except (AttributeError, TypeError):
        raise ConfigError(f"{method} {url!r:.60}: the URL must be text that begins with http:// or https://") from None
    if not options and not settings.headers:
        return _plain_call(method, template)
    hide_named(options.get("headers"))
    if "@" in template or "=" in template:
        hide_url(template)
    if faults := _faults_of(method, url, options):
        raise ConfigError(*faults)
    target = template
    headers = {**dict(settings.headers), **(options.get("headers") or {})}
    option = "path"
    try:
        if (path := options.get("path")) is not None:
            target = _filled(method, template, path)
        option = "params"
        if params := options.get("params"):
            target = with_params(target, params)
        option = "json" if options.get("json") is not None else "data"
        body = _body(method, url, options, headers)
    except (TypeError, ValueError, RecursionError) as error:
        words = f"cannot be sent: {error}; allowed: {_CALL_OPTIONS[option].words}"
        raise ConfigError(f"{method} {shown(url)}: {option}= {words}") from None
    name = options.get("name")
    return Call(method, target, name or template_of(template), headers, body, named=bool(name))


@lru_cache(maxsize=4096)
def _plain_call(method: str, url: str) -> Call:
    if not isinstance(method, str):
        raise ConfigError(_wrong(shown(url), "method", method, _TEXT))
    hide_url(url)
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
    """Return *url* for a message: without what may hold a secret, the user, the query and the fragment."""
    scheme, slashes, rest = url.partition("?")[0].partition("#")[0].partition("//")
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


def _faults_of(method: object, url: str, options: CallOptions) -> list[str]:
    faults = [] if isinstance(method, str) else [_wrong(shown(url), "method", method, _TEXT)]
    for name, value in options.items():
        kind = _CALL_OPTIONS.get(name)
        if kind is None:
            faults.append(f"{method} {shown(url)}: no option {name!r}; allowed: {', '.join(_CALL_OPTIONS)}")
        elif value is not None and not isinstance(value, kind.types):
            faults.append(_wrong(f"{method} {shown(url)}", name, value, kind))
    if not faults and (headers := options.get("headers")):
        faults += _not_headers(f"{method} {shown(url)}", headers)
    if "timeout" in options:
        faults += _not_a_time(f"{method} {shown(url)}", options["timeout"])
    return faults


def _wrong(where: str, name: str, value: object, kind: _Kind) -> str:
    # Not the value: what is sent may be a secret.
    return f"{where}: {name}= is of type {type(value).__name__}; allowed: {kind.words}"


def _not_headers(where: str, headers: Mapping[Any, Any]) -> list[str]:
    faults = []
    for name, value in headers.items():
        if not (isinstance(name, str) and isinstance(value, str)):
            types = f"{type(name).__name__} and {type(value).__name__}"
            faults.append(f"{where}: the header {name!r} is of types {types}; allowed: names and values that are text")
        elif _NO_HEADER.search(value):
            faults.append(f"{where}: the header {name!r} has a line break or the like in its value; allowed: one line")
    return faults


def _not_readable(pem: str) -> list[str]:
    try:
        with Path(pem).open("rb"):
            return []
    except (OSError, ValueError) as error:
        words = error.strerror if isinstance(error, OSError) else error
        return [f"http_client: verify={pem!r} cannot be read: {words}; allowed: True, False or the path of a PEM file"]


def _not_a_time(where: str, timeout: object) -> list[str]:
    if isinstance(timeout, (int, float)) and not isinstance(timeout, bool) and 0 < timeout < _LONGEST_S:
        return []
    return [f"{where}: timeout={timeout!r} must be a number of seconds above 0"]


def _in_lower_case(url: str) -> str:
    """Return *url* with its scheme in lower case where that is HTTP: it may be written in any (RFC 3986, 3.1)."""
    return _HTTP_SCHEME.sub(lambda scheme: scheme[0].lower(), url, count=1) if _HTTP_SCHEME.match(url) else url


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
            f"{method} {shown(template)}: path= has {sorted(path, key=str)}, the URL wants {sorted(wanted)}; "
            "give each a value"
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
