"""``http_client`` against a real server, sync and async."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pytest_cdcperf import errors
from pytest_cdcperf.clients.http.client import HttpClient
from pytest_cdcperf.clients.http.requests_session import PerVUSession
from pytest_cdcperf.engine.current_vu import acting_as
from pytest_cdcperf.load.closed import PerVUIterations
from tests.services.harness import User, run_body, until
from tests.services.http.conftest import Get, fault
from tests.services.http_server import HttpServer, http_server


class TestReplies:
    def test_the_everyday_surface(self, get: Get) -> None:
        reply = get("/echo/x", params={"a": 1}, headers={"X-Own": "yes"})
        assert (reply.status_code, reply.ok) == (200, True)
        assert reply.headers["CONTENT-TYPE"] == "application/json"
        assert reply.json()["query"] == {"a": ["1"]}
        assert reply.json()["headers"]["x-own"] == "yes"
        assert '"path": "/echo/x"' in reply.text
        assert 0 < reply.elapsed.total_seconds() * 1e3 <= reply.duration_ms
        assert reply.url.endswith("/echo/x?a=1")
        reply.raise_for_status()

    @pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
    def test_methods_and_bodies(self, method: str, user: User, client: HttpClient, server: HttpServer) -> None:
        echo = user.call(client, method.lower(), f"{server.url}/echo", json={"n": 1}).json()
        assert (echo["method"], echo["body"]) == (method, '{"n": 1}')
        assert echo["headers"]["content-type"] == "application/json"

    def test_head_has_no_body(self, user: User, client: HttpClient, server: HttpServer) -> None:
        reply = user.call(client, "head", f"{server.url}/echo")
        assert (reply.status_code, reply.content) == (200, b"")

    def test_a_500_raises_when_asked_only(self, get: Get) -> None:
        reply = get("/status/500")
        assert (reply.status_code, reply.ok) == (500, False)
        with pytest.raises(errors.HttpStatusError, match=r"GET http://.*/status/500: status 500: '{\"status\": 500}'"):
            reply.raise_for_status()

    def test_a_body_that_is_not_json_is_said_in_one_line(self, get: Get) -> None:
        with pytest.raises(errors.HttpBodyError, match=r"status 200, the body is not JSON .*: '<html>not JSON</html>'"):
            get("/text").json()

    def test_text_is_read_in_its_charset(self, get: Get) -> None:
        assert get("/latin").text == "Größe"

    def test_what_one_call_is_given_is_not_of_the_next(self, get: Get) -> None:
        plain, given = get("/echo").json(), get("/echo", headers={"X-Own": "yes"}, json={"n": 1}).json()
        assert (given["headers"]["x-own"], given["body"]) == ("yes", '{"n": 1}')
        assert get("/echo").json() == plain
        assert "x-own" not in plain["headers"]

    def test_bodies_can_be_discarded_and_the_connection_is_kept(
        self, get: Get, user: User, client: HttpClient, server: HttpServer
    ) -> None:
        assert get(discard_body=True).content == b""
        quiet = client.with_options(base_url=server.url, discard_bodies=True)
        assert user.call(quiet, "get", "/echo").content == b""
        first = user.call(quiet, "get", "/echo", discard_body=False).json()["connection"]
        user.call(quiet, "get", "/echo")
        assert user.call(quiet, "get", "/echo", discard_body=False).json()["connection"] == first

    def test_what_cannot_be_sent_is_the_users_mistake_and_no_sample(self, get: Get, user: User) -> None:
        with pytest.raises(errors.ConfigError, match=r"GET http://.*/echo: Invalid header key: a b"):
            get(headers={"a b": "c"})
        with pytest.raises(errors.ConfigError, match="the URL wants"):
            get(path={"n": 1})
        assert user.measured.count("http_reqs") == 0


class TestRedirects:
    def test_each_hop_is_a_request_of_its_own(self, get: Get, user: User) -> None:
        reply = get("/redirect/302/echo/17")
        assert reply.json()["path"] == "/echo/17"
        assert [hop.status_code for hop in reply.history] == [302]
        assert user.measured.count("http_reqs", status="302") == user.measured.count("http_reqs", status="200") == 1
        assert user.measured.hits("http_req_failed") == (0, 2)

    def test_they_can_be_left_alone(self, get: Get, user: User, client: HttpClient, server: HttpServer) -> None:
        assert get("/redirect/302/echo", allow_redirects=False).headers["location"] == "/echo"
        staying = client.with_options(follow_redirects=False)
        assert user.call(staying, "get", f"{server.url}/redirect/307/echo").status_code == 307

    def test_a_post_becomes_a_get_or_stays_one(self, user: User, client: HttpClient, server: HttpServer) -> None:
        moved = user.call(client, "post", f"{server.url}/redirect/303/echo", json={}).json()
        assert (moved["method"], moved["body"]) == ("GET", "")
        kept = user.call(client, "post", f"{server.url}/redirect/307/echo", json={}).json()
        assert (kept["method"], kept["body"]) == ("POST", "{}")

    def test_a_loop_ends(self, user: User, client: HttpClient, server: HttpServer) -> None:
        assert "stopped after 10 redirects" in str(fault(user, client, f"{server.url}/loop"))

    def test_settings_headers_stay_with_their_host(self, user: User, client: HttpClient, server: HttpServer) -> None:
        with_headers = client.with_options(headers={"Authorization": "secret", "X-Own": "yes"})
        with http_server() as other:
            seen = user.call(with_headers, "get", f"{server.url}/away", params={"to": f"{other.url}/echo"}).json()[
                "headers"
            ]
        assert "authorization" not in seen
        assert seen["x-own"] == "yes"


class TestUsers:
    def test_each_has_cookies_and_connections_of_its_own(
        self, body_kind: str, client: HttpClient, server: HttpServer, users: Callable[..., User]
    ) -> None:
        first, second = users(body_kind, 1), users(body_kind, 2)
        first.call(client, "get", f"{server.url}/login")
        mine = [first.call(client, "get", f"{server.url}/echo").json() for _ in range(3)]
        theirs = second.call(client, "get", f"{server.url}/echo").json()
        assert [echo["cookies"] for echo in mine] == [{"user": "7"}] * 3
        assert theirs["cookies"] == {}
        assert len({echo["connection"] for echo in mine}) == 1
        assert theirs["connection"] != mine[0]["connection"]

    def test_a_user_that_ends_closes_its_connection(
        self, body_kind: str, client: HttpClient, users: Callable[..., User]
    ) -> None:
        with http_server() as server:
            user = users(body_kind)
            user.call(client, "get", f"{server.url}/echo")
            assert server.connections == 1
            user.end()
            assert until(lambda: server.connections == 0)

    def test_cookies_can_be_seen_and_cleared(
        self, client: HttpClient, server: HttpServer, users: Callable[..., User]
    ) -> None:
        user = users("def")
        user.call(client, "get", f"{server.url}/login")
        with acting_as(user.vu):
            assert [cookie.stripped() for cookie in client.cookies.get_all_unexpired()] == ["user=7"]
            client.cookies.clear()
        assert user.call(client, "get", f"{server.url}/echo").json()["cookies"] == {}

    def test_outside_an_iteration_it_works_unmeasured(self, client: HttpClient, server: HttpServer) -> None:
        assert client.with_options(base_url=server.url).get("/echo").json()["path"] == "/echo"

    def test_the_same_settings_are_the_same_client(self, client: HttpClient) -> None:
        quick = client.with_options(timeout=5)
        assert client.with_options(timeout=5) is quick
        assert client.with_options(timeout=6) is not quick
        assert quick.with_options(http2=True).settings.timeout == 5

    def test_the_sync_client_is_refused_in_an_async_body(self, client: HttpClient, session: PerVUSession) -> None:
        async def body() -> None:
            client.get("http://127.0.0.1/")

        async def other() -> None:
            session.get("http://127.0.0.1/")

        for one in (body, other):
            (kind,) = run_body(PerVUIterations(), one)[0].failures
            assert kind.type == errors.BlockingCallError.__name__
            assert "await http_client.aio." in kind.sample

    def test_the_async_client_is_refused_outside_an_async_body(
        self, client: HttpClient, users: Callable[..., User]
    ) -> None:
        with pytest.raises(errors.BlockingCallError, match="async perf test only"):
            client.aio.get("http://127.0.0.1/").send(None)
        with acting_as(users("def").vu), pytest.raises(errors.BlockingCallError, match="async perf test only"):
            client.aio.get("http://127.0.0.1/").send(None)


class TestMeasurement:
    def test_samples_carry_method_status_the_path_as_name_and_the_url(
        self, get: Get, user: User, server: HttpServer
    ) -> None:
        get("/orders/17?x=1")
        get("/orders/18", tags={"team": "shop"})
        get("/orders/{n}", path={"n": 19}, name="order")
        measured, url = user.measured, f"{server.url}/orders/{{id}}"
        common = {"method": "GET", "status": "200"}
        assert measured.count("http_reqs", name="/orders/{id}", url=url, **common) == 2
        assert measured.count("http_req_duration", name="/orders/{id}", team="shop", **common) == 1
        assert measured.count("http_req_waiting", name="order", url="order", **common) == 1
        assert measured.hits("http_req_failed") == (0, 3)
        whole, parts = (
            measured.of("http_req_duration"),
            [measured.of(f"http_req_{p}") for p in ("waiting", "receiving")],
        )
        assert whole.sum == pytest.approx(sum(part.sum for part in parts))
        assert whole.min > 0

    def test_statuses_of_400_and_more_failed(self, get: Get, user: User) -> None:
        for status in (200, 399, 400, 404, 500):
            assert get(f"/status/{status}").status_code == status
        assert user.measured.hits("http_req_failed") == (3, 5)
        assert user.measured.count("http_reqs", status="404") == 1

    def test_a_time_lies_where_it_was_spent(self, get: Get, user: User) -> None:
        get("/slow/0.05")
        assert user.measured.of("http_req_waiting").min >= 50
        assert user.measured.of("http_req_receiving").max < user.measured.of("http_req_waiting").min
