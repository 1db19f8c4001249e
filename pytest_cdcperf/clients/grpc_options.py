"""How a gRPC server is reached: frozen, so that clients of one set of options are one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, TypedDict

from pytest_cdcperf.clients.grpc_driver import grpc
from pytest_cdcperf.errors import ConfigError
from pytest_cdcperf.units import duration_s

Timeout = str | float
MetadataLike = Mapping[str, str | bytes] | Sequence[tuple[str, str | bytes]]

DEFAULT_TIMEOUT_S = 60.0  # k6's
_RECONNECTING = (  # gRPC's own back-off grows to two minutes, in which a server that is back goes unnoticed
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.min_reconnect_backoff_ms", 5000),  # how long an attempt to connect may take
)


class GrpcSettings(TypedDict, total=False):
    """The options as users write them: see :meth:`GrpcOptions.changed`."""

    address: str
    tls: bool
    root_certificates: str | bytes
    certificate_chain: str | bytes
    private_key: str | bytes
    metadata: MetadataLike
    timeout: Timeout
    connections: Literal["per_vu", "shared"]
    channel_options: Mapping[str, str | int]


@dataclass(frozen=True)
class GrpcOptions:
    """The options as the client uses them: files are read, durations are seconds."""

    address: str = ""
    tls: bool = False
    root_certificates: bytes | None = None
    certificate_chain: bytes | None = None
    private_key: bytes | None = None
    metadata: tuple[tuple[str, str | bytes], ...] = ()
    timeout: float = DEFAULT_TIMEOUT_S
    connections: str = "per_vu"
    channel_options: tuple[tuple[str, str | int], ...] = ()

    def changed(self, root: Path, settings: Mapping[str, Any]) -> GrpcOptions:
        """Return these options with *settings* over them; certificates are PEM, or files below *root*.

        :raises ConfigError: for a name or a value that cannot be meant
        """
        allowed = [one.name for one in fields(self)]
        if unknown := sorted(set(settings) - set(allowed)):
            raise ConfigError(f"grpc_client has no option {', '.join(unknown)}; allowed: {', '.join(allowed)}")
        values: dict[str, Any] = dict(settings)
        for name in ("root_certificates", "certificate_chain", "private_key"):
            if name in values:
                values[name] = _pem(root, name, values[name])
                values.setdefault("tls", True)
        if "metadata" in values:
            values["metadata"] = metadata_pairs(values["metadata"])
        if "timeout" in values:
            values["timeout"] = timeout_s(values["timeout"])
        if "channel_options" in values:
            values["channel_options"] = tuple(dict(values["channel_options"]).items())
        if "address" in values and values["address"].startswith(("http://", "https://")):
            raise ConfigError(f"address {values['address']!r} is a URL; write 'host:port', with tls=True for https")
        if values.get("connections", "shared") not in {"per_vu", "shared"}:
            raise ConfigError(f"connections {values['connections']!r} is not known; allowed: 'per_vu', 'shared'")
        return replace(self, **values)

    @property
    def credentials(self) -> grpc.ChannelCredentials | None:
        """What TLS needs, None for plaintext."""
        if not self.tls:
            return None
        return grpc.ssl_channel_credentials(self.root_certificates, self.private_key, self.certificate_chain)

    @property
    def arguments(self) -> list[tuple[str, str | int]]:
        """The options of a channel, as gRPC spells them."""
        # Each VU has a channel in any case, for its calls to be cut short with it: of one pool they share a connection.
        own = 1 if self.connections == "per_vu" else 0
        return [*_RECONNECTING, ("grpc.use_local_subchannel_pool", own), *self.channel_options]

    def require_address(self) -> str:
        """Return the address.

        :raises ConfigError: without one
        """
        if not self.address:
            raise ConfigError("grpc_client has no address; give address='host:port' here or to with_options()")
        return self.address


def timeout_s(timeout: Timeout) -> float:
    """Return the seconds of a deadline: a number is seconds, as everywhere in gRPC.

    :raises ConfigError: for what is no duration
    """
    if isinstance(timeout, int | float) and not isinstance(timeout, bool):
        return float(timeout)
    return duration_s(timeout)


def metadata_pairs(metadata: MetadataLike) -> tuple[tuple[str, str | bytes], ...]:
    """Return *metadata* as gRPC takes it, with keys in lower case as it demands."""
    pairs = metadata.items() if isinstance(metadata, Mapping) else metadata
    return tuple((key.lower(), value) for key, value in pairs)


def _pem(root: Path, name: str, value: str | bytes) -> bytes:
    if isinstance(value, bytes):
        return value
    try:
        return (root / value).read_bytes()
    except OSError as error:
        raise ConfigError(f"{name} {str(root / value)!r} cannot be read: {error.strerror}") from None
