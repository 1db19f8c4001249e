"""``http_client`` and ``requests_session`` against a real server, both faces."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import trustme

from pytest_cdcperf import errors
from pytest_cdcperf.clients.http import HttpClient
from pytest_cdcperf.clients.http_reply import HttpReply
from pytest_cdcperf.clients.requests_session import PerVUSession
from pytest_cdcperf.engine.vu import acting_as
from pytest_cdcperf.model.load import ConstantVUs, PerVUIterations
from tests.services.harness import FACES, User, refused_port, run_body, until
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
    face = HttpClient()
    yield face
    face.close()


@pytest.fixture
def session() -> Iterator[PerVUSession]:
    with PerVUSession() as made:
        yield made


Get = Callable[..., HttpReply]


@pytest.fixture
def get(user: User, client: HttpClient, server: HttpServer) -> Get:
    """GET a path of the server through either face."""

    def get(where: str = "/echo", **options: Any) -> HttpReply:
        reply: HttpReply = user.call(client, "get", server.url + where, **options)
        return reply

    return get


def fault(user: User, client: HttpClient, url: str, **options: Any) -> errors.HttpTransportError:
    with pytest.raises(errors.HttpTransportError) as caught:
        user.call(client, "get", url, **options)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("GET http")
    return caught.value


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
        face = client.with_options(headers={"Authorization": "secret", "X-Own": "yes"})
        with http_server() as other:
            seen = user.call(face, "get", f"{server.url}/away", params={"to": f"{other.url}/echo"}).json()["headers"]
        assert "authorization" not in seen
        assert seen["x-own"] == "yes"


class TestUsers:
    def test_each_has_cookies_and_connections_of_its_own(
        self, face: str, client: HttpClient, server: HttpServer, users: Callable[..., User]
    ) -> None:
        first, second = users(face, 1), users(face, 2)
        first.call(client, "get", f"{server.url}/login")
        mine = [first.call(client, "get", f"{server.url}/echo").json() for _ in range(3)]
        theirs = second.call(client, "get", f"{server.url}/echo").json()
        assert [echo["cookies"] for echo in mine] == [{"user": "7"}] * 3
        assert theirs["cookies"] == {}
        assert len({echo["connection"] for echo in mine}) == 1
        assert theirs["connection"] != mine[0]["connection"]

    def test_a_user_that_ends_closes_its_connection(
        self, face: str, client: HttpClient, users: Callable[..., User]
    ) -> None:
        with http_server() as server:
            user = users(face)
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

    def test_the_same_settings_are_the_same_face(self, client: HttpClient) -> None:
        face = client.with_options(timeout=5)
        assert client.with_options(timeout=5) is face
        assert client.with_options(timeout=6) is not face
        assert face.with_options(http2=True).settings.timeout == 5

    def test_the_blocking_face_is_refused_in_an_async_body(self, client: HttpClient, session: PerVUSession) -> None:
        async def body() -> None:
            client.get("http://127.0.0.1/")

        async def other() -> None:
            session.get("http://127.0.0.1/")

        for one in (body, other):
            (kind,) = run_body(PerVUIterations(), one)[0].failures
            assert kind.type == errors.WrongFaceError.__name__
            assert "await http_client.aio." in kind.sample

    def test_the_awaited_face_is_refused_outside_an_async_body(
        self, client: HttpClient, users: Callable[..., User]
    ) -> None:
        with pytest.raises(errors.WrongFaceError, match="async perf test only"):
            client.aio.get("http://127.0.0.1/").send(None)
        with acting_as(users("def").vu), pytest.raises(errors.WrongFaceError, match="async perf test only"):
            client.aio.get("http://127.0.0.1/").send(None)


class TestMeasurement:
    def test_samples_carry_method_name_status_and_url(self, get: Get, user: User, server: HttpServer) -> None:
        get("/orders/17?x=1")
        get("/orders/18", tags={"team": "shop"})
        get("/orders/{n}", path={"n": 19}, name="order")
        measured, template = user.measured, f"{server.url}/orders/{{id}}"
        common = {"method": "GET", "status": "200"}
        assert measured.count("http_reqs", name=template, url=template, **common) == 2
        assert measured.count("http_req_duration", name=template, team="shop", **common) == 1
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


class TestFaults:
    @pytest.mark.parametrize(
        ("path", "kind"),
        [
            ("/reset", errors.HttpResetError),
            ("/cut", errors.HttpResetError),
            ("/junk", errors.HttpProtocolError),
        ],
    )
    def test_what_the_server_did_wrong(
        self, path: str, kind: type[errors.HttpTransportError], user: User, client: HttpClient, server: HttpServer
    ) -> None:
        assert type(fault(user, client, server.url + path)) is kind
        self.is_one_sample(user, kind.kind)
        assert user.call(client, "get", f"{server.url}/echo").ok

    def is_one_sample(self, user: User, kind: str) -> None:
        measured = user.measured
        for metric in ("http_reqs", "http_req_duration"):
            assert measured.count(metric) == measured.count(metric, status="0", error=kind) == 1
        assert measured.hits("http_req_failed") == (1, 1)
        assert measured.count("http_req_waiting") == 0

    def test_nobody_listens(self, user: User, client: HttpClient) -> None:
        error = fault(user, client, f"http://user:secret@127.0.0.1:{refused_port()}/?token=secret")
        assert type(error) is errors.HttpRefusedError
        assert "refused" in str(error)
        assert "secret" not in str(error)
        self.is_one_sample(user, "refused")

    def test_a_name_without_address(self, user: User, client: HttpClient) -> None:
        assert type(fault(user, client, "http://no-such-host.invalid/")) is errors.HttpDNSError
        self.is_one_sample(user, "dns")

    def test_a_timeout_of_the_call_and_of_the_settings(
        self, user: User, client: HttpClient, server: HttpServer
    ) -> None:
        assert type(fault(user, client, f"{server.url}/slow/1", timeout=0.05)) is errors.HttpTimeoutError
        self.is_one_sample(user, "timeout")
        hasty = client.with_options(timeout=0.05)
        assert type(fault(user, hasty, f"{server.url}/slow/1")) is errors.HttpTimeoutError

    def test_a_certificate_that_nobody_vouches_for(
        self, user: User, client: HttpClient, tls_server: HttpServer, ca_file: Path
    ) -> None:
        assert type(fault(user, client, f"{tls_server.url}/echo")) is errors.HttpTLSError
        self.is_one_sample(user, "tls")
        for verify in (False, str(ca_file)):
            assert user.call(client.with_options(verify=verify), "get", f"{tls_server.url}/echo").ok

    def test_a_server_without_tls(self, user: User, client: HttpClient, server: HttpServer) -> None:
        assert type(fault(user, client, server.url.replace("http:", "https:"))) is errors.HttpTLSError

    def test_verify_that_is_no_pem_file(self, user: User, client: HttpClient, tmp_path: Path) -> None:
        (tmp_path / "no.pem").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        face = client.with_options(verify=str(tmp_path / "no.pem"))
        with pytest.raises(errors.ConfigError, match=r"http_client: verify='.*no.pem' is no PEM file"):
            user.call(face, "get", "https://localhost/")


class TestUnderLoad:
    @pytest.mark.parametrize("face", FACES)
    def test_faults_are_counted_by_kind_with_a_sample_each(self, face: str, server: HttpServer) -> None:
        client, refusing = HttpClient(), f"http://127.0.0.1:{refused_port()}/"
        urls = [refusing, f"{server.url}/reset", "http://no-such-host.invalid/", "htp://h/", f"{server.url}/text"]
        urls += [f"{server.url}/status/500", f"{server.url}/echo"]

        def read(reply: HttpReply) -> None:
            reply.raise_for_status()
            reply.json()

        turns = iter(urls * 6)

        def body() -> None:
            read(client.get(next(turns)))

        async def async_body() -> None:
            read(await client.aio.get(next(turns)))

        load = PerVUIterations(vus=3, iterations=14)
        outcome, total = run_body(load, async_body if face == "async def" else body)
        client.close()
        kinds = {kind.type: kind for kind in outcome.failures}
        assert {name: kind.count for name, kind in kinds.items()} == {
            "HttpRefusedError": 6, "HttpResetError": 6, "HttpDNSError": 6, "ConfigError": 6, "HttpBodyError": 6,
            "HttpStatusError": 6,
        }  # fmt: skip
        assert all(kind.sample for kind in kinds.values())
        assert (total.select("iteration_failed").hits, total.select("iteration_failed").total) == (36, 42)
        assert (total.select("http_req_failed").hits, total.select("http_req_failed").total) == (24, 36)
        assert outcome.stuck_vus == []

    @pytest.mark.parametrize("face", [*FACES, "requests"])
    def test_a_server_that_restarts_costs_what_it_missed(self, face: str) -> None:
        client, session, down, up = HttpClient(), PerVUSession(), threading.Event(), threading.Event()
        servers = [HttpServer()]
        port = servers[0].port
        url = f"{servers[0].url}/echo"
        statuses: list[int] = []

        def note(error: Exception) -> None:
            if "refused" in str(error):
                down.set()

        def restart() -> None:
            until(lambda: len(statuses) > 20)
            servers.pop().close()
            down.wait(20)
            servers.append(HttpServer(port))
            up.set()

        def body() -> None:
            try:
                statuses.append((session if face == "requests" else client).get(url).status_code)
            except Exception as error:
                note(error)
                raise

        async def async_body() -> None:
            try:
                statuses.append((await client.aio.get(url)).status_code)
            except Exception as error:
                note(error)
                raise

        other = threading.Thread(target=restart)
        other.start()
        load = ConstantVUs(vus=3, duration="1500ms")
        outcome, total = run_body(load, async_body if face == "async def" else body)
        other.join()
        client.close()
        session.close()
        servers.pop().close()
        assert up.is_set()
        assert outcome.stuck_vus == []
        failed = total.select("http_req_failed")
        assert 0 < failed.hits < failed.total
        assert failed.hits == total.select("iteration_failed").hits == sum(kind.count for kind in outcome.failures)
        assert failed.total - failed.hits == len(statuses)
        assert total.select("http_req_failed", {"error": "refused"}).hits > 0
        last = total.select("http_req_failed", {"status": "200"})
        assert last.total == len(statuses)

    @pytest.mark.parametrize("face", [*FACES, "requests"])
    def test_users_stuck_in_a_request_are_cut_off_and_it_is_no_error_of_the_servers(self, face: str) -> None:
        client, session = HttpClient(), PerVUSession()
        with http_server() as server:

            def body() -> None:
                (session if face == "requests" else client).get(f"{server.url}/hang")

            async def async_body() -> None:
                await client.aio.get(f"{server.url}/hang")

            load = ConstantVUs(vus=2, duration="300ms", graceful_stop="0s")
            outcome, total = run_body(load, async_body if face == "async def" else body)
        client.close()
        session.close()
        assert outcome.stuck_vus == []
        assert outcome.interrupted == 2
        assert outcome.failures == []
        assert total.select("http_reqs") is None


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
        template = f"{server.url}/orders/{{id}}"
        assert measured.count("http_req_duration", name=template, url=template, method="GET", status="200") == 1
        assert measured.hits("http_req_failed") == (1, 4)
        assert measured.count("http_req_connecting") == 1
        assert measured.count("http_req_waiting") == measured.count("http_req_receiving") == 4

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
        ("path", "kind"), [("/reset", "reset"), ("/cut", "reset"), ("/junk", "protocol"), ("/slow/1", "timeout")]
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
