"""The embedded stack: starting it, its addresses, its deaths, stopping it."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import IO, Any, Self, cast

import psutil

from pytest_cdcperf.clock import real_time as time
from pytest_cdcperf.embedded.directory import remove_directory
from pytest_cdcperf.embedded.exit_reason import exit_reason, log_reason
from pytest_cdcperf.embedded.packages import require_packages
from pytest_cdcperf.embedded.supervisor import START_TIMEOUT_S, Ready, SupervisorConfig
from pytest_cdcperf.errors import StackError
from pytest_cdcperf.interpreter import environment, python_command
from pytest_cdcperf.servers import MongoAddress, PostgresAddress, Services

# The supervisor keeps its own limit; this one is for a supervisor that hangs.
_SUPERVISOR_TIMEOUT_S = START_TIMEOUT_S + 30.0
_STOP_TIMEOUT_S = 30.0
_REPORT_TIMEOUT_S = 1.0
_LOOK_EVERY_S = 0.005


@dataclass(frozen=True)
class StackConfig:
    """The settings that an embedded stack is started with.

    *log_dir* gets postgres.log, debezium.log, mongo.log and supervisor.log, which are kept; one directory
    serves one running stack. *schema_sql* runs in the source database before Debezium starts, as psql would run it;
    *schema_name* is its path, for messages and what it includes. Every table of schema public needs a key. A table that
    *collections* does not name goes to a collection of
    its own name. *max_connections* is PostgreSQL's default, so that waits for one show as they would.
    """

    log_dir: Path
    schema_sql: str | None = None
    collections: Mapping[str, str] = field(default_factory=dict)
    max_connections: int = 100
    schema_name: str = "schema_sql"


class EmbeddedStack:
    """A running stack. Use it as a context manager, or call :meth:`stop`.

    When this process dies, in whatever way, the stack dies with it. A forked child may use the addresses;
    its :meth:`stop` does nothing. The addresses hold passwords of this stack, which their text does not show.
    """

    def __init__(self, supervisor: _SupervisorProcess, ready: Ready) -> None:
        self._supervisor = supervisor
        self._directory = Path(ready.directory)
        self.services = Services(PostgresAddress(**ready.postgres), MongoAddress(ready.mongo_uri))
        self.versions: Mapping[str, str] = MappingProxyType(dict(ready.versions))
        self.pids: Mapping[str, int] = MappingProxyType(dict(ready.pids))

    @classmethod
    def start(cls, config: StackConfig, on_death: Callable[[str], None] | None = None) -> Self:
        """Start a stack; return once a row has gone from PostgreSQL to the sink and away again.

        :param on_death: told in one line, by a thread of the stack's, how a server has ended that was not asked to stop
        :raises MissingExtraError: when a package is missing; nothing was started then
        :raises StackError: when a server cannot be started; nothing is left of it but its logs
        """
        require_packages()
        log_dir = config.log_dir.absolute()
        supervisor = _SupervisorProcess(log_dir, on_death)
        try:
            supervisor.send(
                SupervisorConfig(
                    log_dir=str(log_dir),
                    schema_sql=config.schema_sql,
                    schema_name=config.schema_name,
                    collections=dict(config.collections),
                    max_connections=config.max_connections,
                )
            )
            return cls(supervisor, supervisor.ready(_SUPERVISOR_TIMEOUT_S))
        except BaseException:
            supervisor.stop()
            raise

    def dead_servers(self) -> list[str]:
        """Name the servers that have ended without being asked to, in the order of their end."""
        return list(self._supervisor.deaths())

    def deaths(self) -> list[str]:
        """Say in a line each how the servers ended that were not asked to stop, in the order of their end.

        A server that has ended already is waited for until the supervisor has said how.
        """
        deadline = time.monotonic() + _REPORT_TIMEOUT_S
        while self._awaits_report() and time.monotonic() < deadline:
            time.sleep(_LOOK_EVERY_S)
        return list(self._supervisor.deaths().values())

    def _awaits_report(self) -> bool:
        known = self._supervisor.deaths()
        if not self._supervisor.is_watched or "supervisor" in known:  # whose death is not reported
            return False
        return any(name not in known and not _runs(pid) for name, pid in self.pids.items())

    def stop(self) -> None:
        """End all processes and remove the data; keep the logs. A second call does nothing."""
        if self._supervisor.stop():
            remove_directory(self._directory)  # usually gone by now: this is for a supervisor that was killed

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()


class _SupervisorProcess:
    """The supervisor as its parent sees it: it ends with the pipe to it, and reports over the pipe from it."""

    def __init__(self, log_dir: Path, on_death: Callable[[str], None] | None) -> None:
        self._log = log_dir / "supervisor.log"
        self._owner = os.getpid()
        self._stopped = False
        self._on_death = on_death
        self._deaths: dict[str, str] = {}
        self._start_messages: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        try:
            log_dir.mkdir(parents=True, exist_ok=True)
            for name in ("postgres", "debezium", "mongo", "supervisor"):
                (log_dir / f"{name}.log").write_bytes(b"")
            with self._log.open("ab") as log:
                self._process = subprocess.Popen(  # noqa: S603 - our own command
                    python_command("pytest_cdcperf.embedded.supervisor"),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    env=environment(os.environ),
                    **_own_session(),
                )
        except OSError as error:
            raise StackError(f"the embedded stack: cannot start with its logs in {log_dir}: {error}") from None
        self._lifeline = cast("IO[bytes]", self._process.stdin)
        self._reader = threading.Thread(
            target=self._listen, args=(cast("IO[bytes]", self._process.stdout),), name="cdcperf-supervisor", daemon=True
        )
        self._reader.start()
        _supervisors.add(self)

    def send(self, config: SupervisorConfig) -> None:
        """Send the one message it waits for; one that is gone will be missed by :meth:`ready`."""
        with contextlib.suppress(BrokenPipeError):
            self._lifeline.write(json.dumps(asdict(config)).encode() + b"\n")
            self._lifeline.flush()

    def ready(self, timeout_s: float) -> Ready:
        """Wait for the stack, at most *timeout_s* from one message of the supervisor to the next.

        :raises StackError: when it did not start
        """
        message: dict[str, Any] = {"starting": ""}
        while "starting" in message:
            try:
                message = self._start_messages.get(timeout=timeout_s)
            except queue.Empty:
                raise StackError(
                    f"the embedded stack: no message from its supervisor in {timeout_s:.0f} s (log: {self._log})"
                ) from None
        if "ready" in message:
            return Ready(**message["ready"])
        raise StackError(
            message.get("error")
            or f"the embedded stack: its supervisor ended: {log_reason(self._log)} (log: {self._log})"
        )

    @property
    def is_watched(self) -> bool:
        """Whether it belongs to this process and was not asked to stop."""
        return not self._stopped and os.getpid() == self._owner

    def deaths(self) -> dict[str, str]:
        """The exit reasons, by name, of the servers that ended without having been asked to, in that order."""
        return dict(self._deaths) if self.is_watched else {}

    def stop(self) -> bool:
        """End it and wait; return whether there was anything to do."""
        if not self.is_watched:
            return False
        self._stopped = True
        with contextlib.suppress(OSError):
            self._lifeline.close()
        try:
            try:
                self._process.wait(_STOP_TIMEOUT_S)
            except KeyboardInterrupt:  # it is stopping already, and must not be left behind half-way
                self._process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(_STOP_TIMEOUT_S)
        return True

    def close_inherited(self) -> None:
        """Close a forked child's copy of the lifeline, which would keep the stack alive after this process."""
        with contextlib.suppress(OSError):
            self._lifeline.close()

    def _listen(self, news: IO[bytes]) -> None:
        started = False
        with news:
            for line in news:
                message = json.loads(line)
                if "ended" in message:
                    self._note(message["ended"], message["reason"])
                else:
                    started = "ready" in message
                    self._start_messages.put(message)
        if started and not self._stopped:
            self._note("supervisor", exit_reason("supervisor", self._process.wait(), self._log))
        self._start_messages.put({})

    def _note(self, server: str, reason: str) -> None:
        self._deaths[server] = reason
        if self._on_death is not None and not self._stopped:
            self._on_death(reason)


# For one use only: what a fork copies, its child has to be able to find.
_supervisors: weakref.WeakSet[_SupervisorProcess] = weakref.WeakSet()


def _close_inherited() -> None:
    for supervisor in tuple(_supervisors):
        supervisor.close_inherited()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_inherited)


def _runs(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _own_session() -> dict[str, Any]:
    """Return what keeps a terminal's Ctrl-C from the supervisor: it stops when its standard input ends."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}
