"""Knows the server: how to connect, how many connections there may be, whether it answers."""

from __future__ import annotations

import threading
from typing import Any

import psycopg
from psycopg.rows import dict_row

from pytest_cdcperf.clients.postgres.connection import Connection, watchdog
from pytest_cdcperf.clients.postgres.libpq import parameters_of, taken_over
from pytest_cdcperf.clients.time_limit import CONNECT_TIMEOUT_S
from pytest_cdcperf.clock import real_time as time
from pytest_cdcperf.engine.vu import VU
from pytest_cdcperf.errors import UnreachableError
from pytest_cdcperf.redaction import redact
from pytest_cdcperf.servers import NEVER, PostgresAddress, PostgresOptions

_PROBE_S = 1.0
_SPARE_CONNECTIONS = 5  # for people and monitors beside the run


_DEFAULT_THRESHOLD = 5  # psycopg's


class PostgresUnreachableError(UnreachableError, psycopg.OperationalError):
    """No connection could be opened: one line with the address and the driver's words."""

    @classmethod
    def of(cls, address: PostgresAddress, error: psycopg.Error) -> PostgresUnreachableError:
        """Return what is raised, from None, for the driver's *error*, whose frames hold the password."""
        words = redact(" ".join(str(error).split()))
        heeded = ", ".join(taken_over(address))
        return cls(
            f"PostgreSQL at {address} cannot be used: {words}" + f" (the environment sets {heeded})" * bool(heeded)
        )


class Server:
    """The server, which both clients share, with one connection for calls outside of iterations."""

    def __init__(self, address: PostgresAddress, workers: int, options: PostgresOptions) -> None:
        self.address = address
        self._workers = workers
        self._options = options
        self._most = 0
        self._behind_pooler = False
        self._lock = threading.RLock()
        self._connection: Connection | None = None
        self._limit = 0
        self._suspect = False

    def arguments(self) -> dict[str, Any]:
        """Return what psycopg connects with."""
        return {
            **parameters_of(self.address),
            "autocommit": True,
            "row_factory": dict_row,
            "prepare_threshold": self._prepare_threshold,
        }

    @property
    def _prepare_threshold(self) -> int | None:
        chosen = self._options.prepare_threshold
        if isinstance(chosen, int):
            return chosen
        return None if chosen == NEVER or self._behind_pooler else _DEFAULT_THRESHOLD

    @property
    def has_pooler(self) -> bool:
        """Whether a connection pooler stands before it that may give each transaction another session."""
        return self.limit > 0 and self._behind_pooler and self._options.pool_mode != "session"

    @property
    def usage(self) -> str:
        """The special way in which it is used, for the header; "" where there is nothing special."""
        if not (self.limit and self._behind_pooler):
            return ""
        threshold = self._prepare_threshold
        prepares = "statements are not prepared" if threshold is None else f"prepare_threshold {threshold}"
        return f"behind a connection pooler ({prepares})"

    def numbers(self, vu: VU) -> str:
        """Say why the VUs of the run share connections."""
        return (
            f"{vu.vus} VUs in this process share {self.limit} connections (max_connections {self._most}, "
            f"{self._workers} worker{'s' * (self._workers != 1)})"
        )

    def pinned(self, vu: VU) -> bool:
        """Whether each VU of the run has a connection of its own."""
        return vu.vus <= self.limit

    @property
    def limit(self) -> int:
        """How many connections this process may open, asked of the server once."""
        if not self._limit:
            with self._lock:
                self._limit = self._ask_limit()
        return self._limit

    def connect(self) -> Connection:
        """Open a connection of the sync driver.

        :raises PostgresUnreachableError: where there is none to be had
        """
        __tracebackhide__ = True
        try:
            connection = Connection.connect(**self.arguments())
        except psycopg.Error as error:
            raise PostgresUnreachableError.of(self.address, error) from None
        watchdog.watch(connection)
        return connection

    def session_connection(self) -> Connection:
        """Return the connection for calls outside of iterations."""
        with self._lock:
            if self._connection is None or self._connection.closed:
                self._connection = self.connect()
            if self._suspect:
                self._require_answer(self._connection)
            return self._connection

    def suspect(self) -> None:
        """Note that the server did not answer: the next call outside the VUs first asks whether it does."""
        self._suspect = True

    def close(self) -> None:
        """Close the connection of the session."""
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _require_answer(self, connection: Connection) -> None:
        """Fail at once where the server still hangs: a tear-down would wait for it with each of its calls."""
        try:
            connection.ends_ns = time.perf_counter_ns() + round(_PROBE_S * 1e9)
            connection.execute("SELECT 1")
        except psycopg.Error:
            connection.cut()
            connection.close()
            raise PostgresUnreachableError(f"PostgreSQL at {self.address} does not answer") from None
        finally:
            connection.ends_ns = 0
        self._suspect = False

    def _ask_limit(self) -> int:
        connection = self.session_connection()
        connection.ends_ns = time.perf_counter_ns() + CONNECT_TIMEOUT_S * 1_000_000_000
        try:
            row = connection.execute(
                "SELECT current_setting('max_connections')::int AS most,"
                " current_setting('superuser_reserved_connections')::int"
                " + coalesce(current_setting('reserved_connections', true)::int, 0) AS reserved,"
                " (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')::int AS used,"
                " pg_backend_pid() AS pid"
            ).fetchone()
        finally:
            connection.ends_ns = 0
        if row is None:
            return 1
        self._most = int(row["most"])
        self._behind_pooler = row["pid"] != connection.info.backend_pid  # a pooler makes up the one that it tells
        connection.prepare_threshold = self._prepare_threshold
        free = int(row["most"] - row["reserved"] - row["used"]) - _SPARE_CONNECTIONS
        return max(1, free // self._workers)
