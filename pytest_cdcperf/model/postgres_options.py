"""How the driver uses PostgreSQL, as frozen values."""

from __future__ import annotations

from dataclasses import dataclass

AUTO = "auto"
NEVER = "never"


@dataclass(frozen=True)
class PostgresOptions:
    """How the driver uses the server.

    *prepare_threshold*: how often a connection runs a statement before it prepares it on the server, "never", or
    "auto": 5, but never behind a connection pooler. *pool_mode*: that of such a pooler, "session" where it keeps
    sessions apart.
    """

    prepare_threshold: int | str = AUTO
    pool_mode: str = "transaction"
