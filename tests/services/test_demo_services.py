"""The services that the scenarios are tried on: real processes on the real stack."""

from __future__ import annotations

import re
import signal
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest
import requests
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from pytest_cdcperf.clients.mongo import Mongo
from pytest_cdcperf.clients.postgres import Postgres
from pytest_cdcperf.embedded.stack import EmbeddedStack
from pytest_cdcperf.errors import StackError
from tests.services.harness import gone, named, pytest_session, until
from tests_perf.services.launcher import Launched
from tests_perf.services.sums import remove_sums
from tests_perf.services.targets import SERVICES, variable_of

messages: Any
stubs: Any
messages, stubs = grpc.protos_and_services("tests_perf/services/sum.proto")

Add = Callable[..., tuple[int, int]]


@pytest.fixture
def channel(adder: Launched) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(adder.address) as channel:
        yield channel


@pytest.fixture
def add(channel: grpc.Channel) -> Add:
    """Have two numbers added: the sum, and the number of its row."""
    stub = stubs.SumNumbersServiceStub(channel)

    def add(x: int, y: int, session_id: str = "0badc0de") -> tuple[int, int]:
        response, call = stub.SumNumbers.with_call(
            messages.SumNumbersRequest(x=x, y=y), metadata=(("run-id", session_id),), timeout=10
        )
        return response.sum, int(dict(call.trailing_metadata())["sequence"])

    return add


def results(totalizer: Launched, sequence: int) -> dict[str, Any]:
    answer = requests.get(f"{totalizer.address}/v1/results", params={"sequence": sequence}, timeout=10)
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def applied(totalizer: Launched, sequence: int) -> bool:
    return until(lambda: results(totalizer, sequence)["applied"])


class TestTheSumFlow:
    def test_a_sum_is_answered_kept_with_its_run_and_arrives_in_the_total(
        self, add: Add, totalizer: Launched, source: Postgres
    ) -> None:
        before = requests.get(f"{totalizer.address}/v1/results", timeout=10).json()["result"]
        total, sequence = add(20, 22, "00c0ffee")
        assert total == 42
        (row,) = source.execute("SELECT session_id, x, y, sum FROM sums WHERE sequence = %s", (sequence,))
        assert row == {"session_id": "00c0ffee", "x": 20, "y": 22, "sum": 42}
        assert applied(totalizer, sequence)
        answer = results(totalizer, sequence)
        assert answer["result"] == before + 42
        assert answer["sequence"] <= sequence
        assert requests.get(f"{totalizer.address}/v1/healthcheck", timeout=10).status_code == 200

    def test_a_row_nobody_has_written_is_not_applied_and_no_number_is_refused(self, totalizer: Launched) -> None:
        assert results(totalizer, 10**9)["applied"] is False
        refused = requests.get(f"{totalizer.address}/v1/results?sequence=mine", timeout=10)
        assert refused.status_code == 400
        assert refused.json() == {"error": "sequence=mine; allowed: a row's number"}

    def test_a_write_that_fails_holds_up_no_other_sum(self, add: Add, totalizer: Launched, source: Postgres) -> None:
        source.execute("SELECT nextval('sums_sequence_seq')")  # what a rolled back insert leaves behind
        _, sequence = add(1, 1)
        assert applied(totalizer, sequence)
        assert results(totalizer, sequence - 1)["applied"] is False

    def test_a_row_committed_after_a_later_one_is_applied_when_it_comes(
        self, add: Add, totalizer: Launched, source: Postgres
    ) -> None:
        (reserved,) = source.execute("SELECT nextval('sums_sequence_seq') AS n")
        _, later = add(1, 1)
        assert applied(totalizer, later)
        source.insert("sums", {"sequence": reserved["n"], "session_id": "0badc0de", "x": 3, "y": 4, "sum": 7})
        assert applied(totalizer, reserved["n"])

    def test_removing_a_run_leaves_other_runs_and_the_total_as_they_are(
        self, add: Add, totalizer: Launched, source: Postgres, sink_client: Mongo
    ) -> None:
        _, kept = add(1, 2, "aaaaaaaa")
        last = max(add(5, number, "bbbbbbbb")[1] for number in range(3))
        assert applied(totalizer, last)
        total = results(totalizer, last)["result"]
        assert remove_sums(source, "bbbbbbbb") == 3
        assert until(lambda: sink_client.count("sums", {"session_id": "bbbbbbbb"}) == 0)
        assert sink_client.count("sums", {"_id": str(kept)}) == 1
        _, sequence = add(1, 1)
        assert applied(totalizer, sequence)
        assert results(totalizer, sequence)["result"] == total + 2

    def test_a_sum_beyond_int32_is_refused_and_not_kept(self, add: Add, source: Postgres) -> None:
        with pytest.raises(grpc.RpcError) as error:
            add(2**31 - 1, 1, "cccccccc")
        assert error.value.code() is grpc.StatusCode.OUT_OF_RANGE
        assert error.value.details() == "2147483647 + 1 is not an int32"
        assert remove_sums(source, "cccccccc") == 0

    def test_a_client_learns_the_service_without_its_proto_file(self, channel: grpc.Channel) -> None:
        assert "sum.SumNumbersService" in ProtoReflectionDescriptorDatabase(channel).get_services()

    def test_a_source_without_the_adders_table_has_nothing_to_remove(self, source: Postgres) -> None:
        with source.connection() as connection:
            connection.execute("SET search_path TO lab")
            try:
                assert remove_sums(source, "bbbbbbbb") == 0
            finally:
                connection.execute("RESET search_path")


