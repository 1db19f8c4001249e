"""Parts that the tests of the clients share: virtual users of both kinds of body, their figures, processes, waits."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import selectors
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import psycopg

from pytest_cdcperf.cdc.expect import Arrival, Cdc
from pytest_cdcperf.clients.mongo import Mongo
from pytest_cdcperf.clients.postgres import Postgres
from pytest_cdcperf.embedded import postgres as postgres_part
from pytest_cdcperf.embedded.directory import stack_directory
from pytest_cdcperf.embedded.postgres import PostgresServer
from pytest_cdcperf.embedded.server_process import ServerProcess
from pytest_cdcperf.embedded.stack import EmbeddedStack
from pytest_cdcperf.engine.current_vu import acting_as
from pytest_cdcperf.engine.event_loop import new_event_loop
from pytest_cdcperf.engine.run import Body, Run, RunOutcome
from pytest_cdcperf.engine.vu import VU
from pytest_cdcperf.load.base import Load
from pytest_cdcperf.metrics.recorder import Recorder
from pytest_cdcperf.metrics.scope import Scope
from pytest_cdcperf.metrics.snapshot import Snapshot
from pytest_cdcperf.metrics.timeline import Timeline
from pytest_cdcperf.servers import Services

ROOT = Path(__file__).parents[2]
BODY_KINDS = ("def", "async def")


def until(holds: Callable[[], object], timeout_s: float = 30.0) -> bool:
    """Wait for *holds*; generous, since it is there to end a failing test only."""
    deadline = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


@contextlib.contextmanager
def hanging(pid: int) -> Iterator[None]:
    """Stop a server and its children inside the block: their kernel still answers for them, they do not."""
    server = psutil.Process(pid)
    family = [server, *server.children(recursive=True)]
    try:
        for process in family:
            process.suspend()
        yield
    finally:
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()


def gone(pid: int) -> bool:
    """Whether a process has ended: an orphan's zombie counts, nobody may be there to reap it."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


class Measured:
    """What was recorded so far."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._total = Snapshot()

    def of(self, metric: str, **tags: str) -> Any:
        """Return the state of *metric* over the series with *tags*, None where there is no sample."""
        self._total.extend(self._recorder.drain())
        return self._total.select(metric, tags)

    def count(self, metric: str, **tags: str) -> float:
        """Return how many samples a trend has, or a counter's sum; 0 where there is none."""
        state = self.of(metric, **tags)
        return 0 if state is None else getattr(state, "count", getattr(state, "total", 0))

    def hits(self, metric: str) -> tuple[int, int]:
        """Return how many of how many were true."""
        state = self.of(metric)
        return (0, 0) if state is None else (state.hits, state.total)


class User:
    """One virtual user in the middle of an iteration, that calls the sync or the async client."""

    def __init__(self, body_kind: str, number: int = 1, *, vus: int = 1) -> None:
        self.is_async = body_kind == "async def"
        recorder = Recorder()
        self.measured = Measured(recorder)
        self.vu = VU(number, session_id="r1", scope=Scope(recorder), vus=vus, is_async=self.is_async)
        self._loop = new_event_loop() if self.is_async else None

    def call(self, client: Postgres | Mongo, method: str, *args: Any, **more: Any) -> Any:
        """Call *method* of the sync client, or await it of the async one."""
        with acting_as(self.vu):
            if self._loop is None:
                return getattr(client, method)(*args, **more)

            async def call() -> Any:
                return await getattr(client.aio, method)(*args, **more)

            return self._loop.run_until_complete(call())

    def waiting(self, cdc: Cdc, method: str, block: Callable[[], object], *args: Any, **more: Any) -> Arrival:
        """Do *block* inside ``cdc.expect`` or ``cdc.expect_gone`` of the sync or the async client."""
        with acting_as(self.vu):
            if self._loop is None:
                with getattr(cdc, method)(*args, **more) as arrival:
                    block()
                return arrival

            async def wait() -> Arrival:
                async with getattr(cdc.aio, method)(*args, **more) as arrival:
                    await asyncio.get_running_loop().run_in_executor(None, block)  # no VU there
                return arrival

            return self._loop.run_until_complete(wait())

    def backend(self, pg: Postgres) -> int:
        """Return the server process behind the connection that the user has."""
        pid: int = self.call(pg, "execute", "SELECT pg_backend_pid() AS pid")[0]["pid"]
        return pid

    def end(self) -> None:
        """Close what the user has opened."""
        shared = self.vu.shared.close_all()
        left = [*self.vu.own.close_all(), *shared]
        if self._loop is not None:

            async def close() -> None:
                await asyncio.gather(*left, return_exceptions=True)

            self._loop.run_until_complete(close())
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()
            self._loop = None
            if shared:
                sweep()


