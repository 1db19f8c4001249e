"""The settings of the gRPC client: GrpcOptions as users write them, GrpcSettings as the client uses them."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, TypedDict

from pytest_cdcperf.clients.grpc.driver import grpc
from pytest_cdcperf.clients.proxies import is_exempt
from pytest_cdcperf.clients.time_limit import DEFAULT_TIMEOUT_S
from pytest_cdcperf.errors import ConfigError, UnitError
from pytest_cdcperf.redaction import hide_named
from pytest_cdcperf.units import Duration, duration_s

Metadata = tuple[tuple[str, str | bytes], ...]
MetadataLike = Mapping[str, str | bytes] | Sequence[tuple[str, str | bytes]]

_CHANNEL_OPTIONS = "allowed: gRPC's names, such as 'grpc.keepalive_time_ms', with text or whole numbers"
_METADATA_NAME = re.compile(r"[0-9a-z_.-]+")  # https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
_METADATA_TEXT = re.compile(r"[ -~]*")
_MOST_METADATA = 16 * 1024 * 1024  # where a status is lost that comes with more, from 8 kB on by chance
_RECONNECTING = (  # gRPC's own back-off grows to two minutes, in which a server that is back goes unnoticed
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.min_reconnect_backoff_ms", 5000),  # how long an attempt to connect may take
)
_MEASURING = (
    ("grpc.enable_retries", 0),  # a call is one attempt: one that was tried twice would have the time of both
    ("grpc.client_idle_timeout_ms", 2**31 - 1),  # a VU keeps its connection however long it thinks
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_metadata_size", _MOST_METADATA),
    ("grpc.absolute_max_metadata_size", _MOST_METADATA),
)


class GrpcOptions(TypedDict, total=False):
    """The options of ``with_options``, ``service`` and ``stub``."""

    address: str
    tls: bool
    root_certificates: str | bytes
    certificate_chain: str | bytes
    private_key: str | bytes
    metadata: MetadataLike
    timeout: Duration
    connections: Literal["per_vu", "shared"]
    channel_options: Mapping[str, str | int]


@dataclass(frozen=True)
class GrpcSettings:
    """The settings of all calls of a client: files are read, *timeout* is in seconds.

    Frozen, so that the same settings give the same client.
    """

    address: str = ""
    tls: bool = False
    root_certificates: bytes | None = None
    certificate_chain: bytes | None = None
    private_key: bytes | None = None
    metadata: Metadata = ()
    timeout: float = DEFAULT_TIMEOUT_S
    connections: str = "per_vu"
    channel_options: tuple[tuple[str, str | int], ...] = ()

    def changed(self, root: Path, options: Mapping[str, Any]) -> GrpcSettings:
        """Return these settings with *options* over them; certificates are PEM, or files below *root*.

        :raises ConfigError: for a name or a value that is not valid
        """
        hide_named(options.get("metadata"))
        allowed = [one.name for one in fields(self)]
        if unknown := sorted(set(options) - set(allowed)):
            raise ConfigError(f"grpc_client has no option {', '.join(unknown)}; allowed: {', '.join(allowed)}")
        values: dict[str, Any] = dict(options)
        for name in ("root_certificates", "certificate_chain", "private_key"):
            if name in values:
                values[name] = _pem(root, name, values[name])
                values.setdefault("tls", True)
        if "metadata" in values:
            values["metadata"] = metadata_pairs(values["metadata"])
        if "timeout" in values:
            values["timeout"] = timeout_s(values["timeout"])
        if "channel_options" in values:
            values["channel_options"] = _channel_options(values["channel_options"])
        address = values.get("address", "")
        if not (isinstance(address, str) and address.isprintable()):
            raise ConfigError(f"address {address!r:.60} is not a valid address; allowed: text, 'host:port'")
        if address.startswith(("http://", "https://")):
            raise ConfigError(f"address {address!r} is a URL; write 'host:port', with tls=True for https")
        if not isinstance(values.get("tls", True), bool):
            raise ConfigError(f"tls={values['tls']!r:.60}; allowed: True or False")
        if values.get("connections", "shared") not in ("per_vu", "shared"):
            raise ConfigError(f"connections={values['connections']!r:.60}; allowed: 'per_vu', 'shared'")
        return replace(self, **values)

    @property
    def credentials(self) -> grpc.ChannelCredentials | None:
        """The credentials of TLS, None for plaintext."""
        if not self.tls:
            return None
        return grpc.ssl_channel_credentials(self.root_certificates, self.private_key, self.certificate_chain)

    @property
    def channel_arguments(self) -> list[tuple[str, str | int]]:
        """The options of a channel, as gRPC spells them."""
        # Each VU has a channel in any case, so that closing it ends its calls. Channels of one pool share a connection.
        own = 1 if self.connections == "per_vu" else 0
        # The filters that a minimal stack leaves out cost every call; what the user asks for may need them.
        minimal = 0 if self.channel_options else 1
        proxied = 0 if is_exempt(_authority(self.address)) else 1
        ours = (
            *_RECONNECTING,
            *_MEASURING,
            ("grpc.use_local_subchannel_pool", own),
            ("grpc.minimal_stack", minimal),
            ("grpc.enable_http_proxy", proxied),
        )
        return list({**dict(ours), **dict(self.channel_options)}.items())

    def require_address(self) -> str:
        """Return the address.

        :raises ConfigError: without one
        """
        if not self.address:
            raise ConfigError("grpc_client has no address; give address='host:port' here or to with_options()")
        return self.address


def _authority(address: str) -> str:
    """Return host and port of *address*, the first where there are several: "ipv4:127.0.0.1:1,127.0.0.1:2"."""
    return re.sub("^(?:dns|ipv4|ipv6):(?://[^/]*/)?", "", address).partition(",")[0]


def timeout_s(timeout: Duration) -> float:
    """Return the seconds of a deadline, which is written as seconds or as text.

    >>> timeout_s(2), timeout_s("250ms")
    (2.0, 0.25)

    :raises UnitError: for what is not a duration above zero
    """
    try:
        return duration_s(timeout, above_zero=True)
    except UnitError as error:
        raise UnitError(f"timeout={error}") from None


def metadata_pairs(metadata: MetadataLike) -> Metadata:
    """Return *metadata* as gRPC takes it, with keys in lower case as it demands.

    :raises ConfigError: for what is not metadata; values may be secrets, so it names keys and types only
    """
    hide_named(metadata)
    given = metadata.items() if isinstance(metadata, Mapping) else metadata
    try:
        pairs = tuple((key.lower(), value) for key, value in given)
    except (TypeError, ValueError, AttributeError):
        words = "is not valid metadata; allowed: a mapping, or pairs, of names to text or bytes"
        raise ConfigError(f"metadata of type {type(metadata).__name__} {words}") from None
    for key, value in pairs:
        _require_sendable(key, value)
    return pairs


def _require_sendable(key: object, value: object) -> None:
    if not (isinstance(key, str) and _METADATA_NAME.fullmatch(key)):
        raise ConfigError(f"metadata name {key!r} cannot be sent; allowed: letters, digits and _ . -")
    if key.endswith("-bin"):
        if not isinstance(value, bytes):
            raise ConfigError(f"metadata {key!r} is of type {type(value).__name__}; allowed: bytes")
    elif not isinstance(value, str | bytes):
        raise ConfigError(f"metadata {key!r} is of type {type(value).__name__}; allowed: text, or bytes of text")
    elif not _METADATA_TEXT.fullmatch(value if isinstance(value, str) else value.decode("latin-1")):
        raise ConfigError(f"metadata {key!r} holds other than printable ASCII; name it {key}-bin, with bytes, for that")


def _channel_options(options: Mapping[Any, Any]) -> tuple[tuple[str, str | int], ...]:
    try:
        pairs = tuple(dict(options).items())
    except (TypeError, ValueError):
        raise ConfigError(f"channel_options {options!r:.60} are not options; {_CHANNEL_OPTIONS}") from None
    for name, value in pairs:
        if not (isinstance(name, str) and isinstance(value, str | bytes | int)):
            raise ConfigError(f"channel_options {name!r:.60}: {value!r:.60} is not an option; {_CHANNEL_OPTIONS}")
    return pairs


def _pem(root: Path, name: str, value: str | bytes) -> bytes:
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str | os.PathLike):
        raise ConfigError(f"{name} is of type {type(value).__name__}; allowed: PEM as bytes, or the path of a file")
    try:
        return (root / value).read_bytes()
    except (OSError, ValueError) as error:
        words = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(f"{name} {str(root / value)!r} cannot be read: {words}") from None
