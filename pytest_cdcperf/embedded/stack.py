"""The embedded stack as its user sees it: start, addresses, stop."""

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
from pytest_cdcperf.embedded.supervisor import START_TIMEOUT_S, KeeperConfig, Ready
from pytest_cdcperf.errors import StackError
from pytest_cdcperf.interpreter import environment, python_command
from pytest_cdcperf.servers import MongoAddress, PostgresAddress, Services

# The keeper keeps its own limit; this one is for a keeper that hangs.
_KEEPER_PATIENCE_S = START_TIMEOUT_S + 30.0
_STOP_PATIENCE_S = 30.0
_NEWS_PATIENCE_S = 1.0
_LOOK_EVERY_S = 0.005


@dataclass(frozen=True)
class StackConfig:
    """What an embedded stack is started with.

    *log_dir* gets postgres.log, debezium.log, mongo.log and keeper.log, which are kept; one directory
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

    def __init__(self, keeper: _KeeperProcess, ready: Ready) -> None:
        self._keeper = keeper
        self._directory = Path(ready.directory)
        self.services = Services(PostgresAddress(**ready.postgres), MongoAddress(ready.mongo_uri))
        self.versions: Mapping[str, str] = MappingProxyType(dict(ready.versions))
        self.pids: Mapping[str, int] = MappingProxyType(dict(ready.pids))

    @classmethod
    def start(cls, config: StackConfig, on_death: Callable[[str], None] | None = None) -> Self:
        """Start a stack; return once a row has gone from PostgreSQL to the sink and away again.

        :param on_death: told in one line, by a thread of the stack's, how a part has ended that nobody told to
        :raises MissingExtraError: when a package is missing; nothing was started then
        :raises StackError: when a part cannot be started; nothing is left of it but its logs
        """
        require_packages()
        log_dir = config.log_dir.absolute()
        keeper = _KeeperProcess(log_dir, on_death)
        try:
            keeper.tell(
                KeeperConfig(
                    log_dir=str(log_dir),
                    schema_sql=config.schema_sql,
                    schema_name=config.schema_name,
                    collections=dict(config.collections),
                    max_connections=config.max_connections,
                )
            )
            return cls(keeper, keeper.ready(_KEEPER_PATIENCE_S))
        except BaseException:
            keeper.stop()
            raise

    def dead_parts(self) -> list[str]:
        """Name the parts that have ended without being told to, in the order of their end."""
        return list(self._keeper.deaths())

    def deaths(self) -> list[str]:
        """Say in a line each how the parts ended that nobody told to, in the order of their end.

        A part that is gone already is waited for until its keeper has said how.
        """
        deadline = time.monotonic() + _NEWS_PATIENCE_S
        while self._awaits_news() and time.monotonic() < deadline:
            time.sleep(_LOOK_EVERY_S)
        return list(self._keeper.deaths().values())

    def _awaits_news(self) -> bool:
        known = self._keeper.deaths()
        if not self._keeper.is_watched or "keeper" in known:  # whose parts nobody speaks for
            return False
        return any(part not in known and not _runs(pid) for part, pid in self.pids.items())

    def stop(self) -> None:
        """End all processes and remove the data; keep the logs. A second call does nothing."""
        if self._keeper.stop():
            remove_directory(self._directory)  # usually gone by now: this is for a keeper that was killed

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()


class _KeeperProcess:
    """The keeper, seen from its parent: a pipe in, which is its lifeline, and a pipe of news out."""

    def __init__(self, log_dir: Path, on_death: Callable[[str], None] | None) -> None:
        self._log = log_dir / "keeper.log"
        self._owner = os.getpid()
        self._stopped = False
        self._on_death = on_death
        self._deaths: dict[str, str] = {}
        self._first_words: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        try:
            log_dir.mkdir(parents=True, exist_ok=True)
            for name in ("postgres", "debezium", "mongo", "keeper"):
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
            target=self._listen, args=(cast("IO[bytes]", self._process.stdout),), name="cdcperf-keeper", daemon=True
        )
        self._reader.start()
        _keepers.add(self)

    def tell(self, config: KeeperConfig) -> None:
        """Send the one message it waits for; one that is gone will be missed by :meth:`ready`."""
        with contextlib.suppress(BrokenPipeError):
            self._lifeline.write(json.dumps(asdict(config)).encode() + b"\n")
            self._lifeline.flush()

    def ready(self, timeout_s: float) -> Ready:
        """Wait for the stack, at most *timeout_s* from one word of the keeper to the next.

        :raises StackError: when it did not start
        """
        message: dict[str, Any] = {"starting": ""}
        while "starting" in message:
            try:
                message = self._first_words.get(timeout=timeout_s)
            except queue.Empty:
                raise StackError(
                    f"the embedded stack: no word from its keeper in {timeout_s:.0f} s (log: {self._log})"
                ) from None
        if "ready" in message:
            return Ready(**message["ready"])
        raise StackError(
            message.get("error") or f"the embedded stack: its keeper ended: {log_reason(self._log)} (log: {self._log})"
        )

    @property
    def is_watched(self) -> bool:
        """Whether its ends, and those of its parts, are nobody's order."""
        return not self._stopped and os.getpid() == self._owner

    def deaths(self) -> dict[str, str]:
        """How the parts ended that nobody told to, by name, in the order of their end."""
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
                self._process.wait(_STOP_PATIENCE_S)
            except KeyboardInterrupt:  # it is stopping already, and must not be left behind half-way
                self._process.wait(_STOP_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(_STOP_PATIENCE_S)
        return True

    def let_go(self) -> None:
        """Close a forked child's copy of the lifeline, which would keep the stack alive without us."""
        with contextlib.suppress(OSError):
            self._lifeline.close()

    def _listen(self, news: IO[bytes]) -> None:
        started = False
        with news:
            for line in news:
                message = json.loads(line)
                if "ended" in message:
                    self._note(message["ended"], message["words"])
                else:
                    started = "ready" in message
                    self._first_words.put(message)
        if started and not self._stopped:
            self._note("keeper", exit_reason("keeper", self._process.wait(), self._log))
        self._first_words.put({})

    def _note(self, part: str, words: str) -> None:
        self._deaths[part] = words
        if self._on_death is not None and not self._stopped:
            self._on_death(words)


# For one use only: what a fork copies, its child has to be able to find.
_keepers: weakref.WeakSet[_KeeperProcess] = weakref.WeakSet()


def _let_go_of_all() -> None:
    for keeper in tuple(_keepers):
        keeper.let_go()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go_of_all)


def _runs(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _own_session() -> dict[str, Any]:
    """Return what keeps a terminal's Ctrl-C from the keeper: it stops when we say so."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}
