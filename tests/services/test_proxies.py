"""Proxies of the environment: never between a client and this machine, and said where a call goes through one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest
import requests

from pytest_cdcperf import errors
from pytest_cdcperf.clients.grpc.client import GrpcClient
from pytest_cdcperf.clients.http.client import HttpClient
from pytest_cdcperf.clients.http.requests_session import PerVUSession
from pytest_cdcperf.engine.current_vu import acting_as
from tests.services.grpc_server import PROTOS, Server, serving
from tests.services.harness import User, refused_port
from tests.services.http.conftest import fault
from tests.services.http_server import http_server

NAMES = ("http_proxy", "https_proxy", "all_proxy", "grpc_proxy")
Proxied = Callable[[str], None]


@pytest.fixture
def proxied(monkeypatch: pytest.MonkeyPatch) -> Proxied:
    """Let the environment name one proxy for everything, and nothing that goes without it."""
    for name in [*os.environ]:
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)

    def name_it(proxy: str) -> None:
        for name in NAMES:
            monkeypatch.setenv(name, proxy)
            monkeypatch.setenv(name.upper(), proxy)

    return name_it


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


class TestHttpClient:
    def test_it_reaches_this_machine_directly(self, user: User, proxied: Proxied) -> None:
        proxied(f"http://127.0.0.1:{refused_port()}")
        client = HttpClient()
        with http_server() as server:
            for host in ("127.0.0.1", "localhost", "127.1"):
                assert user.call(client, "get", f"http://{host}:{server.port}/echo").ok

    def test_it_reaches_others_through_the_proxy_also_by_a_redirect(self, user: User, proxied: Proxied) -> None:
        client = HttpClient()
        with http_server() as server, http_server() as proxy:
            proxied(proxy.url)
            assert user.call(client, "get", f"{server.url}/away?to=http://shop.example/echo").ok
            assert user.call(client, "get", f"http://shop.example/away?to={server.url}/echo").ok
            assert [path for _, path in server.requests] == ["/away?to=http://shop.example/echo", "/echo"]
            assert [path for _, path in proxy.requests] == [
                "http://shop.example/echo",
                f"http://shop.example/away?to={server.url}/echo",
            ]

    def test_a_proxy_that_fails_is_named_without_its_password(self, user: User, proxied: Proxied) -> None:
        port = refused_port()
        proxied(f"http://me:s3cr3t-s3cr3t@127.0.0.1:{port}")
        for scheme in ("http", "https"):
            words = str(fault(user, HttpClient(), f"{scheme}://shop.example/x"))
            assert words.startswith(f"GET {scheme}://shop.example/x through the proxy http://127.0.0.1:{port}: ")
            assert "s3cr3t" not in words

    @pytest.mark.parametrize("proxy", ["ftp://proxy.example", "http://:x"])
    def test_a_proxy_that_cannot_be_one_is_one_line(self, user: User, proxied: Proxied, proxy: str) -> None:
        proxied(proxy)
        with pytest.raises(errors.ConfigError, match=rf"^http_client: the proxy '{proxy}' of the environment: "):
            user.call(HttpClient(), "get", "http://shop.example/x")


class TestRequestsSession:
    @pytest.fixture
    def user(self, users: Callable[..., User]) -> User:
        return users("def")

    @pytest.fixture
    def session(self) -> Iterator[PerVUSession]:
        with PerVUSession() as made:
            yield made

    def test_it_reaches_this_machine_directly_and_others_through_the_proxy(
        self, user: User, proxied: Proxied, session: PerVUSession
    ) -> None:
        with http_server() as server, http_server() as proxy, acting_as(user.vu):
            proxied(proxy.url)
            assert session.get(f"{server.url}/echo").ok
            assert session.send(session.prepare_request(requests.Request("GET", f"{server.url}/echo"))).ok
            assert session.get(f"http://shop.example/away?to={server.url}/echo").ok
            assert session.get(f"{server.url}/away?to=http://shop.example/echo").ok
            assert [path.partition("?")[0] for _, path in server.requests] == ["/echo", "/echo", "/echo", "/away"]
            assert [path.partition("?")[0] for _, path in proxy.requests] == [
                "http://shop.example/away",
                "http://shop.example/echo",
            ]

    def test_a_proxy_that_the_user_gives_it_is_used_whatever_the_target(
        self, user: User, proxied: Proxied, session: PerVUSession
    ) -> None:
        proxied(f"http://127.0.0.1:{refused_port()}")
        with http_server() as proxy, acting_as(user.vu):
            assert session.get("http://127.0.0.1:9/echo", proxies={"http": proxy.url}).ok
            session.proxies["http"] = proxy.url
            assert session.get("http://localhost:9/echo").ok
            assert [path for _, path in proxy.requests] == ["http://127.0.0.1:9/echo", "http://localhost:9/echo"]


class TestGrpcClient:
    @pytest.mark.parametrize(
        "form", ["127.0.0.1:{port}", "localhost:{port}", "ipv4:127.0.0.1:{port}", "dns:///localhost:{port}"]
    )
    def test_it_reaches_this_machine_directly(self, user: User, proxied: Proxied, server: Server, form: str) -> None:
        proxied(f"http://127.0.0.1:{refused_port()}")
        client = GrpcClient(PROTOS).with_options(address=form.format(port=server.port))
        assert self.added(user, client) == 3
        client.close()

    def test_it_reaches_others_through_the_proxy(self, user: User, proxied: Proxied) -> None:
        port = refused_port()
        proxied(f"http://127.0.0.1:{port}")
        client = GrpcClient(PROTOS).with_options(address="192.0.2.1:50051", timeout=1)
        with pytest.raises(errors.CdcperfError, match=rf"Add: UNAVAILABLE: .*127\.0\.0\.1:{port}"):
            self.added(user, client)
        client.close()

    def added(self, user: User, client: GrpcClient) -> int:
        mine = client.aio if user.is_async else client
        with acting_as(user.vu):
            answer = mine.service("lab.Lab", proto="lab.proto").Add(x=1, y=2)
            reply = user._loop.run_until_complete(answer) if user._loop is not None else answer
        return int(reply.n)
