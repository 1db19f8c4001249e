"""Access to the embedded stack: only this session has it, without being superuser, and no other user of the machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pymongo
import pytest
from pymongo.errors import OperationFailure

from pytest_cdcperf.embedded.stack import EmbeddedStack, StackConfig
from tests.services.harness import connect

SECRET = "t0ken-0f-the-s3ssion"  # noqa: S105

# What another user of the machine tries. Imports first: it may not be allowed to read the interpreter's files.
STRANGER = """
import json, os, socket, struct, sys
import bson, psycopg, pymongo, pymongo.errors
told = json.loads(sys.stdin.readline())
port, sink, pids, directory = told["port"], told["sink"], told["pids"], told["directory"]
done = []

def tries(name, attempt):
    try:
        done.append([name, "DONE", repr(attempt())])
    except (OSError, psycopg.Error, pymongo.errors.PyMongoError) as error:
        done.append([name, type(error).__name__, " ".join(str(error).split())])

def run_a_program(user, **more):
    with psycopg.connect(host="127.0.0.1", port=port, user=user, connect_timeout=5, autocommit=True, **more) as pg:
        return pg.execute("COPY (SELECT 1) TO PROGRAM 'id'")

def client(credentials="", options=""):
    uri = f"mongodb://{credentials}127.0.0.1:{sink}/cdc_materialized{options}"
    return pymongo.MongoClient(uri, serverSelectionTimeoutMS=3000)

def asked(document, kind=2013, collection=b"cdc_materialized.visit"):
    head = struct.pack("<i", 0) + (b"\\0" if kind == 2013 else collection + b"\\0" + struct.pack("<ii", 0, 10))
    body = head + b"".join(bson.encode(part) if part is not None else b"\\0" for part in document)
    with socket.create_connection(("127.0.0.1", sink), 5) as server:
        server.sendall(struct.pack("<iiii", 16 + len(body), 1, 0, kind) + body)
        answer = server.recv(65536)
    found = bson.decode(answer[21:] if kind == 2013 else answer[36:])
    return {name: value for name, value in found.items() if name not in ("localTime",)}

def all_attempts():
    for user in ("postgres", "cdcperf_admin", "cdcperf_debezium", "nobody"):
        for dbname in ("postgres", "cdc_source"):
            tries(f"superuser {user} {dbname}", lambda: run_a_program(user, dbname=dbname))
        tries(f"password {user}", lambda: run_a_program(user, dbname="postgres", password="postgres"))
        tries(f"replication {user}", lambda: run_a_program(user, dbname="postgres", replication="true"))
    guess = "?authMechanism=PLAIN&authSource=$external"
    for name, one in (("plain", client()), ("wrong", client("cdcperf:guess@", guess))):
        database = one["cdc_materialized"]
        tries(f"{name} databases", one.list_database_names)
        tries(f"{name} find", lambda: database["visit"].find_one())
        tries(f"{name} insert", lambda: database["visit"].insert_one({"_id": "theirs"}))
        tries(f"{name} update", lambda: database["visit"].update_many({}, {"$set": {"page": "theirs"}}))
        tries(f"{name} drop", lambda: database["visit"].drop())
        tries(f"{name} bulk", lambda: database["visit"].bulk_write([pymongo.DeleteOne({})]))
        tries(f"{name} drop database", lambda: one.drop_database("cdc_materialized"))
        tries(f"{name} watch", lambda: database["visit"].watch())
        one.close()
    listing = {"listDatabases": 1, "$db": "admin"}
    tries("hello before a command", lambda: asked([{"hello": 1, **listing}]))
    tries("hello for a database", lambda: asked([{"hello": 1, "$db": "theirs"}]))
    tries("hello and a second body", lambda: asked([{"hello": 1, "$db": "admin"}, None, listing]))
    tries("legacy find", lambda: asked([{}], kind=2004))
    tries("legacy command", lambda: asked([{"listDatabases": 1}], kind=2004, collection=b"admin.$cmd"))
    for pid in pids:
        tries(f"environment {pid}", lambda: open(f"/proc/{pid}/environ", "rb").read())
    tries("directory", lambda: os.listdir(directory))
    for name in ("postgres", "mongo", "offsets", "mongo.port", "pg_hba.conf", "postgres/PG_VERSION"):
        path = os.path.join(directory, name)
        tries(f"file {name}", lambda: os.listdir(path) if os.path.isdir(path) else open(path, "rb").read())

