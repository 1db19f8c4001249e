"""One embedded stack for all tests of this directory that bring none of their own, and the clients of it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pytest

from pytest_cdcperf.cdc.expect import Cdc
from pytest_cdcperf.cdc.watch import SinkWatch
from pytest_cdcperf.clients.mongo import Mongo
from pytest_cdcperf.clients.postgres import Postgres
from pytest_cdcperf.embedded.stack import EmbeddedStack, StackConfig
from pytest_cdcperf.servers import PostgresAddress
from tests.services.harness import BODY_KINDS, ROOT, Session, User, lone_postgres, named, refused_port, until
from tests_perf.services.launcher import Launched

COLLECTIONS = {"customer": "customers", "address": "addresses", "orders": "orders"}
PASSWORD = "s3cr3t-of-nobody"  # noqa: S105  # of servers that are not there
OWN_TABLES = """
CREATE TABLE gadget (
    id uuid PRIMARY KEY, name text, pieces int, price numeric(12, 2), sold boolean,
    made timestamptz, seen timestamp, born date
);
CREATE SCHEMA lab;
"""


@pytest.fixture(scope="session")
def shared_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStack]:
    schema = (ROOT / "tests_perf" / "shop" / "schema.sql").read_text()
    config = StackConfig(tmp_path_factory.mktemp("shared-stack"), schema + OWN_TABLES, COLLECTIONS)
    with EmbeddedStack.start(config) as stack:
        yield stack


@pytest.fixture(scope="session")
def source(shared_stack: EmbeddedStack) -> Iterator[Postgres]:
    """PostgreSQL. Schema "lab" is not carried to the sink."""
    made = Postgres(shared_stack.services.postgres)
    yield made
    made.close()


@pytest.fixture(scope="session")
def sink_client(shared_stack: EmbeddedStack) -> Iterator[Mongo]:
    made = Mongo(shared_stack.services.mongo)
    yield made
    made.close()


@pytest.fixture(scope="session")
def pipeline(sink_client: Mongo) -> Iterator[Cdc]:
    watch = SinkWatch(sink_client)
    yield Cdc(sink_client, watch)
    watch.close()


@pytest.fixture
def users() -> Iterator[Callable[..., User]]:
    """Make virtual users, and end them with the test."""
    made: list[User] = []

    def make(body_kind: str, number: int = 1, *, vus: int = 1) -> User:
        made.append(User(body_kind, number, vus=vus))
        return made[-1]

    yield make
    for user in made:
        user.end()


@pytest.fixture(params=BODY_KINDS)
def body_kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def user(body_kind: str, users: Callable[..., User]) -> User:
    """One virtual user, of a blocking body and of an async one."""
    return users(body_kind)


@dataclass(frozen=True)
class GuardedPostgres:
    """A second PostgreSQL, whose password may be given wrong."""

    address: PostgresAddress

    def with_password(self, password: str) -> PostgresAddress:
        return replace(self.address, password=password)


@pytest.fixture(scope="session")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedPostgres]:
    with lone_postgres(tmp_path_factory.mktemp("guarded") / "postgres.log") as server:
        yield GuardedPostgres(server.address)


@pytest.fixture(scope="session")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="session")
def adder(shared_stack: EmbeddedStack, logs: Path) -> Iterator[Launched]:
    service = Launched("adder", logs / "adder.log", **asdict(shared_stack.services.postgres))
    yield service
    service.close()


@pytest.fixture(scope="session")
def totalizer(shared_stack: EmbeddedStack, logs: Path) -> Iterator[Launched]:
    sink = shared_stack.services.mongo
    service = Launched("totalizer", logs / "totalizer.log", uri=sink.uri, database=sink.database)
    yield service
    service.close()


@pytest.fixture
def thing(source: Postgres) -> Iterator[str]:
    """A table for one test, which holds one row."""
    name = f"lab.thing_{uuid.uuid4().hex[:8]}"
    source.execute(f"CREATE TABLE {name} (id int PRIMARY KEY, a text, b int)")
    source.insert(name, {"id": 1, "a": "one", "b": 1})
    yield name
    source.execute(f"DROP TABLE {name}")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The environment of a session: nothing in it names servers."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("POSTGRES_", "MONGODB_", "CDCPERF_", "PYTEST_ADDOPTS", "PYTEST_CURRENT", "RESULTS_"))
    }
    kept["CDCPERF_ON_UNFIT"] = "warn"
    return {**kept, "RESULTS_DIR": str(tmp_path / "perf-results"), "PYTHONUNBUFFERED": "1", "COLUMNS": "200"}


@pytest.fixture
def run(tmp_path: Path, environment: dict[str, str]) -> Callable[..., Session]:
    """Run pytest in *cwd* to its end."""

    def run(*arguments: str, cwd: Path = tmp_path, **more: str) -> Session:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments],
            cwd=cwd,
            env={**environment, **more},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )
        print(done.stdout)  # noqa: T201 - for a reader who has to find out why a session ended otherwise
        return Session(done.returncode, done.stdout, tmp_path)

    return run


@pytest.fixture
def external(shared_stack: EmbeddedStack) -> dict[str, str]:
    """The environment that names the stack of these tests."""
    return named(shared_stack.services)


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="session")
def pooler(shared_stack: EmbeddedStack) -> Iterator[PostgresAddress]:
    """A PgBouncer before the stack's PostgreSQL, which gives each transaction another session."""
    program = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        pytest.skip("pgbouncer is not installed")
    with tempfile.TemporaryDirectory(prefix="cdcperf-pooler-") as directory:
        yield from _pooler(program, Path(directory), shared_stack.services.postgres)


def _pooler(program: str, directory: Path, address: PostgresAddress) -> Iterator[PostgresAddress]:
    port = refused_port()
    (directory / "users.txt").write_text(f'"{address.user}" "{address.password}"\n')
    (directory / "pgbouncer.ini").write_text(
        f"[databases]\n{address.dbname} = host={address.host} port={address.port}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
        f"auth_type = scram-sha-256\nauth_file = {directory}/users.txt\nlogfile = {directory}/log.txt\n"
        "pool_mode = transaction\ndefault_pool_size = 3\nmax_client_conn = 200\n"
    )
    command = [program, str(directory / "pgbouncer.ini")]
    if sys.platform != "win32" and os.geteuid() == 0:  # it does not run as root
        command[1:1] = ["-u", "nobody"]
        for path in (directory, *directory.iterdir()):
            shutil.chown(path, "nobody")
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        behind = replace(address, host="127.0.0.1", port=port)
        assert until(lambda: answers(port), 10)
        yield behind
    finally:
        process.terminate()
        process.wait(10)
