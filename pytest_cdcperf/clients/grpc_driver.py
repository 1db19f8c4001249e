"""grpcio with the poller that costs a load generator least; to be imported from here.

Since 1.80 gRPC's event engine reads replies in threads of its own and hands each over to the one that waits; where
the waiting thread polls by itself, a call takes about an eighth less CPU. Connections that nobody waits for are then
looked after at an interval, five seconds by default: too long to see that a server is back.

gRPC reads these settings while it is imported, so they do not hold where the user's tests have imported grpc before;
in the environment they do the same. What it says already stays.
"""

from __future__ import annotations

import os
from importlib.metadata import version

__all__ = ["grpc"]

_SETTINGS = {"GRPC_EXPERIMENTS": "-event_engine_client", "GRPC_CLIENT_CHANNEL_BACKUP_POLL_INTERVAL_MS": "100"}

_KNOWN_IN = range(80, 86)  # the minor versions of 1 that have the choice: another would print a complaint

_major, _minor = map(int, version("grpcio").split(".")[:2])
_applies = _major == 1 and _minor in _KNOWN_IN and not _SETTINGS.keys() & os.environ.keys()
_ours = _SETTINGS if _applies else {}
os.environ.update(_ours)
try:
    import grpc
    import grpc.aio
finally:
    for _name in _ours:
        del os.environ[_name]  # processes that are started later are none of our business
