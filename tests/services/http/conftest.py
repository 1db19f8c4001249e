"""A server, with and without TLS, and the client that asks it."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from pytest_cdcperf import errors
from pytest_cdcperf.clients.http.client import HttpClient
from pytest_cdcperf.clients.http.requests_session import PerVUSession
from pytest_cdcperf.clients.http.response import HttpResponse
from tests.services.harness import User
from tests.services.http_server import HttpServer, http_server


@pytest.fixture(scope="module")
def server() -> Iterator[HttpServer]:
    with http_server() as running:
        yield running


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def ca_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tls") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


@pytest.fixture(scope="module")
def tls_server(authority: trustme.CA) -> Iterator[HttpServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with http_server(tls=context) as running:
        yield running


@pytest.fixture
def client() -> Iterator[HttpClient]:
    made = HttpClient()
    yield made
    made.close()


@pytest.fixture
def session() -> Iterator[PerVUSession]:
    with PerVUSession() as made:
        yield made


Get = Callable[..., HttpResponse]


@pytest.fixture
def get(user: User, client: HttpClient, server: HttpServer) -> Get:
    """GET a path of the server through the sync or the async client."""

    def get(where: str = "/echo", **options: Any) -> HttpResponse:
        reply: HttpResponse = user.call(client, "get", server.url + where, **options)
        return reply

    return get


def fault(user: User, client: HttpClient, url: str, **options: Any) -> errors.HttpTransportError:
    with pytest.raises(errors.HttpTransportError) as caught:
        user.call(client, "get", url, **options)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("GET http")
    return caught.value