class TestMetrics:
    def test_the_adder_counts_calls_by_code_and_times_them(self, add: Add, adder: Launched) -> None:
        add(1, 1)
        with pytest.raises(grpc.RpcError):
            add(2**31 - 1, 1)
        call = {"grpc_type": "unary", "grpc_service": "sum.SumNumbersService", "grpc_method": "SumNumbers"}
        handled = sample(adder, "grpc_server_handled_total", **call, grpc_code="OK")
        refused = sample(adder, "grpc_server_handled_total", **call, grpc_code="OutOfRange")
        assert handled > 0
        assert refused > 0
        assert sample(adder, "grpc_server_started_total", **call) == handled + refused
        assert sample(adder, "grpc_server_handling_seconds_count", **call) == handled + refused
        assert sample(adder, "grpc_server_handling_seconds_bucket", **call, le="+Inf") == handled + refused

    def test_the_http_services_count_and_time_requests_by_what_answered(self, totalizer: Launched) -> None:
        for path, code, handler in (
            ("/v1/results", "200", "/v1/results"),
            ("/v1/results?sequence=x", "400", "/v1/results"),
            ("/nowhere/else", "404", "none"),
        ):
            requests.get(totalizer.address + path, timeout=10)
            assert sample(totalizer, "http_requests_total", method="GET", handler=handler, code=code) > 0
            assert sample(totalizer, "http_request_duration_seconds_count", method="GET", handler=handler) > 0


def sample(service: Launched, name: str, **labels: str) -> float:
    for line in requests.get(service.metrics, timeout=10).text.splitlines():
        found = re.fullmatch(rf"{name}{{(.*)}} (\S+)", line)
        if found and dict(re.findall(r'(\w+)="([^"]*)"', found[1])) == labels:
            return float(found[2])
    return 0.0