if told["uid"]:
    all_attempts()  # loads the rest of what it needs
    done.clear()
    os.setgroups([])
    os.setgid(told["uid"])
    os.setuid(told["uid"])
all_attempts()
print(json.dumps(done))
"""
BESIDE = (  # modules of the user's, which are called as some of the standard library
    *("types", "logging", "email", "queue", "json", "random", "string", "token", "calendar", "code", "copy", "secrets"),
    *("select", "signal", "socket", "ssl", "statistics", "uuid", "sitecustomize"),
)
SCHEMA = "CREATE TABLE visit (id int PRIMARY KEY, page text); INSERT INTO visit VALUES (1, 'ours')"


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("logs")


@pytest.fixture(scope="module")
def stack(logs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStack]:
    beside = tmp_path_factory.mktemp("beside")
    for name in BESIDE:
        (beside / f"{name}.py").write_text("raise ImportError('a module beside a test was imported')")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(beside)
        patch.setenv("CI_DEPLOY_TOKEN", SECRET)
        patch.setenv("PGPASSWORD", SECRET)
        patch.setenv("JAVA_TOOL_OPTIONS", f"-Dsecret={SECRET}")
        with EmbeddedStack.start(StackConfig(logs, SCHEMA)) as running:
            yield running


@pytest.fixture
def processes(stack: EmbeddedStack) -> list[psutil.Process]:
    supervisor = psutil.Process(stack.pids["supervisor"])
    return [supervisor, *supervisor.children(recursive=True)]


@pytest.fixture(scope="module")
def attempts(stack: EmbeddedStack) -> list[tuple[str, str, str]]:
    """Return what a process of another user tried, and how it went, with the sink's row in place."""
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    sink = pymongo.uri_parser.parse_uri(stack.services.mongo.uri)["nodelist"][0][1]
    supervisor = psutil.Process(stack.pids["supervisor"])
    pids = [supervisor.pid, *(child.pid for child in supervisor.children(recursive=True))]
    told = {
        "port": stack.services.postgres.port,
        "sink": sink,
        "pids": pids,
        "directory": str(stack._directory),
        "uid": 12345 if root else 0,  # nobody's, PostgreSQL's the least
    }
    done = subprocess.run(
        [sys.executable, "-I", "-c", STRANGER],
        input=json.dumps(told) + "\n",
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=120,
    ).stdout
    return [tuple(attempt) for attempt in json.loads(done)]


class TestStrangers:
    def test_nobody_gets_into_the_servers(self, attempts: list[tuple[str, str, str]]) -> None:
        tried = [attempt for attempt in attempts if attempt[0].split()[0] in {"superuser", "password", "replication"}]
        assert len(tried) == 16
        for name, error, words in tried:
            assert error == "OperationalError", (name, error, words)
            if name.startswith("replication"):
                assert "no pg_hba.conf entry for replication connection" in words
            else:
                assert "no password supplied" in words or "password authentication failed" in words

    def test_nobody_reads_or_changes_documents(
        self, attempts: list[tuple[str, str, str]], stack: EmbeddedStack
    ) -> None:
        tried = [attempt for attempt in attempts if attempt[0].startswith(("plain ", "wrong "))]
        assert len(tried) == 16
        for name, error, words in tried:
            assert error == "OperationFailure", (name, error, words)
            assert "'code': 13," in words if name.startswith("plain") else "'code': 18," in words
        raw = {name: words for name, error, words in attempts if name.startswith(("hello", "legacy"))}
        assert len(raw) == 5
        for name, words in raw.items():
            assert "databases" not in words, name
            assert "isWritablePrimary" in words if name.startswith("hello") else "'code': 13," in words, (name, words)
        with pymongo.MongoClient[Any](stack.services.mongo.uri) as client:
            assert set(client.list_database_names()) == {"admin", "cdc_materialized"}
            assert client["cdc_materialized"]["visit"].find_one() == {"_id": "1", "id": 1, "page": "ours"}

    @pytest.mark.skipif(
        not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can try as another user of the machine"
    )
    def test_another_user_reads_no_environment_and_no_file(self, attempts: list[tuple[str, str, str]]) -> None:
        tried = [attempt for attempt in attempts if attempt[0].split()[0] in {"environment", "file", "directory"}]
        assert sum(name.startswith("environment ") for name, _, _ in tried) > 4
        assert {error for _, error, _ in tried} == {"PermissionError"}