def sweep() -> None:
    """Collect the sockets that pymongo's monitors leave open when they are cancelled while they connect."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def run_body(load: Load, body: Callable[[], object], **more: Any) -> tuple[RunOutcome, Snapshot]:
    """Run *body* under *load* with the real engine; return how it ended and what was measured."""
    timeline = Timeline()
    is_async = asyncio.iscoroutinefunction(body)
    run = Run({"load": load}, Body(body, is_async), session_id="r1", on_window=timeline.add, **more)
    outcome = run.execute()
    if is_async:
        sweep()
    return outcome, timeline.series


_SHOWN = ("POSTGRES_", "MONGODB_", "CDCPERF_", "PYTEST_", "RESULTS_", "ADDER_", "TOTALIZER_", "TARGET_", "DURATION")


def pytest_session(cwd: Path, *arguments: str, **environment: str) -> tuple[int, str]:
    """Run pytest in *cwd* to its end, with nothing of our own surroundings; return its exit code and output."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_SHOWN)}
    if "PYTEST_PLUGINS" in os.environ:  # where the plugin under test is not installed
        kept["PYTEST_PLUGINS"] = os.environ["PYTEST_PLUGINS"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments],
        cwd=cwd,
        env={**kept, "PYTHONPATH": str(ROOT), "COLUMNS": "300", "CDCPERF_ON_UNFIT": "warn", **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    print(done.stdout)  # noqa: T201 - for a reader who has to find out why a session ended otherwise
    return done.returncode, done.stdout


def named(services: Services) -> dict[str, str]:
    """Return the environment that names *services*."""
    postgres = services.postgres
    assert postgres.password is not None
    return {
        "POSTGRES_HOST": postgres.host,
        "POSTGRES_PORT": str(postgres.port),
        "POSTGRES_USER": postgres.user,
        "POSTGRES_PASSWORD": postgres.password,
        "POSTGRES_DB": postgres.dbname,
        "MONGODB_URI": services.mongo.uri,
    }


def refused_port() -> int:
    """Return a port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Relay:
    """A TCP relay in front of a server, whose connections can be cut."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._server = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._server.getsockname()[1]
        self._pairs: set[socket.socket] = set()
        self._lock = threading.Lock()
        self.refusing = False
        self.accepted = 0
        threading.Thread(target=self._accept, name="relay", daemon=True).start()

    def cut(self) -> None:
        """Cut every connection there is."""
        with self._lock:
            for end in self._pairs:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Cut everything and listen no more."""
        self.refusing = True
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            if self.refusing:
                client.close()
                continue
            self.accepted += 1
            threading.Thread(target=self._pass_on, args=(client,), name="relay-pair", daemon=True).start()

    def _pass_on(self, client: socket.socket) -> None:
        server = socket.create_connection(("127.0.0.1", self._target))
        ends = {client: server, server: client}
        with self._lock:
            self._pairs |= set(ends)
        with client, server, selectors.DefaultSelector() as selector, contextlib.suppress(OSError):
            for end in ends:
                selector.register(end, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    data = key.fileobj.recv(65536)
                    if not data:
                        break
                    ends[key.fileobj].sendall(data)
                else:
                    continue
                break
        with self._lock:
            self._pairs -= set(ends)


@contextlib.contextmanager
def relayed(port: int) -> Iterator[Relay]:
    """Open a relay to *port*."""
    relay = Relay(port)
    try:
        yield relay
    finally:
        relay.close()


@dataclass
class Session:
    """A session that is over."""

    code: int
    output: str
    directory: Path

    def result(self, stem: str) -> dict[str, Any]:
        """Return what was written of the one test *stem*, "module-function", whatever its file is called."""
        files = (self.directory / "perf-results" / "latest").glob("*.json")
        documents: list[dict[str, Any]] = [json.loads(path.read_text()) for path in files]
        (found,) = [one for one in documents if one.get("test", "").endswith(stem.replace("-", ".py::"))]
        return found

    @property
    def processes(self) -> list[int]:
        """What ran in it and below it, as it said."""
        return [int(pid) for pid in (self.directory / "processes.txt").read_text().split()]


def connect(stack: EmbeddedStack) -> psycopg.Connection:
    """Connect as the tests do."""
    return postgres_part.connect(stack.services.postgres)


@contextlib.contextmanager
def lone_postgres(log: Path) -> Iterator[PostgresServer]:
    """Run a PostgreSQL of its own, without the rest of a stack."""
    with stack_directory() as directory:
        server = postgres_part.start_postgres(
            directory,
            log,
            20,
            spawn=lambda command: ServerProcess("postgres", command, log, lambda _: None),
            wait=lambda: time.sleep(0.02),
        )
        try:
            yield server
        finally:
            server.stop()
