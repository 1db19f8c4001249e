"""The public fixtures. Each rests on private ones only, so that a project may override any of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from typing import TYPE_CHECKING, cast

import pytest

from pytest_cdcperf.interpreter import standard_library_first
from pytest_cdcperf.plugin.keys import session_key

if TYPE_CHECKING:
    from pytest_cdcperf.cdc.expect import Cdc
    from pytest_cdcperf.clients.grpc.client import GrpcClient
    from pytest_cdcperf.clients.http.client import HttpClient
    from pytest_cdcperf.clients.http.requests_session import PerVUSession
    from pytest_cdcperf.clients.mongo import Mongo
    from pytest_cdcperf.clients.postgres import Postgres
    from pytest_cdcperf.cluster.shared_state import Shared
    from pytest_cdcperf.engine.vu import VU
    from pytest_cdcperf.plugin.load_fixture import LoadRunner
    from pytest_cdcperf.plugin.session import PerfSession
    from pytest_cdcperf.servers import Services


@contextmanager
def _faults_in_one_line() -> Iterator[None]:
    from pytest_cdcperf.errors import CdcperfError  # noqa: PLC0415

    try:
        yield
    except CdcperfError as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None


@pytest.fixture(scope="session")
def _cdcperf_clean_reports(pytestconfig: pytest.Config) -> None:
    from pytest_cdcperf.plugin.reports import clean_reports  # noqa: PLC0415

    clean_reports(pytestconfig)


@pytest.fixture(scope="session")
def _cdcperf_session(pytestconfig: pytest.Config) -> PerfSession:
    return pytestconfig.stash[session_key]


@pytest.fixture(scope="session")
def _cdcperf_services(request: pytest.FixtureRequest, _cdcperf_session: PerfSession) -> Services:
    from pytest_cdcperf.plugin.interruption import TERMINATING  # noqa: PLC0415

    # Also in once mode there are rows and servers to be removed; Ctrl-C is pytest's own there.
    _cdcperf_session.interruption.take(request.session, TERMINATING)
    with _faults_in_one_line():
        return _cdcperf_session.services.get()


@pytest.fixture(scope="session")
def _cdcperf_pg(_cdcperf_services: Services, _cdcperf_session: PerfSession) -> Iterator[Postgres]:
    with standard_library_first():
        from pytest_cdcperf.clients.postgres import Postgres  # noqa: PLC0415
        from pytest_cdcperf.clients.postgres.libpq import shielded  # noqa: PLC0415  # a driver: 100 ms

    workers = 1 if _cdcperf_session.context is None else _cdcperf_session.context.workers
    address, options = _cdcperf_services.postgres, _cdcperf_session.settings.postgres
    surroundings = shielded() if address.embedded else nullcontext()
    with (
        _faults_in_one_line(),
        surroundings,
        closing(Postgres(address, workers=workers, options=options)) as client,
    ):
        _cdcperf_session.services.found("PostgreSQL", client.ping())
        yield client


@pytest.fixture(scope="session")
def _cdcperf_mongo(_cdcperf_services: Services, _cdcperf_session: PerfSession) -> Iterator[Mongo]:
    with standard_library_first():
        from pytest_cdcperf.clients.mongo import Mongo  # noqa: PLC0415  # a driver: 150 ms

    with _faults_in_one_line(), closing(Mongo(_cdcperf_services.mongo)) as client:
        _cdcperf_session.services.found("MongoDB", client.ping())
        yield client


@pytest.fixture(scope="session")
def _cdcperf_grpc(pytestconfig: pytest.Config, _cdcperf_clean_reports: None) -> Iterator[GrpcClient]:
    with standard_library_first():
        from pytest_cdcperf.clients.grpc.client import GrpcClient  # noqa: PLC0415  # a driver: 100 ms

    with closing(GrpcClient(pytestconfig.rootpath)) as client:
        yield client


@pytest.fixture(scope="session")
def _cdcperf_cdc(_cdcperf_pg: Postgres, _cdcperf_mongo: Mongo, _cdcperf_session: PerfSession) -> Iterator[Cdc]:
    from pytest_cdcperf.cdc.expect import Cdc  # noqa: PLC0415
    from pytest_cdcperf.cdc.faults import faults_of  # noqa: PLC0415
    from pytest_cdcperf.cdc.lag import SlotReader  # noqa: PLC0415
    from pytest_cdcperf.cdc.watch import SinkWatch  # noqa: PLC0415
    from pytest_cdcperf.cluster.messages import Broken, NoticeOnce  # noqa: PLC0415

    services = _cdcperf_session.services
    faults = faults_of(_cdcperf_mongo, services.deaths) if services.embedded else None
    link = _cdcperf_session.link
    watch = SinkWatch(
        _cdcperf_mongo,
        lambda collection, line: link.send(NoticeOnce(f"the change stream of {collection}", line)),
        faults,
    )
    _cdcperf_session.samplers.append(SlotReader(_cdcperf_pg, lambda reason: link.send(Broken(reason))).sample)
    cdc = Cdc(_cdcperf_mongo, watch)
    _cdcperf_session.cdc = cdc
    yield cdc
    watch.close()


@pytest.fixture(scope="session")
def _cdcperf_http(_cdcperf_clean_reports: None) -> Iterator[HttpClient]:
    with standard_library_first():
        from pytest_cdcperf.clients.http.client import HttpClient  # noqa: PLC0415  # a driver: 20 ms

    with closing(HttpClient()) as client:
        yield client


@pytest.fixture(scope="session")
def _cdcperf_requests(_cdcperf_clean_reports: None) -> Iterator[PerVUSession]:
    with standard_library_first():
        from pytest_cdcperf.clients.http.requests_session import PerVUSession  # noqa: PLC0415  # requests: 100 ms

    with closing(PerVUSession()) as session:
        yield session


@pytest.fixture(scope="session")
def pg(_cdcperf_pg: Postgres) -> Postgres:
    """PostgreSQL: insert, upsert, update, delete, execute, transaction(), connection(); ``pg.aio`` in async bodies."""
    return _cdcperf_pg


@pytest.fixture(scope="session")
def mongo(_cdcperf_mongo: Mongo) -> Mongo:
    """MongoDB: find_one, count, database; ``mongo.aio`` in async bodies."""
    return _cdcperf_mongo


@pytest.fixture(scope="session")
def cdc(_cdcperf_cdc: Cdc) -> Cdc:
    """Waiting for what was written to arrive: expect, expect_gone; ``cdc.aio`` in async bodies."""
    return _cdcperf_cdc


@pytest.fixture(scope="session")
def grpc_client(_cdcperf_grpc: GrpcClient) -> GrpcClient:
    """gRPC: service(name, proto=, address=), stub(), with_options(); ``grpc_client.aio`` in async bodies."""
    return _cdcperf_grpc


@pytest.fixture(scope="session")
def http_client(_cdcperf_http: HttpClient) -> HttpClient:
    """HTTP: get, post, request, ..., with_options; ``http_client.aio`` in async bodies."""
    return _cdcperf_http


@pytest.fixture(scope="session")
def requests_session(_cdcperf_requests: PerVUSession) -> PerVUSession:
    """A requests.Session whose calls are measured; each VU has cookies and connections of its own in it."""
    return _cdcperf_requests


@pytest.fixture
def load(request: pytest.FixtureRequest) -> LoadRunner:
    """Load by hand: ``load.run(body, ConstantVUs(...))`` returns a result to assert on."""
    from pytest_cdcperf.plugin.load_fixture import LoadRunner  # noqa: PLC0415

    return LoadRunner(request.node)


@pytest.fixture(scope="session")
def vu() -> VU:
    """The virtual user that runs the body: id, iteration, random, state, session_id."""
    from pytest_cdcperf.engine.current_vu import CurrentVU  # noqa: PLC0415

    return cast("VU", CurrentVU())  # it has what the current VU has


@pytest.fixture(scope="session")
def shared(_cdcperf_session: PerfSession) -> Shared:
    """State of all workers: ``shared.pool(name)`` to draw from, ``shared.once(name, generator_function)``."""
    return _cdcperf_session.shared


@pytest.fixture(scope="session")
def perf_session_id(_cdcperf_session: PerfSession) -> str:
    """The id of this session: in every result, and to be in every row that a scenario writes.

    ::

        def test_order(pg, perf_session_id):
            pg.insert("orders", {"id": f"{perf_session_id}-1", "status": "new"})
    """
    return _cdcperf_session.session_id


@pytest.fixture(scope="session")
def perf_stack(_cdcperf_session: PerfSession) -> str:
    """The kind of servers that the session uses: "embedded", or "external" with ``--perf-stack=external``.

    ::

        def test_all_lines_can_go(pg, perf_stack):
            if perf_stack == "external":
                pytest.skip("other people need the lines there")
            pg.execute("DELETE FROM order_lines")
    """
    return "external" if _cdcperf_session.settings.external else "embedded"
