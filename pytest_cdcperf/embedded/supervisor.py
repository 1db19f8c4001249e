"""The process that starts the stack's servers, watches them, and ends with its parent.

Run as ``python -m pytest_cdcperf.embedded.supervisor``. It reads one line of JSON from standard input, the
fields of :class:`SupervisorConfig`, and writes lines of JSON to standard output:

- ``{"ready": {...}}``, the fields of :class:`Ready`, once; or ``{"error": "..."}`` and exit status 1;
- ``{"starting": "..."}`` before, when it waits longer than usual for what makes progress;
- ``{"ended": "debezium", "reason": "..."}`` when a server ends that was not asked to stop.

It stops everything and removes the data when standard input ends (the parent is done, or was killed) and at
SIGTERM. It restarts nothing: a measurement in which a server died is of no use.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import queue
import secrets
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.collection import Collection
from pymongo.errors import ConnectionFailure

from pytest_cdcperf.embedded import marker
from pytest_cdcperf.embedded.capture import partitions, prepare_capture
from pytest_cdcperf.embedded.debezium import Pipeline
from pytest_cdcperf.embedded.directory import stack_directory
from pytest_cdcperf.embedded.jars import engine_jars
from pytest_cdcperf.embedded.lifeline import read_line, when_input_ends
from pytest_cdcperf.embedded.mongo import PORT_FILE, sink_uri
from pytest_cdcperf.embedded.postgres import PostgresServer, connect, start_postgres
from pytest_cdcperf.embedded.schema import run_schema
from pytest_cdcperf.embedded.server_process import ServerProcess
from pytest_cdcperf.errors import CdcperfError, StackError
from pytest_cdcperf.interpreter import python_command
from pytest_cdcperf.servers import SINK_DATABASE

START_TIMEOUT_S = 60.0

_LOOK_EVERY_S = 0.02
_STOP_TIMEOUT_S = 5.0
_EXIT_TIMEOUT_S = 0.2

_log = logging.getLogger("cdcperf.supervisor")


@dataclass(frozen=True)
class SupervisorConfig:
    """The request of the parent process."""

    log_dir: str
    schema_sql: str | None
    schema_name: str
    collections: Mapping[str, str]
    max_connections: int


@dataclass(frozen=True)
class Ready:
    """The answer to the parent once a change has gone all the way through: *postgres* is a PostgresAddress' fields."""

    postgres: Mapping[str, Any] = field(repr=False)
    mongo_uri: str = field(repr=False)
    pids: Mapping[str, int]
    versions: Mapping[str, str]
    directory: str


class StopRequestedError(Exception):
    """The parent is gone or done, so that it makes no sense to go on starting."""


