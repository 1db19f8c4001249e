"""The settings of ``http_client``: HttpOptions as users write them, HttpSettings as the client uses them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, TypedDict

from pytest_cdcperf.clients.http.option_checks import HEADERS, SWITCH, TEXT, Kind, header_faults, timeout_faults
from pytest_cdcperf.clients.http.urls import is_http, shown_url, with_lower_scheme
from pytest_cdcperf.errors import ConfigError
from pytest_cdcperf.metrics.metric import Tags
from pytest_cdcperf.redaction import hide_named, hide_url
from pytest_cdcperf.units import Duration, duration_s

DEFAULT_TIMEOUT_S = 60.0  # k6's

_KINDS: Mapping[str, Kind] = {
    "base_url": TEXT,
    "verify": Kind((bool, str), "True, False or the path of a PEM file"),
    "http2": SWITCH,
    "follow_redirects": SWITCH,
    "discard_bodies": SWITCH,
}


class HttpOptions(TypedDict, total=False):
    """The options of ``with_options``."""

    base_url: str
    headers: Mapping[str, str]
    timeout: Duration
    verify: bool | str | os.PathLike[str]
    http2: bool
    follow_redirects: bool
    discard_bodies: bool


@dataclass(frozen=True)
class HttpSettings:
    """The settings of all calls of a client. *timeout* becomes seconds, *verify* may be the path of a PEM file.

    Frozen, so that the same settings give the same client.

    >>> HttpSettings().changed({"timeout": "1m"}).timeout
    60.0
    """

    base_url: str = ""
    headers: Tags = ()
    timeout: float = DEFAULT_TIMEOUT_S
    verify: bool | str = True
    http2: bool = False
    follow_redirects: bool = True
    discard_bodies: bool = False

    def __post_init__(self) -> None:
        """Refuse what is not valid.

        :raises ConfigError: naming each setting
        """
        hide_named(self.headers)
        hide_url(str(self.base_url))
        if isinstance(self.base_url, str):
            object.__setattr__(self, "base_url", with_lower_scheme(self.base_url))
        faults = [
            f"{name}={value!r:.60}; {kind.allowed}"
            for name, kind in _KINDS.items()
            if not isinstance(value := getattr(self, name), kind.types)
        ]
        faults += header_faults(dict(self.headers))
        if not faults and self.base_url and not is_http(self.base_url):
            faults.append(f"base_url={shown_url(self.base_url)!r} must begin with http:// or https://")
        faults += timeout_faults(self.timeout)
        if isinstance(self.verify, str):
            faults += _file_faults(self.verify)
        if faults:
            raise ConfigError(*(f"http_client: {fault}" for fault in faults))
        object.__setattr__(self, "timeout", duration_s(self.timeout))

    def changed(self, options: HttpOptions) -> HttpSettings:
        """Return these settings with *options* over them; headers are added to those there are.

        :raises ConfigError: naming each option that is not valid
        """
        given: dict[str, Any] = dict(options)
        hide_named(given.get("headers"))
        allowed = [field.name for field in fields(self)]
        if unknown := [name for name in given if name not in allowed]:
            raise ConfigError(
                f"http_client.with_options: no option {', '.join(unknown)}; allowed: {', '.join(allowed)}"
            )
        if "headers" in given:
            if fault := HEADERS.fault("headers", given["headers"]):
                raise ConfigError(f"http_client: {fault}")
            given["headers"] = tuple({**dict(self.headers), **given["headers"]}.items())
        if isinstance(given.get("verify"), os.PathLike):
            given["verify"] = os.fspath(given["verify"])
        return replace(self, **given)


def _file_faults(pem: str) -> list[str]:
    try:
        with Path(pem).open("rb"):
            return []
    except (OSError, ValueError) as error:
        words = error.strerror if isinstance(error, OSError) else error
        return [f"verify={pem!r} cannot be read: {words}; {_KINDS['verify'].allowed}"]
