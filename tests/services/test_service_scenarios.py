"""The scenarios of the sum flow and of the four services, on real ones: what they do and measure, not how fast."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from pytest_cdcperf.clients.http.client import HttpClient
from pytest_cdcperf.clients.http.settings import HttpSettings
from pytest_cdcperf.clients.mongo import Mongo
from pytest_cdcperf.clients.postgres import Postgres
from pytest_cdcperf.embedded.stack import EmbeddedStack
from tests.services.harness import ROOT, named, pytest_session, until
from tests_perf.services.launcher import Launched
from tests_perf.services.targets import SERVICES, variable_of
from tests_perf.test_full_flow import wait_for_sum


@pytest.fixture
def foreign(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a Totalizer that does not number, whose total grows by itself, or not with parameter False."""
    totals = count() if getattr(request, "param", True) else iter(lambda: 0, None)

    class Foreign(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = json.dumps({"result": next(totals)}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Foreign) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def results_of(directory: Path) -> dict[str, Any]:
    """What was written of each scenario of the one session that had *directory* for its results."""
    return {
        path.stem.partition("-")[0].rpartition(".")[2]: json.loads(path.read_text())
        for path in (directory / "latest").glob("*.json")
    }


def test_each_runs_under_load_by_its_own_marker_and_leaves_nothing(
    tmp_path: Path,
    shared_stack: EmbeddedStack,
    adder: Launched,
    totalizer: Launched,
    source: Postgres,
    sink_client: Mongo,
    logs: Path,
) -> None:
    four = [Launched("health", logs / f"load-{name}.log", name=name) for name in SERVICES]
    try:
        _, output = pytest_session(
            ROOT,
            "tests_perf",
            "-m",
            "adder_grpc or totalizer_http or full_flow or api_load",
            "--perf-run",
            "--perf-stack=external",
            "--perf-duration=2s",
            "--perf-vus=6",
            "--perf-rate=30",
            RESULTS_DIR=str(tmp_path),
            ADDER_ADDR=adder.address,
            TOTALIZER_URL=totalizer.address,
            TARGET_SERVICE="all-services",
            TARGET_VUS="6",
            DURATION="30",
            **{variable_of(name): service.address for name, service in zip(SERVICES, four, strict=True)},
            **named(shared_stack.services),
        )
    finally:
        for service in four:
            service.close()
    results = results_of(tmp_path)
    assert set(results) == {"test_health", "test_adder_grpc", "test_totalizer_http", "test_full_flow", "test_api_load"}
    for result in results.values():
        assert result["iterations"] > 0
        assert (result["failed_iterations"], result["failed_checks"]) == (0, 0)
        assert "no samples" not in {threshold["outcome"] for threshold in result["thresholds"]}
    counts = {
        name: {
            metric: one["values"].get("count", one["values"].get("total")) for metric, one in result["metrics"].items()
        }
        for name, result in results.items()
    }
    iterations = {name: result["iterations"] for name, result in results.items()}
    assert counts["test_adder_grpc"]["grpc_duration"] == iterations["test_adder_grpc"]
    assert counts["test_totalizer_http"]["http_duration"] == iterations["test_totalizer_http"]
    assert counts["test_totalizer_http"]["http_reqs"] == 2 * iterations["test_totalizer_http"]
    assert counts["test_full_flow"]["e2e_latency"] == iterations["test_full_flow"]
    assert counts["test_api_load"]["api_response_time"] == iterations["test_api_load"]
    assert counts["test_api_load"]["errors"] == iterations["test_api_load"]
    assert counts["test_totalizer_http"]["http_errors"] == 0
    assert results["test_full_flow"]["metrics"]["e2e_own_sum"]["values"]["rate"] == 1
    asked = {series["tags"]["name"] for series in results["test_api_load"]["series"] if series["metric"] == "http_reqs"}
    assert asked == set(SERVICES)
    (session_id,) = re.findall(r"^cdcperf: (?:.*; )?session ([0-9a-f]{8})$", output, re.MULTILINE)
    assert source.execute("SELECT count(*) AS n FROM sums WHERE session_id = %s", (session_id,)) == [{"n": 0}]
    assert until(lambda: sink_client.count("sums", {"session_id": session_id}) == 0)


def test_a_total_that_does_not_number_is_waited_for_until_it_grows_and_the_result_says_so(
    tmp_path: Path, shared_stack: EmbeddedStack, adder: Launched, foreign: str
) -> None:
    pytest_session(
        ROOT,
        "tests_perf/test_full_flow.py",
        "--perf-run",
        "--perf-stack=external",
        "--perf-duration=1s",
        RESULTS_DIR=str(tmp_path),
        ADDER_ADDR=adder.address,
        TOTALIZER_URL=foreign,
        **named(shared_stack.services),
    )
    result = results_of(tmp_path)["test_full_flow"]
    assert result["failed_iterations"] == 0
    assert result["metrics"]["e2e_own_sum"]["values"]["total"] == result["iterations"] > 0
    assert result["metrics"]["e2e_own_sum"]["values"]["rate"] == 0


@pytest.mark.parametrize("foreign", [False], indirect=True)
def test_a_sum_that_never_comes_ends_the_wait(foreign: str) -> None:
    client = HttpClient(HttpSettings(base_url=foreign))
    with pytest.raises(AssertionError, match=r"the total does not have the sum within 0\.05 s"):
        wait_for_sum(client, {"sequence": "7"}, 0, timeout_s=0.05)
    client.close()


def test_a_flow_of_which_one_half_is_elsewhere_is_refused_in_one_line() -> None:
    code, output = pytest_session(ROOT, "tests_perf/test_full_flow.py", ADDER_ADDR="far:50051")
    assert code == 1
    assert (
        "TOTALIZER_URL is not set; a sum flow elsewhere needs both ADDER_ADDR and TOTALIZER_URL" in output.splitlines()
    )
    assert "embedded PostgreSQL" not in output
