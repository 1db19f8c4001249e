"""The user's schema, run by psql: what works there works here, dumps with COPY and backslash commands among it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from pytest_cdcperf.errors import StackError
from pytest_cdcperf.servers import PostgresAddress

_EXE = ".exe" if sys.platform == "win32" else ""
# pg_dump --create and pg_dumpall change to another database, which would not be captured.
_CONNECT = re.compile(r"^\\c(?:onnect)?(?=\s).*$", re.MULTILINE)
_COMPLAINT = re.compile(r"psql:<stdin>:(\d+): ((?:ERROR|FATAL|error):[\s\S]*)|(psql: error:[\s\S]*)")
_LONGEST = 300


def run_schema(
    sql: str,
    name: str,
    binaries: Path,
    address: PostgresAddress,
    directory: Path,
    log: Path,
    *,
    wait: Callable[[], None],
) -> None:
    """Run *sql* in the database at *address*, statement by statement, until the first error.

    :param name: its path, for messages; what it includes is looked for beside it
    :param binaries: where psql is
    :param directory: for files that go with the stack
    :param log: the server's, for messages
    :param wait: called between two looks at psql; it sleeps, and raises when there is no point in looking on
    :raises StackError: naming the line that PostgreSQL refuses
    """
    script, complaints, passwords = (directory / file for file in ("schema.sql", "schema.log", "pgpass"))
    script.write_text(_CONNECT.sub("", sql), encoding="utf-8", newline="")
    passwords.touch(mode=0o600)
    passwords.write_text(f"{address.host}:{address.port}:*:{address.user}:{address.password}\n")
    command: list[str | Path] = [binaries / f"psql{_EXE}", "--no-psqlrc", "--no-password", "--quiet", "--file=-"]
    command += ["--set=ON_ERROR_STOP=1", f"--host={address.host}", f"--port={address.port}"]
    command += [f"--username={address.user}", address.dbname]
    settings = {"PGPASSFILE": str(passwords), "PGCLIENTENCODING": "UTF8", "PGSSLMODE": "disable", "LC_ALL": "C"}
    beside = Path(name).parent
    with script.open("rb") as given, complaints.open("wb") as output:
        psql = subprocess.Popen(  # noqa: S603  # our own command
            command,
            stdin=given,
            stdout=subprocess.DEVNULL,
            stderr=output,
            env={**os.environ, **settings},
            cwd=beside if beside.is_dir() else directory,
        )
    try:
        while psql.poll() is None:
            wait()
    finally:
        psql.kill()
        psql.wait()
        passwords.unlink()
    if psql.returncode != 0:
        refusal = _refusal(complaints, name, psql.returncode)
        raise StackError(f"the embedded stack: PostgreSQL refuses {refusal} (log: {log})")


def _refusal(complaints: Path, name: str, returncode: int) -> str:
    said = complaints.read_text(encoding="utf-8", errors="replace")
    found = _COMPLAINT.search(said)
    if found is None:
        return f"{name}: psql ended with exit status {returncode}: {' '.join(said.split())[-_LONGEST:]}"
    line, words, other = found.groups()
    return f"{name}{f':{line}' if line else ''}: {' '.join((words or other).split())[:_LONGEST]}"
