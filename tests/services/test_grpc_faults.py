"""Faults of gRPC under load: counted by kind with a sample each, no hang, the right share of failures."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pytest_cdcperf.clients.grpc.client import GrpcClient
from pytest_cdcperf.engine.current_vu import current_vu
from pytest_cdcperf.load.closed import ConstantVUs
from tests.services.grpc_server import PROTOS, Server, serving
from tests.services.harness import BODY_KINDS, refused_port, relayed, run_body, until

SESSION = """
import pytest
from pytest_cdcperf import perf

ADDRESSES = dict(refused="127.0.0.1:REFUSED", dns="no-such-host.invalid:50051", served="SERVED", hung_up="HUNG_UP")
CASES = {
    "refused": (dict(address=ADDRESSES["refused"]), "Add", {}),
    "dns": (dict(address=ADDRESSES["dns"]), "Add", {}),
    "hung_up": (dict(address=ADDRESSES["hung_up"]), "Add", {}),
    "tls": (dict(address=ADDRESSES["served"], tls=True), "Add", {}),
    "not_served": (dict(address=ADDRESSES["served"]), "Absent", {}),
    "no_such_method": (dict(address=ADDRESSES["served"]), "Sub", {}),
    "deadline": (dict(address=ADDRESSES["served"], timeout="20ms"), "Wait", {"n": 5000}),
}

@pytest.mark.parametrize("name", CASES)
@perf(vus=2, iterations=3, error_rate=1)
def test_blocking(grpc_client, name):
    settings, rpc, fields = CASES[name]
    lab = grpc_client.service("lab.Lab", proto="protos/lab.proto", **settings)
    getattr(lab, rpc)(fields)

@pytest.mark.parametrize("name", CASES)
@perf(vus=2, iterations=3, error_rate=1)
async def test_awaited(grpc_client, name):
    settings, rpc, fields = CASES[name]
    lab = grpc_client.aio.service("lab.Lab", proto="protos/lab.proto", **settings)
    await getattr(lab, rpc)(fields)

@perf(vus=2, iterations=3, error_rate=1)
def test_no_such_proto(grpc_client):
    grpc_client.service("lab.Lab", proto="protos/nix.proto", address=ADDRESSES["served"])

@perf(vus=2, iterations=3, error_rate=0.6)
def test_half(grpc_client, vu):
    lab = grpc_client.service("lab.Lab", proto="protos/lab.proto", address=ADDRESSES["served"])
    lab.Fail(n=5) if vu.id == 1 else lab.Add(x=1)

@perf(vus=2, iterations=3, error_rate=0.4)
def test_half_is_too_much(grpc_client, vu):
    lab = grpc_client.service("lab.Lab", proto="protos/lab.proto", address=ADDRESSES["served"])
    lab.Fail(n=5) if vu.id == 1 else lab.Add(x=1)
