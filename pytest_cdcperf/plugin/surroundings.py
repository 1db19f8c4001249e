"""Names what clients take over from the environment, without secrets: for the header and the results."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator

from pytest_cdcperf.clients.http.urls import shown_url
from pytest_cdcperf.errors import ConfigError
from pytest_cdcperf.redaction import MASK, hide, is_secret, redact
from pytest_cdcperf.servers import services_from_environment

_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "grpc_proxy")
_EXEMPT = ("no_proxy", "no_grpc_proxy")
_CERTIFICATES = {
    "http_client": ("SSL_CERT_FILE", "SSL_CERT_DIR"),
    "requests_session": ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
    "grpc_client": ("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",),
}


def taken_over(fixtures: Collection[str], *, external: bool) -> list[str]:
    """Return NAME=VALUE for each variable that tests which use *fixtures* heed, beside those that name the servers.

    :param external: whether the servers are those of the environment
    """
    names = [*(_libpq() if external and "pg" in fixtures else ()), *_of_the_clients(fixtures)]
    return [_shown(name, os.environ[name]) for name in names if os.environ.get(name)]


def _libpq() -> list[str]:
    from pytest_cdcperf.clients.postgres import libpq  # noqa: PLC0415  # the driver, which such a session needs in any case

    try:
        return libpq.taken_over(services_from_environment(os.environ).postgres)
    except ConfigError:  # said where the servers are asked for
        return []


def _of_the_clients(fixtures: Collection[str]) -> Iterator[str]:
    used = [client for client in _CERTIFICATES if client in fixtures]
    proxies = [name for name in os.environ if used and name.lower() in _PROXIES]
    yield from proxies
    yield from (name for name in os.environ if proxies and name.lower() in _EXEMPT)
    yield from (name for client in used for name in _CERTIFICATES[client])


def _shown(name: str, value: str) -> str:
    if is_secret(name):
        hide(value)
        return f"{name}={MASK}"
    if name.lower() in _PROXIES:
        return f"{name}={shown_url(value if '://' in value else f'http://{value}')}"
    return redact(f"{name}={value}")
