"""One HTTP call before it is sent: its URL, headers and body, and its name in the figures."""

from __future__ import annotations

import json as stdlib_json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypedDict
from urllib.parse import urlencode

from pytest_cdcperf.clients.http.option_checks import CALL_OPTIONS, TEXT, call_faults
from pytest_cdcperf.clients.http.settings import HttpSettings
from pytest_cdcperf.clients.http.urls import Endpoint, Params, absolute, endpoint_of, filled, shown_url, with_params
from pytest_cdcperf.errors import ConfigError
from pytest_cdcperf.redaction import hide_named, hide_url
from pytest_cdcperf.units import Duration


class CallOptions(TypedDict, total=False):
    """The options that every method of the client takes beside the URL."""

    path: Mapping[str, object]
    params: Params
    headers: Mapping[str, str]
    json: Any
    data: Mapping[str, Any] | str | bytes
    timeout: Duration
    name: str
    tags: Mapping[str, str]
    allow_redirects: bool
    discard_body: bool


@dataclass(frozen=True, slots=True)
class Call:
    """A request as it is about to be sent.

    *endpoint* is what the figures call it; where the user chose the name (*named*) it stays over redirects.
    """

    method: str
    url: str
    endpoint: Endpoint
    headers: dict[str, str] | None = None
    body: bytes | None = None
    named: bool = False
    redirects: int = 0

    def describe(self) -> str:
        """Return method and URL for a message: without a password, and without the query, which may hold one."""
        return f"{self.method} {shown_url(self.url)}"

    @property
    def is_secure(self) -> bool:
        """Whether it goes through TLS."""
        return self.url.startswith("https:")


def prepare(settings: HttpSettings, method: str, url: str, options: CallOptions) -> Call:
    """Return the call that the user asks for.

    :raises ConfigError: for a URL without scheme or base, one that is not HTTP, a body given twice, and an option
        that is not there or of another type
    """
    template = absolute(method, url, settings.base_url)
    if not options and not settings.headers:
        return _plain_call(method, template)
    hide_named(options.get("headers"))
    if "@" in template or "=" in template:
        hide_url(template)
    if fault := TEXT.fault("method", method):
        raise ConfigError(f"{shown_url(url)}: {fault}")
    if faults := call_faults(options):
        raise ConfigError(*(f"{method} {shown_url(url)}: {fault}" for fault in faults))
    target = template
    headers = {**dict(settings.headers), **(options.get("headers") or {})}
    option = "path"
    try:
        if (path := options.get("path")) is not None:
            target = filled(method, template, path)
        option = "params"
        if params := options.get("params"):
            target = with_params(target, params)
        option = "json" if options.get("json") is not None else "data"
        body = _body(method, url, options, headers)
    except (TypeError, ValueError, RecursionError) as error:
        words = f"cannot be sent: {error}; {CALL_OPTIONS[option].allowed}"
        raise ConfigError(f"{method} {shown_url(url)}: {option}= {words}") from None
    name = options.get("name")
    endpoint = Endpoint(name, name) if name else endpoint_of(template)  # as in k6 the name replaces the URL too
    return Call(method, target, endpoint, headers, body, named=bool(name))


@lru_cache(maxsize=4096)
def _plain_call(method: str, url: str) -> Call:
    if fault := TEXT.fault("method", method):
        raise ConfigError(f"{shown_url(url)}: {fault}")
    hide_url(url)
    return Call(method, url, endpoint_of(url))


def _body(method: str, url: str, options: CallOptions, headers: dict[str, str]) -> bytes | None:
    data = options.get("data")
    if "json" in options and options["json"] is not None:
        if data is not None:
            raise ConfigError(f"{method} {shown_url(url)}: json= and data= are both given; a request has one body")
        _set_default(headers, "Content-Type", "application/json")
        return stdlib_json.dumps(options["json"], allow_nan=False).encode()
    if isinstance(data, Mapping):
        _set_default(headers, "Content-Type", "application/x-www-form-urlencoded")
        return urlencode(list(data.items()), doseq=True).encode()
    return data.encode() if isinstance(data, str) else data


def _set_default(headers: dict[str, str], name: str, value: str) -> None:
    if name.lower() not in {given.lower() for given in headers}:
        headers[name] = value
