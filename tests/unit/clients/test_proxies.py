"""Targets are reached through a proxy of the environment, or directly."""

from __future__ import annotations

import os

import pytest

from pytest_cdcperf.clients.proxies import Proxies, is_exempt, is_loopback

PROXY = "http://proxy.example:3128"


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch):
    for name in [*os.environ]:
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "LocalHost", "localhost.", "shop.localhost", "localhost.localdomain", "ip6-localhost"),
        *("127.0.0.1", "127.8.9.10", "127.1", "0x7f.1", "2130706433", "0", "::1", "::", "::ffff:127.0.0.1"),
    ],
)
def test_this_machine_is_told_by_its_names_and_addresses(host):
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    ["", "shop.example", "localhost.example", "notlocalhost", "10.0.0.1", "128.0.0.1", "2001:db8::1", "ü.example"],
)
def test_another_machine_is_not_this_one(host):
    assert not is_loopback(host)


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("proxy", [PROXY, "proxy.example:3128"])
def test_a_proxy_is_for_all_other_machines(monkeypatch, name, proxy):
    monkeypatch.setenv(name, proxy)
    proxies = Proxies()
    assert proxies.of("http://user:secret@shop.example:8080/path") == PROXY
    assert proxies.of("http://127.0.0.1:8080/path") is proxies.of("http://user@[::1]:8080/path") is None
    assert proxies.of("https://shop.example/") == (PROXY if "all" in name.lower() else None)


def test_without_a_proxy_there_is_none():
    assert Proxies().of("http://shop.example/") is None


@pytest.mark.parametrize(
    ("no_proxy", "exempt"),
    [
        ("*", True),
        ("a.example, *", True),
        ("shop.example", True),
        (".example", True),
        ("shop.example:8080", True),
        ("shop.example:80", False),
        ("other.example", False),
        ("", False),
    ],
)
def test_no_proxy_names_hosts_and_their_domains(monkeypatch, no_proxy, exempt):
    monkeypatch.setenv("http_proxy", PROXY)
    monkeypatch.setenv("NO_PROXY", no_proxy)
    assert is_exempt("shop.example:8080") is exempt
    assert (Proxies().of("http://shop.example:8080/") is None) is exempt


def test_no_proxy_names_addresses_and_networks(monkeypatch):
    monkeypatch.setenv("no_proxy", "10.0.0.0/8,192.0.2.7,2001:db8::/32")
    exempt = ("10.1.2.3", "10.1.2.3:80", "192.0.2.7:1", "[2001:db8::5]:443")
    assert all(is_exempt(one) for one in exempt)
    assert not any(is_exempt(one) for one in ("11.1.2.3", "192.0.2.8", "[2001:db9::5]:443"))