class TestTheFour:
    def test_it_gets_nothing_of_the_sessions_environment(self, logs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CI_DEPLOY_TOKEN", "secret")
        with closing(Launched("health", logs / "health.log", name="user-service")) as service:
            assert service.address
            assert "CI_DEPLOY_TOKEN" not in psutil.Process(service.pid).environ()

    def test_each_says_how_it_is_under_its_name(self, logs: Path) -> None:
        started = [Launched("health", logs / f"{name}.log", name=name) for name in SERVICES]
        try:
            answers = [requests.get(f"{service.address}/health", timeout=10) for service in started]
            assert [answer.status_code for answer in answers] == [200] * 4
            assert [answer.json()["service"] for answer in answers] == list(SERVICES)
            assert len({service.address for service in started}) == 4
        finally:
            for service in started:
                service.close()
        assert all(gone(service.pid) for service in started)

    def test_one_that_cannot_start_says_why_and_where_its_log_is(self, logs: Path) -> None:
        service = Launched("nobody", logs / "nobody.log")
        with pytest.raises(StackError, match=r"the service nobody did not start: .*No module named.*nobody\.log"):
            assert service.address
        service.close()


HEAD = """
import os, signal
from pathlib import Path
import pytest
from pytest_cdcperf import perf
import psutil
from contextlib import closing
from tests_perf.services.launcher import Launched
from tests_perf.conftest import adder_address, launch, services, totalizer_url
"""

ASKS = """
@perf
def test_it(adder_address, totalizer_url, services):
    raise AssertionError(f"found {adder_address} {totalizer_url} {sorted(services.items())}")
"""


class TestSessions:
    """What the fixtures of the scenarios do, in sessions of their own."""

    @pytest.fixture
    def session(self, tmp_path: Path) -> Callable[..., tuple[int, str]]:
        def session(source: str, *arguments: str, **more: str) -> tuple[int, str]:
            (tmp_path / "pytest.ini").write_text("[pytest]\n")
            (tmp_path / "test_it.py").write_text(HEAD + textwrap.dedent(source))
            return pytest_session(tmp_path, *arguments, **more)

        return session

    @pytest.mark.parametrize("stack", ["embedded", "external"])
    def test_variables_point_elsewhere_and_nothing_is_started(
        self, stack: str, session: Callable[..., tuple[int, str]], shared_stack: EmbeddedStack
    ) -> None:
        elsewhere = {variable_of(name): f"http://{name}:80/" for name in SERVICES}
        code, output = session(
            ASKS,
            f"--perf-stack={stack}",
            TARGET_SERVICE="all-services",
            ADDER_ADDR="far:50051",
            TOTALIZER_URL="http://far:8080",
            **(elsewhere if stack == "embedded" else {**elsewhere, **named(shared_stack.services)}),
        )
        assert code == 1
        found = [(name, f"http://{name}:80") for name in sorted(SERVICES)]
        assert f"found far:50051 http://far:8080 {found}" in output
        assert "cdcperf: embedded PostgreSQL" not in output

    def test_beside_external_servers_they_have_to_be_said_to_be_somewhere(
        self, session: Callable[..., tuple[int, str]]
    ) -> None:
        fixtures = ("adder_address", "totalizer_url", "services")
        tests = [f"@perf\ndef test_{fixture}({fixture}):\n    pass\n" for fixture in fixtures]
        code, output = session("\n".join(tests), "--perf-stack=external")
        assert code == 1
        refused = [line for line in output.splitlines() if line.startswith("--perf-stack=external: ")]
        assert refused == [
            f"--perf-stack=external: {variable} is not set; set it to where the service is"
            for variable in ("ADDER_ADDR", "TOTALIZER_URL", "PRODUCT_SERVICE_URL")
        ]
        assert "Traceback" not in output

    def test_an_unknown_service_is_refused_in_one_line(self, session: Callable[..., tuple[int, str]]) -> None:
        code, output = session("@perf\ndef test_it(services):\n    pass\n", TARGET_SERVICE="cart-service")
        assert code == 1
        (line,) = [line for line in output.splitlines() if line.startswith("TARGET_SERVICE=")]
        assert line == f"TARGET_SERVICE=cart-service; allowed: {', '.join(SERVICES)}, all-services"

    @pytest.mark.skipif(sys.platform == "win32", reason="no kill -9")
    @pytest.mark.parametrize("ending", ["os.kill(os.getpid(), signal.SIGKILL)", "pass"])
    def test_none_outlives_its_session(
        self, ending: str, session: Callable[..., tuple[int, str]], shared_stack: EmbeddedStack, tmp_path: Path
    ) -> None:
        postgres, sink = asdict(shared_stack.services.postgres), shared_stack.services.mongo
        code, _ = session(f"""
            @perf
            def test_it(launch):
                launch("adder", **{postgres})
                launch("totalizer", uri={sink.uri!r}, database={sink.database!r})
                launch("health", name="product-service")
                with closing(Launched("health", Path("starting.log"), name="killed while it starts")):
                    pids = [child.pid for child in psutil.Process().children()]
                    Path("pids.txt").write_text(" ".join(map(str, pids)))
                    {ending}
        """)
        assert code == (0 if ending == "pass" else -signal.SIGKILL)
        pids = [int(pid) for pid in (tmp_path / "pids.txt").read_text().split()]
        assert len(pids) == 4
        assert until(lambda: all(gone(pid) for pid in pids))
