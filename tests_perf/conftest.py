"""What the scenarios share."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pytest

from pytest_cdcperf import CdcperfError, ConfigError
from pytest_cdcperf.clients.mongo import Mongo
from pytest_cdcperf.clients.postgres import Postgres
from pytest_cdcperf.plugin import session_key
from tests_perf.services.launcher import Launched
from tests_perf.services.sums import remove_sums
from tests_perf.services.targets import targets_of, variable_of
from tests_perf.shop.writes import Shop, remove_run

if TYPE_CHECKING:
    from pytest_cdcperf.clients.grpc import GrpcClient
    from pytest_cdcperf.clients.http import HttpClient


@pytest.fixture(scope="session")
def shop(pg: Postgres, perf_run_id: str) -> Shop:
    """The shop's writes to the source; every row carries the id of the run."""
    return Shop(pg, perf_run_id)


@pytest.fixture(scope="session")
def launch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Launched]]:
    """Start services; they end with the session."""
    logs = tmp_path_factory.mktemp("services")
    launched: list[Launched] = []

    def launch(module: str, **wanted: object) -> Launched:
        launched.append(Launched(module, logs / f"{len(launched)}-{module}.log", **wanted))
        return launched[-1]

    yield launch
    for service in launched:
        service.stop()


@pytest.fixture(scope="session")
def adder_address(request: pytest.FixtureRequest, launch: Callable[..., Launched], perf_run_id: str) -> Iterator[str]:
    """Where the Adder is: ADDER_ADDR, or one of our own. The sums of this run are gone in the end.

    Only an Adder elsewhere beside the embedded stack keeps them: its source is not known here.
    """
    elsewhere = _elsewhere(request.config, "ADDER_ADDR")
    if elsewhere and not _external(request.config):
        yield elsewhere
        return
    pg: Postgres = request.getfixturevalue("pg")
    yield elsewhere or _address(launch("adder", **asdict(pg.address)))
    remove_sums(pg, perf_run_id)


@pytest.fixture(scope="session")
def totalizer_url(request: pytest.FixtureRequest, launch: Callable[..., Launched]) -> str:
    """Where the Totalizer is: TOTALIZER_URL, or one of our own."""
    if elsewhere := _elsewhere(request.config, "TOTALIZER_URL"):
        return elsewhere
    sink: Mongo = request.getfixturevalue("mongo")
    return _address(launch("totalizer", uri=sink.address.uri, database=sink.address.database))


@pytest.fixture(scope="session")
def adder(grpc_client: GrpcClient, adder_address: str, perf_run_id: str) -> Any:
    """The Adder's service; every sum carries the id of the run."""
    client = grpc_client.with_options(address=adder_address, metadata={"run-id": perf_run_id})
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
def services(pytestconfig: pytest.Config, launch: Callable[..., Launched]) -> Mapping[str, str]:
    """The services that TARGET_SERVICE names and their base URLs: from variables, or of our own."""
    targets = targets_of(os.environ)
    if targets.faults:
        pytest.fail("\n".join(targets.faults), pytrace=False)
    elsewhere = {name: _elsewhere(pytestconfig, variable_of(name)) for name in targets.services}
    own = {name: launch("health", name=name) for name, url in elsewhere.items() if not url}
    return {name: url or _address(own[name]) for name, url in elsewhere.items()}


def _external(config: pytest.Config) -> bool:
    return config.stash[session_key].settings.external


def _elsewhere(config: pytest.Config, variable: str) -> str:
    where = os.environ.get(variable, "")
    if not where and _external(config):
        pytest.fail(f"--perf-stack=external: {variable} is not set; set it to where the service is", pytrace=False)
    return where.rstrip("/")


def _address(service: Launched) -> str:
    try:
        return service.address
    except CdcperfError as error:
        pytest.fail(str(error), pytrace=False)


def pytest_cdcperf_clean(run_id: str, pg: Postgres) -> int:
    """Remove what the run *run_id* left: ``pytest --perf-clean=RUN_ID``."""
    if not re.fullmatch(r"[0-9a-f]{8}", run_id):
        raise ConfigError(f"--perf-clean={run_id}: no run id; allowed: the eight hexadecimal digits a run prints")
    return remove_run(pg, run_id) + remove_sums(pg, run_id)
