"""``requests_session`` against a real server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from pytest_cdcperf.clients.http.requests_session import PerVUSession
from pytest_cdcperf.engine.current_vu import acting_as
from tests.services.harness import User, refused_port, until
from tests.services.http_server import HEAD, HttpServer, http_server, raw


class TestRequestsSession:
    @pytest.fixture
    def user(self, users: Callable[..., User]) -> User:
        return users("def")

    def test_it_is_a_real_session_and_measured_alike(
        self, user: User, session: PerVUSession, server: HttpServer
    ) -> None:
        assert isinstance(session, requests.Session)
        session.headers["X-Own"] = "yes"
        with acting_as(user.vu):
            reply = session.get(f"{server.url}/orders/17", params={"a": 1})
            assert reply.json()["headers"]["x-own"] == "yes"
            assert session.post(f"{server.url}/status/500", json={}).status_code == 500
            assert session.get(f"{server.url}/redirect/302/echo").history[0].status_code == 302
        measured = user.measured
        assert measured.count("http_reqs") == 4
        endpoint = {"name": "/orders/{id}", "url": f"{server.url}/orders/{{id}}"}
        assert measured.count("http_req_duration", **endpoint, method="GET", status="200") == 1
        assert measured.hits("http_req_failed") == (1, 4)
        assert measured.count("http_req_connecting") == 1
        for outcome, count in (("true", 3), ("false", 1)):
            assert measured.count("http_req_waiting", expected_response=outcome) == count
            assert measured.count("http_req_receiving", expected_response=outcome) == count

    def test_each_user_has_cookies_and_connections_of_its_own(
        self, session: PerVUSession, server: HttpServer, users: Callable[..., User]
    ) -> None:
        seen = []
        session.cookies.set("shared", "1")
        for number in (1, 2):
            with acting_as(users("def", number).vu):
                if number == 1:
                    session.get(f"{server.url}/login")
                seen.append([session.get(f"{server.url}/echo").json() for _ in range(2)])
        assert seen[0][0]["cookies"] == {"shared": "1", "user": "7"}
        assert seen[1][0]["cookies"] == {"shared": "1"}
        assert [len({echo["connection"] for echo in echoes}) for echoes in seen] == [1, 1]
        assert seen[0][0]["connection"] != seen[1][0]["connection"]
        assert session.get(f"{server.url}/echo").json()["cookies"] == {"shared": "1"}

    def test_a_user_that_ends_closes_its_connection(self, session: PerVUSession, user: User) -> None:
        with http_server() as server:
            with acting_as(user.vu):
                session.get(f"{server.url}/echo")
            assert server.connections == 1
            user.end()
            assert until(lambda: server.connections == 0)

    def test_tls_is_a_phase_of_its_own(
        self, user: User, session: PerVUSession, tls_server: HttpServer, ca_file: Path
    ) -> None:
        with acting_as(user.vu):
            with pytest.raises(requests.exceptions.SSLError):
                session.get(f"{tls_server.url}/echo")
            assert [session.get(f"{tls_server.url}/echo", verify=str(ca_file)).status_code for _ in range(2)] == [
                200,
                200,
            ]
        assert user.measured.count("http_reqs", error="tls") == 1
        assert user.measured.count("http_req_tls_handshaking", status="200") == 1

    @pytest.mark.parametrize(
        ("path", "kind"),
        [
            ("/reset", "reset"),
            ("/cut", "reset"),
            ("/silence", "reset"),
            ("/chunks/size", "reset"),
            ("/chunks/data", "reset"),
            ("/chunks/junk", "protocol"),
            ("/junk", "protocol"),
            (raw(HEAD + b"X: a\r\n" * 200 + b"\r\nok"), "protocol"),
            ("/slow/1", "timeout"),
        ],
    )
    def test_faults_by_kind(self, path: str, kind: str, user: User, session: PerVUSession, server: HttpServer) -> None:
        with acting_as(user.vu), pytest.raises(requests.RequestException):
            session.get(server.url + path, timeout=0.1)
        assert user.measured.count("http_reqs", status="0", error=kind) == 1

    def test_nobody_there(self, user: User, session: PerVUSession) -> None:
        with acting_as(user.vu):
            for url in (f"http://127.0.0.1:{refused_port()}/", "http://no-such-host.invalid/"):
                with pytest.raises(requests.ConnectionError):
                    session.get(url)
        assert user.measured.count("http_reqs", error="refused") == 1
        assert user.measured.count("http_reqs", error="dns") == 1