class TestThisSession:
    def test_its_secrets_are_in_no_servers_environment(self, processes: list[psutil.Process]) -> None:
        assert len(processes) > 4
        for process in processes:
            assert SECRET not in str(process.environ()), process.name()

    def test_no_password_is_in_an_argument_an_environment_a_log_or_a_text(
        self, stack: EmbeddedStack, processes: list[psutil.Process], logs: Path
    ) -> None:
        uri = pymongo.uri_parser.parse_uri(stack.services.mongo.uri)
        passwords = [stack.services.postgres.password, uri["password"]]
        assert len(set(passwords)) == 2
        services = stack.services
        texts = [repr(services), str(services.postgres), str(services.mongo), repr(stack)]
        texts += [path.read_text() for path in logs.iterdir()]
        texts += [f"{process.cmdline()} {process.environ()}" for process in processes]
        for password in passwords:
            assert password is not None
            assert len(password) >= 32
            assert not [text for text in texts if password in text]

    def test_its_tests_are_no_superuser(self, stack: EmbeddedStack) -> None:
        with connect(stack) as pg:
            for refused in (
                "COPY (SELECT 1) TO PROGRAM 'id'",
                "COPY visit FROM '/etc/passwd'",
                "SELECT pg_read_file('/etc/passwd')",
                "SELECT rolpassword FROM pg_authid",
                "SET ROLE cdcperf_admin",
                "CREATE ROLE greater SUPERUSER",
                "ALTER SYSTEM SET archive_command = 'id'",
                "SELECT lo_import('/etc/passwd')",
                "LOAD '/tmp/library.so'",
            ):
                with pytest.raises(psycopg.Error) as caught:
                    pg.execute(refused)
                assert caught.value.sqlstate in {"42501", "22023"}, (refused, caught.value)  # insufficient privilege

    def test_its_tests_can_do_what_tests_do(self, stack: EmbeddedStack) -> None:
        with connect(stack) as pg:
            for allowed in (
                "CREATE SCHEMA lab",
                "CREATE TYPE lab.mood AS ENUM ('good')",
                "CREATE TABLE lab.thing (id int PRIMARY KEY, mood lab.mood)",
                "ALTER TABLE lab.thing REPLICA IDENTITY FULL",
                "CREATE FUNCTION lab.touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
                "CREATE TRIGGER touch BEFORE UPDATE ON lab.thing FOR EACH ROW EXECUTE FUNCTION lab.touch()",
                "CREATE PUBLICATION lab FOR TABLE lab.thing",
                "CREATE ROLE reader LOGIN PASSWORD 'x'",
                "GRANT SELECT ON ALL TABLES IN SCHEMA lab TO reader",
                "SET session_replication_role = replica",
                "SET session_replication_role = origin",
                "CHECKPOINT",
                "VACUUM ANALYZE visit",
                "SELECT pg_switch_wal(), pg_stat_reset()",
                "SELECT pg_logical_emit_message(true, 'test', 'hello')",
                "SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = 'cdcperf'",
                "SELECT query FROM pg_stat_activity WHERE query IS NOT NULL",
                "DROP PUBLICATION lab",
                "DROP SCHEMA lab CASCADE",
                "DROP ROLE reader",
                "CREATE DATABASE other",
                "DROP DATABASE other",
            ):
                pg.execute(allowed.encode())

    def test_a_wrong_password_of_the_sink_is_refused(self, stack: EmbeddedStack) -> None:
        uri = stack.services.mongo.uri
        password = pymongo.uri_parser.parse_uri(uri)["password"]
        with pymongo.MongoClient[Any](uri.replace(password, password + "x")) as client:
            with pytest.raises(OperationFailure, match="Authentication failed") as caught:
                client.admin.command("ping")
            assert caught.value.code == 18
