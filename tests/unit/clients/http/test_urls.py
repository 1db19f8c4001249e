from __future__ import annotations

import pytest

from pytest_cdcperf.clients.http.urls import endpoint_of, shown_url, with_params

BASE = "http://shop.example:8080"
UUID = "0b5a3ea1-6a2f-4d8b-9d3e-2f1c5a7b9c00"


@pytest.mark.parametrize(
    ("url", "host", "name"),
    [
        (f"{BASE}/orders/17", BASE, "/orders/{id}"),
        (f"{BASE}/orders/17/lines/3?x=1#top", BASE, "/orders/{id}/lines/{id}"),
        (f"{BASE}/orders/{{order}}", BASE, "/orders/{order}"),
        (f"{BASE}/o/{UUID}", BASE, "/o/{id}"),
        (f"{BASE}/o/{UUID.upper()}/", BASE, "/o/{id}/"),
        (f"{BASE}/o/65f0c0ffee65f0c0ffee65f0", BASE, "/o/{id}"),
        (f"{BASE}/v2/orders", BASE, "/v2/orders"),
        (f"{BASE}/cafe", BASE, "/cafe"),
        (f"{BASE}/away?to=http://other.example/b", BASE, "/away"),
        ("http://17/17", "http://17", "/{id}"),
        ("http://user:secret@shop.example/17", "http://shop.example", "/{id}"),
    ],
)
def test_an_endpoint_is_the_path_without_what_differs_from_call_to_call(url, host, name):
    assert endpoint_of(url) == (name, host + name)


@pytest.mark.parametrize(
    ("url", "host"), [(f"{BASE}?token=secret", BASE), ("http://127.0.0.1:80", "http://127.0.0.1:80")]
)
def test_an_endpoint_without_a_path_is_the_root(url, host):
    assert endpoint_of(url) == ("/", host)


def test_params_join_the_query_as_with_requests():
    assert with_params("http://h/p", {"a": [1, 2], "b": None, "c": "ä b"}) == "http://h/p?a=1&a=2&c=%C3%A4+b"
    assert with_params("http://h/p?z=1#end", [("a", True)]) == "http://h/p?z=1&a=True#end"
    assert with_params("http://h/p", {"b": None}) == "http://h/p"


def test_a_message_shows_no_secret():
    assert shown_url("http://user:secret@h:1/p?token=secret") == "http://h:1/p"
