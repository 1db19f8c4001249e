"""Channels of a client: what a VU, or the session outside of iterations, calls through."""

from __future__ import annotations

from typing import Any

from pytest_cdcperf.clients.grpc.driver import grpc
from pytest_cdcperf.clients.grpc.methods import GrpcMethod
from pytest_cdcperf.clients.grpc.settings import GrpcSettings


class Channel:
    """One channel, and grpcio's callables on it, which are made once. It connects at its first call."""

    def __init__(self, channel: Any) -> None:
        self._channel = channel
        self._callables: dict[GrpcMethod, Any] = {}

    def callable_of(self, method: GrpcMethod) -> Any:
        """Return grpcio's callable for *method*."""
        made = self._callables.get(method)
        return made or self._callables.setdefault(method, method.open_on(self._channel))

    def close(self) -> Any:
        """Close the channel, which also ends its calls; return what is left to await."""
        return self._channel.close()


def open_channel(settings: GrpcSettings, driver: Any = grpc) -> Any:
    """Open a channel of grpcio: of ``grpc``, or of ``grpc.aio``, whose channels live on the running loop.

    :raises ConfigError: without an address
    """
    address, credentials, options = settings.require_address(), settings.credentials, settings.channel_arguments
    if credentials is None:
        return driver.insecure_channel(address, options=options)
    return driver.secure_channel(address, credentials, options=options)
