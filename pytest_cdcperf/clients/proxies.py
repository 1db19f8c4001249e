"""Finds the proxy of the environment that a server is reached through: none for this machine."""

from __future__ import annotations

import socket
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

_LOCAL_NAMES = frozenset({"localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback"})


class Proxies:
    """The proxies that the environment names when this is made, on macOS and Windows those of the system too."""

    def __init__(self) -> None:
        self._by_scheme = {scheme: url for scheme, url in getproxies().items() if scheme != "no" and url}

    def of(self, url: str) -> str | None:
        """Return the URL of the proxy that *url* is reached through, None where there is none."""
        if not self._by_scheme:
            return None
        target = urlsplit(url)
        proxy = self._by_scheme.get(target.scheme) or self._by_scheme.get("all")
        if not proxy or is_exempt(target.netloc.rpartition("@")[2]):
            return None
        return proxy if "://" in proxy else f"http://{proxy}"


def is_exempt(authority: str) -> bool:
    """Whether *authority*, a host and perhaps a port, is reached directly: ``no_proxy`` says so, or it is loopback."""
    host = urlsplit(f"//{authority}").hostname or ""
    address = _address(host)
    if is_loopback(host) or proxy_bypass(authority):
        return True
    entries = [entry.strip() for entry in getproxies().get("no", "").split(",")]
    return "*" in entries or (address is not None and any(_holds(entry, address) for entry in entries))


def is_loopback(host: str) -> bool:
    """Whether *host*, a name or an address, means this machine by its form: no name is resolved.

    >>> is_loopback("127.1"), is_loopback("db.localhost"), is_loopback("shop.example")
    (True, True, False)
    """
    name = host.rstrip(".").lower()
    if name in _LOCAL_NAMES or name.endswith(".localhost"):
        return True
    address = _address(name)
    return address is not None and (address.is_loopback or address.is_unspecified)


def _address(host: str) -> IPv4Address | IPv6Address | None:
    """Return the address that *host* is, also in the short forms that URLs may have, such as 127.1."""
    with suppress(OSError, UnicodeError):
        host = socket.inet_ntoa(socket.inet_aton(host))
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _holds(network: str, address: IPv4Address | IPv6Address) -> bool:
    try:
        return address in ip_network(network, strict=False)
    except ValueError:
        return False