class Supervisor:
    """The stack's servers, started in the main thread and stopped in the reverse order.

    The main thread it must be: on Linux the kernel ends PostgreSQL with the thread that started it.
    """

    def __init__(self, config: SupervisorConfig, directory: Path) -> None:
        self._config = config
        self._directory = directory
        self._deadline = time.monotonic() + START_TIMEOUT_S
        self._size = 0  # of the servers' files, when the deadline was set
        self._ended: queue.SimpleQueue[ServerProcess | None] = queue.SimpleQueue()
        self._servers: dict[str, ServerProcess] = {}
        self._postgres: PostgresServer | None = None
        self._waiting_for = "the first server"
        self._pipeline: Pipeline | None = None

    def request_stop(self, *_: object) -> None:
        """Ask for the end: from any thread, and as a signal handler."""
        self._ended.put(None)

    def start(self) -> Ready:
        """Start all servers and wait until a change has passed through all of them.

        :raises StackError: when a server ends, refuses or takes too long
        :raises StopRequestedError: when the stop is asked for in the meantime
        """
        debezium_version, _ = engine_jars()["debezium-connector-postgres"]
        # The slow starters first: the JVM boots while initdb works.
        debezium = self._spawn("debezium", python_command("pytest_cdcperf.embedded.debezium"))
        mongo = self._spawn("mongo", python_command("pytest_cdcperf.embedded.mongo", self._directory))
        password = secrets.token_urlsafe(24)
        mongo.send_line(password.encode())
        self._waiting_for = "PostgreSQL to answer"
        self._postgres = postgres = start_postgres(
            self._directory,
            self._log_of("postgres"),
            self._config.max_connections,
            spawn=lambda command: self._spawn("postgres", command),
            wait=self._wait,
        )
        self._create_schema(postgres)
        uri = sink_uri(self._mongo_port(), password, SINK_DATABASE)
        with connect(postgres.admin) as connection:
            left_out = partitions(connection)
        self._pipeline = Pipeline(
            port=postgres.debezium.port,
            user=postgres.debezium.user,
            password=postgres.debezium.password or "",
            dbname=postgres.debezium.dbname,
            sink_uri=uri,
            sink_database=SINK_DATABASE,
            collections=dict(self._config.collections),
            offsets=str(self._directory / "offsets"),
            left_out=left_out,
        )
        debezium.send_line(json.dumps(asdict(self._pipeline)).encode())
        self._wait_for_marker(postgres, uri)
        return Ready(
            postgres=asdict(postgres.address),
            mongo_uri=uri,
            pids={"supervisor": os.getpid(), **{name: server.pid for name, server in self._servers.items()}},
            versions={
                "PostgreSQL": postgres.version,
                "Debezium": debezium_version,
                "nx-27017 (MongoDB wire)": version("nx-27017"),
            },
            directory=str(self._directory),
        )

    def watch(self) -> None:
        """Report the servers that end, until the stop is asked for."""
        while (server := self._ended.get()) is not None:
            if server is not self._servers[server.name]:
                continue  # a PostgreSQL whose port was taken, and that another one has replaced
            reason = str(server.exit_error())
            _log.error("%s", reason)
            send_to_parent(ended=server.name, reason=reason)

    def cause(self, error: Exception) -> StackError:
        """Say why the start failed with *error*: usually a server has just ended."""
        for server in self._servers.values():
            if server.wait(_EXIT_TIMEOUT_S):
                return server.exit_error()
        return StackError(f"the embedded stack: {type(error).__name__}: {' '.join(str(error).split())}")

    def stop(self) -> None:
        """End all servers, the readers before what they read from."""
        if (debezium := self._servers.get("debezium")) is not None:
            debezium.close(_STOP_TIMEOUT_S)
        if self._postgres is not None:
            self._postgres.stop()
        elif (postgres := self._servers.get("postgres")) is not None:
            postgres.kill()
        if (mongo := self._servers.get("mongo")) is not None:
            mongo.close(_STOP_TIMEOUT_S)
        _log.info("stopped")

    def _spawn(self, name: str, command: Sequence[str | Path]) -> ServerProcess:
        # PostgreSQL on macOS grows a thread, and refuses to run, when it has to ask for the locale.
        env = {**os.environ, "LC_ALL": "C"} if name == "postgres" else None
        server = ServerProcess(name, command, self._log_of(name), self._ended.put, env=env)
        self._servers[name] = server
        _log.info("%s started with pid %d", name, server.pid)
        return server

    def _log_of(self, name: str) -> Path:
        return Path(self._config.log_dir) / f"{name}.log"

    def _wait(self) -> None:
        """Let a moment pass, and see whether there is a reason to give up."""
        with contextlib.suppress(queue.Empty):
            if (server := self._ended.get(timeout=_LOOK_EVERY_S)) is None:
                raise StopRequestedError
            if server.name != "postgres":  # which may have another go at another port
                raise server.exit_error()
        if self._postgres is not None and self._postgres.process.ended:
            raise self._postgres.process.exit_error()
        if time.monotonic() > self._deadline:
            self._insist_on_progress()

    def _insist_on_progress(self) -> None:
        """Wait on while the servers write: a schema with many rows, and the snapshot of them, take their time."""
        size = _size_of(self._directory)
        if size <= self._size:
            raise StackError(
                f"the embedded stack: waited {START_TIMEOUT_S:.0f} s without success for {self._waiting_for} "
                f"(logs: {self._config.log_dir})"
            )
        self._size = size
        self._deadline = time.monotonic() + START_TIMEOUT_S
        _log.info("still waiting for %s; %d bytes so far", self._waiting_for, size)
        send_to_parent(starting=self._waiting_for)

    def _create_schema(self, postgres: PostgresServer) -> None:
        with connect(postgres.admin) as connection:
            prepare_capture(connection)
            connection.execute(marker.CREATE)
        if self._config.schema_sql is None:
            return
        sql, name = self._config.schema_sql, self._config.schema_name
        self._waiting_for = f"{name} to run"
        log = self._log_of("postgres")
        run_schema(sql, name, postgres.binaries, postgres.address, self._directory, log, wait=self._wait)

    def _mongo_port(self) -> int:
        self._waiting_for = "the MongoDB-wire server to listen"
        file = self._directory / PORT_FILE
        while not file.exists():
            self._wait()
        return int(file.read_text())

    def _wait_for_marker(self, postgres: PostgresServer, uri: str) -> None:
        """Wait until the marker row has arrived, by the snapshot, and is gone again, by streaming."""
        client: MongoClient[dict[str, Any]]
        with MongoClient(uri, serverSelectionTimeoutMS=500) as client:
            sink: Collection[dict[str, Any]] = client[SINK_DATABASE][marker.COLLECTION]
            self._waiting_for = "Debezium's snapshot to arrive in the sink"
            while not _shows_marker(sink):
                self._wait()
            with connect(postgres.admin) as connection:
                connection.execute(marker.DELETE)
                self._waiting_for = "Debezium to stream to the sink"
                while _shows_marker(sink) is not False:
                    self._wait()
                connection.execute(marker.DROP)
            sink.drop()


