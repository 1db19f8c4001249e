"""The metrics that clients record, with their tags, for what is said of limits before anything was measured.

By name: the modules that define them import drivers, which collection does without.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import NamedTuple

from pytest_cdcperf.engine.mix import OPERATIONS, OPERATIONS_SKIPPED
from pytest_cdcperf.metrics import builtin
from pytest_cdcperf.metrics.metric import ALIASES, Metric, definition


class Client(NamedTuple):
    """The metrics that a client records: its fixture, the private ones behind it, their names, and where they are.

    *tags* are those that it gives its samples, beside those of the load; None where a test can give any.
    """

    fixture: str
    private: tuple[str, ...]
    metrics: tuple[str, ...]
    tags: tuple[str, ...] | None
    modules: tuple[str, ...]


CLIENTS = (
    Client(
        "pg",
        ("_cdcperf_pg",),
        (
            *("pg_write_duration", "pg_read_duration", "pg_write_errors", "pg_read_errors", "pg_records_inserted"),
            *("pg_control_duration", "pg_control_errors", "pg_pool_wait"),
        ),
        ("op", "table", "ok", "error"),
        ("clients.postgres",),
    ),
    Client(
        "mongo",
        ("_cdcperf_mongo",),
        ("mongo_read_duration", "mongo_read_errors", "mongo_documents_found", "mongo_documents_not_found"),
        ("collection", "op", "ok", "error"),
        ("clients.mongo",),
    ),
    Client(
        "cdc",
        ("_cdcperf_cdc",),
        (
            *("cdc_e2e_latency", "cdc_propagation", "cdc_success_rate", "cdc_replication_success"),
            *("cdc_creates", "cdc_updates", "cdc_deletes", "cdc_pipeline_active", "cdc_consumer_lag_estimate"),
        ),
        ("collection",),
        ("cdc.expect", "cdc.lag"),
    ),
    Client(
        "grpc_client",
        ("_cdcperf_grpc",),
        (
            *("grpc_req_duration", "grpc_stream_duration", "grpc_errors", "grpc_streams"),
            *("grpc_streams_msgs_sent", "grpc_streams_msgs_received"),
        ),
        ("service", "method", "status", "ok", "error"),
        ("clients.grpc.client",),
    ),
    Client(
        "http_client",
        ("_cdcperf_http", "_cdcperf_requests"),
        (
            *("http_reqs", "http_req_failed", "http_req_duration", "http_req_connecting"),
            *("http_req_tls_handshaking", "http_req_waiting", "http_req_receiving"),
        ),
        None,
        ("clients.http.client", "clients.http.requests_session"),
    ),
)

_BUILTIN = frozenset(metric.name for metric in vars(builtin).values() if isinstance(metric, Metric))
# Of the metrics that every run has, those whose samples have tags beside those of the load.
_OF_EVERY_RUN: Mapping[str, tuple[str, ...]] = {
    builtin.CHECKS.name: ("check", "group"),
    builtin.GROUP_DURATION.name: ("group",),
    builtin.DROPPED_ITERATIONS.name: ("reason",),
    OPERATIONS.name: ("operation", "planned", "group"),
    OPERATIONS_SKIPPED.name: ("operation", "planned", "group"),
}


def client_of(metric: str) -> Client | None:
    """Return the client that records *metric*, None where it is none of ours."""
    return next((client for client in CLIENTS if metric in client.metrics), None)


def define(metrics: Iterable[str]) -> None:
    """Let those of *metrics* that a client records be known, with their kinds and units. This imports drivers."""
    for name in metrics:
        if definition(name) is None and (client := client_of(name)) is not None:
            for module in client.modules:
                import_module(f"pytest_cdcperf.{module}")


def tags_of(metric: str) -> tuple[str, ...] | None:
    """Return the tags that samples of *metric* can have beside those of the load, None where a test can give any."""
    name = ALIASES.get(metric, metric)
    client = client_of(name)
    if client is not None:
        return None if client.tags is None else (*client.tags, "group")
    return _OF_EVERY_RUN.get(name, () if name in _BUILTIN else None)
