from __future__ import annotations

import pytest

from pytest_cdcperf.clients.http.call import CallOptions, prepare
from pytest_cdcperf.clients.http.settings import HttpSettings
from pytest_cdcperf.errors import ConfigError

SETTINGS = HttpSettings()
BASE = "http://shop.example:8080"


def call(url, settings=SETTINGS, method="GET", **options):
    return prepare(settings, method, url, CallOptions(**options))


def test_path_fills_the_fields_and_the_figures_keep_the_template():
    made = call(f"{BASE}/o/{{key}}/lines/{{n}}", path={"key": "a b/c?d", "n": 3})
    assert made.url == f"{BASE}/o/a%20b%2Fc%3Fd/lines/3"
    assert made.endpoint == ("/o/{key}/lines/{n}", f"{BASE}/o/{{key}}/lines/{{n}}")


def test_name_is_the_last_word():
    assert call(f"{BASE}/o/alice", name="customer").endpoint == ("customer", "customer")
    assert call(f"{BASE}/o/{{n}}", path={"n": 1}, name="customer").endpoint == ("customer", "customer")


@pytest.mark.parametrize("path", [{}, {"m": 1}, {"n": 1, "m": 2}])
def test_a_path_that_does_not_fit_is_refused(path):
    with pytest.raises(ConfigError, match=r"GET http://shop\.example:8080/o/\{n\}: path= has .* the URL wants \['n'\]"):
        call(f"{BASE}/o/{{n}}", path=path)


@pytest.mark.parametrize(
    ("base", "url", "whole"),
    [
        (BASE, "/orders", f"{BASE}/orders"),
        (f"{BASE}/api/", "orders", f"{BASE}/api/orders"),
        (f"{BASE}/api", "/orders", f"{BASE}/api/orders"),
        (BASE, "", BASE),
        (BASE, "https://other.example/x", "https://other.example/x"),
        (BASE, "/go?to=http://other.example/", f"{BASE}/go?to=http://other.example/"),
    ],
)
def test_relative_urls_go_below_the_base(base, url, whole):
    assert call(url, HttpSettings(base_url=base)).url == whole


@pytest.mark.parametrize("scheme", ["HTTP", "Https"])
def test_a_scheme_may_be_written_in_any_case(scheme):
    lower = scheme.lower()
    assert call(f"{scheme}://Shop.example/A").url == f"{lower}://Shop.example/A"
    assert call("/A", HttpSettings(base_url=f"{scheme}://shop.example")).url == f"{lower}://shop.example/A"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("htp://shop.example/", "GET htp://shop.example/: the scheme 'htp' is unknown; write http:// or https://"),
        ("ftp://u:secret@shop.example/", "GET ftp://shop.example/: the scheme 'ftp' is unknown"),
        ("/orders", "GET '/orders': the URL has no scheme and host; write it whole, or use http_client.with_options"),
        ("", "GET '': the URL has no scheme and host"),
    ],
)
def test_a_url_that_is_not_http_is_refused_in_one_line(url, words):
    with pytest.raises(ConfigError) as caught:
        call(url)
    assert str(caught.value).startswith(words)
    assert "\n" not in str(caught.value)


def test_the_body():
    json = call(BASE, method="POST", json={"a": [1, None]})
    assert (json.body, json.headers) == (b'{"a": [1, null]}', {"Content-Type": "application/json"})
    form = call(BASE, method="POST", data={"a": "b c", "d": [1, 2]})
    assert (form.body, form.headers["Content-Type"]) == (b"a=b+c&d=1&d=2", "application/x-www-form-urlencoded")
    assert call(BASE, data="ä").body == "ä".encode()
    assert not call(BASE, data=b"x").headers
    own = call(BASE, json=1, headers={"content-type": "application/vnd.shop+json"})
    assert own.headers == {"content-type": "application/vnd.shop+json"}
    with pytest.raises(ConfigError, match="json= and data= are both given"):
        call(BASE, json={}, data="x")


def test_headers_of_the_call_lie_over_those_of_the_settings():
    settings = HttpSettings(headers=(("A", "1"), ("B", "1")))
    assert call(BASE, settings, headers={"B": "2"}).headers == {"A": "1", "B": "2"}


@pytest.mark.parametrize("url", [None, 5, b"http://shop.example/", []])
def test_a_url_that_is_not_text_is_refused(url):
    for options in ({}, {"name": "all"}):
        with pytest.raises(ConfigError) as caught:
            call(url, HttpSettings(base_url=BASE), **options)
        assert str(caught.value) == f"GET {url!r}: the URL must be text that begins with http:// or https://"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"tags": 5}, "tags= is of type int; allowed: a mapping of names to text"),
        ({"path": 5}, "path= is of type int; allowed: a mapping of the URL's fields to values"),
        ({"params": 5}, "params= is of type int; allowed: a mapping, or pairs of name and value"),
        ({"params": "a=1"}, "params= cannot be sent: not enough values to unpack"),
        ({"params": {"a": "\ud800"}}, "params= cannot be sent: 'utf-8' codec can't encode"),
        ({"headers": 5}, "headers= is of type int; allowed: a mapping of names to text"),
        ({"headers": {"A": b"x"}}, "the header 'A' is of types str and bytes; allowed: names and values that are text"),
        ({"headers": {5: "x"}}, "the header 5 is of types int and str; allowed: names and values that are text"),
        ({"headers": {"A": "secret\n"}}, "the header 'A' has a line break or the like in its value; allowed: one line"),
        (
            {"json": object()},
            "json= cannot be sent: Object of type object is not JSON serializable; allowed: what JSON",
        ),
        ({"json": float("nan")}, "json= cannot be sent: Out of range float"),
        ({"data": 5}, "data= is of type int; allowed: a mapping (a form), text or bytes"),
        ({"data": "\ud800"}, "data= cannot be sent: 'utf-8' codec can't encode"),
        ({"name": 5}, "name= is of type int; allowed: text"),
        ({"allow_redirects": "no"}, "allow_redirects= is of type str; allowed: True or False"),
        ({"jsn": {}}, "no option 'jsn'; allowed: path, params, headers, json"),
    ],
)
def test_an_invalid_option_is_refused_in_one_line(options, words):
    with pytest.raises(ConfigError) as caught:
        call(f"{BASE}/{{n}}", **{"path": {"n": 1}, **options})
    assert str(caught.value).startswith(f"GET {BASE}/{{n}}: {words}")
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_an_option_that_is_none_is_not_given():
    given = dict.fromkeys(("path", "params", "headers", "json", "data", "name", "tags"))
    assert call(BASE, **given) == call(BASE, headers={})


@pytest.mark.parametrize("options", [{}, {"name": "all"}])
def test_a_method_that_is_not_text_is_refused(options):
    with pytest.raises(ConfigError, match=f"{BASE}: method= is of type int; allowed: text"):
        call(BASE, method=5, **options)


def test_a_message_shows_no_secret():
    assert call("http://user:secret@h/p?token=secret").describe() == "GET http://h/p"


@pytest.mark.parametrize("timeout", [0, -1, "5", "soon", "0s", None, True, float("nan"), float("inf")])
def test_an_invalid_timeout_is_refused(timeout):
    with pytest.raises(ConfigError, match=rf"^GET {BASE}: timeout={timeout!r}.*; allowed: "):
        call(BASE, timeout=timeout)
