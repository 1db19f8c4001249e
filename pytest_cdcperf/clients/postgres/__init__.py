"""The client of PostgreSQL, through psycopg 3: ``pg`` for ``def`` bodies, ``pg.aio`` for ``async def`` ones.

Every connection is in autocommit mode. A VU has one of its own while the server's limit allows it for
all VUs of the run; beyond, they share a pool, and the wait for it is ``pg_pool_wait``.

A call takes at most 60 s, or its *timeout*: seconds, or a duration such as "5m". One that takes longer raises
:class:`PostgresTimeoutError`, and its connection is closed. What is done on a raw ``connection()`` has no limit but
the end of the run.
"""

from pytest_cdcperf.clients.postgres.aio import AsyncPostgres
from pytest_cdcperf.clients.postgres.client import Postgres
from pytest_cdcperf.clients.postgres.connection import PostgresTimeoutError
from pytest_cdcperf.clients.postgres.server import PostgresUnreachableError

__all__ = ["AsyncPostgres", "Postgres", "PostgresTimeoutError", "PostgresUnreachableError"]
