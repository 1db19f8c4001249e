"""grpcio, to be imported from here: with the poller that costs a load generator least, and without needless lines.

Since 1.80 gRPC's event engine reads replies in threads of its own and hands each over to the thread that waits for it.
Where the waiting thread polls by itself, a call takes less CPU (compare ``python -m benchmarks grpc`` with and without
``GRPC_EXPERIMENTS=event_engine_client`` in the environment). Connections that no thread waits for are then looked after
at an interval, which is five seconds by default: too long to see that a server is back.

gRPC also prints a line for every TLS handshake that fails. The errors of the calls say the same.

gRPC reads its settings while it is imported, so ours do not hold where the user's tests have imported grpc before.
Settings that the user made stay: ``GRPC_EXPERIMENTS`` in the environment is the switch.
"""

from __future__ import annotations

import os
from importlib.metadata import version

__all__ = ["grpc"]

_settings = {"GRPC_VERBOSITY": "ERROR"}
if version("grpcio").rpartition(".")[0] in {f"1.{minor}" for minor in range(80, 86)}:  # others may not know the name
    _settings |= {
        "GRPC_EXPERIMENTS": "-event_engine_client",
        "GRPC_CLIENT_CHANNEL_BACKUP_POLL_INTERVAL_MS": "100",
    }
_ours = _settings.keys() - os.environ.keys()
os.environ.update({name: _settings[name] for name in _ours})
try:
    import grpc
    import grpc.aio
finally:
    for _name in _ours:
        del os.environ[_name]  # or processes that are started later would have it too
