"""Keeps libpq from the environment for the embedded server, and names what it reads there for other servers."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from psycopg import pq

from pytest_cdcperf.clients.time_limit import CONNECT_TIMEOUT_S
from pytest_cdcperf.servers import PostgresAddress

_SENT = ("PGTZ", "PGDATESTYLE", "PGGEQO")  # libpq sends these to the server, and no parameter keeps it from that
_SERVICE = "PGSERVICE"
_SERVICE_FILES = ("PGSERVICEFILE", "PGSYSCONFDIR")
_NEUTRAL = {  # where the built-in default is not what our server speaks, or an empty text is refused
    "sslmode": "disable",
    "sslcertmode": "disable",
    "gssencmode": "disable",
    "require_auth": "scram-sha-256",
    "min_protocol_version": "3.0",
    "max_protocol_version": "3.0",
}


def parameters_of(address: PostgresAddress) -> dict[str, Any]:
    """Return libpq's parameters for *address*; for the embedded server also those that it would look up elsewhere."""
    return {
        **(_closed() if address.embedded else {}),
        "host": address.host,
        "port": address.port,
        "user": address.user,
        "password": address.password,
        "dbname": address.dbname,
        "connect_timeout": CONNECT_TIMEOUT_S,
        "application_name": "pytest-cdcperf",
    }


def taken_over(address: PostgresAddress) -> list[str]:
    """Return the variables of the environment that libpq heeds when it connects to *address*."""
    if address.embedded:
        return []
    given = parameters_of(address)
    heeded = [variable for name, variable, _ in _looked_up() if given.get(name) is None]
    heeded += [*_SENT, *(_SERVICE_FILES if _SERVICE in os.environ else ())]
    return [variable for variable in heeded if os.environ.get(variable)]


@contextmanager
def shielded() -> Iterator[None]:
    """Inside the block the environment lacks what parameters do not keep from libpq.

    A service that libpq does not find fails every connection of this process. One that it finds
    changes nothing where all parameters are given.
    """
    names = _SENT if _service_is_found() else (*_SENT, _SERVICE)
    taken_out = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(taken_out)


@lru_cache(maxsize=1)
def _closed() -> Mapping[str, str]:
    """Return a value for each parameter that libpq else looks up in the environment or in a service file."""
    return {
        name: _NEUTRAL.get(name, default)
        for name, _, default in _looked_up()
        if name != "service"  # which has no value that means none: see shielded()
    }


def _looked_up() -> Iterator[tuple[str, str, str]]:
    """Iterate over the parameters that libpq looks up: name, variable, built-in default."""
    for option in pq.Conninfo.get_defaults():
        if option.envvar is not None:
            yield option.keyword.decode(), option.envvar.decode(), (option.compiled or b"").decode()


def _service_is_found() -> bool:
    if _SERVICE not in os.environ:
        return True
    attempt = pq.PGconn.connect_start(b"hostaddr=127.0.0.1 port=1")  # looks the service up before it connects
    try:
        return b"service" not in attempt.error_message
    finally:
        attempt.finish()
