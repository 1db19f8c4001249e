"""Names options and limits that will have no effect on the tests under load, before they begin."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from typing import NamedTuple

from pytest_cdcperf.errors import shown
from pytest_cdcperf.judging.names import alike
from pytest_cdcperf.load.overrides import Overrides
from pytest_cdcperf.metrics.metric import definition, definitions
from pytest_cdcperf.plugin.item import PerfFunction
from pytest_cdcperf.plugin.load_tests import uses_load_fixture
from pytest_cdcperf.printable import short_name

_MOST_HINTS, _MOST_TESTS = 10, 3


class Client(NamedTuple):
    """The metrics that a client records: its fixture, the private ones behind it, their names, and where they are."""

    fixture: str
    private: tuple[str, ...]
    metrics: tuple[str, ...]
    modules: tuple[str, ...]


# By name: the modules that define them import drivers, which collection does without.
CLIENTS = (
    Client(
        "pg",
        ("_cdcperf_pg",),
        (
            *("pg_write_duration", "pg_read_duration", "pg_write_errors", "pg_read_errors", "pg_records_inserted"),
            *("pg_control_duration", "pg_control_errors", "pg_pool_wait"),
        ),
        ("clients.postgres",),
    ),
    Client(
        "mongo",
        ("_cdcperf_mongo",),
        ("mongo_read_duration", "mongo_read_errors", "mongo_documents_found", "mongo_documents_not_found"),
        ("clients.mongo",),
    ),
    Client(
        "cdc",
        ("_cdcperf_cdc",),
        (
            *("cdc_e2e_latency", "cdc_propagation", "cdc_success_rate", "cdc_replication_success"),
            *("cdc_creates", "cdc_updates", "cdc_deletes", "cdc_pipeline_active", "cdc_consumer_lag_estimate"),
        ),
        ("cdc.expect", "cdc.lag"),
    ),
    Client(
        "grpc_client",
        ("_cdcperf_grpc",),
        (
            *("grpc_req_duration", "grpc_stream_duration", "grpc_errors", "grpc_streams"),
            *("grpc_streams_msgs_sent", "grpc_streams_msgs_received"),
        ),
        ("clients.grpc.client",),
    ),
    Client(
        "http_client",
        ("_cdcperf_http", "_cdcperf_requests"),
        (
            *("http_reqs", "http_req_failed", "http_req_duration", "http_req_connecting"),
            *("http_req_tls_handshaking", "http_req_waiting", "http_req_receiving"),
        ),
        ("clients.http.client", "clients.http.requests_session"),
    ),
)


def hints(items: Sequence[PerfFunction], overrides: Overrides) -> list[str]:
    """Return a line for each option that changes nothing and each limit on an unknown metric, with the tests."""
    about: dict[str, list[str]] = {}
    for item in items:
        if not uses_load_fixture(item):  # else its loads and limits are not known yet
            idle = () if item.marker.gate else overrides.without_effect(item.spec.loads)
            for hint in (*idle, *_unknown_metrics(item)):
                about.setdefault(hint, []).append(item.name)
    lines = [f"{hint}: {_few(tests)}" for hint, tests in about.items()]
    more = [f"and {len(lines) - _MOST_HINTS} further lines of this kind"] if len(lines) > _MOST_HINTS else []
    return lines[:_MOST_HINTS] + more


def define(metrics: Iterable[str]) -> None:
    """Let those of *metrics* that a client records be known, with their kinds and units. This imports drivers."""
    for name in metrics:
        if definition(name) is None and (client := _client_of(name)) is not None:
            for module in client.modules:
                import_module(f"pytest_cdcperf.{module}")


def _few(tests: Sequence[str]) -> str:
    more = f" and {len(tests) - _MOST_TESTS} more" if len(tests) > _MOST_TESTS else ""
    return ", ".join(map(short_name, tests[:_MOST_TESTS])) + more


def _unknown_metrics(item: PerfFunction) -> Iterator[str]:
    """Yield a line for each limit on a metric that no client of the test records, and that nothing else defines.

    A body or a fixture may still record it, so that this is not an error yet.
    """
    recorded = _recorded_by_clients(item)
    judged = [*(t.metric for t in item.spec.thresholds), *(rule.metric for rule in item.spec.run_rules)]
    for name in dict.fromkeys(judged):
        # The metrics of a client are defined once its module is imported, by whichever test.
        if name not in recorded and (definition(name) is None or _client_of(name) is not None):
            yield f"{_unknown(name, recorded)}; unless the test records it, its limit fails"


def _unknown(name: str, recorded: set[str]) -> str:
    client = _client_of(name)
    if client is not None:
        return f"metric {name} is recorded by {client.fixture}, which no fixture of the test uses"
    close = alike(name, {*recorded, *(known.name for known in definitions())})
    return f"metric {shown(name)} is not known{f' (did you mean {close[0]}?)' if close else ''}"


def _client_of(metric: str) -> Client | None:
    return next((client for client in CLIENTS if metric in client.metrics), None)


def _recorded_by_clients(item: PerfFunction) -> set[str]:
    used, any_of_them = {*item.fixturenames}, item.may_ask_for_any_fixture
    return {name for client in CLIENTS if any_of_them or used & {*client.private} for name in client.metrics}
