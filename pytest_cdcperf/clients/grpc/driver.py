"""grpcio, to be imported from here: without the line that it prints for every TLS handshake that fails.

The errors of the calls say the same. gRPC reads the setting while it is imported, so it does not hold where the user's
tests have imported grpc before. One that the user made stays.
"""

from __future__ import annotations

import os

__all__ = ["grpc"]

_NAME = "GRPC_VERBOSITY"
_is_ours = _NAME not in os.environ
os.environ.setdefault(_NAME, "ERROR")
try:
    import grpc
    import grpc.aio
finally:
    if _is_ours:
        del os.environ[_NAME]  # or processes that are started later would have it too