"""
KINDS = {
    "refused": "GrpcConnectionRefusedError",
    "dns": "GrpcDNSError",
    "hung_up": "GrpcConnectionResetError",
    "tls": "GrpcTLSError",
    "not_served": "GrpcUnimplementedError",
    "no_such_method": "UnknownMethodError",
    "deadline": "GrpcDeadlineExceededError",
}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


Ran = tuple[subprocess.CompletedProcess[str], dict[str, dict[str, Any]]]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory, server: Server) -> Ran:
    """One session of all faults: its output, and the result of each test by name."""
    directory = tmp_path_factory.mktemp("faults")
    shutil.copytree(PROTOS, directory / "protos")
    with relayed(server.port) as relay:
        relay.refusing = True
        source = SESSION.replace("REFUSED", str(refused_port())).replace("SERVED", server.address)
        (directory / "test_it.py").write_text(source.replace('"HUNG_UP"', f'"127.0.0.1:{relay.port}"'))
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "--perf-run", "-p", "no:cacheprovider", "--rootdir=."],
            cwd=directory,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
    print(done.stdout[-6000:], done.stderr)  # noqa: T201  # for a reader who has to find out why
    documents = [json.loads(path.read_text()) for path in (directory / "perf-results" / "latest").glob("*.json")]
    return done, {document["test"].rpartition("::")[2]: document for document in documents if "test" in document}


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("test", ["test_blocking[{}]", "test_awaited[{}]"])
def test_a_fault_is_one_kind_with_a_sample(ran: Ran, name: str, test: str) -> None:
    result = ran[1][test.format(name)]
    (kind,) = result["failures"]
    assert (kind["type"], kind["count"]) == (KINDS[name], 6)
    assert kind["where"].startswith("test_it.py:")
    assert kind["sample"].count(KINDS[name]) == 1
    assert "lab.Lab" in kind["sample"].splitlines()[-1]
    assert (result["iterations"], result["failed_iterations"]) == (6, 6)
    errors = 0 if name == "no_such_method" else 6
    assert result["metrics"].get("grpc_errors", {"values": {"count": 0}})["values"]["count"] == errors
    failed = result["metrics"].get("grpc_req_duration{ok:false}", {"values": {"count": 0}})
    assert failed["values"]["count"] == errors


def test_a_missing_proto_is_said_with_the_directories(ran: Ran) -> None:
    (kind,) = ran[1]["test_no_such_proto"]["failures"]
    assert (kind["type"], kind["count"]) == ("ConfigError", 6)
    assert "proto file 'protos/nix.proto' is not there; searched: /" in kind["sample"]


def test_the_share_of_failures_is_judged(ran: Ran) -> None:
    done, results = ran
    assert [results[name]["failed_iterations"] for name in ("test_half", "test_half_is_too_much")] == [3, 3]
    assert [results[name]["verdict"] for name in ("test_half", "test_half_is_too_much")] == ["PASSED", "FAILED"]
    assert "1 failed, 16 passed" in done.stdout
    assert "Traceback" not in done.stderr


def body_of(
    client: GrpcClient, body_kind: str, wait_ms: int, then: Callable[[], None] = lambda: None
) -> Callable[[], object]:
    lab = (client.aio if body_kind == "async def" else client).service("lab.Lab", proto="lab.proto")

    def body() -> None:
        lab.Wait(n=wait_ms)
        then()

    async def body_aio() -> None:
        await lab.Wait(n=wait_ms)
        then()

    return body if body_kind == "def" else body_aio


@pytest.mark.parametrize("body_kind", BODY_KINDS)
def test_a_server_that_restarts_in_the_middle_is_used_again(body_kind: str) -> None:
    back, used_again = threading.Event(), set[int]()

    def served() -> None:
        if back.is_set():
            used_again.add(current_vu().id)

    with serving() as server:
        client = GrpcClient(PROTOS).with_options(address=server.address)

        def restart() -> None:
            time.sleep(0.5)
            server.kill()
            time.sleep(0.3)
            server.start()
            back.set()

        restarting = threading.Thread(target=restart)
        restarting.start()
        outcome, total = run_body(ConstantVUs(vus=3, duration="6s"), body_of(client, body_kind, 20, then=served))
        restarting.join()
    assert outcome.stuck_vus == []
    assert used_again == {1, 2, 3}
    kinds = {kind.type: kind.count for kind in outcome.failures}
    assert set(kinds) <= {"GrpcConnectionResetError", "GrpcConnectionRefusedError", "GrpcUnavailableError"}
    failed = total.select("iteration_failed")
    assert sum(kinds.values()) == failed.hits == total.select("grpc_errors").total > 0
    assert total.select("grpc_req_duration", {"ok": "false"}).count == failed.hits
    assert total.select("grpc_req_duration").count == failed.total - failed.hits


@pytest.mark.parametrize("body_kind", BODY_KINDS)
def test_a_connection_that_is_cut_in_the_middle_of_a_call_is_a_reset(body_kind: str, server: Server) -> None:
    with relayed(server.port) as relay:
        client = GrpcClient(PROTOS).with_options(address=f"127.0.0.1:{relay.port}")
        cutting = threading.Thread(target=lambda: until(lambda: relay.accepted) and (time.sleep(0.4), relay.cut()))
        cutting.start()
        outcome, _ = run_body(ConstantVUs(vus=1, duration="1s", graceful_stop="2s"), body_of(client, body_kind, 1000))
        cutting.join()
    assert {kind.type for kind in outcome.failures} == {"GrpcConnectionResetError"}
