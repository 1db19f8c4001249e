from __future__ import annotations

import pytest

from pytest_cdcperf.clients.http.call import CallOptions, prepare
from pytest_cdcperf.clients.http.redirects import redirected
from pytest_cdcperf.clients.http.settings import HttpSettings
from pytest_cdcperf.errors import HttpProtocolError

BASE = "http://shop.example:8080"


def call(url, method="GET", **options):
    return prepare(HttpSettings(), method, url, CallOptions(**options))


@pytest.mark.parametrize(
    ("status", "method", "then"),
    [
        (301, "POST", "GET"),
        (302, "POST", "GET"),
        (302, "PUT", "PUT"),
        (303, "PUT", "GET"),
        (303, "HEAD", "HEAD"),
        (307, "POST", "POST"),
        (308, "POST", "POST"),
    ],
)
def test_a_redirect_keeps_the_method_or_makes_it_a_get(status, method, then):
    made = call(f"{BASE}/a/b", method=method, json={}, headers={"X": "1", "Authorization": "secret"})
    made = redirected(made, status, "../c/17")
    assert (made.method, made.url, made.endpoint.name) == (then, f"{BASE}/c/17", "/c/{id}")
    assert (made.body is None) == (then == "GET")
    assert made.headers == {"X": "1", "Authorization": "secret"} | (
        {} if then == "GET" else {"Content-Type": "application/json"}
    )


@pytest.mark.parametrize("target", ["http://other.example/", "https://shop.example:8080/", "http://shop.example/"])
def test_a_redirect_to_another_host_gets_no_credentials(target):
    made = call(BASE, headers={"X": "1", "AUTHORIZATION": "secret", "Cookie": "secret"})
    made = redirected(made, 302, target)
    assert made.headers == {"X": "1"}


@pytest.mark.parametrize("scheme", ["HTTP", "Https"])
def test_a_scheme_may_be_written_in_any_case(scheme):
    made = redirected(call("http://shop.example/"), 302, f"{scheme}://shop.example/A")
    assert (made.url, made.is_secure) == (f"{scheme.lower()}://shop.example/A", scheme == "Https")


def test_redirects_end():
    made = call(BASE, name="all")
    for _ in range(10):
        made = redirected(made, 302, "/again")
    assert made.endpoint == ("all", "all")
    with pytest.raises(HttpProtocolError, match="stopped after 10 redirects"):
        redirected(made, 302, "/again")
    with pytest.raises(HttpProtocolError, match="redirects to file:///etc/passwd, which is not HTTP"):
        redirected(call(BASE), 302, "file:///etc/passwd")
