"""How clients are shown in tracebacks and debuggers: with their server, without secrets."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_cdcperf.cdc.expect import Cdc
from pytest_cdcperf.cdc.watch import SinkWatch
from pytest_cdcperf.clients.grpc.client import GrpcClient
from pytest_cdcperf.clients.http.client import HttpClient
from pytest_cdcperf.clients.mongo import Mongo
from pytest_cdcperf.clients.postgres import Postgres
from pytest_cdcperf.servers import MongoAddress, PostgresAddress

PG = Postgres(PostgresAddress("db", 5432, "ada", "shop", "s3cr3t-pg"))
MONGO = Mongo(MongoAddress("mongodb://ada:s3cr3t-mongo@sink/?replicaSet=r"))
CDC = Cdc(MONGO, SinkWatch(MONGO))
HTTP = HttpClient().with_options(base_url="http://ada:s3cr3t-http@shop.example/v1?token=s3cr3t-token")
GRPC = GrpcClient(Path()).with_options(address="shop.example:50051", metadata={"authorization": "s3cr3t-grpc"})


@pytest.mark.parametrize(
    ("client", "shown"),
    [
        (PG, "<Postgres postgresql://ada@db:5432/shop>"),
        (PG.aio, "<AsyncPostgres postgresql://ada@db:5432/shop>"),
        (MONGO, "<Mongo mongodb://ada:***@sink/?replicaSet=r, database cdc_materialized>"),
        (MONGO.aio, "<AsyncMongo mongodb://ada:***@sink/?replicaSet=r, database cdc_materialized>"),
        (CDC, f"<Cdc: arrivals in {MONGO!r}>"),
        (CDC.aio, f"<AsyncCdc: arrivals in {MONGO!r}>"),
        (HTTP, "<HttpClient http://shop.example/v1>"),
        (HTTP.aio, "<AsyncHttpClient http://shop.example/v1>"),
        (HttpClient(), "<HttpClient>"),
        (GRPC, "<GrpcClient shop.example:50051>"),
        (GRPC.aio, "<AsyncGrpcClient shop.example:50051>"),
        (GrpcClient(Path()), "<GrpcClient>"),
    ],
    ids=lambda one: type(one).__name__ if not isinstance(one, str) else "",
)
def test_a_client_is_shown_with_its_server_and_without_secrets(client, shown):
    assert repr(client) == shown
    assert "s3cr3t" not in repr(client)