def _size_of(directory: Path) -> int:
    size = 0
    for path in directory.rglob("*"):
        with contextlib.suppress(OSError):  # gone meanwhile
            size += path.lstat().st_size
    return size


def _shows_marker(sink: Collection[dict[str, Any]]) -> bool | None:
    """Whether the marker is in the sink; None when the sink does not say."""
    try:
        return sink.find_one({"_id": marker.DOCUMENT_ID}) is not None
    except ConnectionFailure:
        return None


def send_to_parent(**message: object) -> None:
    """Write one line of JSON to the parent; one that is gone needs no news."""
    with contextlib.suppress(OSError):
        sys.stdout.write(json.dumps(message) + "\n")
        sys.stdout.flush()


def main() -> int:
    """Run the stack; return the exit status."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("pymongo").setLevel(logging.WARNING)
    line = read_line()
    if not line:
        return 1
    config = SupervisorConfig(**json.loads(line))
    os.umask(0o077)  # also that of the servers: no other user may read their files
    try:
        with stack_directory() as directory:
            return run(Supervisor(config, directory))
    except CdcperfError as error:
        send_to_parent(error=str(error))
        return 1


def run(supervisor: Supervisor) -> int:
    """Start the stack, watch it until the stop is asked for, and stop it; return the exit status."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, supervisor.request_stop)
    when_input_ends(supervisor.request_stop)
    try:
        ready = supervisor.start()
        send_to_parent(ready=asdict(ready))
        supervisor.watch()
    except StopRequestedError:
        _log.info("asked to stop while starting")
    except CdcperfError as error:
        _log.error("%s", error)
        send_to_parent(error=str(error))
        return 1
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent must hear of it
        _log.exception("the supervisor failed")
        send_to_parent(error=str(supervisor.cause(error)))
        return 1
    finally:
        supervisor.stop()
    return 0


if __name__ == "__main__":
    status = main()
    sys.stderr.flush()
    # Not the interpreter's own end: it would wait for the thread that reads standard input.
    os._exit(status)
