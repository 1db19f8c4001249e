"""A worker on another host, by a real sshd on an address of its own."""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.distributed.harness import PLUGINS, Project
from tests.services.harness import lone_postgres, until

SSHD = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")
SSH_KEYGEN = shutil.which("ssh-keygen")
ADDRESS = "127.0.0.2"
ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(
    None in {SSHD, SSH_KEYGEN}, reason="needs sshd, ssh and ssh-keygen, of the package openssh-server"
)

SSHD_CONFIG = """
ListenAddress {address}:{port}
HostKey {directory}/host_key
AuthorizedKeysFile {directory}/user_key.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin yes
SetEnv PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 PYTEST_PLUGINS={plugins} PYTHONPATH={path}
"""
SSH_CONFIG = """
Host far
    HostName {address}
    Port {port}
    User {user}
    IdentityFile {directory}/user_key
    IdentitiesOnly yes
    UserKnownHostsFile {directory}/known_hosts
    StrictHostKeyChecking yes
    BatchMode yes
"""
TESTS = """
@pytest.mark.joint
@perf(load=ConstantArrivalRate(rate=50, duration="2s", vus=4), p95="10s")
def test_joint(vu):
    note("starts.txt", vu.id)
    time.sleep(0.001)

@pytest.mark.long
@perf(vus=4, duration="60s")
def test_long():
    note("began.txt")
    time.sleep(0.01)

@pytest.mark.stack
@perf(load=PerVUIterations(vus=2, iterations=3))
def test_servers(pg):
    note("found.txt", pg.execute("SELECT current_setting('port') AS port")[0]["port"])
"""


@pytest.fixture(scope="module")
def far(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A host "far", as --tx names it but for its directory."""
    directory = tmp_path_factory.mktemp("ssh")
    for key in ("host_key", "user_key"):
        command = [str(SSH_KEYGEN), "-q", "-t", "ed25519", "-N", "", "-f", directory / key]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    with socket.socket() as probe:
        try:
            probe.bind((ADDRESS, 0))
        except OSError:
            pytest.skip(f"{ADDRESS} is not an address of this machine")
        port: int = probe.getsockname()[1]
    host_key = (directory / "host_key.pub").read_text()
    (directory / "known_hosts").write_text(f"[{ADDRESS}]:{port} {host_key}")
    names = {"address": ADDRESS, "port": port, "directory": directory, "user": getpass.getuser()}
    (directory / "sshd_config").write_text(SSHD_CONFIG.format(**names, plugins=PLUGINS, path=ROOT))
    (directory / "ssh_config").write_text(SSH_CONFIG.format(**names))
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # sshd of root wants it; its own service would make it
    with (directory / "sshd.log").open("wb") as log:
        sshd = subprocess.Popen([str(SSHD), "-D", "-e", "-f", directory / "sshd_config"], stdout=log, stderr=log)
    try:
        assert until(lambda: listens(port) or sshd.poll() is not None, 10)
        assert sshd.poll() is None, (directory / "sshd.log").read_text()
        yield f"ssh=far//ssh_config={directory / 'ssh_config'}//python={sys.executable}"
    finally:
        sshd.terminate()
        sshd.wait()


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((ADDRESS, port)) == 0


@pytest.fixture
def here(tmp_path: Path) -> Project:
    return _checkout(tmp_path / "here")


@pytest.fixture
def there(tmp_path: Path) -> Project:
    """The checkout on the far host."""
    return _checkout(tmp_path / "there")


def _checkout(directory: Path) -> Project:
    project = Project(directory)
    project.write("pytest.ini", "[pytest]\nmarkers =\n    joint\n    long\n    stack\n")
    project.tests(TESTS)
    return project


def test_a_worker_here_and_one_on_another_host_run_a_test_together(here: Project, there: Project, far: str):
    session = here.run(
        *("--tx", "popen", "--tx", f"{far}//chdir={there.directory}", "--dist=load"),
        *("-m", "joint", "--perf-run", "--junitxml=junit.xml"),
    )
    assert session.code == 0
    assert session.counts == {"passed": 1}
    result = session.results["test_joint"]
    assert result["iterations"] == 100
    assert [part["iterations"] for part in result["workers"]] == [50, 50]
    assert result["metrics"]["response_time"]["values"]["count"] == 100
    for project, worker in ((here, "gw0"), (there, "gw1")):
        lines = (project.directory / "starts.txt").read_text().splitlines()
        assert len(lines) == 50
        assert all(line.startswith(worker) for line in lines)
    assert list(session.cases) == ["test_joint"]
    assert not (there.directory / "perf-results").exists()


def test_ctrl_c_ends_the_worker_on_the_other_host_too(here: Project, there: Project, far: str):
    process = here.start(
        *("--tx", "popen", "--tx", f"{far}//chdir={there.directory}", "--dist=load"), *("-m", "long", "--perf-run")
    )
    assert until(lambda: all(len(project.notes("began.txt")) > 300 for project in (here, there)))
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: it ends the ssh client as well
    session = here.end(process, timeout_s=15)
    assert session.code == 2
    result = session.results["test_long"]
    assert [part["outcome"] for part in result["workers"]] == ["", "is gone"]
    assert all(part["iterations"] > 0 for part in result["workers"])
    assert session.left() == []
    assert until(lambda: there.left() == [])


def test_the_embedded_stack_is_refused_where_a_worker_is_on_another_host(here: Project, there: Project, far: str):
    tx = f"{far}//chdir={there.directory}"
    session = here.run("--tx", "popen", "--tx", tx, "--dist=load", "-m", "stack", "--perf-run")
    assert session.code == 1
    assert (
        f"the embedded stack listens on 127.0.0.1, which --tx {tx} cannot reach; "
        "name servers that all hosts reach, and use --perf-stack=external"
    ) in session.lines
    assert "Traceback" not in session.output


def test_external_servers_named_here_reach_the_worker_on_another_host(
    here: Project, there: Project, far: str, postgres: dict[str, str]
):
    session = here.run(
        *("--tx", "popen", "--tx", f"{far}//chdir={there.directory}", "--dist=load"),
        *("-m", "stack", "--perf-run", "--perf-stack=external"),
        **postgres,
    )
    assert session.code == 0
    found = (there.directory / "found.txt").read_text().splitlines()
    assert found == [f"gw1 {postgres['POSTGRES_PORT']}"] * 3
    assert session.results["test_servers"]["iterations"] == 6


def test_paths_of_this_host_are_refused_in_a_line(here: Project, there: Project, far: str):
    tx = f"{far}//chdir={there.directory}"
    session = here.run("--tx", tx, "--dist=load", "test_it.py", "--perf-run")
    assert session.code == 4
    assert (
        f"ERROR: --tx {tx}: arg test_it.py not relative to an rsync root: a worker elsewhere knows no paths of this "
        "host; choose tests by -m, -k or the testpaths of its own checkout, and write --option=FILE"
    ) in session.lines
    assert "INTERNALERROR" not in session.output


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A server, as the environment names it."""
    with lone_postgres(tmp_path / "postgres.log") as server:
        assert server.address.password is not None
        yield {
            "POSTGRES_HOST": server.address.host,
            "POSTGRES_PORT": str(server.address.port),
            "POSTGRES_USER": server.address.user,
            "POSTGRES_PASSWORD": server.address.password,
            "POSTGRES_DB": server.address.dbname,
            "MONGODB_URI": "mongodb://127.0.0.1:1",  # never asked
        }
