"""Faults of HTTP calls, one by one and under load."""

from __future__ import annotations

import ssl
import subprocess
import threading
from pathlib import Path

import pytest

from pytest_cdcperf import errors
from pytest_cdcperf.clients.http.client import HttpClient
from pytest_cdcperf.clients.http.requests_session import PerVUSession
from pytest_cdcperf.clients.http.response import HttpResponse
from pytest_cdcperf.load.closed import ConstantVUs, PerVUIterations
from tests.services.harness import BODY_KINDS, User, refused_port, run_body, until
from tests.services.http.conftest import fault
from tests.services.http_server import HEAD, HttpServer, http_server, raw


def self_signed(directory: Path, *, is_ca: bool) -> Path:
    """Make a key and a certificate of it, as ``openssl req -x509`` does, in one file."""
    path = directory / f"{is_ca}.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "-", "-out", "-"]
    command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    command += [] if is_ca else ["-addext", "basicConstraints=critical,CA:FALSE"]
    path.write_bytes(subprocess.run(command, check=True, capture_output=True).stdout)
    return path


def certified(pem: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


class TestFaults:
    @pytest.mark.parametrize(
        ("path", "kind"),
        [
            ("/reset", errors.HttpConnectionResetError),
            ("/cut", errors.HttpConnectionResetError),
            ("/silence", errors.HttpConnectionResetError),
            ("/chunks/size", errors.HttpConnectionResetError),
            ("/chunks/data", errors.HttpConnectionResetError),
            ("/chunks/junk", errors.HttpProtocolError),
            ("/junk", errors.HttpProtocolError),
            (raw(HEAD + b"X: a\r\n" * 200 + b"\r\nok"), errors.HttpProtocolError),
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
            assert measured.count(metric, status="0", error=kind, expected_response="false") == 1
        assert measured.count("http_reqs") == 1
        assert measured.count("http_req_duration") == (kind == "timeout")
        assert measured.hits("http_req_failed") == (1, 1)
        assert measured.count("http_req_waiting") == 0

    def test_nobody_listens(self, user: User, client: HttpClient) -> None:
        error = fault(user, client, f"http://user:secret@127.0.0.1:{refused_port()}/?token=secret")
        assert type(error) is errors.HttpConnectionRefusedError
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

    def test_a_certificate_of_a_ca_on_a_server_is_explained(
        self, user: User, client: HttpClient, tmp_path: Path
    ) -> None:
        pem = self_signed(tmp_path, is_ca=True)
        with http_server(tls=certified(pem)) as server:
            error = fault(user, client.with_options(verify=str(pem)), f"{server.url}/echo")
        assert type(error) is errors.HttpTLSError
        assert "make it with openssl req -x509 -addext basicConstraints=critical,CA:FALSE" in str(error)
        pem = self_signed(tmp_path, is_ca=False)
        with http_server(tls=certified(pem)) as server:
            assert user.call(client.with_options(verify=str(pem)), "get", f"{server.url}/echo").ok

    @pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2])
    def test_a_server_that_wants_a_certificate_of_the_client(
        self, user: User, client: HttpClient, tmp_path: Path, version: ssl.TLSVersion
    ) -> None:
        pem = self_signed(tmp_path, is_ca=False)
        context = certified(pem)
        context.verify_mode, context.maximum_version = ssl.CERT_REQUIRED, version
        with http_server(tls=context) as server:
            error = fault(user, client.with_options(verify=str(pem)), f"{server.url}/echo")
        assert type(error) is errors.HttpTLSError
        self.is_one_sample(user, "tls")
        if version is ssl.TLSVersion.TLSv1_3:  # with the older one the server says less
            assert "the server wants a certificate of the client" in str(error)

    def test_a_server_without_tls(self, user: User, client: HttpClient, server: HttpServer) -> None:
        assert type(fault(user, client, server.url.replace("http:", "https:"))) is errors.HttpTLSError

    def test_verify_that_is_not_a_pem_file(self, user: User, client: HttpClient, tmp_path: Path) -> None:
        (tmp_path / "no.pem").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        with_file = client.with_options(verify=str(tmp_path / "no.pem"))
        with pytest.raises(errors.ConfigError, match=r"http_client: verify='.*no.pem' is not a PEM file"):
            user.call(with_file, "get", "https://localhost/")


class TestHeadersOfOtherCharacters:
    LATIN = raw(HEAD + "Content-Type: text/plain; x=ü\r\nX-City: Zürich\r\nX-Ok: yes\r\n\r\nok".encode("latin-1"))

    def test_they_are_named_where_they_are_read(self, user: User, client: HttpClient, server: HttpServer) -> None:
        reply = user.call(client, "get", server.url + self.LATIN)
        assert (reply.text, reply.headers["x-ok"], reply.headers.getall("x-ok")) == ("ok", "yes", ["yes"])
        assert "X-City" in reply.headers
        assert len(reply.headers) == len([*reply.headers]) == 5
        for read in (reply.headers.get, reply.headers.getall, reply.headers.__getitem__):
            with pytest.raises(errors.HttpHeaderError, match=r"^GET http.*: status 200: the header 'x-city' has other"):
                read("x-city")
        with pytest.raises(errors.HttpHeaderError):
            dict(reply.headers)

    def test_requests_reads_them(self, session: PerVUSession, server: HttpServer) -> None:
        assert session.get(server.url + self.LATIN).headers["x-city"] == "Zürich"
        away = (
            "HTTP/1.1 302 Found\r\nConnection: close\r\nContent-Length: 0\r\nLocation: /Zürich?a=b%20c\r\n\r\n".encode(
                "latin-1"
            )
        )
        assert session.get(server.url + raw(away)).json()["path"] == "/Z%FCrich"

    @pytest.mark.parametrize(
        ("location", "kind", "words"),
        [
            ("/Zürich", errors.HttpHeaderError, "status 302: the header 'location' has other characters than ASCII"),
            ("http://[bad/", errors.HttpProtocolError, "status 302, its Location is not a URL: Invalid IPv6 URL"),
            ("http://a b:x/", errors.HttpProtocolError, "status 302, its Location is not a URL: GET http://a b:x/: "),
        ],
    )
    def test_a_redirect_to_what_is_not_a_url_is_the_servers_fault(
        self, user: User, client: HttpClient, server: HttpServer, location: str, kind: type[Exception], words: str
    ) -> None:
        head = f"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: {location}\r\n\r\n".encode("latin-1")
        with pytest.raises(kind) as caught:
            user.call(client, "get", server.url + raw(head))
        assert words in str(caught.value)


class TestUnderLoad:
    @pytest.mark.parametrize("body_kind", BODY_KINDS)
    def test_faults_are_counted_by_kind_with_a_sample_each(self, body_kind: str, server: HttpServer) -> None:
        client, refusing = HttpClient(), f"http://127.0.0.1:{refused_port()}/"
        urls = [refusing, f"{server.url}/reset", "http://no-such-host.invalid/", "htp://h/", f"{server.url}/text"]
        urls += [f"{server.url}/status/500", f"{server.url}/echo"]

        def read(reply: HttpResponse) -> None:
            reply.raise_for_status()
            reply.json()

        turns = iter(urls * 6)

        def body() -> None:
            read(client.get(next(turns)))

        async def async_body() -> None:
            read(await client.aio.get(next(turns)))

        load = PerVUIterations(vus=3, iterations=14)
        outcome, total = run_body(load, async_body if body_kind == "async def" else body)
        client.close()
        kinds = {kind.type: kind for kind in outcome.failures}
        assert {name: kind.count for name, kind in kinds.items()} == {
            "HttpConnectionRefusedError": 6, "HttpConnectionResetError": 6, "HttpDNSError": 6, "ConfigError": 6,
            "HttpBodyError": 6, "HttpStatusError": 6,
        }  # fmt: skip
        assert all(kind.sample for kind in kinds.values())
        assert (total.select("iteration_failed").hits, total.select("iteration_failed").total) == (36, 42)
        assert (total.select("http_req_failed").hits, total.select("http_req_failed").total) == (24, 36)
        assert outcome.stuck_vus == []

    @pytest.mark.parametrize("body_kind", [*BODY_KINDS, "requests"])
    def test_a_server_that_restarts_costs_what_it_missed(self, body_kind: str) -> None:
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
                statuses.append((session if body_kind == "requests" else client).get(url).status_code)
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
        outcome, total = run_body(load, async_body if body_kind == "async def" else body)
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

    @pytest.mark.parametrize("body_kind", [*BODY_KINDS, "requests"])
    def test_users_stuck_in_a_request_are_cut_off_and_it_is_no_error_of_the_servers(self, body_kind: str) -> None:
        client, session = HttpClient(), PerVUSession()
        with http_server() as server:

            def body() -> None:
                (session if body_kind == "requests" else client).get(f"{server.url}/hang")

            async def async_body() -> None:
                await client.aio.get(f"{server.url}/hang")

            load = ConstantVUs(vus=2, duration="1s", graceful_stop="0s")
            outcome, total = run_body(load, async_body if body_kind == "async def" else body)
        client.close()
        session.close()
        assert outcome.stuck_vus == []
        assert outcome.interrupted == 2
        assert outcome.failures == []
        assert total.select("http_reqs") is None
