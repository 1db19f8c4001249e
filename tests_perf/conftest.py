"""The fixtures of the scenarios."""

from __future__ import annotations

import math
import os
import re
import secrets
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import asdict
from typing import Any

import pytest

from pytest_cdcperf import VU, CdcperfError, ConfigError, GrpcClient, HttpClient, Mongo, Postgres, Shared
from tests_perf.services.launcher import Launched
from tests_perf.services.sums import remove_sums
from tests_perf.services.targets import targets_of, variable_of
from tests_perf.shop.writes import Shop, remove_run


@pytest.fixture
def shop(pg: Postgres, mongo: Mongo, perf_session_id: str, vu: VU) -> Iterator[Shop]:
    """The shop's writes to the source; every row carries the id of the run.

    What is left of them is removed at the end of the test, and has half a minute to go from the sink as well, as
    long as it gets less there: the next test is to find a quiet pipeline.
    """
    _require_tables(pg, "customer", "address", "orders")
    part = f"{perf_session_id}-{secrets.token_hex(2)}"  # this worker's: the others may be at work still
    yield Shop(pg, part, vu)
    if remove_run(pg, part):
        deadline, before = time.monotonic() + 30, math.inf
        while 0 < (left := mongo.count("customers", {"email": {"$regex": part}})) < before:
            if time.monotonic() > deadline:
                break
            before = left
            time.sleep(1)


@pytest.fixture(scope="session")
def launch(shared: Shared, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., str]]:
    """Start a service, once for all workers, and return its address. It ends with the session."""
    logs = tmp_path_factory.mktemp("services")
    with ExitStack() as running:

        def launch(module: str, **wanted: str) -> str:
            name = wanted.get("name", module)

            def run() -> Generator[str, None, None]:
                with closing(Launched(module, logs / f"{name}.log", **wanted)) as service:
                    yield service.address

            try:
                return str(running.enter_context(shared.once(f"service {name}", run)))
            except CdcperfError as error:
                pytest.fail(str(error), pytrace=False)

        yield launch


@pytest.fixture(scope="session")
def adder_address(
    request: pytest.FixtureRequest, launch: Callable[..., str], perf_session_id: str, perf_stack: str
) -> Iterator[str]:
    """Where the Adder is: ADDER_ADDR, or one of our own. The sums of this run are gone in the end.

    Only an Adder elsewhere beside the embedded stack keeps them: its source is not known here.
    """
    elsewhere = _elsewhere(perf_stack, "ADDER_ADDR")
    if elsewhere and perf_stack == "embedded":
        yield elsewhere
        return
    pg: Postgres = request.getfixturevalue("pg")
    _require_tables(pg, "sums")
    yield elsewhere or launch("adder", **asdict(pg.address))
    remove_sums(pg, perf_session_id)


@pytest.fixture(scope="session")
def totalizer_url(request: pytest.FixtureRequest, launch: Callable[..., str], perf_stack: str) -> str:
    """Where the Totalizer is: TOTALIZER_URL, or one of our own."""
    if elsewhere := _elsewhere(perf_stack, "TOTALIZER_URL"):
        return elsewhere
    sink: Mongo = request.getfixturevalue("mongo")
    return launch("totalizer", uri=sink.address.uri, database=sink.address.database)


@pytest.fixture(scope="session")
def adder(grpc_client: GrpcClient, adder_address: str, perf_session_id: str) -> Any:
    """The Adder's service; every sum carries the id of the run."""
    client = grpc_client.with_options(address=adder_address, metadata={"run-id": perf_session_id})
    return client.service("sum.SumNumbersService", proto="tests_perf/services/sum.proto")


@pytest.fixture(scope="session")
def totalizer(http_client: HttpClient, totalizer_url: str) -> HttpClient:
    """HTTP to the Totalizer."""
    return http_client.with_options(base_url=totalizer_url)


@pytest.fixture(scope="session")
def one_flow() -> None:
    """Refuse an Adder whose sums never come to the Totalizer: the numbers of the one mean nothing to the other."""
    here = [name for name in ("ADDER_ADDR", "TOTALIZER_URL") if not os.environ.get(name)]
    if len(here) == 1:
        pytest.fail(
            f"{here[0]} is not set; a sum flow elsewhere needs both ADDER_ADDR and TOTALIZER_URL", pytrace=False
        )


@pytest.fixture(scope="session")
def services(launch: Callable[..., str], perf_stack: str) -> Mapping[str, str]:
    """The services that TARGET_SERVICE names and their base URLs: from variables, or of our own."""
    targets = targets_of(os.environ)
    if targets.faults:
        pytest.fail("\n".join(targets.faults), pytrace=False)
    elsewhere = {name: _elsewhere(perf_stack, variable_of(name)) for name in targets.services}
    return {name: url or launch("health", name=name) for name, url in elsewhere.items()}


def _require_tables(pg: Postgres, *names: str) -> None:
    found = pg.execute("SELECT name FROM unnest(%s::text[]) AS name WHERE to_regclass(name) IS NULL", [[*names]])
    if found:
        missing = ", ".join(row["name"] for row in found)
        pytest.fail(
            f"{pg.address} has no table {missing}: run tests_perf/shop/schema.sql there; what else a pipeline of your "
            "own needs: docs/external-servers.md",
            pytrace=False,
        )


def _elsewhere(stack: str, variable: str) -> str:
    where = os.environ.get(variable, "")
    if not where and stack == "external":
        pytest.fail(f"--perf-stack=external: {variable} is not set; set it to where the service is", pytrace=False)
    return where.rstrip("/")


def pytest_cdcperf_clean(session_id: str, pg: Postgres) -> int:
    """Remove what the run *session_id* left: ``pytest --perf-clean=SESSION_ID``."""
    if not re.fullmatch(r"[0-9a-f]{8}", session_id):
        raise ConfigError(f"--perf-clean={session_id} is not a valid session id; allowed: eight hexadecimal digits")
    return remove_run(pg, session_id) + remove_sums(pg, session_id)
