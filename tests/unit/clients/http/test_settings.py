from __future__ import annotations

import pytest

from pytest_cdcperf.clients.http.settings import HttpSettings
from pytest_cdcperf.errors import ConfigError

SETTINGS = HttpSettings()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"base_url": "shop.example"}, "base_url='shop.example' must begin with http:// or https://"),
        ({"timeout": 0}, "http_client: timeout=0; allowed: a duration above zero"),
        ({"timeout": "5"}, "http_client: timeout='5' is not a valid duration; allowed: a number with a unit"),
        ({"retries": 3}, "no option retries; allowed: base_url, headers, timeout, verify"),
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
def test_an_invalid_setting_is_refused(changes, words):
    with pytest.raises(ConfigError) as caught:
        SETTINGS.changed(changes)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_invalid_setting_is_named_at_once():
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


@pytest.mark.parametrize(("timeout", "seconds"), [(5, 5), (0.25, 0.25), ("5s", 5), ("250ms", 0.25)])
def test_a_timeout_is_seconds_or_text(timeout, seconds):
    assert SETTINGS.changed({"timeout": timeout}).timeout == seconds
