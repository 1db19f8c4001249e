from __future__ import annotations

import pytest

from pytest_cdcperf.clients.http.urls import shown_url, template_of, with_params

BASE = "http://shop.example:8080"
UUID = "0b5a3ea1-6a2f-4d8b-9d3e-2f1c5a7b9c00"


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


def test_params_join_the_query_as_with_requests():
    assert with_params("http://h/p", {"a": [1, 2], "b": None, "c": "ä b"}) == "http://h/p?a=1&a=2&c=%C3%A4+b"
    assert with_params("http://h/p?z=1#end", [("a", True)]) == "http://h/p?z=1&a=True#end"
    assert with_params("http://h/p", {"b": None}) == "http://h/p"


def test_a_message_shows_no_secret():
    assert shown_url("http://user:secret@h:1/p?token=secret") == "http://h:1/p"
