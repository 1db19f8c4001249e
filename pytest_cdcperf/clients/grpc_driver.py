"""grpcio with the poller that costs a load generator least; to be imported from here.

Since 1.80 gRPC's event engine reads replies in threads of its own and hands each over to the one that waits; where
the waiting thread polls by itself, a call takes about an eighth less CPU. gRPC reads the setting while it is imported,
so it does not hold where the user's tests have imported grpc before: there GRPC_EXPERIMENTS=-event_engine_client
in the environment does the same. What the environment says already stays.
"""

from __future__ import annotations

import os

__all__ = ["grpc"]

_SETTING = "GRPC_EXPERIMENTS"

if _SETTING in os.environ:
    import grpc
    import grpc.aio
else:
    os.environ[_SETTING] = "-event_engine_client"
    try:
        import grpc
        import grpc.aio
    finally:
        del os.environ[_SETTING]  # processes that are started later are none of our business
