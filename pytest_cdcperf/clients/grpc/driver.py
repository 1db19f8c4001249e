"""grpcio with the poller that costs a load generator least; to be imported from here.

Since 1.80 gRPC's event engine reads replies in threads of its own and hands each over to the one that waits; where
the waiting thread polls by itself, a call takes less CPU (``python -m benchmarks grpc``, with other settings in the
environment). Connections that nobody waits for are then looked after at an interval, five seconds by default: too long
to see that a server is back. And gRPC prints a line for every TLS handshake that fails, which the errors of the calls
say already. (The poller "poll" takes less CPU still, but reports some refused connections as timeouts.)

gRPC reads these settings while it is imported, so they do not hold where the user's tests have imported grpc before;
in the environment they do the same. What it says already stays.
"""

from __future__ import annotations

import os
from importlib.metadata import version

__all__ = ["IS_KNOWN", "grpc"]

_settings = {"GRPC_CLIENT_CHANNEL_BACKUP_POLL_INTERVAL_MS": "100", "GRPC_VERBOSITY": "ERROR"}
IS_KNOWN = version("grpcio").rpartition(".")[0] in {f"1.{minor}" for minor in range(80, 86)}
if IS_KNOWN:  # others would print a complaint
    _settings["GRPC_EXPERIMENTS"] = "-event_engine_client"

_ours = _settings.keys() - os.environ.keys()
os.environ.update({name: _settings[name] for name in _ours})
try:
    import grpc
    import grpc.aio
finally:
    for _name in _ours:
        del os.environ[_name]  # processes that are started later are none of our business
