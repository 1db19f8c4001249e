from __future__ import annotations

import pytest

from pytest_cdcperf.clients.http.call import CallOptions, HttpSettings, prepare, shown, template_of, with_params
from pytest_cdcperf.errors import ConfigError, HttpProtocolError

SETTINGS = HttpSettings()
BASE = "http://shop.example:8080"
UUID = "0b5a3ea1-6a2f-4d8b-9d3e-2f1c5a7b9c00"


def call(url, settings=SETTINGS, method="GET", **options):
    return prepare(settings, method, url, CallOptions(**options))


@pytest.mark.parametrize(
    ("url", "template"),
    [
        (f"{BASE}/orders/17", f"{BASE}/orders/{{id}}"),
        (f"{BASE}/orders/17/lines/3?x=1#top", f"{BASE}/orders/{{id}}/lines/{{id}}"),
        (f"{BASE}/o/{UUID}", f"{BASE}/o/{{id}}"),
        (f"{BASE}/o/{UUID.upper()}/", f"{BASE}/o/{{id}}/"),
        (f"{BASE}/o/65f0c0ffee65f0c0ffee65f0", f"{BASE}/o/{{id}}"),
        (f"{BASE}/v2/orders", f"{BASE}/v2/orders"),
        (f"{BASE}/cafe", f"{BASE}/cafe"),
        (f"{BASE}?token=secret", BASE),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://17/17", "http://17/{id}"),
        ("http://user:secret@shop.example/17", "http://shop.example/{id}"),
    ],
)
def test_a_url_becomes_a_bounded_tag(url, template):
    assert template_of(url) == template
    assert call(url).name == template


def test_path_fills_the_fields_and_the_figures_keep_the_template():
    made = call(f"{BASE}/o/{{key}}/lines/{{n}}", path={"key": "a b/c?d", "n": 3})
    assert made.url == f"{BASE}/o/a%20b%2Fc%3Fd/lines/3"
    assert made.name == f"{BASE}/o/{{key}}/lines/{{n}}"


def test_name_is_the_last_word():
    assert call(f"{BASE}/o/alice", name="customer").name == "customer"
    assert call(f"{BASE}/o/{{n}}", path={"n": 1}, name="customer").name == "customer"


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
    redirected = call("http://shop.example/").redirected(302, f"{scheme}://shop.example/A")
    assert (redirected.url, redirected.is_secure) == (f"{lower}://shop.example/A", lower == "https")


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


def test_params_join_the_query_as_with_requests():
    assert with_params("http://h/p", {"a": [1, 2], "b": None, "c": "ä b"}) == "http://h/p?a=1&a=2&c=%C3%A4+b"
    assert with_params("http://h/p?z=1#end", [("a", True)]) == "http://h/p?z=1&a=True#end"
    assert with_params("http://h/p", {"b": None}) == "http://h/p"


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
    made = made.redirected(status, "../c/17")
    assert (made.method, made.url, made.name) == (then, f"{BASE}/c/17", f"{BASE}/c/{{id}}")
    assert (made.body is None) == (then == "GET")
    assert made.headers == {"X": "1", "Authorization": "secret"} | (
        {} if then == "GET" else {"Content-Type": "application/json"}
    )


@pytest.mark.parametrize("target", ["http://other.example/", "https://shop.example:8080/", "http://shop.example/"])
def test_a_redirect_to_another_host_gets_no_credentials(target):
    made = call(BASE, headers={"X": "1", "AUTHORIZATION": "secret", "Cookie": "secret"})
    made = made.redirected(302, target)
    assert made.headers == {"X": "1"}


def test_redirects_end():
    made = call(BASE, name="all")
    for _ in range(10):
        made = made.redirected(302, "/again")
    assert made.name == "all"
    with pytest.raises(HttpProtocolError, match="stopped after 10 redirects"):
        made.redirected(302, "/again")
    with pytest.raises(HttpProtocolError, match="redirects to file:///etc/passwd, which is not HTTP"):
        call(BASE).redirected(302, "file:///etc/passwd")


@pytest.mark.parametrize("url", [None, 5, b"http://shop.example/", []])
def test_a_url_that_is_no_text_is_refused(url):
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
def test_an_option_that_cannot_be_meant_is_refused_in_one_line(options, words):
    with pytest.raises(ConfigError) as caught:
        call(f"{BASE}/{{n}}", **{"path": {"n": 1}, **options})
    assert str(caught.value).startswith(f"GET {BASE}/{{n}}: {words}")
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_an_option_that_is_none_is_not_given():
    given = dict.fromkeys(("path", "params", "headers", "json", "data", "name", "tags"))
    assert call(BASE, **given) == call(BASE, headers={})


@pytest.mark.parametrize("options", [{}, {"name": "all"}])
def test_a_method_that_is_no_text_is_refused(options):
    with pytest.raises(ConfigError, match=f"{BASE}: method= is of type int; allowed: text"):
        call(BASE, method=5, **options)


def test_a_message_shows_no_secret():
    assert shown("http://user:secret@h:1/p?token=secret") == "http://h:1/p"
    assert call("http://user:secret@h/p?token=secret").describe() == "GET http://h/p"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"base_url": "shop.example"}, "base_url='shop.example' must begin with http:// or https://"),
        ({"timeout": 0}, "timeout=0 must be a number of seconds above 0"),
        ({"timeout": "5s"}, "timeout='5s' must be a number of seconds above 0"),
        ({"retries": 3}, "retries unknown; there are base_url, headers, timeout, verify"),
        ({"base_url": 5}, "http_client: base_url=5; allowed: text"),
        ({"base_url": None}, "http_client: base_url=None; allowed: text"),
        ({"headers": 5}, "http_client: headers= is of type int; allowed: a mapping of names to text"),
        ({"headers": {"A": 5}}, "http_client: the header 'A' is of types str and int; allowed: names and values that"),
        ({"verify": 5}, "http_client: verify=5; allowed: True, False or the path of a PEM file"),
        ({"verify": "/nope.pem"}, "verify='/nope.pem' cannot be read: No such file or directory; allowed: True, False"),
        ({"verify": "a\0b"}, "verify='a\\x00b' cannot be read: embedded null byte; allowed"),
        ({"http2": "yes"}, "http_client: http2='yes'; allowed: True or False"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_refused(changes, words):
    with pytest.raises(ConfigError) as caught:
        SETTINGS.changed(changes)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_setting_that_cannot_be_meant_is_named_at_once():
    with pytest.raises(ConfigError) as caught:
        SETTINGS.changed({"base_url": 5, "verify": [], "timeout": "x"})
    assert [fault.partition("=")[0] for fault in caught.value.faults] == [
        "http_client: base_url",
        "http_client: verify",
        "http_client: timeout",
    ]


def test_the_path_of_a_pem_file_may_be_a_path(tmp_path):
    (tmp_path / "ca.pem").write_text("PEM")
    assert SETTINGS.changed({"verify": tmp_path / "ca.pem"}).verify == str(tmp_path / "ca.pem")


def test_changed_headers_add_up():
    changed = SETTINGS.changed({"headers": {"A": "1"}}).changed({"headers": {"B": "2"}, "timeout": 5})
    assert changed == HttpSettings(headers=(("A", "1"), ("B", "2")), timeout=5)


@pytest.mark.parametrize("timeout", [0, -1, "5s", None, True, float("nan"), float("inf")])
def test_a_timeout_that_is_none_is_refused(timeout):
    with pytest.raises(ConfigError, match=r"timeout=.* must be a number of seconds above 0"):
        call(BASE, timeout=timeout)
